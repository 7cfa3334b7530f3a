/* aead: AES-GCM (NIST SP 800-38D) and ChaCha20-Poly1305 (RFC 8439) with 128-bit tags, HKDF and HMAC
 * with SHA-256 (RFC 5869, RFC 2104): what sealed files and those of age are made of.
 *
 * A nonce must never be used twice with one key: who calls sees to that. One ps_aead is used by one
 * thread at a time (not asserted: it is its maker's alone); several of one key may run beside each
 * other. */
#ifndef PS_SECURITY_AEAD_H
#define PS_SECURITY_AEAD_H

#include "common/base/slice.h"
#include "common/base/status.h"

enum { PS_AEAD_TAG = 16, PS_AEAD_NONCE = 12, PS_AEAD_NONCE_MAX = 128 };

typedef struct ps_aead ps_aead;

/* AES-GCM. key: 16, 24 or 32 bytes, copied. */
ps_aead *ps_aead_new(ps_slice key);
/* ChaCha20-Poly1305. key: 32 bytes, copied; its nonces have PS_AEAD_NONCE bytes. */
ps_aead *ps_aead_new_chacha20(ps_slice key);
void ps_aead_free(ps_aead **aead); /* wipes the key; NULL is nothing */
/* out: len + PS_AEAD_TAG bytes, which may begin where `in` does. nonce: 1 to
 * PS_AEAD_NONCE_MAX bytes; psd's own have PS_AEAD_NONCE. */
void ps_aead_seal(ps_aead *aead, ps_slice nonce, ps_slice associated, const void *in, size_t len,
                  void *out);
/* The same in parts: begin, add …, end. Of `in` as much is at out, which may be the same place. */
void ps_aead_begin(ps_aead *aead, ps_slice nonce, ps_slice associated);
void ps_aead_add(ps_aead *aead, const void *in, size_t len, void *out);
void ps_aead_end(ps_aead *aead, uint8_t tag[PS_AEAD_TAG]);
/* The reverse of len bytes, the tag included: out has len - PS_AEAD_TAG, and may begin where `in`
 * does. PS_CORRUPT: shorter than a tag, or not what was sealed with this key, nonce and associated
 * data: then out is zeros. */
PS_MUST_CHECK ps_status ps_aead_open(ps_aead *aead, ps_slice nonce, ps_slice associated,
                                     const void *in, size_t len, void *out);

/* len bytes of output keying material; at most 255 * 32. */
void ps_hkdf_sha256(ps_slice key, ps_slice salt, ps_slice info, void *out, size_t len);
/* 32 bytes. */
void ps_hmac_sha256(ps_slice key, ps_slice message, uint8_t out[32]);

#endif
