/* Open goes through the file once: where documents begin, and that each has tokens, and a class
 * where labels are wanted. Fails on a file that marks no documents, on one that lacks a class or
 * has one that the model does not have, and when somebody changes the file meanwhile. */
#include "worker/data/texts.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/format/token_file.h"

#include <inttypes.h>

enum { PIECE = 4096, PAIR = 5 }; /* PAIR: [CLS], one of each text, [SEP] behind either */

typedef struct texts {
    ps_token_file *file;
    char *path;
    size_t length; /* of a row */
    uint64_t
        *begins; /* [n + 1]: the first token, or class, of each; the last: where the file ends */
    size_t n, capacity;
    bool classes; /* each document begins with its class */
} texts;

/* ---- opening ---- */

/* What the pass over the file is at. */
typedef struct survey {
    const ps_dataset_options *options;
    texts *t;
    uint64_t at;
    uint64_t tokens; /* of the document so far */
} survey;

static ps_status wrong(const survey *s, const char *what)
{
    return ps_fail(PS_INVALID_ARGUMENT, "%s: %s, at token %" PRIu64, s->t->path, what, s->at);
}

static ps_status end_document(const survey *s)
{
    return s->t->n && !s->tokens ? wrong(s, "a text without tokens ends") : PS_OK;
}

static ps_status begin_document(survey *s)
{
    texts *t = s->t;
    ps_status st = end_document(s);
    s->tokens = 0;
    if (st)
        return st;
    if (t->n + 2 > t->capacity) {
        size_t capacity = t->capacity ? 2 * t->capacity : PIECE;
        if (capacity * sizeof *t->begins > s->options->max_bytes)
            return ps_fail(PS_RESOURCE_EXHAUSTED,
                           "%s: where more than %zu texts begin does not fit into memory", t->path,
                           t->n);
        t->begins = ps_realloc(t->begins, capacity * sizeof *t->begins);
        t->capacity = capacity;
    }
    t->begins[t->n++] = s->at;
    return PS_OK;
}

static ps_status take_class(const survey *s, int32_t number, bool begins)
{
    const ps_dataset_options *o = s->options;
    if (!begins)
        return wrong(s, "a class that is no text's");
    if (o->labels == PS_LABELS_CLASSES && number >= o->classes)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "%s: class %" PRId32 " at token %" PRIu64
                       ", the model has %" PRId64 PS_LABELS_FROM_ONE,
                       s->t->path, number, s->at, o->classes);
    return PS_OK;
}

static ps_status take_token(survey *s, int32_t token, uint32_t mark)
{
    const ps_dataset_options *o = s->options;
    bool begins = mark & PS_TOKEN_BEGINS;
    ps_status st = begins ? begin_document(s) : PS_OK;
    if (st)
        return st;
    if (!s->t->n)
        return wrong(s, "tokens of no text");
    if (mark & PS_TOKEN_CLASS)
        return take_class(s, token, begins);
    if (begins && s->t->classes)
        return wrong(s, "a text without a class");
    s->tokens++;
    if (!o->vocab || token < o->vocab)
        return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT,
                   "%s has a vocabulary of %" PRIu32 ", but model.vocab_size is %" PRId64
                   ", and token %" PRIu64 " is %" PRId32,
                   s->t->path, ps_token_file_about(s->t->file)->vocab_size, o->vocab, s->at, token);
}

static ps_status look_through(const ps_dataset_options *o, texts *t)
{
    survey s = {.options = o, .t = t};
    int32_t ids[PIECE];
    uint32_t marks[PIECE];
    uint64_t count = ps_token_file_count(t->file);
    ps_status st = PS_OK;
    while (!st && s.at < count) {
        size_t n = count - s.at < PIECE ? (size_t)(count - s.at) : PIECE;
        st = ps_token_file_copy(t->file, s.at, n, ids, marks);
        for (size_t i = 0; !st && i < n; i++, s.at += st ? 0 : 1)
            st = take_token(&s, ids[i], marks[i]);
    }
    if (!st)
        st = end_document(&s);
    if (!st && t->n)
        t->begins[t->n] = count;
    return st;
}

static ps_status check(const ps_dataset_options *o, const texts *t)
{
    uint32_t marks = ps_token_file_about(t->file)->marks;
    if (!(marks & PS_TOKEN_BEGINS))
        return ps_fail(PS_INVALID_ARGUMENT,
                       "%s does not mark where each text begins; psctl tokenize --texts does",
                       t->path);
    if (o->labels == PS_LABELS_CLASSES && !t->classes)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "%s has no classes of its texts; psctl tokenize --label KEY puts them in",
                       t->path);
    if (marks & PS_TOKEN_SECOND && t->length < PAIR)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "%s has pairs of texts, and data.sequence_length is %zu: with what stands "
                       "around them a pair takes %d tokens at least",
                       t->path, t->length, PAIR);
    return PS_OK;
}

static void close_texts(void *state)
{
    texts *t = state;
    ps_token_file_close(&t->file);
    ps_free(&t->path);
    ps_free(&t->begins);
    ps_free(&t);
}

static ps_status open_texts(const ps_dataset_options *o, ps_normaliser *normaliser,
                            ps_dataset_shape *shape, void **state)
{
    ps_token_file *file;
    ps_status st = ps_token_file_open(o->files->tokens, &file);
    if (st)
        return st;
    texts *t = ps_new(texts);
    *t = (texts){.file = file,
                 .path = ps_strdup(o->files->tokens),
                 .length = (size_t)o->features,
                 .classes = ps_token_file_about(file)->marks & PS_TOKEN_CLASS};
    st = check(o, t);
    if (!st)
        st = look_through(o, t);
    if (st) {
        close_texts(t);
        return st;
    }
    *shape = (ps_dataset_shape){
        .features = t->length, .rows = t->n, .classes = t->classes ? o->classes : 0};
    *state = t;
    return PS_OK;
}

/* ---- reading ---- */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How many tokens each text of a document keeps: of two, the longer loses first, and of an odd rest
 * one more is the second's where both were as long, as tokenizers has it (longest_first). What a
 * tokenizer puts around them, one token before them and one behind each, is none of their own. */
static void shorten(size_t *first, size_t *second, size_t length)
{
    if (*first + *second <= length)
        return;
    if (*second == 0) {
        *first = length;
        return;
    }
    size_t around = least(*first, 2), own1 = *first - around, own2 = *second - 1;
    size_t rest = length > around + 1 ? length - around - 1 : 0;
    size_t shorter = least(least(own1, own2), rest / 2);
    *first = around + (own1 > own2 ? rest - shorter : shorter);
    *second = 1 + (own1 > own2 ? shorter : rest - shorter);
    if (length <= around) { /* there is no room but for what is around them */
        *first = length;
        *second = 0;
    }
}

/* n of the file's tokens from `at` on as `kept`: the last one stays. */
static ps_status copy(const texts *t, uint64_t at, size_t n, size_t kept, int32_t mark,
                      int32_t *out)
{
    ps_status st = PS_OK;
    if (kept > 1)
        st = ps_token_file_copy(t->file, at, kept - 1, out, NULL);
    if (!st && kept)
        st = ps_token_file_copy(t->file, at + n - 1, 1, out + kept - 1, NULL);
    for (size_t i = 0; !st && i < kept; i++)
        out[i] |= mark;
    return st;
}

/* From token `at` on, how many there are of the first text; those of a second follow. */
static ps_status count_first(const texts *t, uint64_t at, uint64_t end, size_t *out)
{
    int32_t ids[PIECE];
    uint32_t marks[PIECE];
    ps_status st = PS_OK;
    *out = (size_t)(end - at);
    if (!(ps_token_file_about(t->file)->marks & PS_TOKEN_SECOND))
        return PS_OK;
    for (uint64_t from = at, n = 0; !st && from < end; from += n) {
        n = end - from < PIECE ? end - from : PIECE;
        st = ps_token_file_copy(t->file, from, (size_t)n, ids, marks);
        for (size_t i = 0; !st && i < n; i++)
            if (marks[i] & PS_TOKEN_SECOND) {
                *out = (size_t)(from + i - at);
                return PS_OK;
            }
    }
    return st;
}

static ps_status row(const void *state, size_t i, int32_t *out, int32_t *label)
{
    const texts *t = state;
    PS_REQUIRE(i < t->n);
    uint64_t at = t->begins[i], end = t->begins[i + 1];
    size_t first = 0;
    ps_status st = PS_OK;
    if (t->classes && label)
        st = ps_token_file_copy(t->file, at, 1, label, NULL);
    at += t->classes;
    if (!st)
        st = count_first(t, at, end, &first);
    if (st)
        return st;
    size_t second = (size_t)(end - at) - first, n1 = first, n2 = second;
    shorten(&n1, &n2, t->length);
    for (size_t k = n1 + n2; k < t->length; k++)
        out[k] = -1;
    st = copy(t, at, first, n1, 0, out);
    return st ? st : copy(t, at + first, second, n2, (int32_t)PS_TOKEN_SECOND, out + n1);
}

const ps_reader ps_reader_texts = {
    .name = "tokens",
    .open = open_texts,
    .close = close_texts,
    .tokens = row,
};
