/* Happy path: gzread, which passes plain files through. It fails when the file cannot be opened or
 * read, and when compressed data is damaged or ends early. */
#include "common/format/source.h"

#include "common/base/mem.h"
#include "common/format/regular_file.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

struct ps_source {
    char *path;
    gzFile file;
    uint64_t offset;
    uint64_t most;
};

/* deflate makes at most 1032 bytes of one (zlib's documentation, "maximum compression factor"). */
enum { DEFLATE_FACTOR = 1032, READ_AHEAD = 256 * 1024 };

ps_status ps_source_open(const char *path, ps_source **out)
{
    int fd = -1;
    uint64_t size = 0;
    ps_status st = ps_regular_open(path, &fd, &size);
    if (st)
        return st;
    gzFile file = gzdopen(fd, "rb");
    if (!file) {
        (void)close(fd);
        return ps_fail(PS_NO_MEMORY, "%s: out of memory", path);
    }
    (void)gzbuffer(file, READ_AHEAD);
    ps_source *s = ps_new(ps_source);
    s->path = ps_strdup(path);
    s->file = file;
    bool plain = gzdirect(file);
    if (plain || __builtin_mul_overflow(size, (uint64_t)DEFLATE_FACTOR, &s->most))
        s->most = plain ? size : UINT64_MAX;
    *out = s;
    return PS_OK;
}

void ps_source_close(ps_source **source)
{
    if (!*source)
        return;
    (void)gzclose_r((*source)->file); /* read only: nothing to lose */
    ps_free(&(*source)->path);
    ps_free(source);
}

const char *ps_source_path(const ps_source *source)
{
    return source->path;
}

uint64_t ps_source_offset(const ps_source *source)
{
    return source->offset;
}

uint64_t ps_source_most(const ps_source *source)
{
    return source->most;
}

static ps_status failed(const ps_source *s)
{
    int code = Z_OK;
    const char *text = gzerror(s->file, &code);
    if (code == Z_ERRNO)
        return ps_fail_errno(errno, "%s: byte %" PRIu64, s->path, s->offset);
    if (code == Z_MEM_ERROR)
        return ps_fail(PS_NO_MEMORY, "%s: out of memory", s->path);
    const char *words = strstr(text, ">: "); /* after zlib's name of the file, "<fd:7>: " */
    return ps_fail(PS_CORRUPT, "%s: byte %" PRIu64 ": gzip data is damaged or cut short (%s)",
                   s->path, s->offset,
                   code == Z_BUF_ERROR ? "unexpected end"
                   : words             ? words + 3
                                       : text);
}

ps_status ps_source_read(ps_source *source, void *out, size_t len, size_t *got)
{
    unsigned part = len < (1u << 30) ? (unsigned)len : 1u << 30;
    int n = gzread(source->file, out, part);
    int code = Z_OK;
    (void)gzerror(source->file, &code); /* a cut file gives its bytes and an error */
    if (n < 0 || (code != Z_OK && code != Z_STREAM_END))
        return failed(source);
    source->offset += (uint64_t)n;
    *got = (size_t)n;
    return PS_OK;
}

ps_status ps_source_read_exactly(ps_source *source, void *out, size_t len)
{
    for (size_t done = 0; done < len;) {
        size_t got = 0;
        ps_status st = ps_source_read(source, (char *)out + done, len - done, &got);
        if (st)
            return st;
        if (!got)
            return ps_fail(PS_CORRUPT, "%s: byte %" PRIu64 ": truncated, %zu more bytes expected",
                           source->path, source->offset, len - done);
        done += got;
    }
    return PS_OK;
}

ps_status ps_source_expect_end(ps_source *source)
{
    char byte = 0;
    size_t got = 0;
    ps_status st = ps_source_read(source, &byte, 1, &got);
    if (st || !got)
        return st;
    return ps_fail(PS_CORRUPT, "%s: byte %" PRIu64 ": more bytes than the header says",
                   source->path, source->offset - 1);
}
