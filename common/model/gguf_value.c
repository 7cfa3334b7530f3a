/* The values of keys that a header was found to hold whole: only their types can be wrong. */
#include "common/base/bits.h"
#include "common/model/gguf_parse.h"

static ps_status wrong(const ps_gguf_key *key, const char *wanted)
{
    return ps_fail(PS_INVALID_ARGUMENT, "key %.*s must be %s", PS_GGUF_NAME(key->name), wanted);
}

/* Little-endian, of 1, 2, 4 or 8 bytes. */
static uint64_t bits_of(ps_slice bytes)
{
    uint64_t v = 0;
    for (size_t i = bytes.len; i > 0; i--)
        v = v << 8 | bytes.data[i - 1];
    return v;
}

ps_status ps_gguf_get_uint(const ps_gguf_key *key, uint64_t *out)
{
    switch (key->type) {
    case PS_GGUF_U8:
    case PS_GGUF_U16:
    case PS_GGUF_U32:
    case PS_GGUF_U64:
        *out = bits_of(key->bytes);
        return PS_OK;
    case PS_GGUF_I8:
    case PS_GGUF_I16:
    case PS_GGUF_I32:
    case PS_GGUF_I64:
        if (key->bytes.data[key->bytes.len - 1] & 0x80)
            return wrong(key, "an integer from 0");
        *out = bits_of(key->bytes);
        return PS_OK;
    default:
        return wrong(key, "an integer");
    }
}

ps_status ps_gguf_get_real(const ps_gguf_key *key, double *out)
{
    if (key->type != PS_GGUF_FLOAT && key->type != PS_GGUF_DOUBLE)
        return wrong(key, "a float");
    uint64_t bits = bits_of(key->bytes);
    *out = key->type == PS_GGUF_DOUBLE ? ps_double_of_bits(bits)
                                       : (double)ps_float_of_bits((uint32_t)bits);
    return PS_OK;
}

ps_status ps_gguf_get_bool(const ps_gguf_key *key, bool *out)
{
    if (key->type != PS_GGUF_BOOL || key->bytes.data[0] > 1)
        return wrong(key, "true or false");
    *out = key->bytes.data[0] == 1;
    return PS_OK;
}

ps_status ps_gguf_get_text(const ps_gguf_key *key, ps_slice *out)
{
    if (key->type != PS_GGUF_STRING)
        return wrong(key, "a text");
    *out = key->bytes;
    return PS_OK;
}

ps_status ps_gguf_get_array(const ps_gguf_key *key, ps_gguf_value item, ps_cursor *out)
{
    if (key->type != PS_GGUF_ARRAY || key->item != item)
        return wrong(key, item == PS_GGUF_STRING ? "an array of texts" : "an array of integers");
    *out = ps_cursor_of(key->bytes);
    return PS_OK;
}

ps_slice ps_gguf_next_text(ps_cursor *array)
{
    uint64_t len = ps_read_u64le(array);
    return ps_read_bytes(array, (size_t)len);
}
