#include "common/base/sm.h"

#include <stdarg.h>
#include <stdio.h>

enum { OBJECT_MAX = 128 };

bool ps_sm_ended(const ps_sm *machine, unsigned state)
{
    return state < machine->count && machine->next[state] == 0;
}

const char *ps_sm_name(const ps_sm *machine, unsigned state)
{
    return state < machine->count ? machine->names[state] : "unknown";
}

static void object_format(char out[static OBJECT_MAX], const char *format, va_list args)
{
    out[0] = 0;
    if (format)
        (void)vsnprintf(out, OBJECT_MAX, format, args);
}

void ps_sm_trace(const ps_sm *machine, unsigned from, unsigned to, const char *format, ...)
{
    char object[OBJECT_MAX];
    va_list args;
    va_start(args, format);
    object_format(object, format, args);
    va_end(args);
    ps_log(ps_sm_level(machine), machine->tag, "state=%s -> %s %s", ps_sm_name(machine, from),
           ps_sm_name(machine, to), object);
}

ps_status ps_sm_move(const ps_sm *machine, unsigned *state, unsigned to, const char *format, ...)
{
    char object[OBJECT_MAX];
    va_list args;
    va_start(args, format);
    object_format(object, format, args);
    va_end(args);
    const char *from_name = ps_sm_name(machine, *state);
    const char *to_name = ps_sm_name(machine, to);
    if (!ps_sm_may(machine, *state, to)) {
        ps_log_error(machine->tag, "refused state=%s -> %s %s", from_name, to_name, object);
        return ps_fail(PS_FAILED_PRECONDITION, "%s %s: is %s and cannot become %s", machine->tag,
                       object, from_name, to_name);
    }
    ps_log(ps_sm_level(machine), machine->tag, "state=%s -> %s %s", from_name, to_name, object);
    *state = to;
    return PS_OK;
}
