/* signing_key: what somebody signs models with: a private key, and, where he has one, his
 * certificate with those above it. Blocks only when it is read. Any thread. */
#ifndef PS_SECURITY_SIGNING_KEY_H
#define PS_SECURITY_SIGNING_KEY_H

#include "common/base/buf.h"
#include "common/base/slice.h"
#include "common/base/status.h"
#include "common/security/digest.h"
#include "common/security/identity.h"

#include <stddef.h>
#include <stdint.h>

typedef struct ps_signing_key ps_signing_key;

/* PEM files; certificate NULL: there is none. PS_INVALID_ARGUMENT: a key of another kind than
 * models are signed with (ecdsa.h), or not the certificate's; PS_UNAUTHENTICATED: the certificate
 * is no signer's, or not in force (signer.h). */
PS_MUST_CHECK ps_status ps_signing_key_read(const char *key, const char *certificate,
                                            ps_signing_key **out);
void ps_signing_key_free(ps_signing_key **key); /* NULL is nothing */

size_t ps_signing_key_certificates(const ps_signing_key *key); /* how many */
/* Into bufs that are empty, DER, the leaf first: of those there are at most `most`, or
 * PS_INVALID_ARGUMENT. */
PS_MUST_CHECK ps_status ps_signing_key_chain(const ps_signing_key *key, ps_buf *out, size_t most,
                                             size_t *n);
/* Of a key with a certificate: whose, and until when. */
const ps_identity *ps_signing_key_identity(const ps_signing_key *key);
int64_t ps_signing_key_not_after(const ps_signing_key *key);
void ps_signing_key_hint(const ps_signing_key *key, char out[PS_DIGEST_TEXT]); /* ecdsa.h */
/* Appends the signature, DER. */
PS_MUST_CHECK ps_status ps_signing_key_sign(const ps_signing_key *key, ps_slice message,
                                            ps_buf *out);

#endif
