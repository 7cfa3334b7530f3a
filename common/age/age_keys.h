/* age_keys: who may open an age file: recipients, points that anybody may know, and identities,
 * their secrets (c2sp.org/age, "The X25519 recipient type"). Other kinds of age's are not known
 * here. Any thread. */
#ifndef PS_AGE_AGE_KEYS_H
#define PS_AGE_AGE_KEYS_H

#include "common/base/slice.h"
#include "common/base/status.h"
#include "common/security/x25519.h"

#include <stddef.h>

enum {
    PS_AGE_RECIPIENTS_MOST = 64, /* of a file that is written; of them */
    PS_AGE_ESCROW_MOST = 16,     /* psd's own, and the rest whoever exports names */
    PS_AGE_IDENTITIES_MOST = 64,
    PS_AGE_RECIPIENT_TEXT = 62
};

typedef struct ps_age_recipients {
    size_t n;
    uint8_t at[PS_AGE_RECIPIENTS_MOST][PS_X25519_BYTES];
} ps_age_recipients;

/* One more, as a text (age1…, 62 letters); one that is there already is not added again.
 * PS_INVALID_ARGUMENT: what is wrong with it, or that they are too many. */
PS_MUST_CHECK ps_status ps_age_recipients_add(ps_age_recipients *recipients, const char *text);

typedef struct ps_age_identities ps_age_identities;

/* Of a file as age-keygen writes it: a line each, # before a comment. "-" or a pipe may give it; a
 * file is one that nobody else may read. Messages have the path and the line, and nothing of it.
 * PS_INVALID_ARGUMENT, PS_FAILED_PRECONDITION, or as reading fails. */
PS_MUST_CHECK ps_status ps_age_identities_open(const char *path, ps_age_identities **out);
/* Of the text of such a file; name: for messages. */
PS_MUST_CHECK ps_status ps_age_identities_parse(ps_slice text, const char *name,
                                                ps_age_identities **out);
void ps_age_identities_free(ps_age_identities **identities); /* wiped; NULL is nothing */
size_t ps_age_identities_count(const ps_age_identities *identities);
/* The secret of one, PS_X25519_BYTES, until they are freed. */
const uint8_t *ps_age_identity_secret(const ps_age_identities *identities, size_t i);
/* And the recipient that it is. */
const uint8_t *ps_age_identity_point(const ps_age_identities *identities, size_t i);

#endif
