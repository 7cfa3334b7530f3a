/* Happy path: rows of training have labels, and a record is of one training. */
#include "common/conf/explain_spec.h"
#include "common/conf/job_spec.h"

#include <stdio.h>
#include <string.h>

static ps_status check_labels(const ps_job_spec *s, const ps_explain_row *row,
                              const ps_conf_doc *doc)
{
    const ps_spec_files *train = s->data.train;
    if (!(row->traits & PS_EXPLAIN_TRAIN) || !train || strcmp(s->data.format, "idx") != 0 ||
        *train->labels)
        return PS_OK;
    return ps_conf_fail(doc, "data.train.labels", "missing; method %s needs labels", row->name);
}

/* One for all entries: psd gives workers that one. */
static ps_status check_job(const ps_spec_explain_method *entry, const ps_explain_row *row,
                           const char *at, int64_t *job, const ps_conf_doc *doc)
{
    if (!ps_explain_row_has(row, "job"))
        return PS_OK;
    if (!entry->job)
        return ps_conf_fail(doc, at, "of which training is the record? say {method: %s, job: 7}",
                            row->name);
    if (*job && *job != entry->job)
        return ps_conf_fail(doc, at, "the records of two trainings; make two jobs");
    *job = entry->job;
    return PS_OK;
}

ps_status ps_spec_explain_check_influence(const ps_job_spec *spec, const ps_conf_doc *doc)
{
    const ps_spec_explain *e = spec->explain;
    int64_t job = 0;
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < e->n_influence; i++) {
        const ps_explain_row *row = ps_explain_row_find(e->influence[i].method);
        char at[64];
        (void)snprintf(at, sizeof at, "explain.influence[%zu]", i);
        st = check_labels(spec, row, doc);
        if (!st)
            st = check_job(&e->influence[i], row, at, &job, doc);
    }
    return st;
}
