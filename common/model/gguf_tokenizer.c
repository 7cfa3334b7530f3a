/* The tokenizer of a GGUF file, keys tokenizer.ggml.*, as a tokenizer.json. Happy path: its texts,
 * kinds, scores and merges become lists, those a tokenizer by the rows of common/tokenizer, and
 * that its file. One that psd does not know has no such file and is left out with a remark. */
#include "common/arch/arch.h"
#include "common/base/bits.h"
#include "common/base/mem.h"
#include "common/json/json.h"
#include "common/model/gguf_kept.h"
#include "common/model/gguf_model.h"
#include "common/tokenizer/token_lists.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define KEY "tokenizer.ggml."

typedef struct parts {
    char model[64], pre[64]; /* longer ones are none that is known */
    ps_slice *texts, *merges;
    ps_listed_kind *kinds;
    float *scores;
    ps_token_lists lists;
} parts;

/* "" when there is no such key. */
static ps_status text_of(const ps_gguf *file, const char *name, ps_slice *out)
{
    const ps_gguf_key *key = ps_gguf_find_key(file, name);
    *out = ps_slice_str("");
    return key ? ps_gguf_get_text(key, out) : PS_OK;
}

static ps_status word_of(const ps_gguf *file, const char *name, char out[64])
{
    ps_slice text;
    ps_status st = text_of(file, name, &text);
    if (!st)
        (void)snprintf(out, 64, "%.*s", (int)(text.len < 63 ? text.len : 63),
                       (const char *)text.data);
    return st;
}

static ps_status read_texts(const ps_gguf *file, const char *name, uint64_t most, ps_slice **out,
                            size_t *n)
{
    const ps_gguf_key *key = ps_gguf_find_key(file, name);
    ps_cursor c;
    ps_status st = key ? ps_gguf_get_array(key, PS_GGUF_STRING, &c)
                       : ps_fail(PS_INVALID_ARGUMENT, "key %s is missing", name);
    if (!st && key->n > most)
        st = ps_fail(PS_INVALID_ARGUMENT, "key %s has %" PRIu64 " texts, allowed %" PRIu64, name,
                     key->n, most);
    if (st)
        return st;
    *out = ps_try_alloc((size_t)(key->n + 1) * sizeof **out);
    if (!*out)
        return ps_fail(PS_NO_MEMORY, "key %s: no memory for %" PRIu64 " texts", name, key->n);
    for (*n = 0; *n < key->n; ++*n)
        (*out)[*n] = ps_gguf_next_text(&c);
    return PS_OK;
}

/* An array with an item for each token; *there: the key is there. */
static ps_status open_items(const ps_gguf *file, const char *name, ps_gguf_value item, size_t n,
                            ps_cursor *out, bool *there)
{
    const ps_gguf_key *key = ps_gguf_find_key(file, name);
    *there = key != NULL;
    ps_status st = key ? ps_gguf_get_array(key, item, out) : PS_OK;
    if (!st && key && key->n != n)
        st = ps_fail(PS_INVALID_ARGUMENT, "key %s has %" PRIu64 " entries for %zu tokens", name,
                     key->n, n);
    return st;
}

static ps_status kind_of(uint32_t number, size_t id, ps_listed_kind *out)
{
    static const ps_listed_kind kinds[] = {
        [PS_GGUF_TOKEN_NORMAL] = PS_LISTED_NORMAL,   [PS_GGUF_TOKEN_UNKNOWN] = PS_LISTED_UNKNOWN,
        [PS_GGUF_TOKEN_CONTROL] = PS_LISTED_CONTROL, [PS_GGUF_TOKEN_USER_DEFINED] = PS_LISTED_ADDED,
        [PS_GGUF_TOKEN_UNUSED] = PS_LISTED_UNUSED,   [PS_GGUF_TOKEN_BYTE] = PS_LISTED_BYTE};
    if (!number || number >= sizeof kinds / sizeof *kinds)
        return ps_fail(PS_INVALID_ARGUMENT, "token %zu has type %" PRIu32 ", which psd has not", id,
                       number);
    *out = kinds[number];
    return PS_OK;
}

/* Without the key all are normal. */
static ps_status read_kinds(const ps_gguf *file, size_t n, ps_listed_kind **out)
{
    static const char name[] = KEY "token_type";
    ps_cursor c;
    bool there;
    ps_status st = open_items(file, name, PS_GGUF_I32, n, &c, &there);
    if (st)
        return st;
    *out = ps_try_alloc((n + 1) * sizeof **out);
    if (!*out)
        return ps_fail(PS_NO_MEMORY, "key %s: no memory for %zu entries", name, n);
    for (size_t i = 0; !st && i < n; i++)
        st = kind_of(there ? ps_read_u32le(&c) : PS_GGUF_TOKEN_NORMAL, i, &(*out)[i]);
    return st;
}

static ps_status read_scores(const ps_gguf *file, size_t n, float **out)
{
    static const char name[] = KEY "scores";
    ps_cursor c;
    bool there;
    ps_status st = open_items(file, name, PS_GGUF_FLOAT, n, &c, &there);
    if (st || !there)
        return st;
    *out = ps_try_alloc((n + 1) * sizeof **out);
    if (!*out)
        return ps_fail(PS_NO_MEMORY, "key %s: no memory for %zu entries", name, n);
    for (size_t i = 0; i < n; i++)
        (*out)[i] = ps_float_of_bits(ps_read_u32le(&c));
    return PS_OK;
}

/* ---- what else its keys say ---- */

static ps_status read_flags(const ps_gguf *file, ps_token_lists *l)
{
    bool strips = false, lower = true, accents = true;
    const struct {
        const char *key;
        bool *to;
    } flags[] = {
        {PS_GGUF_KEY_PREFIX_SPACE, &l->prefix_space}, {KEY "add_bos_token", &l->add_bos},
        {KEY "add_eos_token", &l->add_eos},           {KEY "remove_extra_whitespaces", &strips},
        {KEY "normalizer.lowercase", &lower},         {KEY "normalizer.strip_accents", &accents}};
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < sizeof flags / sizeof *flags; i++) {
        const ps_gguf_key *key = ps_gguf_find_key(file, flags[i].key);
        st = key ? ps_gguf_get_bool(key, flags[i].to) : PS_OK;
    }
    /* llama.cpp strips where it does Unigram, and nowhere else */
    l->strip_spaces = strips && !strcmp(l->model, "t5");
    l->keep_case = !lower;
    l->keep_accents = !accents;
    if (!strcmp(l->model, "bert"))
        l->add_bos = l->add_eos = true;
    return st;
}

static ps_status read_special(const ps_gguf *file, ps_token_lists *l)
{
    const struct {
        const char *key;
        uint32_t *to;
    } ids[] = {{KEY "bos_token_id", &l->bos_id},
               {KEY "cls_token_id", !strcmp(l->model, "bert") ? &l->bos_id : NULL},
               {KEY "eos_token_id", &l->eos_id},
               {KEY "seperator_token_id", &l->sep_id}, /* as llama.cpp spells it */
               {KEY "unknown_token_id", !strcmp(l->model, "gpt2") ? NULL : &l->unk_id}};
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < sizeof ids / sizeof *ids; i++) {
        uint64_t id = 0;
        const ps_gguf_key *key = ids[i].to ? ps_gguf_find_key(file, ids[i].key) : NULL;
        st = key ? ps_gguf_get_uint(key, &id) : PS_OK;
        if (!st && key)
            *ids[i].to = id < l->n_tokens ? (uint32_t)id : PS_LISTED_NO_ID;
    }
    return st;
}

static ps_status read_charsmap(const ps_gguf *file, ps_token_lists *l)
{
    const ps_gguf_key *key = ps_gguf_find_key(file, KEY "precompiled_charsmap");
    ps_cursor c;
    if (!key)
        return PS_OK;
    ps_gguf_value item = key->item == PS_GGUF_I8 ? PS_GGUF_I8 : PS_GGUF_U8;
    ps_status st = ps_gguf_get_array(key, item, &c);
    if (!st)
        l->charsmap = key->bytes;
    return st;
}

static bool has_merges(const char *model)
{
    return !strcmp(model, "gpt2") || !strcmp(model, "gemma4");
}

static ps_status read_lists(const ps_gguf *file, parts *p)
{
    ps_token_lists *l = &p->lists;
    size_t n = 0;
    ps_status st = read_texts(file, KEY "tokens", PS_TOKENIZER_MAX_VOCAB, &p->texts, &n);
    if (!st && has_merges(p->model))
        st = read_texts(file, KEY "merges", PS_TOKENIZER_MAX_MERGES, &p->merges, &l->n_merges);
    if (!st)
        st = read_kinds(file, n, &p->kinds);
    if (!st)
        st = read_scores(file, n, &p->scores);
    l->n_tokens = (uint32_t)n;
    l->texts = p->texts;
    l->kinds = p->kinds;
    l->scores = p->scores;
    l->merges = p->merges;
    if (!st)
        st = read_flags(file, l);
    if (!st)
        st = read_special(file, l);
    return st ? st : read_charsmap(file, l);
}

static void free_parts(parts *p)
{
    ps_free(&p->texts);
    ps_free(&p->merges);
    ps_free(&p->kinds);
    ps_free(&p->scores);
}

/* Files of before 2024 have no `pre`; what it is then, the architecture says. */
static ps_status read_pre(const ps_gguf *file, char out[64])
{
    char architecture[64] = "";
    ps_status st = word_of(file, KEY "pre", out);
    if (!st && !*out)
        st = word_of(file, "general.architecture", architecture);
    const ps_arch *arch = st ? NULL : ps_arch_find_gguf(architecture);
    if (arch && arch->gguf_pre && !*out)
        (void)snprintf(out, 64, "%s", arch->gguf_pre);
    return st;
}

ps_status ps_gguf_tokenizer(const ps_gguf *file, ps_tokenizer **out)
{
    parts p = {0};
    ps_status st = word_of(file, KEY "model", p.model);
    *out = NULL;
    if (!st && (!*p.model || !strcmp(p.model, "none") || !strcmp(p.model, "no_vocab")))
        return PS_OK;
    if (!st)
        st = read_pre(file, p.pre);
    if (!st)
        st = ps_token_lists_defaults(p.model, p.pre, &p.lists);
    if (!st)
        st = read_lists(file, &p);
    if (!st)
        st = ps_tokenizer_from_lists(&p.lists, out);
    free_parts(&p);
    return st;
}

/* ---- into psd's file ---- */

static ps_status to_json(const ps_tokenizer *t, const ps_spec_model *model, ps_buf *json)
{
    if (ps_tokenizer_vocab_size(t) > model->vocab_size)
        return ps_fail(PS_INVALID_ARGUMENT, "it has %" PRIu32 " ids, vocab_size is %" PRId64,
                       ps_tokenizer_vocab_size(t), model->vocab_size);
    ps_tokenizer_to_json(t, json);
    return json->len <= PS_JSON_MAX_TEXT
               ? PS_OK
               : ps_fail(PS_INVALID_ARGUMENT, "its tokenizer.json takes %zu bytes, allowed %d",
                         json->len, PS_JSON_MAX_TEXT);
}

static ps_status read_tokenizer(const ps_gguf *file, ps_model_in_about *about)
{
    ps_tokenizer *t = NULL;
    ps_status st = ps_gguf_tokenizer(file, &t);
    if (!st && !t)
        return PS_OK;
    if (!st)
        st = to_json(t, about->model, &about->tokenizer);
    if (!st) {
        ps_free(&about->model->tokenizer);
        about->model->tokenizer = ps_strdup(ps_tokenizer_name(t));
        about->tokenizer_hash = ps_tokenizer_hash(t);
    }
    ps_tokenizer_free(&t);
    if (!st || st == PS_NO_MEMORY)
        return st;
    ps_buf_clear(&about->tokenizer);
    ps_buf_printf(&about->remarks, "the tokenizer is left out, as psd cannot use it: %s\n",
                  ps_error_message());
    return PS_OK;
}

/* llama.cpp has a key for each way in which a text may end; here they are one list. */
static ps_status read_ids(const ps_gguf *file, ps_token_ids *ids)
{
    for (size_t i = 0; i < PS_GGUF_ID_KEYS; i++) {
        uint64_t id = 0;
        const ps_gguf_key *key = ps_gguf_find_key(file, ps_gguf_id_keys[i].key);
        ps_status st = key ? ps_gguf_get_uint(key, &id) : PS_OK;
        if (st)
            return st;
        if (key && id <= INT32_MAX)
            ps_token_ids_add(ids, ps_gguf_id_keys[i].role, (int64_t)id);
    }
    return PS_OK;
}

ps_status ps_gguf_words(const ps_gguf *file, ps_model_in_about *about)
{
    ps_slice template = {0};
    ps_status st = read_ids(file, &about->ids);
    if (!st)
        st = text_of(file, PS_GGUF_KEY_CHAT_TEMPLATE, &template);
    if (!st && ps_side_can_be_kept(template))
        ps_buf_append(&about->side.text[PS_SIDE_CHAT_TEMPLATE], template.data, template.len);
    if (!st)
        ps_gguf_kept_take(file, about);
    return st ? st : read_tokenizer(file, about);
}
