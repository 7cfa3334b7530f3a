/* A tokenizer.json: what ps_tokenizer_from_json reads, and what GPT2TokenizerFast has besides it.
 * Cannot fail. */
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

static void put_byte_level(ps_json_writer *w, const char *key, bool prefix_space)
{
    ps_json_key(w, key);
    ps_json_object(w);
    ps_json_put_string(w, "type", "ByteLevel");
    ps_json_put_bool(w, "add_prefix_space", prefix_space);
    ps_json_put_bool(w, "trim_offsets", true);
    ps_json_put_bool(w, "use_regex", true);
    ps_json_object_end(w);
}

/* Added tokens that are no part of the vocabulary in the file that was read are one here: their ids
 * are the same, and `tokenizers` looks for added ones first. */
static void put_vocab(ps_json_writer *w, const ps_tokenizer *t)
{
    ps_buf key = PS_BUF_EMPTY;
    ps_json_key(w, "vocab");
    ps_json_object(w);
    for (uint32_t id = 0; id < t->vocab_size; id++) {
        ps_slice text = ps_vocab_at(t->vocab, id);
        if (!text.len)
            continue;
        ps_buf_clear(&key);
        ps_buf_append(&key, text.data, text.len);
        ps_json_put_uint(w, ps_buf_cstr(&key), id);
    }
    ps_json_object_end(w);
    ps_buf_free(&key);
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

static void put_null(ps_json_writer *w, const char *key)
{
    ps_json_key(w, key);
    ps_json_null(w);
}

static void put_model(ps_json_writer *w, const ps_tokenizer *t)
{
    ps_json_key(w, "model");
    ps_json_object(w);
    ps_json_put_string(w, "type", "BPE");
    put_null(w, "dropout");
    put_null(w, "unk_token");
    put_null(w, "continuing_subword_prefix");
    put_null(w, "end_of_word_suffix");
    ps_json_put_bool(w, "fuse_unk", false);
    ps_json_put_bool(w, "byte_fallback", false);
    ps_json_put_bool(w, "ignore_merges", false);
    put_vocab(w, t);
    put_merges(w, t);
    ps_json_object_end(w);
}

void ps_tokenizer_to_json(const ps_tokenizer *t, ps_buf *out)
{
    PS_REQUIRE(t->row == &ps_tokenizer_row_gpt2);
    ps_json_writer w = ps_json_writer_to(out);
    ps_json_object(&w);
    ps_json_put_string(&w, "version", "1.0");
    put_null(&w, "truncation");
    put_null(&w, "padding");
    put_added(&w, t);
    put_null(&w, "normalizer");
    put_byte_level(&w, "pre_tokenizer", t->prefix_space);
    put_byte_level(&w, "post_processor", t->prefix_space);
    put_byte_level(&w, "decoder", t->prefix_space);
    put_model(&w, t);
    ps_json_object_end(&w);
}
