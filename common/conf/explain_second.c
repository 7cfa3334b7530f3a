/* The second stored model of a job: at most one, for whatever methods look at it. */
#include "common/conf/explain_spec.h"
#include "common/conf/job_spec.h"

#include <stdio.h>
#include <string.h>

const char *ps_spec_explain_second(const ps_spec_explain *e)
{
    for (size_t i = 0; i < ps_spec_explain_count(e); i++)
        if (*ps_spec_explain_at(e, i)->model)
            return ps_spec_explain_at(e, i)->model;
    return e->compare_to;
}

ps_status ps_spec_explain_second_check(const ps_spec_explain *e, const ps_conf_doc *doc)
{
    const char *second = ps_spec_explain_second(e);
    char path[64];
    for (size_t i = 0; i < e->n_inside; i++) {
        const ps_spec_explain_method *m = &e->inside[i];
        if (!ps_explain_row_has(ps_explain_row_find(m->method), "model"))
            continue;
        (void)snprintf(path, sizeof path, "explain.inside[%zu]", i);
        if (!ps_job_spec_name_ok(m->model))
            return ps_conf_fail(doc, path,
                                "method %s looks through another stored model; say model: its name",
                                m->method);
        if (*e->compare_to || strcmp(m->model, second) != 0)
            return ps_conf_fail(doc, path,
                                "a job looks at one model beside its own; make two jobs");
    }
    return PS_OK;
}
