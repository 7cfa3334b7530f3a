/* Happy path of reading: the file is mapped, its header read through a cursor and compared with its
 * size; tokens are then read in place. Of writing: a header without a count, tokens through a
 * buffer, and the header again when the count is known. */
#include "common/format/token_file.h"

#include "common/base/mem.h"
#include "common/format/new_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char magic[8] = {'P', 'S', 'D', 'T', 'O', 'K', 'E', 'N'};

enum { VERSION = 1, NARROW = 1 << 16, BUFFER_BYTES = 1 << 16 };

static unsigned width_of(uint32_t vocab_size)
{
    return vocab_size <= NARROW ? 2 : 4;
}

/* ---- reading ---- */

ps_status ps_token_file_parse(ps_slice head, uint64_t file_bytes, ps_token_file_info *out)
{
    ps_cursor c = ps_cursor_of(head);
    ps_slice first = ps_read_bytes(&c, sizeof magic);
    if (c.failed || memcmp(first.data, magic, sizeof magic) != 0)
        return ps_fail(PS_CORRUPT, "not a token file; psctl tokenize makes one");
    uint32_t version = ps_read_u32le(&c), width = ps_read_u32le(&c);
    ps_token_file_info info = {.count = ps_read_u64le(&c), .vocab_size = ps_read_u32le(&c)};
    uint32_t zero = ps_read_u32le(&c);
    info.tokenizer_hash = ps_read_u64le(&c);
    ps_slice name = ps_read_bytes(&c, PS_TOKEN_FILE_NAME);
    if (c.failed)
        return ps_fail(PS_CORRUPT, "a token file's header takes %d bytes, only %zu are there",
                       PS_TOKEN_FILE_HEADER, head.len);
    if (version != VERSION)
        return ps_fail(PS_CORRUPT, "a token file of version %" PRIu32 ", this is for %d", version,
                       VERSION);
    if (zero)
        return ps_fail(PS_CORRUPT, "a token file's header has bytes that are not zero at 28");
    if (info.vocab_size < 1 || info.vocab_size > INT32_MAX || width != width_of(info.vocab_size))
        return ps_fail(PS_CORRUPT, "%" PRIu32 " bytes a token with a vocabulary of %" PRIu32, width,
                       info.vocab_size);
    if (info.count > (UINT64_MAX >> 3) || file_bytes != PS_TOKEN_FILE_HEADER + info.count * width)
        return ps_fail(PS_CORRUPT,
                       "%" PRIu64 " tokens of %" PRIu32 " bytes and a header of %d are not %" PRIu64
                       " bytes, which the file has",
                       info.count, width, PS_TOKEN_FILE_HEADER, file_bytes);
    memcpy(info.tokenizer, name.data, PS_TOKEN_FILE_NAME);
    if (info.tokenizer[PS_TOKEN_FILE_NAME - 1])
        return ps_fail(PS_CORRUPT, "the tokenizer's name has no end");
    *out = info;
    return PS_OK;
}

struct ps_token_file {
    char *path;
    ps_token_file_info info;
    unsigned width;
    size_t bytes;
    const uint8_t *map, *tokens;
};

static ps_status map_file(ps_token_file *f)
{
    struct stat about;
    int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return ps_fail_errno(errno, "%s", f->path);
    ps_status st = PS_OK;
    if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode))
        st = ps_fail(PS_INVALID_ARGUMENT, "%s: not a regular file", f->path);
    else if (about.st_size < PS_TOKEN_FILE_HEADER)
        st = ps_fail(PS_CORRUPT, "%s: not a token file; psctl tokenize makes one", f->path);
    if (!st) {
        f->bytes = (size_t)about.st_size;
        void *map = mmap(NULL, f->bytes, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED)
            st = ps_fail_errno(errno, "%s", f->path);
        else
            f->map = map;
    }
    (void)close(fd);
    return st;
}

ps_status ps_token_file_open(const char *path, ps_token_file **out)
{
    ps_token_file *f = ps_new(ps_token_file);
    f->path = ps_strdup(path);
    ps_status st = map_file(f);
    if (!st) {
        st = ps_token_file_parse(ps_slice_of(f->map, PS_TOKEN_FILE_HEADER), f->bytes, &f->info);
        if (st)
            st = ps_wrap(st, "%s", path);
    }
    if (st) {
        ps_token_file_close(&f);
        return st;
    }
    f->width = width_of(f->info.vocab_size);
    f->tokens = f->map + PS_TOKEN_FILE_HEADER;
    *out = f;
    return PS_OK;
}

void ps_token_file_close(ps_token_file **file)
{
    ps_token_file *f = *file;
    if (!f)
        return;
    if (f->map)
        (void)munmap((void *)(uintptr_t)f->map, f->bytes);
    ps_free(&f->path);
    ps_free(file);
}

const ps_token_file_info *ps_token_file_about(const ps_token_file *f)
{
    return &f->info;
}

uint64_t ps_token_file_count(const ps_token_file *f)
{
    return f->info.count;
}

uint32_t ps_token_file_at(const ps_token_file *f, uint64_t i)
{
    assert(i < f->info.count);
    ps_cursor c = ps_cursor_of(ps_slice_of(f->tokens + i * f->width, f->width));
    return f->width == 2 ? ps_read_u16le(&c) : ps_read_u32le(&c);
}

/* Into out (NULL: nowhere); the highest of them. The loops are what a compiler makes vectors of. */
static uint32_t copy_narrow(const uint8_t *from, size_t n, int32_t *out)
{
    uint32_t highest = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t token = (uint32_t)from[2 * i] | (uint32_t)from[2 * i + 1] << 8;
        highest = token > highest ? token : highest;
        if (out)
            out[i] = (int32_t)token;
    }
    return highest;
}

static uint32_t copy_wide(const uint8_t *from, size_t n, int32_t *out)
{
    uint32_t highest = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t token = (uint32_t)from[4 * i] | (uint32_t)from[4 * i + 1] << 8 |
                         (uint32_t)from[4 * i + 2] << 16 | (uint32_t)from[4 * i + 3] << 24;
        highest = token > highest ? token : highest;
        if (out)
            out[i] = (int32_t)token;
    }
    return highest;
}

static ps_status copy(const ps_token_file *f, uint64_t first, size_t n, int32_t *out)
{
    const uint8_t *from = f->tokens + first * f->width;
    uint32_t highest = f->width == 2 ? copy_narrow(from, n, out) : copy_wide(from, n, out);
    if (highest < f->info.vocab_size)
        return PS_OK;
    while (ps_token_file_at(f, first) < f->info.vocab_size)
        first++;
    return ps_fail(PS_CORRUPT, "%s: token %" PRIu64 " is %" PRIu32 ", the vocabulary has %" PRIu32,
                   f->path, first, ps_token_file_at(f, first), f->info.vocab_size);
}

ps_status ps_token_file_copy(const ps_token_file *f, uint64_t first, size_t n, int32_t *out)
{
    if (first > f->info.count || n > f->info.count - first)
        return ps_fail(PS_OUT_OF_RANGE,
                       "%s: tokens %" PRIu64 " to %" PRIu64 " are wanted, it has %" PRIu64, f->path,
                       first, first + n, f->info.count);
    return n ? copy(f, first, n, out) : PS_OK;
}

ps_status ps_token_file_check(const ps_token_file *f)
{
    return f->info.count ? copy(f, 0, (size_t)f->info.count, NULL) : PS_OK;
}

/* ---- writing ---- */

struct ps_token_writer {
    ps_new_file *file;
    ps_token_file_info info;
    unsigned width;
    size_t used;
    uint8_t buffer[BUFFER_BYTES];
};

static ps_status write_header(ps_token_writer *w, bool again)
{
    uint8_t h[PS_TOKEN_FILE_HEADER] = {0};
    memcpy(h, magic, sizeof magic);
    ps_put_u32le(h + 8, VERSION);
    ps_put_u32le(h + 12, w->width);
    ps_put_u64le(h + 16, w->info.count);
    ps_put_u32le(h + 24, w->info.vocab_size);
    ps_put_u64le(h + 32, w->info.tokenizer_hash);
    memcpy(h + 40, w->info.tokenizer, PS_TOKEN_FILE_NAME);
    return again ? ps_new_file_overwrite(w->file, 0, h, sizeof h)
                 : ps_new_file_write(w->file, h, sizeof h);
}

ps_status ps_token_writer_new(const char *path, bool force, const ps_token_file_info *about,
                              ps_token_writer **out)
{
    assert(about->vocab_size >= 1 && about->vocab_size <= INT32_MAX);
    assert(!about->tokenizer[PS_TOKEN_FILE_NAME - 1]);
    ps_token_writer *w = ps_new(ps_token_writer);
    w->info = *about;
    w->info.count = 0;
    w->width = width_of(about->vocab_size);
    ps_status st = ps_new_file_open(path, force, &w->file);
    if (!st)
        st = write_header(w, false);
    if (st)
        ps_token_writer_drop(&w);
    else
        *out = w;
    return st;
}

static ps_status flush(ps_token_writer *w)
{
    size_t used = w->used;
    w->used = 0;
    return ps_new_file_write(w->file, w->buffer, used);
}

ps_status ps_token_writer_add(ps_token_writer *w, const uint32_t *tokens, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert(tokens[i] < w->info.vocab_size);
        uint8_t four[4];
        ps_put_u32le(four, tokens[i]);
        memcpy(w->buffer + w->used, four, w->width);
        w->used += w->width;
        w->info.count++;
        ps_status st = w->used == sizeof w->buffer ? flush(w) : PS_OK;
        if (st)
            return st;
    }
    return PS_OK;
}

uint64_t ps_token_writer_count(const ps_token_writer *w)
{
    return w->info.count;
}

uint64_t ps_token_writer_bytes(const ps_token_writer *w)
{
    return PS_TOKEN_FILE_HEADER + w->info.count * w->width;
}

ps_status ps_token_writer_finish(ps_token_writer **writer)
{
    ps_token_writer *w = *writer;
    ps_status st = flush(w);
    if (!st)
        st = write_header(w, true);
    if (!st)
        st = ps_new_file_finish(&w->file);
    ps_token_writer_drop(writer);
    return st;
}

void ps_token_writer_drop(ps_token_writer **writer)
{
    if (!*writer)
        return;
    ps_new_file_drop(&(*writer)->file);
    ps_free(writer);
}
