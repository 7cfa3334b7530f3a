/* One table; a code that is not in it is an operation that failed. */
#include "client/cli/exit_code.h"

static const ps_exit codes[PS_STATUS_COUNT] = {
    [PS_OK] = PS_EXIT_OK,
    [PS_DEADLINE_EXCEEDED] = PS_EXIT_UNREACHABLE,
    [PS_UNAVAILABLE] = PS_EXIT_UNREACHABLE,
    [PS_PROTOCOL] = PS_EXIT_UNREACHABLE,
    [PS_PERMISSION_DENIED] = PS_EXIT_REFUSED,
    [PS_UNAUTHENTICATED] = PS_EXIT_REFUSED,
    [PS_NOT_FOUND] = PS_EXIT_NOT_FOUND,
    [PS_INVALID_ARGUMENT] = PS_EXIT_INVALID,
    [PS_OUT_OF_RANGE] = PS_EXIT_INVALID,
    [PS_CORRUPT] = PS_EXIT_INVALID,
    [PS_ALREADY_EXISTS] = PS_EXIT_CONFLICT,
    [PS_FAILED_PRECONDITION] = PS_EXIT_CONFLICT,
};

ps_exit ps_exit_of(ps_status status)
{
    if (status == PS_OK)
        return PS_EXIT_OK;
    ps_exit code = (unsigned)status < PS_STATUS_COUNT ? codes[status] : PS_EXIT_FAILED;
    return code == PS_EXIT_OK ? PS_EXIT_FAILED : code;
}
