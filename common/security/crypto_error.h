/* crypto_error: OpenSSL's error queue as one line of text. For the files that call OpenSSL. */
#ifndef PS_SECURITY_CRYPTO_ERROR_H
#define PS_SECURITY_CRYPTO_ERROR_H

#include "common/base/status.h"

/* ps_fail with the reason of this thread's first queued OpenSSL error behind it ("text: bad end
 * line"); empties the queue. */
ps_status ps_crypto_fail(ps_status code, const char *format, ...) PS_PRINTF(2, 3);

#endif
