/* A tokenizer.json: what ps_tokenizer_from_json reads. Parts are written as they were read. Cannot
 * fail. */
#include "common/base/require.h"
#include "common/json/json.h"
#include "common/tokenizer/tokenizer_internal.h"

static void put_added(ps_json_writer *w, const ps_tokenizer *t)
{
    ps_json_key(w, "added_tokens");
    ps_json_array(w);
    for (size_t i = 0; i < t->n_added; i++) {
        ps_json_object(w);
        ps_json_put_uint(w, "id", t->added[i].id);
        ps_json_key(w, "content");
        ps_json_string_n(w, ps_vocab_at(t->vocab, t->added[i].id));
        ps_json_put_bool(w, "single_word", t->added[i].single_word);
        ps_json_put_bool(w, "lstrip", t->added[i].lstrip);
        ps_json_put_bool(w, "rstrip", t->added[i].rstrip);
        ps_json_put_bool(w, "normalized", t->added[i].normalized);
        ps_json_put_bool(w, "special", t->added[i].special);
        ps_json_object_end(w);
    }
    ps_json_array_end(w);
}

static void put_null(ps_json_writer *w, const char *key)
{
    ps_json_key(w, key);
    ps_json_null(w);
}

static void put_text(ps_json_writer *w, const char *key, const ps_buf *text)
{
    ps_json_key(w, key);
    if (text->len)
        ps_json_string_n(w, ps_buf_slice(text));
    else
        ps_json_null(w);
}

static void put_part(ps_json_writer *w, const char *key, const char *json)
{
    if (json)
        ps_json_put_raw(w, key, json);
    else
        put_null(w, key);
}

/* ---- the model ---- */

/* Whether the model itself has the id, not the list of added ones alone. */
static bool is_own(const ps_tokenizer *t, uint32_t id)
{
    const ps_added_token *added = ps_tokenizer_find_added(t, id);
    return ps_vocab_at(t->vocab, id).len && !(added && added->outside);
}

static void put_ids(ps_json_writer *w, const ps_tokenizer *t)
{
    ps_buf key = PS_BUF_EMPTY;
    ps_json_object(w);
    for (uint32_t id = 0; id < t->vocab_size; id++) {
        if (!is_own(t, id))
            continue;
        ps_slice text = ps_vocab_at(t->vocab, id);
        ps_buf_clear(&key);
        ps_buf_append(&key, text.data, text.len);
        ps_json_put_uint(w, ps_buf_cstr(&key), id);
    }
    ps_json_object_end(w);
    ps_buf_free(&key);
}

static void put_scores(ps_json_writer *w, const ps_tokenizer *t)
{
    ps_json_array(w);
    for (uint32_t id = 0; id < t->vocab_size; id++) {
        if (!is_own(t, id))
            continue;
        ps_json_array(w);
        ps_json_string_n(w, ps_vocab_at(t->vocab, id));
        ps_json_double(w, t->scores[id]);
        ps_json_array_end(w);
    }
    ps_json_array_end(w);
}

static void put_merges(ps_json_writer *w, const ps_tokenizer *t)
{
    ps_json_key(w, "merges");
    ps_json_array(w);
    for (size_t i = 0; i < ps_bpe_merges(t->bpe); i++) {
        uint32_t pair[2];
        ps_bpe_merge(t->bpe, i, &pair[0], &pair[1]);
        ps_json_array(w);
        ps_json_string_n(w, ps_vocab_at(t->vocab, pair[0]));
        ps_json_string_n(w, ps_vocab_at(t->vocab, pair[1]));
        ps_json_array_end(w);
    }
    ps_json_array_end(w);
}

static void put_bpe(ps_json_writer *w, const ps_tokenizer *t)
{
    const ps_model_keys *k = &t->keys;
    put_null(w, "dropout");
    put_text(w, "unk_token", &k->unk_token);
    put_text(w, "continuing_subword_prefix", &k->prefix);
    put_text(w, "end_of_word_suffix", &k->suffix);
    ps_json_put_bool(w, "fuse_unk", k->fuse_unk);
    ps_json_put_bool(w, "byte_fallback", k->byte_fallback);
    ps_json_put_bool(w, "ignore_merges", k->ignore_merges);
}

static void put_model(ps_json_writer *w, const ps_tokenizer *t)
{
    const ps_model_keys *k = &t->keys;
    ps_json_key(w, "model");
    ps_json_object(w);
    ps_json_put_string(w, "type", t->model->type);
    if (t->bpe) {
        put_bpe(w, t);
    } else if (t->scores) {
        ps_json_put_uint(w, "unk_id", k->unk_id);
        ps_json_put_bool(w, "byte_fallback", k->byte_fallback);
    } else {
        put_text(w, "unk_token", &k->unk_token);
    }
    if (t->model->prefixed) {
        ps_json_key(w, "continuing_subword_prefix");
        ps_json_string_n(w, ps_buf_slice(&k->prefix));
        ps_json_put_uint(w, "max_input_chars_per_word", k->max_chars);
    }
    ps_json_key(w, "vocab");
    if (t->scores)
        put_scores(w, t);
    else
        put_ids(w, t);
    if (t->bpe)
        put_merges(w, t);
    ps_json_object_end(w);
}

void ps_tokenizer_to_json(const ps_tokenizer *t, ps_buf *out)
{
    PS_REQUIRE(t->model);
    ps_json_writer w = ps_json_writer_to(out);
    ps_json_object(&w);
    ps_json_put_string(&w, "version", "1.0");
    put_null(&w, "truncation");
    put_null(&w, "padding");
    put_added(&w, t);
    put_part(&w, "normalizer", t->normalizer.json);
    put_part(&w, "pre_tokenizer", t->pre_tokenizer.json);
    put_part(&w, "post_processor", t->post.json);
    put_part(&w, "decoder", t->decoder.json);
    put_model(&w, t);
    ps_json_object_end(&w);
}
