/* Happy path: a row is whole blocks of the form that is asked for. */
#include "common/compress/parts.h"

#include "common/form/mix.h"

#include <inttypes.h>
#include <stdio.h>

/* Groups that are chosen, from the one that was asked for down, and a row. */
static bool smaller_group(ps_form asked, uint64_t columns, ps_form *out)
{
    for (const uint32_t *group = ps_form_groups; asked.group && *group; group++) {
        ps_form form = {.row = asked.row, .group = *group};
        if (*group <= asked.group && ps_form_divides(form, columns)) {
            *out = form;
            return true;
        }
    }
    *out = (ps_form){.row = asked.row};
    return ps_form_divides(*out, columns);
}

bool ps_plan_form(ps_form asked, uint64_t columns, ps_form *out, char why[PS_PLAN_WHY])
{
    *out = asked;
    why[0] = '\0';
    if (ps_form_divides(asked, columns))
        return true;
    if (asked.row->group) {
        *out = ps_mix_fallback(asked, columns);
        (void)snprintf(why, PS_PLAN_WHY, "rows of %" PRIu64 " are not whole blocks of %s", columns,
                       asked.row->name);
        return true;
    }
    (void)snprintf(why, PS_PLAN_WHY, "rows of %" PRIu64 " are not whole groups of %" PRIu32,
                   columns, asked.group);
    return smaller_group(asked, columns, out);
}
