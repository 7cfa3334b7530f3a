/* One line, and the end. */
#include "common/base/require.h"

#include "common/base/log.h"

#include <stdlib.h>

void ps_require_failed(const char *file, int line, const char *condition)
{
    ps_log_error("bug", "%s:%d: this must hold: %s", file, line, condition);
    ps_log_flush();
    abort();
}
