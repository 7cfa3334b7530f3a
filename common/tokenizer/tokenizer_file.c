/* Happy path: a tokenizer.json is read twice, first for everything but the merges and the added
 * tokens, then for these, which are written in the vocabulary's texts and may stand before it. In
 * between the steps and the model are made. What is not supported is refused by type and place;
 * what does not change the ids (padding, truncation) is read over. It fails with
 * PS_INVALID_ARGUMENT: a line about what in the file it was. */
#include "common/base/mem.h"
#include "common/json/json.h"
#include "common/tokenizer/tokenizer_internal.h"

#include <inttypes.h>
#include <math.h>

enum { PARTS = 4, MAX_PART = 4 << 20 };

typedef struct maker {
    ps_tokenizer *t;
    ps_json_reader json;
    bool merges; /* the second time */
    bool seen_model, seen_vocab, seen_merges, seen_prefix;
    ps_slice parts[PARTS]; /* in the order of part_names */
    double *scores;
    size_t n_scores;
} maker;

static const char *const part_names[PARTS] = {"normalizer", "pre_tokenizer", "post_processor",
                                              "decoder"};

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

/* ---- vocabulary ---- */

/* The text of a token, which the caller keeps, as it goes with the next one read. */
static ps_status keep_text(ps_slice text, ps_buf *out)
{
    ps_buf_clear(out);
    ps_status st = ps_buf_append_limited(out, text.data, text.len, PS_TOKENIZER_MAX_TOKEN);
    return st ? ps_fail(PS_INVALID_ARGUMENT, "a token of %zu bytes, allowed %d", text.len,
                        PS_TOKENIZER_MAX_TOKEN)
              : PS_OK;
}

/* {"the": 5, ...}, after its brace. */
static ps_status read_ids(maker *m, ps_buf *text)
{
    ps_json_token token;
    ps_status st = PS_OK;
    while (ps_json_member(&m->json, &token, &st)) {
        st = keep_text(token.text, text);
        if (!st)
            st = ps_json_expect(&m->json, PS_JSON_NUMBER, &token);
        if (!st && !token.is_u64)
            st = ps_fail(PS_INVALID_ARGUMENT, "a token's id must be an integer from 0");
        if (!st)
            st = ps_vocab_add(m->t->vocab, ps_buf_slice(text), token.u64);
    }
    return st;
}

static ps_status add_score(maker *m, const char *number)
{
    double score = ps_unigram_score(number);
    if (!isfinite(score))
        return ps_fail(PS_INVALID_ARGUMENT, "a score must be finite");
    if (m->n_scores % 1024 == 0)
        m->scores = ps_realloc(m->scores, (m->n_scores + 1024) * sizeof *m->scores);
    m->scores[m->n_scores++] = score;
    m->t->worst = score < m->t->worst || m->n_scores == 1 ? score : m->t->worst;
    return PS_OK;
}

/* [["the", -3.5], ...], after its bracket; ids are places. */
static ps_status read_scores(maker *m, ps_buf *text)
{
    ps_json_token token;
    ps_status st = PS_OK;
    while (!st) {
        st = ps_json_next(&m->json, &token);
        if (st || token.kind == PS_JSON_ARRAY_END)
            break;
        if (token.kind != PS_JSON_ARRAY)
            return ps_fail(PS_INVALID_ARGUMENT, "a token and its score are wanted");
        st = ps_json_expect(&m->json, PS_JSON_STRING, &token);
        if (!st)
            st = keep_text(token.text, text);
        if (!st)
            st = ps_vocab_add(m->t->vocab, ps_buf_slice(text), m->n_scores);
        if (!st)
            st = ps_json_expect(&m->json, PS_JSON_NUMBER, &token);
        if (!st)
            st = add_score(m, (const char *)token.text.data);
        if (!st)
            st = ps_json_expect(&m->json, PS_JSON_ARRAY_END, &token);
    }
    return st;
}

static ps_status read_vocab(maker *m)
{
    ps_json_token token;
    ps_buf text = PS_BUF_EMPTY;
    ps_status st = ps_json_next(&m->json, &token);
    if (!st && token.kind == PS_JSON_OBJECT)
        st = read_ids(m, &text);
    else if (!st && token.kind == PS_JSON_ARRAY)
        st = read_scores(m, &text);
    else if (!st)
        st = ps_fail(PS_INVALID_ARGUMENT, "it must be an object, or a list of tokens and scores");
    ps_buf_free(&text);
    m->seen_vocab = true;
    return st ? ps_wrap(st, "vocab") : PS_OK;
}

/* ---- added tokens ---- */

typedef struct added {
    ps_buf text;
    uint64_t id;
    bool has_id, has_normalized;
    ps_added_token like;
} added;

static ps_status read_added_field(maker *m, ps_slice key, added *a)
{
    const struct {
        const char *key;
        bool *to;
    } rules[] = {{"special", &a->like.special},
                 {"lstrip", &a->like.lstrip},
                 {"rstrip", &a->like.rstrip},
                 {"single_word", &a->like.single_word},
                 {"normalized", &a->like.normalized}};
    ps_json_token token;
    bool id = ps_slice_is(key, "id"), content = ps_slice_is(key, "content");
    a->has_normalized |= ps_slice_is(key, "normalized");
    ps_status st = ps_json_next(&m->json, &token);
    if (st)
        return st;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (ps_slice_is(key, rules[i].key))
            *rules[i].to = token.kind == PS_JSON_TRUE;
    if (id && token.is_u64) {
        a->id = token.u64;
        a->has_id = true;
    } else if (content && token.kind == PS_JSON_STRING) {
        return keep_text(token.text, &a->text);
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
    if (!a.has_normalized)
        a.like.normalized = !a.like.special;
    if (!st)
        st = ps_tokenizer_add_added(m->t, ps_buf_slice(&a.text), a.id, &a.like);
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
    if (!vocab && !merges)
        return ps_model_key_read(m->t, &m->json, key, &m->seen_prefix);
    bool *seen = vocab ? &m->seen_vocab : &m->seen_merges;
    if (*seen)
        return ps_fail(PS_INVALID_ARGUMENT, "%s is there twice", key);
    *seen = true;
    return vocab ? read_vocab(m) : read_merges(m);
}

static ps_status read_part_text(maker *m, size_t i)
{
    ps_status st = ps_json_value(&m->json, &m->parts[i]);
    return st || m->parts[i].len <= MAX_PART
               ? st
               : ps_fail(PS_INVALID_ARGUMENT, "%s: %zu bytes, allowed %d", part_names[i],
                         m->parts[i].len, MAX_PART);
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
    for (size_t i = 0; !m->merges && i < PARTS; i++)
        if (!strcmp(key, part_names[i]))
            return read_part_text(m, i);
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

/* ---- between them ---- */

/* What the model's type says of keys that were not there, and which token is the unknown one. */
static ps_status settle_keys(maker *m)
{
    ps_tokenizer *t = m->t;
    ps_model_keys *k = &t->keys;
    uint32_t id = 0;
    t->scores = m->scores; /* which are the tokenizer's, also when it comes to nothing */
    if (!m->seen_model || !m->seen_vocab)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "it is no tokenizer.json: it has no model with a vocab");
    if (!t->model) /* files of before 2020 do not say */
        t->model = &ps_model_bpe;
    if (t->model->scores != (m->scores != NULL))
        return ps_fail(PS_INVALID_ARGUMENT, "model: a vocab of %s is %s", t->model->type,
                       t->model->scores ? "a list of tokens and scores" : "of tokens and ids");
    k->fuse_unk |= t->model->fuses;
    if (t->model->prefixed && !m->seen_prefix)
        ps_buf_puts(&k->prefix, "##");
    k->has_unk = t->model->scores
                     ? ps_vocab_at(t->vocab, (uint32_t)k->unk_id).len > 0 && k->unk_id < m->n_scores
                     : ps_vocab_find(t->vocab, ps_buf_slice(&k->unk_token), &id);
    if (!t->model->scores)
        k->unk_id = id;
    return PS_OK;
}

static ps_status read_parts(maker *m)
{
    ps_part parts[PARTS], root = {0};
    for (size_t i = 0; i < PARTS; i++)
        parts[i] = ps_part_below(&root, part_names[i], -1, m->parts[i]);
    ps_status st = ps_steps_read(ps_normalizer_rows, "normalizers", &parts[0], &m->t->normalizer);
    if (!st)
        st = ps_steps_read(ps_pre_tokenizer_rows, "pretokenizers", &parts[1], &m->t->pre_tokenizer);
    if (!st)
        st = ps_post_read(&parts[2], &m->t->post);
    return st ? st : ps_steps_read(ps_decoder_rows, "decoders", &parts[3], &m->t->decoder);
}

/* Of the second pass. Without merges every byte would be a token, in silence. */
static ps_status check_merges(const maker *m)
{
    return m->seen_merges || !m->t->model->merges
               ? PS_OK
               : ps_fail(PS_INVALID_ARGUMENT, "model has no merges; a BPE without any "
                                              "says so: \"merges\": []");
}

/* Added tokens, which have no scores, may lie behind the others. */
static ps_status grow_scores(ps_tokenizer *t, size_t n)
{
    uint32_t end = ps_vocab_end(t->vocab);
    if (!t->scores || end <= n)
        return PS_OK;
    double *scores = ps_try_alloc(end * sizeof *scores);
    if (!scores)
        return ps_fail(PS_NO_MEMORY, "no memory for %" PRIu32 " scores", end);
    memcpy(scores, t->scores, n * sizeof *scores);
    ps_free(&t->scores);
    t->scores = scores;
    return PS_OK;
}

ps_status ps_tokenizer_from_json(ps_slice json, ps_tokenizer **out)
{
    maker m = {.t = ps_tokenizer_begin()};
    m.t->keys.unk_id = UINT32_MAX;
    ps_status st = pass(&m, json, false);
    if (!st)
        st = settle_keys(&m);
    else
        ps_free(&m.scores);
    if (!st)
        st = read_parts(&m);
    if (!st)
        st = m.t->model->make(m.t);
    if (!st)
        st = pass(&m, json, true);
    if (!st)
        st = check_merges(&m);
    if (!st)
        st = grow_scores(m.t, m.n_scores);
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
    maker m = {.t = ps_tokenizer_begin()};
    ps_json_token token;
    uint32_t id = 0;
    ps_json_reader_init(&m.json, vocab);
    ps_status st = read_vocab(&m);
    if (!st)
        st = ps_json_expect(&m.json, PS_JSON_END, &token);
    ps_json_reader_free(&m.json);
    st = st == PS_CORRUPT ? PS_INVALID_ARGUMENT : st;
    if (!st && m.scores)
        st = ps_fail(PS_INVALID_ARGUMENT, "vocab: it must be of tokens and ids");
    ps_free(&m.scores);
    if (!st)
        st = ps_tokenizer_make_gpt2(m.t);
    if (!st)
        st = read_merge_lines(m.t, merges);
    if (!st && ps_vocab_find(m.t->vocab, ps_slice_str(end), &id))
        st = ps_tokenizer_add_added(m.t, ps_slice_str(end), id, &(ps_added_token){.special = true});
    return ps_tokenizer_made(m.t, st, out);
}
