/* Happy path: the sidecar says which KEK, that one opens it. A keyset that another Tink has made
 * has an id of its own: then each KEK is tried. */
#include "common/seal/keyring.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/seal/keyset.h"
#include "common/seal/sidecar.h"
#include "common/security/aead.h"
#include "common/security/digest.h"

#include <inttypes.h>
#include <stdio.h>

typedef struct kek {
    ps_secret *key;
    uint32_t id;
} kek;

struct ps_keyring {
    kek keys[PS_KEYRING_MOST]; /* the first is the current one */
    size_t n;
};

uint32_t ps_kek_id(const ps_secret *secret)
{
    static const char label[] = "psd kek";
    char text[PS_DIGEST_TEXT], first[9] = "";
    ps_digest *digest = ps_digest_new();
    ps_digest_add(digest, label, sizeof label);
    ps_digest_add(digest, ps_secret_const(secret), PS_SECRET_BYTES);
    ps_digest_end(&digest, text);
    memcpy(first, text, 8);
    uint32_t id = (uint32_t)strtoul(first, NULL, 16);
    ps_wipe(text, sizeof text);
    return id ? id : 1;
}

void ps_kek_text(uint32_t id, char out[PS_KEK_TEXT])
{
    (void)snprintf(out, PS_KEK_TEXT, "k-%08" PRIx32, id);
}

ps_keyring *ps_keyring_new(ps_secret **current)
{
    ps_keyring *ring = ps_new(ps_keyring);
    ring->keys[ring->n++] = (kek){*current, ps_kek_id(*current)};
    *current = NULL;
    return ring;
}

static const kek *find(const ps_keyring *ring, uint32_t id)
{
    for (size_t i = 0; i < ring->n; i++)
        if (ring->keys[i].id == id)
            return &ring->keys[i];
    return NULL;
}

ps_status ps_keyring_add(ps_keyring *ring, ps_secret **previous)
{
    uint32_t id = ps_kek_id(*previous);
    char text[PS_KEK_TEXT];
    ps_kek_text(id, text);
    if (find(ring, id))
        return ps_fail(PS_ALREADY_EXISTS, "key %s is named twice", text);
    if (ring->n == PS_KEYRING_MOST)
        return ps_fail(PS_RESOURCE_EXHAUSTED, "more than %d keys: retire some", PS_KEYRING_MOST);
    ring->keys[ring->n++] = (kek){*previous, id};
    *previous = NULL;
    return PS_OK;
}

void ps_keyring_free(ps_keyring **ring)
{
    if (!*ring)
        return;
    for (size_t i = 0; i < (*ring)->n; i++)
        ps_secret_free(&(*ring)->keys[i].key);
    ps_free(ring);
}

uint32_t ps_keyring_current(const ps_keyring *ring)
{
    return ring->keys[0].id;
}

bool ps_keyring_has(const ps_keyring *ring, uint32_t id)
{
    return find(ring, id);
}

bool ps_keyring_at(const ps_keyring *ring, size_t i, uint32_t *id)
{
    if (i >= ring->n)
        return false;
    *id = ring->keys[i].id;
    return true;
}

ps_status ps_keyring_forget(ps_keyring *ring, uint32_t id)
{
    PS_REQUIRE(id != ring->keys[0].id);
    char text[PS_KEK_TEXT];
    for (size_t i = 1; i < ring->n; i++) {
        if (ring->keys[i].id != id)
            continue;
        ps_secret_free(&ring->keys[i].key);
        ring->keys[i] = ring->keys[--ring->n];
        return PS_OK;
    }
    ps_kek_text(id, text);
    return ps_fail(PS_NOT_FOUND, "there is no previous key %s", text);
}

/* ---- wrapping ---- */

void ps_keyring_wrap(const ps_keyring *ring, const ps_secret *key, ps_slice aad, ps_buf *sidecar)
{
    const kek *current = &ring->keys[0];
    uint8_t *keyset, *wrapped;
    size_t len = ps_keyset_pack(key, current->id, &keyset);
    wrapped = ps_alloc(PS_AEAD_NONCE + len + PS_AEAD_TAG);
    ps_random_public(wrapped, PS_AEAD_NONCE);
    ps_aead *aead = ps_aead_new(ps_slice_of(ps_secret_const(current->key), PS_SECRET_BYTES));
    ps_aead_seal(aead, ps_slice_of(wrapped, PS_AEAD_NONCE), aad, keyset, len,
                 wrapped + PS_AEAD_NONCE);
    ps_aead_free(&aead);
    ps_secret_release(keyset);
    ps_sidecar_write(sidecar, ps_slice_of(wrapped, PS_AEAD_NONCE + len + PS_AEAD_TAG), current->id);
    ps_free(&wrapped);
}

/* PS_CORRUPT: not by this KEK. */
static ps_status open_by(const kek *by, const ps_sidecar_text *text, ps_slice aad, uint32_t *id,
                         ps_secret **key)
{
    ps_slice all = ps_buf_slice(&text->wrapped);
    if (all.len <= PS_AEAD_NONCE + PS_AEAD_TAG || all.len > PS_KEYSET_MOST)
        return ps_fail(PS_CORRUPT, "a wrapped key of %zu bytes is none", all.len);
    size_t len = all.len - PS_AEAD_NONCE;
    uint8_t *keyset = ps_secret_alloc(len);
    ps_aead *aead = ps_aead_new(ps_slice_of(ps_secret_const(by->key), PS_SECRET_BYTES));
    ps_status st = ps_aead_open(aead, ps_slice_of(all.data, PS_AEAD_NONCE), aad,
                                all.data + PS_AEAD_NONCE, len, keyset);
    ps_aead_free(&aead);
    if (!st)
        st = ps_keyset_unpack(ps_slice_of(keyset, len - PS_AEAD_TAG), id, key);
    ps_secret_release(keyset);
    return st;
}

static ps_status cannot_open(const ps_keyring *ring, uint32_t id)
{
    char text[PS_KEK_TEXT];
    ps_kek_text(id, text);
    if (id && !find(ring, id))
        return ps_fail(PS_FAILED_PRECONDITION,
                       "key %s is needed and is not here: name it under sealing.previous", text);
    return ps_fail(PS_CORRUPT,
                   "its wrapped key does not authenticate: it was changed, or is of another "
                   "file, name or version, or of a key that is not here");
}

static ps_status open_any(const ps_keyring *ring, const ps_sidecar_text *text, ps_slice aad,
                          const kek **by, ps_secret **key)
{
    const kek *said = find(ring, text->id);
    uint32_t id = 0;
    for (size_t i = 0; i < ring->n; i++) {
        const kek *one = &ring->keys[i];
        if ((said && one != said) || open_by(one, text, aad, &id, key))
            continue;
        if (text->id && text->id != id) {
            ps_secret_free(key);
            return ps_fail(PS_CORRUPT, "keysetInfo is not of the keyset in it");
        }
        *by = one;
        return PS_OK;
    }
    return cannot_open(ring, text->id);
}

ps_status ps_keyring_unwrap(const ps_keyring *ring, ps_slice sidecar, ps_slice aad, ps_secret **key,
                            uint32_t *kek_id)
{
    ps_sidecar_text text;
    ps_secret *found = NULL;
    const kek *by = NULL;
    ps_status st = ps_sidecar_read(sidecar, &text);
    if (!st)
        st = open_any(ring, &text, aad, &by, &found);
    ps_sidecar_free(&text);
    if (st)
        return st;
    *key = found;
    if (kek_id)
        *kek_id = by->id;
    return PS_OK;
}

ps_status ps_sidecar_kek(ps_slice sidecar, uint32_t *kek_id)
{
    ps_sidecar_text text;
    ps_status st = ps_sidecar_read(sidecar, &text);
    if (!st)
        *kek_id = text.id;
    ps_sidecar_free(&text);
    return st;
}
