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
    return ps_names_unknown("consistency", name, ps_mode_names);
}
