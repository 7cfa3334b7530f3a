#include "worker/explain/room.h"

#include "common/base/limits.h"

#include <inttypes.h>

#define LARGE ((uint64_t)64 << 20) /* reading what is left costs more than what is smaller */

ps_status ps_explain_room(uint64_t bytes, const char *what, const char *remedy)
{
    uint64_t available = bytes >= LARGE ? ps_limits_memory_left() : UINT64_MAX;
    if (bytes <= available)
        return PS_OK;
    return ps_fail(PS_NO_MEMORY, "%s: %" PRIu64 " MiB, and %" PRIu64 " are available; %s", what,
                   bytes >> 20, available >> 20, remedy);
}
