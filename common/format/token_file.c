/* Happy path of reading: the header is read through a cursor and compared with the file's size;
 * tokens are then read where they stand. The file is not mapped: it is somebody else's, and one
 * that gets shorter under a mapping is a SIGBUS. Of writing: a header without a count, tokens
 * through a buffer, and the header again when the count is known. */
#include "common/format/token_file.h"

#include "common/base/foreign.h"
#include "common/base/mem.h"
#include "common/base/new_file.h"
#include "common/base/require.h"
#include "common/format/regular_file.h"

#include <inttypes.h>
#include <unistd.h>

static const char magic[8] = {'P', 'S', 'D', 'T', 'O', 'K', 'E', 'N'};

#define MARKS    (PS_TOKEN_GIVEN | PS_TOKEN_BEGINS | OF_TEXTS)
#define OF_TEXTS (PS_TOKEN_SECOND | PS_TOKEN_CLASS)

/* UNMARKED is written where nothing is marked, so that an older psd reads it. */
enum { UNMARKED = 1, VERSION = 2 };
enum { NARROW = 1 << 16, BUFFER_BYTES = 1 << 16, PIECE_BYTES = 1 << 13 };

static unsigned width_of(const ps_token_file_info *info)
{
    return info->vocab_size <= NARROW && !info->marks ? 2 : 4;
}

/* Ids are an int32, or what the marks leave of it. */
static uint32_t most_ids(const ps_token_file_info *info)
{
    return info->marks & OF_TEXTS ? PS_TOKEN_CLASS : info->marks ? PS_TOKEN_BEGINS : INT32_MAX;
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
    info.marks = ps_read_u32le(&c);
    info.tokenizer_hash = ps_read_u64le(&c);
    ps_slice name = ps_read_bytes(&c, PS_TOKEN_FILE_NAME);
    if (c.failed)
        return ps_fail(PS_CORRUPT, "a token file's header takes %d bytes, only %zu are there",
                       PS_TOKEN_FILE_HEADER, head.len);
    if (version < UNMARKED || version > VERSION)
        return ps_fail(PS_CORRUPT, "a token file of version %" PRIu32 ", this is for %d and %d",
                       version, UNMARKED, VERSION);
    if (version == UNMARKED ? info.marks != 0 : !info.marks || (info.marks & ~MARKS))
        return ps_fail(PS_CORRUPT, "a token file of version %" PRIu32 " with marks 0x%" PRIx32,
                       version, info.marks);
    if (info.vocab_size < 1 || info.vocab_size > most_ids(&info) || width != width_of(&info))
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
    int fd;
    unsigned width;
    uint8_t head[PS_TOKEN_FILE_HEADER]; /* as it was when the file was opened */
    ps_token_file_info info;
};

static ps_status read_head(ps_token_file *f)
{
    uint64_t size = 0;
    ps_status st = ps_regular_open(f->path, &f->fd, &size);
    if (st)
        return st;
    size_t len = size < sizeof f->head ? (size_t)size : sizeof f->head;
    st = ps_regular_read(f->fd, f->path, 0, f->head, len);
    if (!st && (len < sizeof magic || memcmp(f->head, magic, sizeof magic) != 0))
        st = ps_foreign_check(f->path, ps_slice_of(f->head, len));
    if (!st && len < sizeof f->head)
        st = ps_fail(PS_CORRUPT, "%s: not a token file; psctl tokenize makes one", f->path);
    if (st)
        return st;
    st = ps_token_file_parse(ps_slice_of(f->head, sizeof f->head), size, &f->info);
    return st ? ps_wrap(st, "%s", f->path) : PS_OK;
}

ps_status ps_token_file_open(const char *path, ps_token_file **out)
{
    ps_token_file *f = ps_new(ps_token_file);
    f->path = ps_strdup(path);
    f->fd = -1;
    ps_status st = read_head(f);
    if (st) {
        ps_token_file_close(&f);
        return st;
    }
    f->width = width_of(&f->info);
    *out = f;
    return PS_OK;
}

void ps_token_file_close(ps_token_file **file)
{
    ps_token_file *f = *file;
    if (!f)
        return;
    if (f->fd >= 0)
        (void)close(f->fd);
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

/* The highest of them. The loops are what a compiler makes vectors of. */
static uint32_t widen_narrow(const uint8_t *from, size_t n, int32_t *out)
{
    uint32_t highest = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t token = (uint32_t)from[2 * i] | (uint32_t)from[2 * i + 1] << 8;
        highest = token > highest ? token : highest;
        out[i] = (int32_t)token;
    }
    return highest;
}

static uint32_t widen(const uint8_t *from, size_t n, int32_t *out)
{
    uint32_t highest = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t token = (uint32_t)from[4 * i] | (uint32_t)from[4 * i + 1] << 8 |
                         (uint32_t)from[4 * i + 2] << 16 | (uint32_t)from[4 * i + 3] << 24;
        highest = token > highest ? token : highest;
        out[i] = (int32_t)token;
    }
    return highest;
}

/* Tokens to ids, and what was above them to marks. */
static uint32_t split(uint32_t marks, size_t n, int32_t *out, uint32_t *found)
{
    uint32_t highest = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t token = (uint32_t)out[i], id = token & ~marks;
        bool class = token & marks & PS_TOKEN_CLASS;
        highest = id > highest && !class ? id : highest;
        out[i] = (int32_t)id;
        if (found)
            found[i] = token & marks;
    }
    return highest;
}

/* Of n tokens as they stand in the file one is: the first of them is told. */
static ps_status beyond(const ps_token_file *f, uint64_t first, const uint8_t *piece, size_t n)
{
    int32_t id = 0;
    for (size_t i = 0; i < n; i++, first++) {
        uint32_t highest =
            f->width == 2 ? widen_narrow(piece + 2 * i, 1, &id) : widen(piece + 4 * i, 1, &id);
        if (f->info.marks)
            highest = split(f->info.marks, 1, &id, NULL);
        if (highest >= f->info.vocab_size)
            break;
    }
    return ps_fail(PS_CORRUPT, "%s: token %" PRIu64 " is %" PRIu32 ", the vocabulary has %" PRIu32,
                   f->path, first, (uint32_t)id, f->info.vocab_size);
}

/* Whoever writes another file in the place of this one begins with the header: tokens that were
 * read before it has changed are this file's. */
static ps_status check_same(const ps_token_file *f)
{
    uint8_t head[PS_TOKEN_FILE_HEADER];
    ps_status st = ps_regular_read(f->fd, f->path, 0, head, sizeof head);
    if (!st && memcmp(head, f->head, sizeof head) != 0)
        st = ps_fail(PS_CORRUPT, "%s: another file was written in its place while it was read",
                     f->path);
    return st;
}

static ps_status copy(const ps_token_file *f, uint64_t first, size_t n, int32_t *out,
                      uint32_t *marks)
{
    uint8_t piece[PIECE_BYTES];
    for (size_t part; n; n -= part, first += part, out += part) {
        part = n < sizeof piece / f->width ? n : sizeof piece / f->width;
        ps_status st = ps_regular_read(f->fd, f->path, PS_TOKEN_FILE_HEADER + first * f->width,
                                       piece, part * f->width);
        if (st)
            return st;
        uint32_t highest = f->width == 2 ? widen_narrow(piece, part, out) : widen(piece, part, out);
        if (f->info.marks)
            highest = split(f->info.marks, part, out, marks);
        else if (marks)
            memset(marks, 0, part * sizeof *marks);
        marks = marks ? marks + part : NULL;
        if (highest >= f->info.vocab_size)
            return beyond(f, first, piece, part);
    }
    return check_same(f);
}

ps_status ps_token_file_copy(const ps_token_file *f, uint64_t first, size_t n, int32_t *out,
                             uint32_t *marks)
{
    if (first > f->info.count || n > f->info.count - first)
        return ps_fail(PS_OUT_OF_RANGE,
                       "%s: tokens %" PRIu64 " to %" PRIu64 " are wanted, it has %" PRIu64, f->path,
                       first, first + n, f->info.count);
    return n ? copy(f, first, n, out, marks) : PS_OK;
}

/* ---- writing ---- */

struct ps_token_writer {
    ps_new_file *file;
    ps_token_file_info info;
    unsigned width;
    uint32_t mark, once; /* of the tokens that come; of the next alone */
    size_t used;
    uint8_t buffer[BUFFER_BYTES];
};

static ps_status write_header(ps_token_writer *w, bool again)
{
    uint8_t h[PS_TOKEN_FILE_HEADER] = {0};
    memcpy(h, magic, sizeof magic);
    ps_put_u32le(h + 8, w->info.marks ? VERSION : UNMARKED);
    ps_put_u32le(h + 12, w->width);
    ps_put_u64le(h + 16, w->info.count);
    ps_put_u32le(h + 24, w->info.vocab_size);
    ps_put_u32le(h + 28, w->info.marks);
    ps_put_u64le(h + 32, w->info.tokenizer_hash);
    memcpy(h + 40, w->info.tokenizer, PS_TOKEN_FILE_NAME);
    return again ? ps_new_file_overwrite(w->file, 0, h, sizeof h)
                 : ps_new_file_write(w->file, h, sizeof h);
}

ps_status ps_token_writer_new(const char *path, bool force, const ps_token_file_info *about,
                              ps_token_writer **out)
{
    PS_REQUIRE(!(about->marks & ~MARKS));
    PS_REQUIRE(about->vocab_size >= 1 && about->vocab_size <= most_ids(about));
    PS_REQUIRE(!about->tokenizer[PS_TOKEN_FILE_NAME - 1]);
    ps_token_writer *w = ps_new(ps_token_writer);
    w->info = *about;
    w->info.count = 0;
    w->width = width_of(about);
    ps_new_file_options options = {.force = force, .patched = true}; /* the count, at the end */
    ps_status st = ps_new_file_open(path, &options, &w->file);
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

static ps_status put(ps_token_writer *w, uint32_t token)
{
    uint8_t four[4];
    ps_put_u32le(four, token | w->once);
    w->once = 0;
    memcpy(w->buffer + w->used, four, w->width);
    w->used += w->width;
    w->info.count++;
    return w->used == sizeof w->buffer ? flush(w) : PS_OK;
}

ps_status ps_token_writer_add(ps_token_writer *w, const uint32_t *tokens, size_t n)
{
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < n; i++) {
        PS_REQUIRE(tokens[i] < w->info.vocab_size);
        st = put(w, tokens[i] | w->mark);
    }
    return st;
}

void ps_token_writer_begin(ps_token_writer *w)
{
    w->once = w->info.marks & PS_TOKEN_BEGINS;
}

void ps_token_writer_second(ps_token_writer *w, bool second)
{
    w->mark = second ? w->info.marks & PS_TOKEN_SECOND : 0;
}

ps_status ps_token_writer_class(ps_token_writer *w, uint32_t number)
{
    PS_REQUIRE(number < PS_TOKEN_CLASS && w->info.marks & PS_TOKEN_CLASS && w->width == 4);
    return put(w, number | PS_TOKEN_CLASS);
}

void ps_token_writer_give(ps_token_writer *w, bool given)
{
    w->mark = given ? w->info.marks & PS_TOKEN_GIVEN : 0;
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
