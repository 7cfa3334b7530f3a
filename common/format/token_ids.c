/* Happy path: the object is read over but for three keys. It fails when one of them is no id. */
#include "common/format/token_ids.h"

#include <inttypes.h>
#include <string.h>

static const char *const keys[PS_TOKEN_ROLES] = {[PS_TOKEN_BOS] = "bos_token_id",
                                                 [PS_TOKEN_EOS] = "eos_token_id",
                                                 [PS_TOKEN_PAD] = "pad_token_id"};

static ps_status no_id(ps_token_role role)
{
    return ps_fail(PS_INVALID_ARGUMENT, "%s must be an id, a list of at most %d, or null",
                   keys[role], PS_TOKEN_IDS_MAX);
}

/* Older configurations have -1 for none. */
static bool id_of(const ps_json_token *token, int64_t *out)
{
    bool good = token->kind == PS_JSON_NUMBER && token->number >= -1 &&
                token->number <= INT32_MAX && token->number == (double)(int64_t)token->number;
    if (good)
        *out = (int64_t)token->number;
    return good;
}

static ps_status read_list(ps_json_reader *r, ps_token_role role, ps_token_ids *ids)
{
    ids->of[role].n = 0;
    ids->of[role].list = true;
    for (;;) {
        ps_json_token token;
        int64_t id = 0;
        ps_status st = ps_json_next(r, &token);
        if (st || token.kind == PS_JSON_ARRAY_END)
            return st;
        if (ids->of[role].n == PS_TOKEN_IDS_MAX || !id_of(&token, &id))
            return no_id(role);
        ids->of[role].at[ids->of[role].n++] = id;
    }
}

static ps_status read_ids(ps_json_reader *r, ps_token_role role, ps_token_ids *ids)
{
    ps_json_token token;
    int64_t id = 0;
    ps_status st = ps_json_next(r, &token);
    if (st || token.kind == PS_JSON_NULL)
        return st;
    if (token.kind == PS_JSON_ARRAY)
        return read_list(r, role, ids);
    if (!id_of(&token, &id))
        return no_id(role);
    ids->of[role].at[0] = id;
    ids->of[role].n = 1;
    ids->of[role].list = false;
    return PS_OK;
}

static ps_status read_key(ps_json_reader *r, ps_slice key, ps_token_ids *ids)
{
    for (ps_token_role role = 0; role < PS_TOKEN_ROLES; role++)
        if (key.len == strlen(keys[role]) && !memcmp(key.data, keys[role], key.len))
            return read_ids(r, role, ids);
    return ps_json_skip(r);
}

ps_status ps_token_ids_read(ps_slice json, ps_token_ids *ids)
{
    ps_json_reader r;
    ps_json_token token;
    ps_token_ids found = *ids;
    ps_json_reader_init(&r, json);
    ps_status st = ps_json_expect(&r, PS_JSON_OBJECT, &token);
    while (ps_json_member(&r, &token, &st))
        st = read_key(&r, token.text, &found);
    ps_json_reader_free(&r);
    if (!st)
        *ids = found;
    return st == PS_CORRUPT ? PS_INVALID_ARGUMENT : st;
}

bool ps_token_ids_any(const ps_token_ids *ids)
{
    return ids->of[PS_TOKEN_BOS].n || ids->of[PS_TOKEN_EOS].n || ids->of[PS_TOKEN_PAD].n;
}

void ps_token_ids_add(ps_token_ids *ids, ps_token_role role, int64_t id)
{
    size_t n = ids->of[role].n;
    for (size_t i = 0; i < n; i++)
        if (ids->of[role].at[i] == id)
            return;
    if (n == PS_TOKEN_IDS_MAX)
        return;
    ids->of[role].at[ids->of[role].n++] = id;
    ids->of[role].list = n > 0;
}

void ps_token_ids_put(ps_json_writer *w, const ps_token_ids *ids)
{
    for (ps_token_role role = 0; role < PS_TOKEN_ROLES; role++) {
        bool list = ids->of[role].list;
        ps_json_key(w, keys[role]);
        if (!ids->of[role].n) {
            ps_json_null(w);
            continue;
        }
        if (list)
            ps_json_array(w);
        for (size_t i = 0; i < ids->of[role].n; i++)
            ps_json_int(w, ids->of[role].at[i]);
        if (list)
            ps_json_array_end(w);
    }
}

bool ps_token_ids_usable(const ps_token_ids *ids, ps_token_role role, size_t i, int64_t vocab_size,
                         uint32_t *id)
{
    for (size_t k = 0; k < ids->of[role].n; k++) {
        int64_t one = ids->of[role].at[k];
        if (one < 0 || one >= vocab_size || i-- > 0)
            continue;
        *id = (uint32_t)one;
        return true;
    }
    return false;
}

/* What is no such object, as another program may have left it, says nothing. */
static void read_metadata(const ps_safetensors *file, const char *key, ps_token_ids *ids)
{
    const char *text = ps_safetensors_metadata(file, key);
    if (text && ps_token_ids_read(ps_slice_str(text), ids))
        return;
}

void ps_token_ids_of_file(const ps_safetensors *file, ps_token_ids *ids)
{
    read_metadata(file, PS_MODEL_META_TOKEN_IDS, ids);
}

void ps_token_ids_of_generation(const ps_safetensors *file, ps_token_ids *ids)
{
    read_metadata(file, PS_MODEL_META_GENERATION, ids);
}
