/* Happy path: protobuf-c packs and unpacks, in memory that is locked and wiped. What psd would not
 * have written is refused: another cipher's key would open other bytes than these. */
#include "common/seal/keyset.h"

#include "common/base/require.h"
#include "common/seal/stream.h"

#include "psd/seal/keyset.pb-c.h"

enum { ENABLED = 1, RAW = 3, SYMMETRIC = 1, SHA256 = 3 };

static void *get(void *user, size_t bytes)
{
    (void)user;
    return ps_secret_alloc(bytes);
}

static void give_back(void *user, void *memory)
{
    (void)user;
    ps_secret_release(memory);
}

static ProtobufCAllocator locked = {.alloc = get, .free = give_back};

size_t ps_keyset_pack(const ps_secret *key, uint32_t id, uint8_t **bytes)
{
    PS_REQUIRE(id);
    Psd__Seal__StreamingParams params = PSD__SEAL__STREAMING_PARAMS__INIT;
    params.segment_bytes = ps_seal_1mb.segment;
    params.derived_key_bytes = ps_seal_1mb.key_bytes;
    params.hash = SHA256;
    Psd__Seal__StreamingKey streaming = PSD__SEAL__STREAMING_KEY__INIT;
    streaming.params = &params;
    streaming.key.data = (uint8_t *)(uintptr_t)ps_secret_const(key);
    streaming.key.len = PS_SECRET_BYTES;
    Psd__Seal__KeyData data = PSD__SEAL__KEY_DATA__INIT;
    static char type[] = PS_KEYSET_TYPE;
    data.type_url = type;
    data.value.len = psd__seal__streaming_key__get_packed_size(&streaming);
    data.value.data = ps_secret_alloc(data.value.len);
    psd__seal__streaming_key__pack(&streaming, data.value.data);
    data.material = SYMMETRIC;
    Psd__Seal__Key one = PSD__SEAL__KEY__INIT, *all[] = {&one};
    one.data = &data;
    one.status = ENABLED;
    one.id = id;
    one.output_prefix = RAW;
    Psd__Seal__Keyset set = PSD__SEAL__KEYSET__INIT;
    set.primary_key_id = id;
    set.keys = all;
    set.n_keys = 1;
    size_t len = psd__seal__keyset__get_packed_size(&set);
    *bytes = ps_secret_alloc(len);
    psd__seal__keyset__pack(&set, *bytes);
    ps_secret_release(data.value.data);
    return len;
}

static ps_status read_streaming(ps_slice bytes, ps_secret **key)
{
    Psd__Seal__StreamingKey *s = psd__seal__streaming_key__unpack(&locked, bytes.len, bytes.data);
    if (!s)
        return ps_fail(PS_CORRUPT, "its key is no message");
    ps_status st = PS_OK;
    const Psd__Seal__StreamingParams *p = s->params;
    if (s->version || !p || p->segment_bytes != ps_seal_1mb.segment ||
        p->derived_key_bytes != ps_seal_1mb.key_bytes || p->hash != SHA256)
        st = ps_fail(PS_CORRUPT, "its key is not one of AES256_GCM_HKDF_1MB");
    else if (s->key.len != PS_SECRET_BYTES)
        st = ps_fail(PS_CORRUPT, "its key has %zu bytes, not %d", s->key.len, PS_SECRET_BYTES);
    if (!st) {
        *key = ps_secret_new();
        memcpy(ps_secret_bytes(*key), s->key.data, PS_SECRET_BYTES);
    }
    psd__seal__streaming_key__free_unpacked(s, &locked);
    return st;
}

static ps_status read_set(const Psd__Seal__Keyset *set, uint32_t *id, ps_secret **key)
{
    if (set->n_keys != 1)
        return ps_fail(PS_CORRUPT, "it has %zu keys, not one", set->n_keys);
    const Psd__Seal__Key *one = set->keys[0];
    if (!one->id || one->id != set->primary_key_id || one->status != ENABLED ||
        one->output_prefix != RAW)
        return ps_fail(PS_CORRUPT, "its key is not enabled, or not for raw output");
    if (!one->data || one->data->material != SYMMETRIC ||
        strcmp(one->data->type_url, PS_KEYSET_TYPE) != 0)
        return ps_fail(PS_CORRUPT, "its key is of another type");
    *id = one->id;
    return read_streaming(ps_slice_of(one->data->value.data, one->data->value.len), key);
}

ps_status ps_keyset_unpack(ps_slice bytes, uint32_t *id, ps_secret **key)
{
    if (bytes.len > PS_KEYSET_MOST)
        return ps_fail(PS_CORRUPT, "a keyset of %zu bytes is not psd's", bytes.len);
    Psd__Seal__Keyset *set = psd__seal__keyset__unpack(&locked, bytes.len, bytes.data);
    if (!set)
        return ps_fail(PS_CORRUPT, "it is no keyset");
    ps_status st = read_set(set, id, key);
    psd__seal__keyset__free_unpacked(set, &locked);
    return st;
}
