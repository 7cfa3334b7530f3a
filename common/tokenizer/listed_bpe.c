/* The rows of BPE: gpt2, whose bytes are letters, and those of SentencePiece, whose letters are
 * characters. */
#include "common/conf/value.h"
#include "common/tokenizer/cuts.h"
#include "common/tokenizer/listed.h"

#include <string.h>

static void put_as_it_is(const ps_token_lists *l, uint32_t id, ps_buf *out)
{
    if (l->kinds[id] != PS_LISTED_UNUSED && l->texts[id].len)
        ps_buf_append(out, l->texts[id].data, l->texts[id].len);
}

static ps_status add_merges(ps_tokenizer *t, const ps_token_lists *l)
{
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < l->n_merges; i++)
        st = ps_tokenizer_add_merge_line(t, l->merges[i]);
    return st;
}

/* ---- gpt2 ---- */

static void defaults_gpt2(ps_token_lists *l)
{
    const ps_cuts *cuts = ps_cuts_find(l->pre);
    l->add_bos = cuts && cuts->add_bos;
}

static ps_status parts_gpt2(const ps_token_lists *l, ps_listed_parts *p, ps_model_keys *keys)
{
    const ps_cuts *cuts = ps_cuts_find(l->pre);
    if (!cuts)
        return ps_fail(PS_INVALID_ARGUMENT, "pre %s is not supported", ps_conf_quote(l->pre).text);
    bool space = l->prefix_space && !strncmp(cuts->names, "gpt-2", 5);
    if (cuts->nfc)
        ps_buf_puts(&p->normalizer, "{\"type\":\"NFC\"}");
    ps_cuts_json(cuts, space, &p->pre_tokenizer);
    ps_cuts_byte_level(space, true, &p->post);
    ps_cuts_byte_level(space, true, &p->decoder);
    keys->ignore_merges = cuts->ignore_merges;
    return PS_OK;
}

const ps_listed_row ps_listed_gpt2 = {.model = "gpt2",
                                      .type = &ps_model_bpe,
                                      .defaults = defaults_gpt2,
                                      .text = put_as_it_is,
                                      .parts = parts_gpt2,
                                      .finish = add_merges};

/* ---- SentencePiece ---- */

/* Runs of spaces that a user has defined are written with spaces by some. */
static void put_blocks(const ps_token_lists *l, uint32_t id, ps_buf *out)
{
    ps_slice text = l->texts[id];
    bool spaces = text.len > 0;
    for (size_t i = 0; i < text.len; i++)
        spaces &= text.data[i] == ' ';
    if (!spaces)
        put_as_it_is(l, id, out);
    for (size_t i = 0; spaces && i < text.len; i++)
        ps_buf_puts(out, PS_LOWER_BLOCK);
}

void ps_listed_put_replace(ps_json_writer *w, const char *kind, const char *what, const char *with)
{
    ps_json_object(w);
    ps_json_put_string(w, "type", "Replace");
    ps_json_key(w, "pattern");
    ps_json_object(w);
    ps_json_put_string(w, kind, what);
    ps_json_object_end(w);
    ps_json_put_string(w, "content", with);
    ps_json_object_end(w);
}

void ps_listed_put_charsmap(ps_json_writer *w, const ps_token_lists *l)
{
    if (l->charsmap.len) {
        ps_json_object(w);
        ps_json_put_string(w, "type", "Precompiled");
        ps_json_key(w, "precompiled_charsmap");
        ps_json_base64(w, l->charsmap);
        ps_json_object_end(w);
    }
    if (l->strip_spaces) {
        ps_listed_put_replace(w, "Regex", " {2,}", " "); /* no other white space than spaces */
        ps_listed_put_replace(w, "Regex", "\\A +| +\\z", "");
    }
}

void ps_listed_put_normalizer(const ps_token_lists *l, ps_buf *out)
{
    ps_json_writer w = ps_json_writer_to(out);
    ps_json_object(&w);
    ps_json_put_string(&w, "type", "Sequence");
    ps_json_key(&w, "normalizers");
    ps_json_array(&w);
    ps_listed_put_charsmap(&w, l);
    if (l->prefix_space) {
        ps_json_object(&w);
        ps_json_put_string(&w, "type", "Prepend");
        ps_json_put_string(&w, "prepend", PS_LOWER_BLOCK);
        ps_json_object_end(&w);
    }
    ps_listed_put_replace(&w, "String", " ", PS_LOWER_BLOCK);
    ps_json_array_end(&w);
    ps_json_object_end(&w);
}

void ps_listed_put_type(ps_json_writer *w, const char *type)
{
    ps_json_object(w);
    ps_json_put_string(w, "type", type);
    ps_json_object_end(w);
}

static void put_decoder(const ps_token_lists *l, ps_buf *out)
{
    ps_json_writer w = ps_json_writer_to(out);
    ps_json_object(&w);
    ps_json_put_string(&w, "type", "Sequence");
    ps_json_key(&w, "decoders");
    ps_json_array(&w);
    ps_listed_put_replace(&w, "String", PS_LOWER_BLOCK, " ");
    ps_listed_put_type(&w, "ByteFallback");
    ps_listed_put_type(&w, "Fuse");
    if (l->prefix_space) {
        ps_json_object(&w);
        ps_json_put_string(&w, "type", "Strip");
        ps_json_put_string(&w, "content", " ");
        ps_json_put_uint(&w, "start", 1);
        ps_json_put_uint(&w, "stop", 0);
        ps_json_object_end(&w);
    }
    ps_json_array_end(&w);
    ps_json_object_end(&w);
}

static ps_status parts_pieces(const ps_token_lists *l, ps_listed_parts *p, ps_model_keys *keys)
{
    ps_json_writer w = ps_json_writer_to(&p->pre_tokenizer);
    if (l->first_alone)
        ps_listed_put_metaspace(&w, l);
    else
        ps_listed_put_normalizer(l, &p->normalizer);
    put_decoder(l, &p->decoder);
    keys->fuse_unk = true;
    for (uint32_t id = 0; !keys->byte_fallback && id < l->n_tokens; id++)
        keys->byte_fallback = l->kinds[id] == PS_LISTED_BYTE;
    return PS_OK;
}

static void defaults_llama(ps_token_lists *l)
{
    l->prefix_space = l->add_bos = true;
    l->bos_id = 1;
    l->eos_id = 2;
    l->unk_id = 0;
}

const ps_listed_row ps_listed_llama = {.model = "llama",
                                       .type = &ps_model_bpe,
                                       .defaults = defaults_llama,
                                       .text = put_blocks,
                                       .parts = parts_pieces,
                                       .finish = ps_listed_merges};

/* ---- the same with merges: Gemma 4 ---- */

static void defaults_gemma4(ps_token_lists *l)
{
}

const ps_listed_row ps_listed_gemma4 = {.model = "gemma4",
                                        .type = &ps_model_bpe,
                                        .defaults = defaults_gemma4,
                                        .text = put_blocks,
                                        .parts = parts_pieces,
                                        .finish = add_merges};
