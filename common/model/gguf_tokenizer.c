/* The tokenizer of a GGUF file, keys tokenizer.ggml.*, as a tokenizer.json. Happy path: model gpt2
 * with the pattern of GPT-2; its texts, kinds and merges become lists, those a tokenizer, and that
 * its file. Another tokenizer has no such file and is left out with a remark. */
#include "common/base/mem.h"
#include "common/conf/value.h"
#include "common/json/json.h"
#include "common/model/gguf_kept.h"
#include "common/model/gguf_model.h"
#include "common/tokenizer/tokenizer.h"

#include <inttypes.h>
#include <stdio.h>

typedef struct parts {
    ps_slice *texts;
    ps_token_kind *kinds;
    ps_slice *merges;
    ps_token_lists lists;
} parts;

/* "" when there is no such key. */
static ps_status text_of(const ps_gguf *file, const char *name, ps_slice *out)
{
    const ps_gguf_key *key = ps_gguf_find_key(file, name);
    *out = ps_slice_str("");
    return key ? ps_gguf_get_text(key, out) : PS_OK;
}

static ps_status unsupported(const char *key, ps_slice text, const char *only)
{
    char word[64];
    (void)snprintf(word, sizeof word, "%.*s", text.len < 63 ? (int)text.len : 63,
                   (const char *)text.data);
    return ps_fail(PS_INVALID_ARGUMENT, "key %s: %s is not supported, only %s", key,
                   ps_conf_quote(word).text, only);
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

static ps_status kind_of(uint32_t number, size_t id, ps_token_kind *out)
{
    switch (number) {
    case PS_GGUF_TOKEN_NORMAL:
        *out = PS_TOKEN_NORMAL;
        return PS_OK;
    case PS_GGUF_TOKEN_CONTROL:
        *out = PS_TOKEN_SPECIAL;
        return PS_OK;
    case PS_GGUF_TOKEN_USER_DEFINED:
        *out = PS_TOKEN_ADDED;
        return PS_OK;
    case PS_GGUF_TOKEN_UNUSED:
        *out = PS_TOKEN_UNUSED;
        return PS_OK;
    default:
        return ps_fail(PS_INVALID_ARGUMENT, "token %zu has type %" PRIu32 ", none of BPE's", id,
                       number);
    }
}

/* Without the key all are normal. */
static ps_status read_kinds(const ps_gguf *file, size_t n, ps_token_kind **out)
{
    static const char name[] = "tokenizer.ggml.token_type";
    const ps_gguf_key *key = ps_gguf_find_key(file, name);
    ps_cursor c;
    ps_status st = key ? ps_gguf_get_array(key, PS_GGUF_I32, &c) : PS_OK;
    if (!st && key && key->n != n)
        st = ps_fail(PS_INVALID_ARGUMENT, "key %s has %" PRIu64 " entries for %zu tokens", name,
                     key->n, n);
    if (st)
        return st;
    *out = ps_try_alloc((n + 1) * sizeof **out);
    if (!*out)
        return ps_fail(PS_NO_MEMORY, "key %s: no memory for %zu entries", name, n);
    for (size_t i = 0; !st && i < n; i++)
        st = kind_of(key ? ps_read_u32le(&c) : PS_GGUF_TOKEN_NORMAL, i, &(*out)[i]);
    return st;
}

static ps_status read_parts(const ps_gguf *file, parts *p)
{
    size_t n = 0;
    ps_status st = read_texts(file, "tokenizer.ggml.tokens", PS_TOKENIZER_MAX_VOCAB, &p->texts, &n);
    if (!st)
        st = read_texts(file, "tokenizer.ggml.merges", PS_TOKENIZER_MAX_MERGES, &p->merges,
                        &p->lists.n_merges);
    if (!st)
        st = read_kinds(file, n, &p->kinds);
    const ps_gguf_key *space = ps_gguf_find_key(file, PS_GGUF_KEY_PREFIX_SPACE);
    if (!st && space)
        st = ps_gguf_get_bool(space, &p->lists.prefix_space);
    p->lists.n_tokens = (uint32_t)n;
    p->lists.texts = p->texts;
    p->lists.kinds = p->kinds;
    p->lists.merges = p->merges;
    return st;
}

static ps_status make(const ps_gguf *file, const ps_spec_model *model, ps_buf *json)
{
    parts p = {0};
    ps_tokenizer *t = NULL;
    ps_status st = read_parts(file, &p);
    if (!st)
        st = ps_tokenizer_from_lists(&p.lists, &t);
    if (!st && ps_tokenizer_vocab_size(t) > model->vocab_size)
        st = ps_fail(PS_INVALID_ARGUMENT, "it has %" PRIu32 " ids, vocab_size is %" PRId64,
                     ps_tokenizer_vocab_size(t), model->vocab_size);
    if (!st)
        ps_tokenizer_to_json(t, json);
    if (!st && json->len > PS_JSON_MAX_TEXT)
        st = ps_fail(PS_INVALID_ARGUMENT, "its tokenizer.json takes %zu bytes, allowed %d",
                     json->len, PS_JSON_MAX_TEXT);
    ps_tokenizer_free(&t);
    ps_free(&p.texts);
    ps_free(&p.kinds);
    ps_free(&p.merges);
    return st;
}

/* Files of before 2024 have no `pre`; what it is then, the architecture says. */
static ps_status check_kind(const ps_gguf *file, ps_slice model, const ps_arch *arch)
{
    if (!ps_slice_is(model, "gpt2"))
        return unsupported("tokenizer.ggml.model", model, "gpt2");
    ps_slice pre;
    ps_status st = text_of(file, "tokenizer.ggml.pre", &pre);
    if (!st && !pre.len && arch->gguf_pre)
        pre = ps_slice_str(arch->gguf_pre);
    if (st || ps_slice_is(pre, "gpt-2"))
        return st;
    return unsupported("tokenizer.ggml.pre", pre, "gpt-2");
}

static ps_status read_tokenizer(const ps_gguf *file, ps_model_in_about *about)
{
    ps_slice model;
    ps_status st = text_of(file, "tokenizer.ggml.model", &model);
    if (st || !model.len || ps_slice_is(model, "none") || ps_slice_is(model, "no_vocab"))
        return st;
    st = check_kind(file, model, ps_arch_find(about->model->architecture));
    if (!st)
        st = make(file, about->model, &about->tokenizer);
    if (st == PS_NO_MEMORY)
        return st;
    if (st) {
        ps_buf_clear(&about->tokenizer);
        ps_buf_printf(&about->remarks, "the tokenizer is left out, as psd cannot use it: %s\n",
                      ps_error_message());
        return PS_OK;
    }
    ps_free(&about->model->tokenizer);
    about->model->tokenizer = ps_strdup("gpt2");
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
