/* keyset: the data key of a sealed file, as a Tink keyset of one key of type AesGcmHkdfStreamingKey
 * with the parameters of AES256_GCM_HKDF_1MB (proto/psd/seal/keyset.proto). Any thread. */
#ifndef PS_SEAL_KEYSET_H
#define PS_SEAL_KEYSET_H

#include "common/base/slice.h"
#include "common/base/status.h"
#include "common/security/secret.h"

#include <stddef.h>

#define PS_KEYSET_TYPE "type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey"
enum { PS_KEYSET_MOST = 1024 }; /* bytes of one that is read */

/* *bytes, the caller's (ps_secret_release), is that key under this id, which is not 0. */
size_t ps_keyset_pack(const ps_secret *key, uint32_t id, uint8_t **bytes);
/* PS_CORRUPT: no keyset, or one of another kind, with the part that is. */
PS_MUST_CHECK ps_status ps_keyset_unpack(ps_slice bytes, uint32_t *id, ps_secret **key);

#endif
