/* Open reads the file's header and compares its vocabulary with the model's; a row is read where it
 * stands. Fails on a file that is none, on tokens beyond the model's vocabulary, and when
 * somebody changes the file meanwhile. */
#include "worker/data/tokens.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/format/token_file.h"

#include <inttypes.h>

enum { PIECE = 4096 };

typedef struct tokens {
    ps_token_file *file;
    char *path;
    size_t length;
    int64_t most;    /* tokens must be below it, as those of the file need not be; 0: they are */
    uint32_t unsaid; /* marks of tokens that are no label */
} tokens;

/* A tokenizer may have more ids than the model has rows, as long as none of them stands here. */
static ps_status copy(const tokens *t, uint64_t first, size_t n, int32_t *out, uint32_t *marks)
{
    PS_REQUIRE(first <= ps_token_file_count(t->file) && n <= ps_token_file_count(t->file) - first);
    ps_status st = ps_token_file_copy(t->file, first, n, out, marks);
    for (size_t i = 0; !st && t->most && i < n; i++)
        if (out[i] >= t->most)
            st = ps_fail(PS_INVALID_ARGUMENT,
                         "%s has a vocabulary of %" PRIu32 ", but model.vocab_size is %" PRId64
                         ", and token %" PRIu64 " is %" PRId32,
                         t->path, ps_token_file_about(t->file)->vocab_size, t->most, first + i,
                         out[i]);
    return st;
}

/* The tokens as what is to be said, -1 where they are not (model.h: it does not count). */
static ps_status copy_labels(const tokens *t, uint64_t first, size_t n, int32_t *out)
{
    uint32_t marks[PIECE];
    ps_status st = PS_OK;
    for (size_t part; !st && n; n -= part, first += part, out += part) {
        part = n < PIECE ? n : PIECE;
        st = copy(t, first, part, out, marks);
        for (size_t i = 0; !st && i < part; i++)
            out[i] = marks[i] & t->unsaid ? -1 : out[i];
    }
    return st;
}

static bool any_label(const int32_t *labels, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (labels[i] >= 0)
            return true;
    return false;
}

/* Once through, so that a token in the last row does not end a job in its last hour, and that
 * there is something to learn. */
static ps_status check_all(const tokens *t, bool labels)
{
    int32_t piece[PIECE];
    uint64_t count = ps_token_file_count(t->file);
    bool wanted = labels && ps_token_file_about(t->file)->marks & t->unsaid;
    ps_status st = PS_OK;
    for (uint64_t at = 0, n = 0; !st && at < count && (wanted || t->most); at += n) {
        n = count - at < PIECE ? count - at : PIECE;
        size_t first = at == 0; /* the first token of all is nobody's label */
        st = copy_labels(t, at, (size_t)n, piece);
        wanted = wanted && !any_label(piece + first, (size_t)n - first);
    }
    if (!st && wanted)
        st = ps_fail(PS_INVALID_ARGUMENT,
                     "%s: every token in it is given (of a prompt)%s: there is none to learn",
                     t->path, t->unsaid & PS_TOKEN_BEGINS ? " or begins a document" : "");
    return st;
}

static ps_status check(const ps_dataset_options *o, const tokens *t)
{
    uint64_t count = ps_token_file_count(t->file);
    if (ps_token_file_about(t->file)->marks & PS_TOKEN_CLASS)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "%s has texts and their classes (psctl tokenize --label), which a language "
                       "model does not learn",
                       t->path);
    if (count <= (uint64_t)o->features)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "%s has %" PRIu64 " tokens, a row and its label need %" PRId64, t->path,
                       count, o->features + 1);
    if (t->unsaid & PS_TOKEN_BEGINS && !(ps_token_file_about(t->file)->marks & PS_TOKEN_BEGINS))
        return ps_fail(PS_INVALID_ARGUMENT,
                       "%s does not mark where documents begin, and data.documents is apart; psctl "
                       "tokenize --documents marks it",
                       t->path);
    return check_all(t, o->labels == PS_LABELS_NEXT);
}

static void close_tokens(void *state)
{
    tokens *t = state;
    ps_token_file_close(&t->file);
    ps_free(&t->path);
    ps_free(&t);
}

static ps_status open_tokens(const ps_dataset_options *o, ps_normaliser *normaliser,
                             ps_dataset_shape *shape, void **state)
{
    ps_token_file *file;
    ps_status st = ps_token_file_open(o->files->tokens, &file);
    if (st)
        return st;
    bool wide = o->vocab && (int64_t)ps_token_file_about(file)->vocab_size > o->vocab;
    tokens *t = ps_new(tokens);
    *t = (tokens){.file = file,
                  .path = ps_strdup(o->files->tokens),
                  .length = (size_t)o->features,
                  .most = wide ? o->vocab : 0,
                  .unsaid = PS_TOKEN_GIVEN};
    if (o->data->documents == PS_SPEC_APART)
        t->unsaid |= PS_TOKEN_BEGINS;
    st = check(o, t);
    if (st) {
        close_tokens(t);
        return st;
    }
    shape->features = t->length;
    shape->rows = (size_t)((ps_token_file_count(file) - 1) / t->length);
    *state = t;
    return PS_OK;
}

static ps_status row(const void *state, size_t i, int32_t *out, int32_t *next)
{
    const tokens *t = state;
    uint64_t first = (uint64_t)i * t->length;
    ps_status st = copy(t, first, t->length, out, NULL);
    if (!st && next)
        st = copy_labels(t, first + 1, t->length, next);
    return st;
}

/* A document that has begun in the row before goes on from this one's beginning. */
static ps_status starts(const void *state, size_t i, int32_t *out)
{
    const tokens *t = state;
    uint32_t marks[PIECE];
    int32_t begun = 0;
    ps_status st = PS_OK;
    for (size_t at = 0, n; !st && at < t->length; at += n) {
        n = t->length - at < PIECE ? t->length - at : PIECE;
        st = copy(t, (uint64_t)i * t->length + at, n, out + at, marks);
        for (size_t k = at; !st && k < at + n; k++)
            out[k] = begun = marks[k - at] & PS_TOKEN_BEGINS ? (int32_t)k : begun;
    }
    return st;
}

const ps_reader ps_reader_tokens = {
    .name = "tokens",
    .open = open_tokens,
    .close = close_tokens,
    .tokens = row,
    .starts = starts,
};
