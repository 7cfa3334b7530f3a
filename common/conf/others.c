#include "common/conf/others.h"

#include <stdio.h>
#include <string.h>

static size_t find(const ps_job_other *all, size_t n, const char *name)
{
    size_t i = 0;
    while (i < n && strcmp(all[i].name, name) != 0)
        i++;
    return i;
}

/* Of a model that was there already, for it teaches the job or stands in another list, as well. */
static size_t add_checkpoint(const ps_spec_explain_checkpoint *c, size_t entry, size_t number,
                             ps_job_other *out, size_t n)
{
    size_t at = find(out, n, c->model);
    if (at == PS_JOB_OTHERS_MAX)
        return n;
    if (at == n)
        out[n++] = (ps_job_other){.name = c->model, .version = ""};
    if (!*out[at].version)
        out[at].version = c->version;
    if (!*out[at].key)
        (void)snprintf(out[at].key, sizeof out[at].key, "explain.influence[%zu].checkpoints[%zu]",
                       entry, number);
    return n;
}

size_t ps_job_spec_others(const ps_job_spec *spec, ps_job_other out[PS_JOB_OTHERS_MAX])
{
    const char *teacher = ps_job_spec_teacher(spec);
    const ps_spec_explain *e = spec->explain;
    size_t n = 0;
    if (*teacher)
        out[n++] = (ps_job_other){.name = teacher, .version = ""};
    for (size_t i = 0; e && i < e->n_influence; i++)
        for (size_t k = 0; k < e->influence[i].n_checkpoints; k++)
            n = add_checkpoint(&e->influence[i].checkpoints[k], i, k, out, n);
    return n;
}
