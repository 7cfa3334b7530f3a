/* keyring: the key-encryption keys (KEKs) of an operator, one current, several previous; and what
 * they wrap: the data key of a file, in the text that stands beside it, FILE.key:
 *
 *     {"encryptedKeyset": BASE64(nonce | AES-256-GCM(KEK, keyset, aad) | tag), "keysetInfo": …}
 *
 * a Tink encrypted keyset in JSON. Its primary key id is the KEK's own, so that who has the wrong
 * keys is told which one is needed. Any thread, as long as none adds or forgets a
 * key meanwhile (not asserted: sealed_disk has it under its lock). */
#ifndef PS_SEAL_KEYRING_H
#define PS_SEAL_KEYRING_H

#include "common/base/buf.h"
#include "common/base/slice.h"
#include "common/base/status.h"
#include "common/security/secret.h"

#include <stddef.h>

enum {
    PS_KEYRING_MOST = 64,   /* keys */
    PS_KEK_TEXT = 11,       /* "k-" and eight hexadecimal digits, and the zero */
    PS_SIDECAR_MOST = 4096, /* bytes of a FILE.key that is read */
};
#define PS_SIDECAR ".key"

typedef struct ps_keyring ps_keyring;

/* Its current key, which it takes over. */
ps_keyring *ps_keyring_new(ps_secret **current);
/* One that is still read with, which it takes over; PS_RESOURCE_EXHAUSTED: too many;
 * PS_ALREADY_EXISTS: it has it. On failure it is the caller's. */
PS_MUST_CHECK ps_status ps_keyring_add(ps_keyring *ring, ps_secret **previous);
void ps_keyring_free(ps_keyring **ring); /* NULL is nothing */

/* Says which key it is, and nothing else of it: from its SHA-256. Not 0. */
uint32_t ps_kek_id(const ps_secret *kek);
void ps_kek_text(uint32_t id, char out[PS_KEK_TEXT]);
uint32_t ps_keyring_current(const ps_keyring *ring); /* its id */
bool ps_keyring_has(const ps_keyring *ring, uint32_t id);
/* The i-th, the current one first; false: there are no more. */
bool ps_keyring_at(const ps_keyring *ring, size_t i, uint32_t *id);
/* One that is not the current one; PS_NOT_FOUND: it has none of that id. */
PS_MUST_CHECK ps_status ps_keyring_forget(ps_keyring *ring, uint32_t id);

/* The data key in the text of a sidecar, by the current KEK. aad: whose it is. */
void ps_keyring_wrap(const ps_keyring *ring, const ps_secret *key, ps_slice aad, ps_buf *sidecar);
/* The reverse, by whichever KEK it needs, *kek (may be NULL). PS_FAILED_PRECONDITION: that one is
 * not here; PS_CORRUPT: no sidecar, or one of another file, name or version, or changed. */
PS_MUST_CHECK ps_status ps_keyring_unwrap(const ps_keyring *ring, ps_slice sidecar, ps_slice aad,
                                          ps_secret **key, uint32_t *kek);
/* Which KEK the text says that it needs, which nobody has checked; 0: it does not say. */
PS_MUST_CHECK ps_status ps_sidecar_kek(ps_slice sidecar, uint32_t *kek);

#endif
