/* age_header: the text that an age file begins with (c2sp.org/age, "Header"): for each recipient a
 * stanza with the file key, wrapped for him alone, and a MAC of it all by that key:
 *
 *     age-encryption.org/v1
 *     -> X25519 SHARE             X25519(secret of this stanza, 9)
 *     WRAPPED                     ChaCha20-Poly1305(HKDF(X25519(that secret, recipient)), file key)
 *     --- MAC
 *
 * Stanzas of other kinds are passed over. Any thread. */
#ifndef PS_AGE_AGE_HEADER_H
#define PS_AGE_AGE_HEADER_H

#include "common/age/age_keys.h"
#include "common/base/buf.h"

#define PS_AGE_MARK       "age-encryption.org/"      /* every such file begins so, */
#define PS_AGE_ARMOR_MARK "-----BEGIN AGE ENCRYPTED" /* or, as text, so */
enum {
    PS_AGE_FILE_KEY = 16,
    PS_AGE_HEADER_MOST = 128 << 10, /* bytes of one that is read: a thousand recipients */
};

/* Appends the header of a new file. key: PS_AGE_FILE_KEY random bytes, of this file alone. At least
 * one recipient. */
void ps_age_header_write(const ps_age_recipients *recipients, const uint8_t *key, ps_buf *out);

/* bytes: the first of a file, PS_AGE_HEADER_MOST of them or all. *len: of the header, behind which
 * the payload begins. key, PS_AGE_FILE_KEY bytes, is secret, and zeros on failure. Who knows it
 * gives it, and NULL for identities: then the MAC alone is checked.
 * PS_CORRUPT: it is none, or was changed; what and in which line. PS_FAILED_PRECONDITION: it is for
 * others than these identities; or of a kind that is not known here, and which. */
PS_MUST_CHECK ps_status ps_age_header_read(ps_slice bytes, const ps_age_identities *identities,
                                           uint8_t *key, size_t *len);

#endif
