/* crypto_error: the first error of the queue is the cause; what follows only says who passed it on.
 */
#include "common/security/crypto_error.h"

#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>

ps_status ps_crypto_fail(ps_status code, const char *format, ...)
{
    char text[PS_ERROR_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    ERR_clear_error();
    if (!reason)
        return ps_fail(code, "%s", text);
    return ps_fail(code, "%s: %s", text, reason);
}
