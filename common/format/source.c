/* Happy path: bytes of the file go through a buffer, as they are or through inflate, one gzip
 * member after the other (RFC 1952, 2.2); the first that come out are kept back and looked at. It
 * fails when the file cannot be read, when compressed data is damaged, ends early or is followed by
 * something else, and when the file has changed by the time its end is reached. */
#include "common/format/source.h"

#include "common/base/elsewhere.h"
#include "common/base/fifo.h"
#include "common/base/foreign.h"
#include "common/base/mem.h"
#include "common/format/regular_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/* deflate makes at most 1032 bytes of one (zlib's documentation, "maximum compression factor"). */
enum { DEFLATE_FACTOR = 1032, BUFFER_BYTES = 256 * 1024, GZIP_WINDOW = 15 + 16, PART = 1 << 30 };

struct ps_source {
    char *path;
    int fd;
    struct stat opened; /* what the file was then */
    uint64_t offset, most;
    uint8_t first[PS_FOREIGN_BYTES]; /* of what comes out */
    size_t first_len, first_at;      /* how much of it has been given */
    uint8_t *buffer;                 /* bytes of the file: */
    size_t at, len;                  /* those not used yet are [at, len) */
    uint64_t taken;                  /* read from the file so far */
    bool gzip;
    bool member; /* within a gzip member */
    z_stream inflater;
};

/* ---- the file ---- */

static ps_status check_unchanged(const ps_source *s)
{
    struct stat now;
    if (!S_ISREG(s->opened.st_mode))
        return PS_OK;
    if (fstat(s->fd, &now) != 0)
        return ps_fail_errno(errno, "%s", s->path);
    if (now.st_size != s->opened.st_size || now.st_mtim.tv_sec != s->opened.st_mtim.tv_sec ||
        now.st_mtim.tv_nsec != s->opened.st_mtim.tv_nsec)
        return ps_fail(PS_CORRUPT, "%s: was changed while it was read; try again when it is whole",
                       s->path);
    return PS_OK;
}

/* Up to len bytes of the file; *got is 0 at its end. A pipe may have nothing for long, and then a
 * signal that somebody waits for ends it. */
static ps_status take(ps_source *s, void *out, size_t len, size_t *got)
{
    ssize_t n = -1;
    do
        n = read(s->fd, out, len < PART ? len : PART);
    while (n < 0 && errno == EINTR && S_ISREG(s->opened.st_mode));
    if (n < 0)
        return ps_fail_errno(errno, "%s: byte %" PRIu64, s->path, s->taken);
    s->taken += (uint64_t)n;
    *got = (size_t)n;
    return n ? PS_OK : check_unchanged(s);
}

/* The buffer has at least `want` bytes, or all that are left. */
static ps_status fill(ps_source *s, size_t want)
{
    if (s->len - s->at >= want)
        return PS_OK;
    memmove(s->buffer, s->buffer + s->at, s->len - s->at);
    s->len -= s->at;
    s->at = 0;
    for (size_t got = 1; got && s->len < want; s->len += got) {
        ps_status st = take(s, s->buffer + s->len, BUFFER_BYTES - s->len, &got);
        if (st)
            return st;
    }
    return PS_OK;
}

static uint64_t place(const ps_source *s)
{
    return s->taken - (s->len - s->at);
}

/* ---- gzip ---- */

static bool is_gzip(const ps_source *s)
{
    return s->len - s->at >= 2 && s->buffer[s->at] == 0x1f && s->buffer[s->at + 1] == 0x8b;
}

/* Behind a member: another one, zeros up to the end (as on tapes), or nothing. */
static ps_status next_member(ps_source *s)
{
    ps_status st = fill(s, 2);
    if (st || s->at == s->len)
        return st;
    if (is_gzip(s)) {
        s->member = true;
        return inflateReset(&s->inflater) == Z_OK ? PS_OK : ps_fail(PS_INTERNAL, "inflateReset");
    }
    while (!st && s->at < s->len && !s->buffer[s->at]) {
        s->at++;
        st = fill(s, 1);
    }
    if (!st && s->at < s->len)
        st = ps_fail(PS_CORRUPT,
                     "%s: byte %" PRIu64 " of the file: what follows the gzip data is none; is the "
                     "file damaged?",
                     s->path, place(s));
    return st;
}

static ps_status damaged(const ps_source *s, int code)
{
    if (code == Z_MEM_ERROR)
        return ps_fail(PS_NO_MEMORY, "%s: out of memory", s->path);
    return ps_fail(PS_CORRUPT, "%s: byte %" PRIu64 " of the file: gzip data is damaged (%s)",
                   s->path, place(s), s->inflater.msg ? s->inflater.msg : "no such data");
}

static ps_status inflate_part(ps_source *s, void *out, size_t len, size_t *got)
{
    ps_status st = fill(s, 1);
    if (st)
        return st;
    if (s->at == s->len)
        return ps_fail(PS_CORRUPT,
                       "%s: byte %" PRIu64
                       " of the file: gzip data is cut short: the file ends here",
                       s->path, s->taken);
    z_stream *z = &s->inflater;
    z->next_in = s->buffer + s->at;
    z->avail_in = (unsigned)(s->len - s->at);
    z->next_out = out;
    z->avail_out = len < PART ? (unsigned)len : PART;
    unsigned room = z->avail_out;
    int code = inflate(z, Z_NO_FLUSH);
    s->at = s->len - z->avail_in;
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
        return damaged(s, code);
    s->member = code != Z_STREAM_END;
    *got = room - z->avail_out;
    return PS_OK;
}

static ps_status read_gzip(ps_source *s, void *out, size_t len, size_t *got)
{
    ps_status st = PS_OK;
    while (!st && !*got && len) {
        if (!s->member)
            st = next_member(s);
        if (st || !s->member)
            return st;
        st = inflate_part(s, out, len, got);
    }
    return st;
}

/* ---- both ---- */

static ps_status read_plain(ps_source *s, void *out, size_t len, size_t *got)
{
    if (s->at == s->len)
        return take(s, out, len, got);
    *got = len < s->len - s->at ? len : s->len - s->at;
    memcpy(out, s->buffer + s->at, *got);
    s->at += *got;
    return PS_OK;
}

static ps_status read_on(ps_source *s, void *out, size_t len, size_t *got)
{
    *got = 0;
    return s->gzip ? read_gzip(s, out, len, got) : read_plain(s, out, len, got);
}

static ps_status look(ps_source *s)
{
    ps_status st = fill(s, PS_FOREIGN_BYTES);
    if (st)
        return st;
    s->gzip = is_gzip(s);
    s->most = S_ISREG(s->opened.st_mode) ? (uint64_t)s->opened.st_size : UINT64_MAX;
    if (s->gzip && inflateInit2(&s->inflater, GZIP_WINDOW) != Z_OK)
        return ps_fail(PS_NO_MEMORY, "%s: out of memory", s->path);
    if (s->gzip && __builtin_mul_overflow(s->most, (uint64_t)DEFLATE_FACTOR, &s->most))
        s->most = UINT64_MAX;
    for (size_t got = 1; !st && got && s->first_len < sizeof s->first; s->first_len += got)
        st = read_on(s, s->first + s->first_len, sizeof s->first - s->first_len, &got);
    return st;
}

static ps_status read_from(int fd, const char *path, ps_source **out)
{
    ps_source *s = ps_new(ps_source);
    s->path = ps_strdup(path);
    s->fd = fd;
    s->buffer = ps_alloc(BUFFER_BYTES);
    ps_status st = fstat(fd, &s->opened) ? ps_fail_errno(errno, "%s", path) : PS_OK;
    if (!st && S_ISDIR(s->opened.st_mode))
        st = ps_fail(PS_INVALID_ARGUMENT, "%s is a folder", path);
    if (!st)
        st = look(s);
    if (st)
        ps_source_close(&s);
    else
        *out = s;
    return st;
}

ps_status ps_source_open(const char *path, ps_source **out)
{
    int fd = -1;
    uint64_t size = 0;
    ps_status st = ps_regular_open(path, &fd, &size);
    return st ? st : read_from(fd, path, out);
}

/* Who waits in open() for the other end of a pipe waits for ever, and hears no signal. */
static ps_status wait_for_input(int fd, const char *path)
{
    struct stat about;
    if (fstat(fd, &about) != 0)
        return ps_fail_errno(errno, "%s", path);
    if (S_ISFIFO(about.st_mode)) {
        ps_status st = ps_fifo_await_writer(fd, path);
        if (st)
            return st;
    }
    (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    return PS_OK;
}

ps_status ps_source_open_any(const char *path, ps_source **out)
{
    bool input = !strcmp(path, "-");
    const char *name = input ? "standard input" : path;
    int fd = input ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1)
                   : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return ps_elsewhere(path, ps_fail_errno(errno, "%s", name));
    ps_status st = input ? PS_OK : wait_for_input(fd, name);
    if (!st)
        return read_from(fd, name, out);
    (void)close(fd);
    return st;
}

void ps_source_close(ps_source **source)
{
    ps_source *s = *source;
    if (!s)
        return;
    if (s->gzip)
        (void)inflateEnd(&s->inflater);
    (void)close(s->fd); /* read only: nothing to lose */
    ps_free(&s->buffer);
    ps_free(&s->path);
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

ps_status ps_source_check_foreign(const ps_source *s)
{
    const ps_foreign *f = ps_foreign_find(ps_slice_of(s->first, s->first_len));
    return f ? ps_fail(PS_CORRUPT, "%s is %s%s; %s", s->path, f->what,
                       s->gzip ? ", compressed by gzip" : "", f->remedy)
             : PS_OK;
}

ps_status ps_source_read(ps_source *s, void *out, size_t len, size_t *got)
{
    size_t kept = s->first_len - s->first_at;
    if (!kept) {
        ps_status st = read_on(s, out, len, got);
        s->offset += *got;
        return st;
    }
    *got = len < kept ? len : kept;
    memcpy(out, s->first + s->first_at, *got);
    s->first_at += *got;
    s->offset += *got;
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
