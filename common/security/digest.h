/* digest: SHA-256 (FIPS 180-4) of bytes as they go by: what a report says a file was. Not
 * thread-safe (not asserted: it is its maker's alone). */
#ifndef PS_SECURITY_DIGEST_H
#define PS_SECURITY_DIGEST_H

#include "common/base/status.h"

#include <stddef.h>

enum {
    PS_DIGEST_BYTES = 32,
    PS_DIGEST_TEXT = 65, /* 64 hexadecimal digits and a zero */
};

typedef struct ps_digest ps_digest;

ps_digest *ps_digest_new(void);
void ps_digest_add(ps_digest *digest, const void *bytes, size_t n);
/* Of all that was added; frees it. */
void ps_digest_end(ps_digest **digest, char out[PS_DIGEST_TEXT]);

/* One that somebody else has taken, in that form. */
void ps_digest_text(const unsigned char bytes[PS_DIGEST_BYTES], char out[PS_DIGEST_TEXT]);

#endif
