/* Happy path: a tokenizer.json is read twice, first for everything but the merges, then for the
 * merges, which are written in the vocabulary's texts and may stand before it. What would make
 * other ids than here (a normalizer, another pattern, an unknown model) is refused by name; what
 * does not change the ids (post_processor, decoder, padding) is read over. It fails with
 * PS_INVALID_ARGUMENT: a line about what in the file it was. */
#include "common/base/mem.h"
#include "common/json/json.h"
#include "common/tokenizer/tokenizer_internal.h"

#include <inttypes.h>

typedef struct maker {
    ps_tokenizer *t;
    ps_json_reader json;
    bool merges; /* the second time */
    bool seen_model, seen_vocab, seen_pre_tokenizer, seen_merges;
} maker;

static ps_status unsupported(const char *what)
{
    return ps_fail(PS_INVALID_ARGUMENT, "%s is not supported: only byte-level BPE as GPT-2 has it",
                   what);
}

/* A value in an object: called with its key. It must read the whole value. */
typedef ps_status (*field)(maker *m, const char *key);

/* The object that begins with the next token. */
static ps_status each_field(maker *m, field read)
{
    ps_json_token token;
    ps_status st = ps_json_expect(&m->json, PS_JSON_OBJECT, &token);
    while (ps_json_member(&m->json, &token, &st)) {
        char key[64]; /* longer ones are none of ours */
        size_t n = token.text.len < sizeof key - 1 ? token.text.len : sizeof key - 1;
        memcpy(key, token.text.data, n);
        key[n] = '\0';
        st = read(m, key);
    }
    return st;
}

/* ---- values that must be what GPT-2 has ---- */

/* null, false, "", as such keys are where nothing is asked for. */
static ps_status expect_nothing(maker *m, const char *key)
{
    ps_json_token token;
    ps_status st = ps_json_next(&m->json, &token);
    if (st || token.kind == PS_JSON_NULL || token.kind == PS_JSON_FALSE ||
        (token.kind == PS_JSON_STRING && !token.text.len))
        return st;
    return unsupported(key);
}

static ps_status expect_word(maker *m, const char *word, const char *what)
{
    ps_json_token token;
    ps_status st = ps_json_next(&m->json, &token);
    if (st || (token.kind == PS_JSON_STRING && ps_slice_is(token.text, word)))
        return st;
    return unsupported(what);
}

static ps_status read_bool(maker *m, const char *key, bool *out)
{
    ps_json_token token;
    ps_status st = ps_json_next(&m->json, &token);
    if (!st && token.kind != PS_JSON_TRUE && token.kind != PS_JSON_FALSE)
        st = ps_fail(PS_INVALID_ARGUMENT, "%s must be true or false", key);
    if (!st)
        *out = token.kind == PS_JSON_TRUE;
    return st;
}

static ps_status read_pre_tokenizer(maker *m, const char *key)
{
    if (!strcmp(key, "type")) {
        m->seen_pre_tokenizer = true;
        return expect_word(m, "ByteLevel", "this pre_tokenizer");
    }
    if (!strcmp(key, "add_prefix_space"))
        return read_bool(m, key, &m->t->prefix_space);
    if (strcmp(key, "use_regex") != 0)
        return ps_json_skip(&m->json); /* trim_offsets: not about ids */
    bool regex = false;
    ps_status st = read_bool(m, key, &regex);
    return st || regex ? st : unsupported("a pre_tokenizer without GPT-2's pattern");
}

/* ---- vocabulary ---- */

static ps_status read_vocab(maker *m)
{
    ps_json_token token;
    ps_buf text = PS_BUF_EMPTY;
    ps_status st = ps_json_expect(&m->json, PS_JSON_OBJECT, &token);
    while (ps_json_member(&m->json, &token, &st)) {
        ps_buf_clear(&text); /* the token's text goes with the next one */
        st = ps_buf_append_limited(&text, token.text.data, token.text.len, PS_TOKENIZER_MAX_TOKEN);
        if (st)
            st = ps_fail(PS_INVALID_ARGUMENT, "a token of %zu bytes, allowed %d", token.text.len,
                         PS_TOKENIZER_MAX_TOKEN);
        else
            st = ps_json_expect(&m->json, PS_JSON_NUMBER, &token);
        if (!st && !token.is_u64)
            st = ps_fail(PS_INVALID_ARGUMENT, "a token's id must be an integer from 0");
        if (!st)
            st = ps_vocab_add(m->t->vocab, ps_buf_slice(&text), token.u64);
    }
    ps_buf_free(&text);
    m->seen_vocab = true;
    return st ? ps_wrap(st, "vocab") : PS_OK;
}

/* ---- added tokens ---- */

typedef struct added {
    ps_buf text;
    uint64_t id;
    bool has_id, special;
} added;

static ps_status read_added_field(maker *m, ps_slice key, added *a)
{
    ps_json_token token;
    bool id = ps_slice_is(key, "id"), content = ps_slice_is(key, "content"),
         special = ps_slice_is(key, "special");
    bool strips =
        ps_slice_is(key, "single_word") || ps_slice_is(key, "lstrip") || ps_slice_is(key, "rstrip");
    ps_status st = ps_json_next(&m->json, &token);
    if (st)
        return st;
    if (id && token.is_u64) {
        a->id = token.u64;
        a->has_id = true;
    } else if (content && token.kind == PS_JSON_STRING) {
        ps_buf_clear(&a->text);
        return ps_buf_append_limited(&a->text, token.text.data, token.text.len,
                                     PS_TOKENIZER_MAX_TOKEN);
    } else if (special) {
        a->special = token.kind == PS_JSON_TRUE;
    } else if (strips && token.kind == PS_JSON_TRUE) {
        return unsupported("an added token with single_word, lstrip or rstrip");
    } else if (id || content) {
        return ps_fail(PS_INVALID_ARGUMENT, "it needs an id from 0 and a content");
    }
    return PS_OK;
}

static ps_status read_added(maker *m)
{
    added a = {0};
    ps_json_token token;
    ps_status st = PS_OK;
    while (ps_json_member(&m->json, &token, &st)) {
        char key[16] = "";
        size_t n = token.text.len < sizeof key ? token.text.len : 0;
        memcpy(key, token.text.data, n);
        st = read_added_field(m, ps_slice_of(key, n), &a);
    }
    if (!st && (!a.has_id || !a.text.len))
        st = ps_fail(PS_INVALID_ARGUMENT, "it needs an id from 0 and a content");
    if (!st)
        st = ps_tokenizer_add_added(m->t, ps_buf_slice(&a.text), a.id, a.special);
    ps_buf_free(&a.text);
    return st;
}

/* In the second pass, when the vocabulary is there: an added token may be one of it. */
static ps_status read_added_tokens(maker *m)
{
    ps_json_token token;
    ps_status st = ps_json_next(&m->json, &token);
    if (st || token.kind == PS_JSON_NULL)
        return st;
    if (token.kind != PS_JSON_ARRAY)
        return ps_fail(PS_INVALID_ARGUMENT, "added_tokens must be a list");
    for (size_t i = 0; !st; i++) {
        st = ps_json_next(&m->json, &token);
        if (st || token.kind == PS_JSON_ARRAY_END)
            return st;
        if (token.kind != PS_JSON_OBJECT)
            return ps_fail(PS_INVALID_ARGUMENT, "added_tokens must be a list of objects");
        st = read_added(m);
        if (st)
            st = ps_wrap(st, "added_tokens[%zu]", i);
    }
    return st;
}

/* ---- merges ---- */

/* ["a", "b"], after its bracket */
static ps_status read_merge_pair(maker *m)
{
    ps_json_token token;
    ps_buf left = PS_BUF_EMPTY;
    ps_status st = ps_json_expect(&m->json, PS_JSON_STRING, &token);
    if (!st)
        st = ps_buf_append_limited(&left, token.text.data, token.text.len, PS_TOKENIZER_MAX_TOKEN);
    if (!st)
        st = ps_json_expect(&m->json, PS_JSON_STRING, &token);
    if (!st)
        st = ps_tokenizer_add_merge(m->t, ps_buf_slice(&left), token.text);
    ps_buf_free(&left);
    return st ? st : ps_json_expect(&m->json, PS_JSON_ARRAY_END, &token);
}

static ps_status read_merges(maker *m)
{
    ps_json_token token;
    ps_status st = ps_json_expect(&m->json, PS_JSON_ARRAY, &token);
    while (!st) {
        st = ps_json_next(&m->json, &token);
        if (st || token.kind == PS_JSON_ARRAY_END)
            break;
        if (token.kind == PS_JSON_STRING)
            st = ps_tokenizer_add_merge_line(m->t, token.text);
        else if (token.kind == PS_JSON_ARRAY)
            st = read_merge_pair(m);
        else
            st = ps_fail(PS_INVALID_ARGUMENT, "merges must be a list of texts or pairs");
    }
    return st;
}

/* ---- the two passes ---- */

static ps_status read_model_field(maker *m, const char *key)
{
    bool vocab = !strcmp(key, "vocab"), merges = !strcmp(key, "merges");
    if (m->merges ? !merges : merges)
        return ps_json_skip(&m->json);
    static const char *const nothing[] = {"dropout", "continuing_subword_prefix",
                                          "end_of_word_suffix", "byte_fallback", "ignore_merges"};
    for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++)
        if (!strcmp(key, nothing[i]))
            return expect_nothing(m, key);
    if (!strcmp(key, "type"))
        return expect_word(m, "BPE", "this model type");
    if (!vocab && !merges)
        return ps_json_skip(&m->json); /* unk_token, fuse_unk: every byte has a token */
    bool *seen = vocab ? &m->seen_vocab : &m->seen_merges;
    if (*seen)
        return ps_fail(PS_INVALID_ARGUMENT, "%s is there twice", key);
    *seen = true;
    return vocab ? read_vocab(m) : read_merges(m);
}

static ps_status read_top_field(maker *m, const char *key)
{
    if (!strcmp(key, "model")) {
        if (!m->merges && m->seen_model)
            return ps_fail(PS_INVALID_ARGUMENT, "model is there twice");
        m->seen_model = true;
        ps_status st = each_field(m, read_model_field);
        return st ? ps_wrap(st, "model") : PS_OK;
    }
    if (!strcmp(key, "added_tokens") && m->merges)
        return read_added_tokens(m);
    if (m->merges)
        return ps_json_skip(&m->json);
    if (!strcmp(key, "normalizer"))
        return expect_nothing(m, "a normalizer");
    if (!strcmp(key, "pre_tokenizer"))
        return each_field(m, read_pre_tokenizer);
    return ps_json_skip(&m->json);
}

static ps_status pass(maker *m, ps_slice json, bool merges)
{
    ps_json_token token;
    m->merges = merges;
    ps_json_reader_init(&m->json, json);
    ps_status st = each_field(m, read_top_field);
    if (!st)
        st = ps_json_expect(&m->json, PS_JSON_END, &token);
    ps_json_reader_free(&m->json);
    return st == PS_CORRUPT ? PS_INVALID_ARGUMENT : st;
}

static ps_status check_parts(const maker *m)
{
    if (!m->seen_model || !m->seen_vocab)
        return ps_fail(PS_INVALID_ARGUMENT, "it has no model with a vocab");
    return m->seen_pre_tokenizer ? PS_OK : unsupported("no pre_tokenizer");
}

/* Of the second pass. Without merges every byte would be a token, in silence. */
static ps_status check_merges(const maker *m)
{
    return m->seen_merges ? PS_OK
                          : ps_fail(PS_INVALID_ARGUMENT, "model has no merges; a BPE without any "
                                                         "says so: \"merges\": []");
}

ps_status ps_tokenizer_from_json(ps_slice json, ps_tokenizer **out)
{
    maker m = {.t = ps_new(ps_tokenizer)};
    m.t->vocab = ps_vocab_new();
    m.t->prefix_space = true; /* the default of `tokenizers` */
    ps_status st = pass(&m, json, false);
    if (!st)
        st = check_parts(&m);
    if (!st)
        st = ps_tokenizer_make_bpe(m.t);
    if (!st)
        st = pass(&m, json, true);
    if (!st)
        st = check_merges(&m);
    return ps_tokenizer_made(m.t, st, out);
}

/* ---- vocab.json and merges.txt ---- */

static ps_status read_merge_lines(ps_tokenizer *t, ps_slice text)
{
    static const uint8_t mark[] = {0xef, 0xbb, 0xbf}; /* of byte order */
    ps_status st = PS_OK;
    if (text.len >= sizeof mark && !memcmp(text.data, mark, sizeof mark))
        text = ps_slice_of(text.data + sizeof mark, text.len - sizeof mark);
    while (text.len && !st) {
        const uint8_t *newline = memchr(text.data, '\n', text.len);
        size_t n = newline ? (size_t)(newline - text.data) : text.len;
        ps_slice line = ps_slice_of(text.data, n);
        if (line.len && line.data[line.len - 1] == '\r')
            line.len--;
        if (line.len)
            st = ps_tokenizer_add_merge_line(t, line);
        n += newline != NULL;
        text = ps_slice_of(text.data + n, text.len - n);
    }
    return st ? ps_wrap(st, "merges.txt") : PS_OK;
}

ps_status ps_tokenizer_from_vocab(ps_slice vocab, ps_slice merges, ps_tokenizer **out)
{
    static const char end[] = "<|endoftext|>";
    maker m = {.t = ps_new(ps_tokenizer)};
    ps_json_token token;
    uint32_t id = 0;
    m.t->vocab = ps_vocab_new();
    ps_json_reader_init(&m.json, vocab);
    ps_status st = read_vocab(&m);
    if (!st)
        st = ps_json_expect(&m.json, PS_JSON_END, &token);
    ps_json_reader_free(&m.json);
    st = st == PS_CORRUPT ? PS_INVALID_ARGUMENT : st;
    if (!st)
        st = ps_tokenizer_make_bpe(m.t);
    if (!st)
        st = read_merge_lines(m.t, merges);
    if (!st && ps_vocab_find(m.t->vocab, ps_slice_str(end), &id))
        st = ps_tokenizer_add_added(m.t, ps_slice_str(end), id, true);
    return ps_tokenizer_made(m.t, st, out);
}
