/* Writing gathers what is small and passes what is large straight to the disk. Reading never trusts
 * a length beyond the file's own size. Fails on the disk's errors, and on damage. */
#include "server/durable/section.h"

#include "common/base/crc32c.h"
#include "common/base/require.h"

enum { GATHER = 65536, READ_STEP = 65536 };

ps_status ps_section_flush(ps_section_writer *w)
{
    ps_status st = ps_disk_write_all(w->disk, w->file, w->pending.data, w->pending.len);
    ps_buf_clear(&w->pending);
    return st;
}

ps_status ps_section_write_raw(ps_section_writer *w, ps_slice bytes)
{
    w->bytes += bytes.len;
    if (w->pending.len + bytes.len > GATHER) {
        ps_status st = ps_section_flush(w);
        if (st)
            return st;
    }
    if (bytes.len >= GATHER)
        return ps_disk_write_all(w->disk, w->file, bytes.data, bytes.len);
    if (bytes.len)
        ps_buf_append(&w->pending, bytes.data, bytes.len);
    return PS_OK;
}

ps_status ps_section_write(ps_section_writer *w, uint32_t type, const ps_slice *parts,
                           size_t n_parts)
{
    PS_REQUIRE(n_parts <= PS_SECTION_PARTS_MAX);
    uint32_t crc = 0;
    uint64_t length = 0;
    for (size_t i = 0; i < n_parts; i++) {
        crc = ps_crc32c(crc, parts[i].data, parts[i].len);
        length += parts[i].len;
    }
    uint8_t header[PS_SECTION_HEADER];
    ps_put_u32le(header, type);
    ps_put_u32le(header + 4, crc);
    ps_put_u64le(header + 8, length);
    ps_put_u32le(header + 16, ps_crc32c(0, header, 16));
    ps_status st = ps_section_write_raw(w, ps_slice_of(header, sizeof header));
    for (size_t i = 0; i < n_parts && !st; i++)
        st = ps_section_write_raw(w, parts[i]);
    return st;
}

void ps_section_writer_free(ps_section_writer *w)
{
    ps_buf_free(&w->pending);
}

ps_status ps_section_read_raw(ps_section_reader *r, void *out, size_t len)
{
    PS_REQUIRE(r->at <= r->size);
    if (len > r->size - r->at)
        return ps_fail(PS_CORRUPT, "byte %llu: the file is cut off", (unsigned long long)r->size);
    ps_status st = ps_disk_read_full(r->disk, r->file, out, len);
    if (!st)
        r->at += len;
    return st;
}

ps_status ps_section_next(ps_section_reader *r)
{
    uint8_t header[PS_SECTION_HEADER];
    unsigned long long start = r->at;
    ps_status st = ps_section_read_raw(r, header, sizeof header);
    if (st)
        return st;
    ps_cursor c = ps_cursor_of(ps_slice_of(header, sizeof header));
    r->type = ps_read_u32le(&c);
    r->crc_wanted = ps_read_u32le(&c);
    r->left = ps_read_u64le(&c);
    r->crc = 0;
    if (ps_read_u32le(&c) != ps_crc32c(0, header, 16))
        return ps_fail(PS_CORRUPT, "byte %llu: the checksum of a section's header is wrong", start);
    if (r->left > r->size - r->at)
        return ps_fail(PS_CORRUPT, "byte %llu: a section of %llu bytes, the file has %llu more",
                       start, (unsigned long long)r->left, (unsigned long long)(r->size - r->at));
    return PS_OK;
}

ps_status ps_section_read(ps_section_reader *r, void *out, size_t len)
{
    if (len > r->left)
        return ps_fail(PS_CORRUPT, "byte %llu: a section of type %u is too short",
                       (unsigned long long)r->at, r->type);
    ps_status st = ps_section_read_raw(r, out, len);
    if (st)
        return st;
    r->left -= len;
    r->crc = ps_crc32c(r->crc, out, len);
    return PS_OK;
}

ps_status ps_section_end(ps_section_reader *r)
{
    if (r->left)
        return ps_fail(PS_CORRUPT, "byte %llu: a section of type %u is too long",
                       (unsigned long long)r->at, r->type);
    if (r->crc != r->crc_wanted)
        return ps_fail(PS_CORRUPT, "byte %llu: the checksum of the section before it is wrong",
                       (unsigned long long)r->at);
    return PS_OK;
}

ps_status ps_section_read_all(ps_section_reader *r, size_t limit, ps_buf *out)
{
    uint8_t step[READ_STEP];
    if (r->left > limit)
        return ps_fail(PS_CORRUPT, "byte %llu: a section of %llu bytes, at most %zu",
                       (unsigned long long)r->at, (unsigned long long)r->left, limit);
    while (r->left) {
        size_t n = r->left < sizeof step ? (size_t)r->left : sizeof step;
        ps_status st = ps_section_read(r, step, n);
        if (st)
            return st;
        ps_buf_append(out, step, n);
    }
    return ps_section_end(r);
}
