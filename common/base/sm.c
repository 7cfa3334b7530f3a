#include "common/base/sm.h"

#include <stdarg.h>
#include <stdio.h>

enum { OBJECT_MAX = 128 };

bool ps_sm_may(const ps_sm *machine, unsigned from, unsigned to)
{
    return from < machine->count && to < machine->count && (machine->next[from] & PS_SM(to)) != 0;
}

bool ps_sm_ended(const ps_sm *machine, unsigned state)
{
    return state < machine->count && machine->next[state] == 0;
}

const char *ps_sm_name(const ps_sm *machine, unsigned state)
{
    return state < machine->count ? machine->names[state] : "unknown";
}

ps_status ps_sm_move(const ps_sm *machine, unsigned *state, unsigned to, const char *format, ...)
{
    char object[OBJECT_MAX] = "";
    if (format) {
        va_list args;
        va_start(args, format);
        (void)vsnprintf(object, sizeof object, format, args);
        va_end(args);
    }
    const char *from_name = ps_sm_name(machine, *state);
    const char *to_name = ps_sm_name(machine, to);
    if (!ps_sm_may(machine, *state, to)) {
        ps_log_error(machine->tag, "refused state=%s -> %s %s", from_name, to_name, object);
        return ps_fail(PS_FAILED_PRECONDITION, "%s %s: is %s and cannot become %s", machine->tag,
                       object, from_name, to_name);
    }
    ps_log(machine->level ? machine->level : PS_LOG_DEBUG, machine->tag, "state=%s -> %s %s",
           from_name, to_name, object);
    *state = to;
    return PS_OK;
}
