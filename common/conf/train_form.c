/* Happy path: a form that is not float32, and a group that it can have. */
#include "common/conf/train_form.h"

#include <inttypes.h>
#include <string.h>

ps_form ps_spec_train_form(const ps_spec_train *train)
{
    ps_form form = {.row = ps_form_find(train->weights)}; /* a word of the table */
    if (!strcmp(train->weights, "float32"))
        return (ps_form){0};
    form.group = form.row->group ? form.row->group : (uint32_t)train->group;
    return form;
}

ps_form ps_spec_train_form_of(const ps_spec_train *train, uint64_t columns)
{
    ps_form form = ps_spec_train_form(train);
    if (!form.row || ps_form_divides(form, columns))
        return form;
    for (const uint32_t *group = ps_form_groups; *group && !form.row->group; group++) {
        form.group = *group;
        if (*group < (uint32_t)train->group && ps_form_divides(form, columns))
            return form;
    }
    return (ps_form){0};
}

static bool is_group(int64_t group)
{
    for (const uint32_t *g = ps_form_groups; *g; g++)
        if (*g == (uint64_t)group)
            return true;
    return false;
}

ps_status ps_train_form_check(const ps_job_spec *spec, const ps_conf_doc *doc)
{
    if (!spec->train)
        return PS_OK;
    ps_form form = ps_spec_train_form(spec->train);
    if (ps_conf_has(doc, "train.group") && (!form.row || form.row->group))
        return ps_conf_fail(doc, "train.group",
                            form.row ? "%s has its own blocks; only integer forms have groups to "
                                       "choose"
                                     : "only with train.weights, not for %s",
                            spec->train->weights);
    if (!is_group(spec->train->group))
        return ps_conf_fail(doc, "train.group", "%" PRId64 "; allowed: 256, 128, 64 or 32",
                            spec->train->group);
    return PS_OK;
}
