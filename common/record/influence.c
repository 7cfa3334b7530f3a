/* Writing and reading of each stand side by side. Reading fails on bytes that psd would not have
 * written; what a checksum says is not whole is the end of the file. */
#include "common/record/influence.h"

#include "common/base/crc32c.h"
#include "common/base/mem.h"
#include "common/base/require.h"

#include <math.h>
#include <string.h>

static const char magic[8] = {'P', 'S', 'D', 'I', 'N', 'F', 'L', '1'};

#define RECORD UINT32_C(0x31505352)

enum {
    START = 12,  /* magic, bytes */
    LEAST = 36,  /* of a head */
    FRAME = 12,  /* of a record: magic, bytes, checksum */
    FIXED = 104, /* behind it, to the units, without the name */
    HEAD_MAX = 64 << 20,
    UNITS_MAX = 1 << 20,
};
#define ELEMENTS_MAX (UINT64_C(1) << 63)

/* ---- the head ---- */

static void put_text(ps_buf *out, const char *text)
{
    ps_buf_put_u32le(out, (uint32_t)strlen(text));
    ps_buf_puts(out, text);
}

void ps_influence_head_write(const ps_influence_head *head, ps_buf *out)
{
    size_t start = out->len;
    ps_buf_append(out, magic, sizeof magic);
    ps_buf_put_u32le(out, 0);
    ps_buf_put_u32le(out, PS_INFLUENCE_VERSION);
    ps_buf_put_u32le(out, head->sketch);
    ps_buf_put_u32le(out, head->every);
    ps_buf_put_u32le(out, (uint32_t)head->n_tensors);
    for (size_t i = 0; i < head->n_tensors; i++) {
        const ps_influence_tensor *t = &head->tensors[i];
        put_text(out, t->name);
        ps_buf_put_u32le(out, t->units);
        for (uint32_t u = 0; u < t->units; u++)
            ps_buf_put_u64le(out, head->elements[t->first_unit + u]);
    }
    ps_put_u32le(out->data + start + sizeof magic, (uint32_t)(out->len - start + 4));
    ps_buf_put_u32le(out, ps_crc32c(0, out->data + start, out->len - start));
}

size_t ps_influence_head_bytes(const uint8_t first[START])
{
    ps_cursor c = ps_cursor_of(ps_slice_of(first + sizeof magic, 4));
    uint32_t bytes = ps_read_u32le(&c);
    return memcmp(first, magic, sizeof magic) != 0 || bytes < LEAST || bytes > HEAD_MAX ? 0 : bytes;
}

static ps_status damaged(const char *what)
{
    return ps_fail(PS_CORRUPT, "%s: %s", PS_INFLUENCE_FILE, what);
}

static bool read_tensor(ps_cursor *c, ps_influence_head *head, ps_influence_tensor *t)
{
    uint32_t len = ps_read_u32le(c);
    if (len > PS_INFLUENCE_NAME_MAX)
        return false;
    ps_slice name = ps_read_bytes(c, len);
    uint32_t units = ps_read_u32le(c);
    if (c->failed || units == 0 || units > UNITS_MAX - head->n_units ||
        ps_cursor_left(c) / 8 < units)
        return false;
    t->name = ps_asprintf("%.*s", (int)name.len, (const char *)name.data);
    t->first_unit = (uint32_t)head->n_units;
    t->units = units;
    head->elements = ps_realloc(head->elements, (head->n_units + units) * sizeof *head->elements);
    for (uint32_t u = 0; u < units; u++) {
        uint64_t elements = ps_read_u64le(c);
        if (elements == 0 || elements > ELEMENTS_MAX / UNITS_MAX) /* the sum of all is a number */
            return false;
        head->elements[head->n_units++] = elements;
    }
    return true;
}

static ps_status read_head(ps_cursor *c, ps_influence_head *head)
{
    uint32_t version = ps_read_u32le(c);
    if (version != PS_INFLUENCE_VERSION)
        return ps_fail(PS_FAILED_PRECONDITION,
                       "%s: of version %u, this program knows version %d; use a newer one",
                       PS_INFLUENCE_FILE, version, PS_INFLUENCE_VERSION);
    head->sketch = ps_read_u32le(c);
    head->every = ps_read_u32le(c);
    uint32_t n = ps_read_u32le(c);
    if (c->failed || head->sketch < PS_SKETCH_SIZE_MIN || head->sketch > PS_SKETCH_SIZE_MAX ||
        head->every == 0 || n == 0 || ps_cursor_left(c) / 16 < n)
        return damaged("its head makes no sense");
    head->tensors = ps_alloc_array(n, sizeof *head->tensors);
    for (uint32_t i = 0; i < n; i++) {
        head->n_tensors++;
        if (!read_tensor(c, head, &head->tensors[i]))
            return damaged("a tensor of its head makes no sense");
    }
    return ps_cursor_left(c) ? damaged("bytes are left in its head") : PS_OK;
}

ps_status ps_influence_head_read(ps_slice bytes, ps_influence_head *out, size_t *used)
{
    size_t len = bytes.len < START ? 0 : ps_influence_head_bytes(bytes.data);
    if (len == 0 || len > bytes.len)
        return damaged("is no record of a training");
    ps_cursor sum = ps_cursor_of(ps_slice_of(bytes.data + len - 4, 4));
    if (ps_crc32c(0, bytes.data, len - 4) != ps_read_u32le(&sum))
        return damaged("its head is damaged");
    ps_influence_head head = {0};
    ps_cursor c = ps_cursor_of(ps_slice_of(bytes.data + START, len - 4 - START));
    ps_status st = read_head(&c, &head);
    if (st) {
        ps_influence_head_free(&head);
        return st;
    }
    *out = head;
    *used = len;
    return PS_OK;
}

void ps_influence_head_free(ps_influence_head *head)
{
    for (size_t i = 0; i < head->n_tensors; i++)
        free(head->tensors[i].name);
    free(head->tensors);
    free(head->elements);
    *head = (ps_influence_head){0};
}

void ps_influence_sketch(const ps_influence_head *head, ps_sketch **out)
{
    ps_sketch_shape(head->elements, head->n_units, head->sketch, out);
}

/* ---- records ---- */

static void put_unit(ps_buf *out, const float *numbers, uint32_t width)
{
    ps_buf_reserve(out, PS_SKETCH_SCALE_BYTES + width);
    ps_sketch_encode(numbers, width, out->data + out->len);
    out->len += PS_SKETCH_SCALE_BYTES + width;
}

static void put_push(ps_buf *out, const ps_influence_push *p)
{
    const uint64_t words[] = {p->version, p->clock,     p->client,  p->sequence,
                              p->lease,   p->row_begin, p->row_end, p->staleness};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        ps_buf_put_u64le(out, words[i]);
    ps_buf_put_u32le(out, p->epoch);
    ps_buf_put_u32le(out, p->flags);
    ps_buf_put_f64le(out, p->weight);
    ps_buf_put_f64le(out, p->gradient_sq);
    ps_buf_put_f64le(out, p->correction);
    put_text(out, p->worker);
}

void ps_influence_write(const ps_sketch *sketch, const ps_influence_push *push, const bool *touched,
                        const float *numbers, ps_buf *out)
{
    size_t start = out->len, n = 0;
    PS_REQUIRE(strlen(push->worker) <= PS_INFLUENCE_NAME_MAX);
    for (size_t u = 0; u < ps_sketch_units(sketch); u++)
        n += touched[u];
    ps_buf_put_u32le(out, RECORD);
    ps_buf_put_u64le(out, 0); /* bytes, and the checksum */
    put_push(out, push);
    ps_buf_put_u32le(out, (uint32_t)n);
    for (size_t u = 0; u < ps_sketch_units(sketch); u++) {
        ps_sketch_part part = ps_sketch_part_of(sketch, u);
        if (!touched[u])
            continue;
        ps_buf_put_u32le(out, (uint32_t)u);
        put_unit(out, numbers + part.at, part.width);
    }
    uint8_t *frame = out->data + start;
    size_t len = out->len - start;
    ps_put_u32le(frame + 4, (uint32_t)len);
    ps_put_u32le(frame + 8, ps_crc32c(0, frame + FRAME, len - FRAME));
}

static bool read_push(ps_cursor *c, ps_influence_record *out)
{
    uint64_t *const words[] = {&out->push.version,  &out->push.clock,    &out->push.client,
                               &out->push.sequence, &out->push.lease,    &out->push.row_begin,
                               &out->push.row_end,  &out->push.staleness};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        *words[i] = ps_read_u64le(c);
    out->push.epoch = ps_read_u32le(c);
    out->push.flags = ps_read_u32le(c);
    out->push.weight = ps_read_f64le(c);
    out->push.gradient_sq = ps_read_f64le(c);
    out->push.correction = ps_read_f64le(c);
    uint32_t len = ps_read_u32le(c);
    if (c->failed || len > PS_INFLUENCE_NAME_MAX)
        return false;
    ps_slice name = ps_read_bytes(c, len);
    if (c->failed)
        return false;
    memcpy(out->worker, name.data, name.len);
    out->worker[name.len] = '\0';
    out->push.worker = out->worker;
    return isfinite(out->push.weight) && isfinite(out->push.gradient_sq) &&
           isfinite(out->push.correction);
}

static bool read_unit(ps_cursor *c, const ps_sketch *sketch, int64_t *before, float *numbers)
{
    uint32_t unit = ps_read_u32le(c);
    if (c->failed || unit >= ps_sketch_units(sketch) || (int64_t)unit <= *before)
        return false;
    ps_sketch_part part = ps_sketch_part_of(sketch, unit);
    ps_slice codes = ps_read_bytes(c, PS_SKETCH_SCALE_BYTES + (size_t)part.width);
    if (!c->failed && numbers)
        ps_sketch_decode(codes.data, part.width, numbers + part.at);
    *before = unit;
    return !c->failed;
}

static bool read_units(ps_cursor *c, const ps_sketch *sketch, float *numbers)
{
    uint32_t n = ps_read_u32le(c);
    int64_t before = -1;
    if (numbers)
        memset(numbers, 0, ps_sketch_width(sketch) * sizeof *numbers);
    for (uint32_t i = 0; i < n; i++)
        if (!read_unit(c, sketch, &before, numbers))
            return false;
    return !c->failed && ps_cursor_left(c) == 0;
}

ps_status ps_influence_read(ps_cursor *at, const ps_sketch *sketch, ps_influence_record *out,
                            float *numbers)
{
    ps_cursor c = *at;
    uint32_t kind = ps_read_u32le(&c), bytes = ps_read_u32le(&c), sum = ps_read_u32le(&c);
    if (c.failed || kind != RECORD || bytes < FRAME + FIXED || bytes - FRAME > ps_cursor_left(&c))
        return PS_END;
    ps_slice rest = ps_read_bytes(&c, bytes - FRAME);
    if (ps_crc32c(0, rest.data, rest.len) != sum)
        return PS_END;
    ps_cursor inner = ps_cursor_of(rest);
    if (!read_push(&inner, out) || !read_units(&inner, sketch, numbers))
        return damaged("a record makes no sense");
    *at = c;
    return PS_OK;
}
