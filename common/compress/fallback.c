/* Happy path: a row is whole blocks of the form that is asked for. */
#include "common/compress/parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What llama.cpp takes where rows are no multiple of 256 (tensor_type_fallback in its
 * src/llama-quant.cpp, 2026); where they are none of 32 either, or of what has no line here, it
 * takes float16. Its lists of types and ours meet in the file that both read. */
static const struct {
    const char *form, *instead;
} blocks[] = {
    {"q2_k", "q4_0"}, {"q3_k", "q4_0"}, {"q4_k", "q5_0"}, {"q5_k", "q5_1"}, {"q6_k", "q8_0"},
};

static ps_form of_name(const char *name)
{
    const ps_form_row *row = ps_form_find(name);
    return (ps_form){.row = row, .group = row ? row->group : 0};
}

static ps_form smaller_block(ps_form asked, uint64_t columns)
{
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        ps_form instead = of_name(blocks[i].instead);
        if (!strcmp(blocks[i].form, asked.row->name) && instead.row &&
            ps_form_divides(instead, columns))
            return instead;
    }
    return of_name("float16");
}

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
        *out = smaller_block(asked, columns);
        (void)snprintf(why, PS_PLAN_WHY, "rows of %" PRIu64 " are not whole blocks of %s", columns,
                       asked.row->name);
        return true;
    }
    (void)snprintf(why, PS_PLAN_WHY, "rows of %" PRIu64 " are not whole groups of %" PRIu32,
                   columns, asked.group);
    return smaller_group(asked, columns, out);
}
