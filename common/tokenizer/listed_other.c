/* The rows of Unigram (t5) and WordPiece (bert). */
#include "common/base/mem.h"
#include "common/tokenizer/listed.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

/* ---- Unigram: ids are places in the file, so each has a text ---- */

static void put_piece(const ps_token_lists *l, uint32_t id, ps_buf *out)
{
    if (l->texts[id].len)
        ps_buf_append(out, l->texts[id].data, l->texts[id].len);
    else
        ps_buf_printf(out, "[EMPTY_%" PRIu32 "]", id);
}

void ps_listed_put_metaspace(ps_json_writer *w, const ps_token_lists *l)
{
    ps_json_object(w);
    ps_json_put_string(w, "type", "Metaspace");
    ps_json_put_string(w, "replacement", PS_LOWER_BLOCK);
    ps_json_put_string(w, "prepend_scheme",
                       !l->prefix_space ? "never"
                       : l->first_alone ? "first"
                                        : "always");
    ps_json_put_bool(w, "split", false); /* a token may go over a space */
    ps_json_object_end(w);
}

/* Metaspace puts no space before one that is there; where spaces are not stripped, one belongs
 * there. */
static void put_spaces(const ps_token_lists *l, ps_listed_parts *p)
{
    if (l->prefix_space && !l->strip_spaces && !l->first_alone) {
        ps_listed_put_normalizer(l, &p->normalizer);
        return;
    }
    ps_json_writer w = ps_json_writer_to(&p->normalizer);
    if (l->charsmap.len || l->strip_spaces) {
        ps_json_object(&w);
        ps_json_put_string(&w, "type", "Sequence");
        ps_json_key(&w, "normalizers");
        ps_json_array(&w);
        ps_listed_put_charsmap(&w, l);
        ps_json_array_end(&w);
        ps_json_object_end(&w);
    }
    w = ps_json_writer_to(&p->pre_tokenizer);
    ps_listed_put_metaspace(&w, l);
}

static ps_status parts_unigram(const ps_token_lists *l, ps_listed_parts *p, ps_model_keys *keys)
{
    put_spaces(l, p);
    keys->fuse_unk = true;
    for (uint32_t id = 0; !keys->byte_fallback && id < l->n_tokens; id++)
        keys->byte_fallback = l->kinds[id] == PS_LISTED_BYTE;
    ps_json_writer w = ps_json_writer_to(&p->decoder);
    ps_json_object(&w);
    ps_json_put_string(&w, "type", "Sequence");
    ps_json_key(&w, "decoders");
    ps_json_array(&w);
    if (keys->byte_fallback)
        ps_listed_put_type(&w, "ByteFallback");
    ps_listed_put_metaspace(&w, l);
    ps_json_array_end(&w);
    ps_json_object_end(&w);
    return PS_OK;
}

/* The number that a tokenizer.json has for it, with as few digits as tell it from other floats:
 * more are not read by all programs as they were written. */
static double as_written(float score, ps_buf *text)
{
    if (fabsf(score) < 1e-12F)
        return 0;
    ps_buf_clear(text);
    ps_json_writer w = ps_json_writer_to(text);
    ps_json_float(&w, score);
    return strtod(ps_buf_cstr(text), NULL);
}

static ps_status take_scores(ps_tokenizer *t, const ps_token_lists *l)
{
    if (!l->scores)
        return ps_fail(PS_INVALID_ARGUMENT, "its tokens have no scores");
    t->scores = ps_try_alloc((size_t)l->n_tokens * sizeof *t->scores);
    if (!t->scores)
        return ps_fail(PS_NO_MEMORY, "no memory for %" PRIu32 " scores", l->n_tokens);
    ps_buf text = PS_BUF_EMPTY;
    ps_status st = PS_OK;
    for (uint32_t id = 0; !st && id < l->n_tokens; id++) {
        bool added = l->kinds[id] == PS_LISTED_ADDED; /* rather than others */
        float score = added ? 0 : l->scores[id];
        if (!(fabsf(score) < 1e20F))
            st = ps_fail(PS_INVALID_ARGUMENT, "token %" PRIu32 ": its score is no number", id);
        t->scores[id] = st ? 0 : as_written(score, &text);
        t->worst = !id || t->scores[id] < t->worst ? t->scores[id] : t->worst;
    }
    ps_buf_free(&text);
    return st;
}

static void defaults_t5(ps_token_lists *l)
{
    l->prefix_space = l->add_eos = true;
    l->eos_id = 1;
    l->unk_id = 2;
}

const ps_listed_row ps_listed_t5 = {.model = "t5",
                                    .type = &ps_model_unigram,
                                    .defaults = defaults_t5,
                                    .text = put_piece,
                                    .parts = parts_unigram,
                                    .finish = take_scores};

/* ---- WordPiece: what begins a word has a mark there, what goes on one has a prefix here ---- */

static void put_word(const ps_token_lists *l, uint32_t id, ps_buf *out)
{
    static const char block[] = PS_LOWER_BLOCK;
    ps_slice text = l->texts[id];
    size_t len = sizeof block - 1;
    bool begins = text.len >= len && !memcmp(text.data, block, len);
    if (l->kinds[id] == PS_LISTED_UNUSED || !text.len)
        return;
    if (l->kinds[id] != PS_LISTED_NORMAL)
        len = 0;
    else if (!begins)
        ps_buf_puts(out, "##");
    len = begins ? len : 0;
    ps_buf_append(out, text.data + len, text.len - len);
}

static ps_status parts_bert(const ps_token_lists *l, ps_listed_parts *p, ps_model_keys *keys)
{
    ps_json_writer w = ps_json_writer_to(&p->normalizer);
    ps_json_object(&w);
    ps_json_put_string(&w, "type", "BertNormalizer");
    ps_json_put_bool(&w, "clean_text", true);
    ps_json_put_bool(&w, "handle_chinese_chars", true);
    ps_json_put_bool(&w, "strip_accents", !l->keep_accents);
    ps_json_put_bool(&w, "lowercase", !l->keep_case);
    ps_json_object_end(&w);
    ps_buf_puts(&p->pre_tokenizer, "{\"type\":\"BertPreTokenizer\"}");
    ps_buf_puts(&p->decoder, "{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true}");
    ps_buf_puts(&keys->prefix, "##");
    return PS_OK;
}

static void defaults_bert(ps_token_lists *l)
{
    l->add_bos = l->add_eos = true;
    l->bos_id = 101;
    l->unk_id = 100;
    l->sep_id = 102;
}

const ps_listed_row ps_listed_bert = {.model = "bert",
                                      .type = &ps_model_wordpiece,
                                      .defaults = defaults_bert,
                                      .text = put_word,
                                      .parts = parts_bert};
