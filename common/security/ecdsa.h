/* ecdsa: signatures of messages (FIPS 186-5, DER as in RFC 3279, section 2.2.3), on P-256 with
 * SHA-256, P-384 with SHA-384 and P-521 with SHA-512: those that OpenSSF Model Signing asks for.
 * Any thread. */
#ifndef PS_SECURITY_ECDSA_H
#define PS_SECURITY_ECDSA_H

#include "common/base/buf.h"
#include "common/base/slice.h"
#include "common/base/status.h"
#include "common/security/digest.h"

struct evp_pkey_st; /* EVP_PKEY */

/* The public key of a PEM file, of one of these curves; the caller's, for ps_ecdsa_key_free. */
PS_MUST_CHECK ps_status ps_ecdsa_key_read(const char *path, struct evp_pkey_st **out);
void ps_ecdsa_key_free(struct evp_pkey_st **key); /* NULL is nothing */
/* Is it a key of one of these curves? what is for the message: "public key x.pem".
 * PS_INVALID_ARGUMENT. */
PS_MUST_CHECK ps_status ps_ecdsa_check_key(struct evp_pkey_st *key, const char *what);
/* Appends the signature. key: one that passed ps_ecdsa_check_key, with its private part. */
PS_MUST_CHECK ps_status ps_ecdsa_sign(struct evp_pkey_st *key, ps_slice message, ps_buf *out);
/* PS_CORRUPT: not a signature of this message by this key, or not in the one form that DER has for
 * it. */
PS_MUST_CHECK ps_status ps_ecdsa_verify(struct evp_pkey_st *key, ps_slice message,
                                        ps_slice signature);
/* Which key it is: SHA-256 of the text of its PEM (SubjectPublicKeyInfo, RFC 7468), newlines
 * included. */
void ps_ecdsa_key_hint(struct evp_pkey_st *key, char out[PS_DIGEST_TEXT]);

#endif
