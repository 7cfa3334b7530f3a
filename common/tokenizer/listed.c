/* Happy path: the model's row says how its tokens are written in a tokenizer.json and which parts
 * it has; then a tokenizer is made as from such a file: vocabulary, parts, model, merges or scores.
 */
#include "common/tokenizer/listed.h"

#include "common/base/mem.h"
#include "common/base/utf8.h"
#include "common/conf/value.h"

#include <inttypes.h>

enum { MOST_CHARSMAP = 2 << 20 };

const ps_listed_row *const ps_listed_rows[] = {&ps_listed_gpt2, &ps_listed_llama, &ps_listed_gemma4,
                                               &ps_listed_t5,   &ps_listed_bert,  NULL};

static const ps_listed_row *find(const char *model)
{
    const ps_listed_row *const *row = ps_listed_rows;
    while (*row && strcmp((*row)->model, model) != 0)
        row++;
    return *row;
}

static ps_status find_row(const char *model, const ps_listed_row **out)
{
    *out = find(model);
    return *out ? PS_OK
                : ps_fail(PS_INVALID_ARGUMENT,
                          "model %s is not supported; psd knows gpt2, llama, gemma4, t5 and bert",
                          ps_conf_quote(model).text);
}

ps_status ps_token_lists_defaults(const char *model, const char *pre, ps_token_lists *out)
{
    const ps_listed_row *row = NULL;
    *out = (ps_token_lists){.model = model,
                            .pre = pre,
                            .bos_id = PS_LISTED_NO_ID,
                            .eos_id = PS_LISTED_NO_ID,
                            .unk_id = PS_LISTED_NO_ID,
                            .sep_id = PS_LISTED_NO_ID};
    ps_status st = find_row(model, &row);
    if (!st)
        row->defaults(out);
    return st;
}

bool ps_listed_is_text(const ps_token_lists *l, uint32_t id)
{
    return l->kinds[id] == PS_LISTED_NORMAL || l->kinds[id] == PS_LISTED_ADDED;
}

/* ---- tokens ---- */

/* Runs of SentencePiece's spaces: no text has them before it is normalized. */
static bool is_blocks(ps_slice text)
{
    static const char block[] = PS_LOWER_BLOCK;
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] != (uint8_t)block[i % (sizeof block - 1)])
            return false;
    return true;
}

static ps_status add_token(ps_tokenizer *t, const ps_listed_row *row, const ps_token_lists *l,
                           uint32_t id, ps_buf *text)
{
    ps_listed_kind kind = l->kinds[id];
    ps_buf_clear(text);
    row->text(l, id, text);
    if (!text->len)
        return PS_OK;
    if (!ps_utf8_is(ps_buf_slice(text)))
        return ps_fail(PS_INVALID_ARGUMENT, "its text is not UTF-8");
    ps_status st = ps_vocab_add(t->vocab, ps_buf_slice(text), id);
    bool special = kind == PS_LISTED_CONTROL || kind == PS_LISTED_UNKNOWN;
    if (kind == PS_LISTED_ADDED && is_blocks(ps_buf_slice(text)))
        kind = PS_LISTED_NORMAL;
    uint8_t rules = l->rules ? l->rules[id] : 0;
    if (!st && (special || kind == PS_LISTED_ADDED))
        st =
            ps_tokenizer_add_added(t, ps_buf_slice(text), id,
                                   &(ps_added_token){.special = special,
                                                     .normalized = !special && !t->normalizer.n,
                                                     .lstrip = rules & PS_LISTED_LSTRIP,
                                                     .rstrip = rules & PS_LISTED_RSTRIP,
                                                     .single_word = rules & PS_LISTED_SINGLE_WORD});
    return st;
}

static ps_status add_tokens(ps_tokenizer *t, const ps_listed_row *row, const ps_token_lists *l)
{
    ps_buf text = PS_BUF_EMPTY;
    ps_status st = PS_OK;
    for (uint32_t id = 0; !st && id < l->n_tokens; id++) {
        st = add_token(t, row, l, id, &text);
        if (st)
            st = ps_wrap(st, "token %" PRIu32, id);
    }
    ps_buf_free(&text);
    return st;
}

/* ---- what stands around a text ---- */

static void put_place(ps_json_writer *w, const char *kind, const char *id, unsigned type)
{
    ps_json_object(w);
    ps_json_key(w, kind);
    ps_json_object(w);
    ps_json_put_string(w, "id", id);
    ps_json_put_uint(w, "type_id", type);
    ps_json_object_end(w);
    ps_json_object_end(w);
}

/* One text of one or two; begin, end: NULL when there is none. */
static void put_text(ps_json_writer *w, const char *text, unsigned type, const char *begin,
                     const char *end)
{
    if (begin)
        put_place(w, "SpecialToken", begin, type);
    put_place(w, "Sequence", text, type);
    if (end)
        put_place(w, "SpecialToken", end, type);
}

static void put_special(ps_json_writer *w, const char *name, uint32_t id)
{
    ps_json_key(w, name);
    ps_json_object(w);
    ps_json_put_string(w, "id", name);
    ps_json_key(w, "ids");
    ps_json_array(w);
    ps_json_uint(w, id);
    ps_json_array_end(w);
    ps_json_key(w, "tokens");
    ps_json_array(w);
    ps_json_string(w, name);
    ps_json_array_end(w);
    ps_json_object_end(w);
}

static void put_template(ps_buf *out, bool bert, uint32_t begin_id, const char *begin,
                         uint32_t end_id, const char *end)
{
    ps_json_writer w = ps_json_writer_to(out);
    ps_json_object(&w);
    ps_json_put_string(&w, "type", "TemplateProcessing");
    ps_json_key(&w, "single");
    ps_json_array(&w);
    put_text(&w, "A", 0, begin, end);
    ps_json_array_end(&w);
    ps_json_key(&w, "pair");
    ps_json_array(&w);
    put_text(&w, "A", 0, begin, end);
    put_text(&w, "B", 1, bert ? NULL : begin, end);
    ps_json_array_end(&w);
    ps_json_key(&w, "special_tokens");
    ps_json_object(&w);
    if (begin)
        put_special(&w, begin, begin_id);
    if (end && !(begin && !strcmp(begin, end)))
        put_special(&w, end, end_id);
    ps_json_object_end(&w);
    ps_json_object_end(&w);
}

/* The text of a special token; NULL: it is none. */
static char *name_of(const ps_tokenizer *t, bool wanted, uint32_t id)
{
    ps_slice text = wanted ? ps_vocab_at(t->vocab, id) : (ps_slice){0};
    return text.len ? ps_asprintf("%.*s", (int)text.len, (const char *)text.data) : NULL;
}

static void make_post(const ps_tokenizer *t, const ps_token_lists *l, ps_buf *out)
{
    bool bert = t->model == &ps_model_wordpiece;
    uint32_t last = bert ? l->sep_id : l->eos_id;
    char *begin = name_of(t, l->add_bos, l->bos_id), *end = name_of(t, l->add_eos, last);
    if (begin || end)
        put_template(out, bert, l->bos_id, begin, last, end);
    ps_free(&begin);
    ps_free(&end);
}

/* ---- the whole ---- */

static ps_status read_steps(const ps_step_row *const *rows, const char *key, const char *name,
                            const ps_buf *json, ps_steps *out)
{
    ps_part root = {0}, part = ps_part_below(&root, name, -1, ps_buf_slice(json));
    return ps_steps_read(rows, key, &part, out);
}

static ps_status read_parts(ps_tokenizer *t, const ps_token_lists *l, ps_listed_parts *p)
{
    ps_part root = {0};
    ps_status st = read_steps(ps_pre_tokenizer_rows, "pretokenizers", "pre_tokenizer",
                              &p->pre_tokenizer, &t->pre_tokenizer);
    if (!st)
        st = read_steps(ps_decoder_rows, "decoders", "decoder", &p->decoder, &t->decoder);
    ps_buf post = PS_BUF_EMPTY;
    make_post(t, l, &post);
    ps_part part =
        ps_part_below(&root, "post_processor", -1, ps_buf_slice(post.len ? &post : &p->post));
    if (!st)
        st = ps_post_read(&part, &t->post);
    ps_buf_free(&post);
    return st;
}

static ps_status find_unknown(ps_tokenizer *t, const ps_token_lists *l)
{
    ps_slice text = ps_vocab_at(t->vocab, l->unk_id);
    t->keys.has_unk = text.len > 0;
    t->keys.unk_id = text.len ? l->unk_id : 0;
    if (!t->model->scores)
        ps_buf_append(&t->keys.unk_token, text.data, text.len);
    return PS_OK;
}

static ps_status make(ps_tokenizer *t, const ps_listed_row *row, const ps_token_lists *l,
                      ps_listed_parts *parts)
{
    t->model = row->type;
    ps_status st = row->parts(l, parts, &t->keys);
    if (!st)
        st = read_steps(ps_normalizer_rows, "normalizers", "normalizer", &parts->normalizer,
                        &t->normalizer);
    if (!st)
        st = add_tokens(t, row, l);
    if (!st)
        st = find_unknown(t, l);
    if (!st)
        st = read_parts(t, l, parts);
    if (!st)
        st = t->model->make(t);
    return st || !row->finish ? st : row->finish(t, l);
}

ps_status ps_tokenizer_from_lists(const ps_token_lists *lists, ps_tokenizer **out)
{
    const ps_listed_row *row = NULL;
    ps_listed_parts parts = {0};
    ps_status st = find_row(lists->model, &row);
    if (!st && lists->charsmap.len > MOST_CHARSMAP)
        st = ps_fail(PS_INVALID_ARGUMENT, "its map of characters has %zu bytes, allowed %d",
                     lists->charsmap.len, MOST_CHARSMAP);
    if (st)
        return st;
    ps_tokenizer *t = ps_tokenizer_begin();
    st = make(t, row, lists, &parts);
    ps_buf_free(&parts.normalizer);
    ps_buf_free(&parts.pre_tokenizer);
    ps_buf_free(&parts.post);
    ps_buf_free(&parts.decoder);
    return ps_tokenizer_made(t, st, out);
}
