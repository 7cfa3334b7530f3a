/* Happy path: two members, each once. Whatever else is refused: a Tink refuses members that it does
 * not know, and so do we. */
#include "common/seal/sidecar.h"

#include "common/base/base64.h"
#include "common/json/json.h"
#include "common/seal/keyring.h"
#include "common/seal/keyset.h"

#include <inttypes.h>

static const char enabled[] = "ENABLED", raw[] = "RAW";

void ps_sidecar_write(ps_buf *out, ps_slice wrapped, uint32_t id)
{
    ps_buf text = PS_BUF_EMPTY;
    ps_base64_write(&text, wrapped);
    ps_json_writer w = ps_json_writer_to(out);
    ps_json_object(&w);
    ps_json_put_string(&w, "encryptedKeyset", ps_buf_cstr(&text));
    ps_json_key(&w, "keysetInfo");
    ps_json_object(&w);
    ps_json_put_uint(&w, "primaryKeyId", id);
    ps_json_key(&w, "keyInfo");
    ps_json_array(&w);
    ps_json_object(&w);
    ps_json_put_string(&w, "typeUrl", PS_KEYSET_TYPE);
    ps_json_put_string(&w, "status", enabled);
    ps_json_put_uint(&w, "keyId", id);
    ps_json_put_string(&w, "outputPrefixType", raw);
    ps_json_object_end(&w);
    ps_json_array_end(&w);
    ps_json_object_end(&w);
    ps_json_object_end(&w);
    ps_buf_free(&text);
}

static ps_status read_id(ps_json_reader *r, uint32_t *id)
{
    ps_json_token token;
    ps_status st = ps_json_expect(r, PS_JSON_NUMBER, &token);
    if (st)
        return st;
    if (!token.is_u64 || !token.u64 || token.u64 > UINT32_MAX || (*id && *id != token.u64))
        return ps_fail(PS_CORRUPT, "an id of its keys is none, or another than before");
    *id = (uint32_t)token.u64;
    return PS_OK;
}

static ps_status read_word(ps_json_reader *r, const char *wanted)
{
    ps_json_token token;
    ps_status st = ps_json_expect(r, PS_JSON_STRING, &token);
    if (!st && !ps_slice_is(token.text, wanted))
        return ps_fail(PS_CORRUPT, "its key is not %s", wanted);
    return st;
}

/* Which member of the list a key is, the first time; bit i of seen: that one was there. */
static ps_status which(ps_slice key, const char *const *members, unsigned n, unsigned *seen,
                       unsigned *out)
{
    for (unsigned i = 0; i < n; i++) {
        if (!ps_slice_is(key, members[i]))
            continue;
        if (*seen & 1u << i)
            return ps_fail(PS_CORRUPT, "%s is there twice", members[i]);
        *seen |= 1u << i;
        *out = i;
        return PS_OK;
    }
    return ps_fail(PS_CORRUPT, "a member of it is not known");
}

static ps_status check_all(unsigned seen, const char *const *members, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (!(seen & 1u << i))
            return ps_fail(PS_CORRUPT, "%s is missing", members[i]);
    return PS_OK;
}

static ps_status read_key_info(ps_slice bytes, uint32_t *id)
{
    static const char *const members[] = {"keyId", "typeUrl", "status", "outputPrefixType"};
    static const char *const words[] = {NULL, PS_KEYSET_TYPE, enabled, raw};
    ps_json_reader r;
    ps_json_reader_init(&r, bytes);
    ps_json_token token;
    unsigned seen = 0, i = 0;
    ps_status st = ps_json_expect(&r, PS_JSON_OBJECT, &token);
    while (ps_json_member(&r, &token, &st)) {
        st = which(token.text, members, 4, &seen, &i);
        if (!st)
            st = i ? read_word(&r, words[i]) : read_id(&r, id);
    }
    ps_json_reader_free(&r);
    return st ? st : check_all(seen, members, 4);
}

static ps_status read_keys(ps_json_reader *r, uint32_t *id)
{
    ps_json_token token;
    ps_slice one;
    size_t n = 0;
    ps_status st = ps_json_expect(r, PS_JSON_ARRAY, &token);
    while (ps_json_element(r, &one, &st)) {
        st = read_key_info(one, id);
        if (!st && ++n > 1)
            st = ps_fail(PS_CORRUPT, "it has several keys, not one");
    }
    return st || n ? st : ps_fail(PS_CORRUPT, "it has no key");
}

static ps_status read_info(ps_json_reader *r, uint32_t *id)
{
    static const char *const members[] = {"primaryKeyId", "keyInfo"};
    ps_json_token token;
    unsigned seen = 0, i = 0;
    ps_status st = ps_json_expect(r, PS_JSON_OBJECT, &token);
    while (ps_json_member(r, &token, &st)) {
        st = which(token.text, members, 2, &seen, &i);
        if (!st)
            st = i ? read_keys(r, id) : read_id(r, id);
    }
    return st ? st : check_all(seen, members, 2);
}

static ps_status read_wrapped(ps_json_reader *r, ps_buf *out)
{
    ps_json_token token;
    ps_status st = ps_json_expect(r, PS_JSON_STRING, &token);
    st = st ? st : ps_base64_read(token.text, out);
    return st ? ps_wrap(st, "encryptedKeyset") : PS_OK;
}

static ps_status read_members(ps_json_reader *r, ps_sidecar_text *out)
{
    static const char *const members[] = {"encryptedKeyset", "keysetInfo"};
    ps_json_token token;
    unsigned seen = 0, i = 0;
    ps_status st = ps_json_expect(r, PS_JSON_OBJECT, &token);
    while (ps_json_member(r, &token, &st)) {
        st = which(token.text, members, 2, &seen, &i);
        if (!st)
            st = i ? read_info(r, &out->id) : read_wrapped(r, &out->wrapped);
    }
    st = st ? st : check_all(seen, members, 1);
    return st ? st : ps_json_expect(r, PS_JSON_END, &token);
}

ps_status ps_sidecar_read(ps_slice text, ps_sidecar_text *out)
{
    *out = (ps_sidecar_text){0};
    if (text.len > PS_SIDECAR_MOST)
        return ps_fail(PS_CORRUPT, "%zu bytes are too many for a wrapped key", text.len);
    ps_json_reader r;
    ps_json_reader_init(&r, text);
    ps_status st = read_members(&r, out);
    ps_json_reader_free(&r);
    return st;
}

void ps_sidecar_free(ps_sidecar_text *text)
{
    ps_buf_free(&text->wrapped);
}
