/* The table. */
#include "server/consistency/consistency.h"

#include "server/consistency/rows.h"

#include <string.h>

#define ROW(name_, ...) &ps_controller_##name_,
static const ps_controller_ops *const table[] = {PS_MODE_ROWS(ROW)};

ps_status ps_consistency_find(const char *name, const ps_controller_ops **out)
{
    if (!name)
        name = ps_controller_asp.name;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strcmp(table[i]->name, name) == 0) {
            *out = table[i];
            return PS_OK;
        }
    }
    ps_buf names = PS_BUF_EMPTY;
    ps_names_list(ps_mode_names, &names);
    ps_status st = ps_fail(PS_INVALID_ARGUMENT, "consistency: there is no %s; there are %.*s", name,
                           (int)names.len, (const char *)names.data);
    ps_buf_free(&names);
    return st;
}
