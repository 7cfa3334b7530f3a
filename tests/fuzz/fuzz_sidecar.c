/* The text of a FILE.key, and the keyset in it, out of any bytes: refused, or one that is written
 * again and reads the same. */
#include "common/seal/keyring.h"
#include "common/seal/keyset.h"
#include "common/seal/sidecar.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void text(ps_slice bytes)
{
    ps_sidecar_text first, again;
    ps_buf out = PS_BUF_EMPTY;
    if (!ps_sidecar_read(bytes, &first) && first.id && first.wrapped.len) {
        ps_sidecar_write(&out, ps_buf_slice(&first.wrapped), first.id);
        require(!ps_sidecar_read(ps_buf_slice(&out), &again));
        require(again.id == first.id && again.wrapped.len == first.wrapped.len);
        require(!memcmp(again.wrapped.data, first.wrapped.data, first.wrapped.len));
        ps_sidecar_free(&again);
    }
    ps_sidecar_free(&first);
    ps_buf_free(&out);
}

static void keyset(ps_slice bytes)
{
    ps_secret *key = NULL, *again = NULL;
    uint32_t id, same;
    if (ps_keyset_unpack(bytes, &id, &key))
        return;
    uint8_t *packed;
    size_t len = ps_keyset_pack(key, id, &packed);
    require(!ps_keyset_unpack(ps_slice_of(packed, len), &same, &again) && same == id);
    require(!memcmp(ps_secret_const(key), ps_secret_const(again), PS_SECRET_BYTES));
    ps_secret_release(packed);
    ps_secret_free(&key);
    ps_secret_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    text(ps_slice_of(data, size));
    keyset(ps_slice_of(data, size));
    return 0;
}
