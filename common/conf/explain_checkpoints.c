/* Lists of checkpoints: several stored models of one shape that a method sums over or averages. All
 * entries of a job share the models that they name, so a name has one version. */
#include "common/conf/explain_spec.h"
#include "common/conf/job_spec.h"
#include "common/conf/model_spec.h"
#include "common/conf/others.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What a pass of trak leaves for the next: a number for each two of a sketch, of each model. */
#define SQUARES_MAX (UINT64_C(512) << 20)

static ps_status check_rate(const ps_spec_explain_method *m, const char *at, const ps_conf_doc *doc)
{
    char path[PS_JOB_OTHER_KEY + 8];
    (void)snprintf(path, sizeof path, "%s.rate", at);
    if (ps_explain_row_has(ps_explain_row_find(m->method), "rate") || !ps_conf_has(doc, path))
        return PS_OK;
    return ps_conf_fail(doc, path, "method %s averages over its models, which have no rates",
                        m->method);
}

static ps_status check_one(const ps_job_spec *spec, const ps_spec_explain_method *m, size_t i,
                           const char *at, const ps_conf_doc *doc)
{
    const ps_spec_explain_checkpoint *c = &m->checkpoints[i];
    if (!ps_job_spec_name_ok(c->model))
        return ps_conf_fail(doc, at,
                            "'%s' is not a name; allowed: 1 to 64 of a-z 0-9 . _ -, first a letter "
                            "or a digit",
                            c->model);
    for (size_t k = 0; k < i; k++)
        if (strcmp(m->checkpoints[k].model, c->model) == 0)
            return ps_conf_fail(doc, at, "model %s is in the list already, as number %zu", c->model,
                                k);
    if (*c->version && !strcmp(c->model, spec->model_name) &&
        strcmp(c->version, spec->model_version) != 0)
        return ps_conf_fail(doc, at,
                            "model %s is the job's own: say its version with "
                            "model_version",
                            c->model);
    return check_rate(m, at, doc);
}

uint64_t ps_spec_explain_between(const ps_spec_explain_method *m)
{
    uint64_t p = (uint64_t)m->sketch, n = m->n_checkpoints ? m->n_checkpoints : 1;
    return ps_explain_row_has(ps_explain_row_find(m->method), "sketch") ? 4 * n * p * p : 0;
}

static ps_status check_size(const ps_spec_explain_method *m, const char *at, const ps_conf_doc *doc)
{
    uint64_t bytes = ps_spec_explain_between(m);
    if (m->n_checkpoints < 2 || bytes <= SQUARES_MAX)
        return PS_OK;
    return ps_conf_fail(doc, at,
                        "%zu models with a sketch of %" PRId64 " leave %" PRIu64
                        " MiB for the second pass, more than %" PRIu64
                        "; lower sketch, or name fewer",
                        m->n_checkpoints, m->sketch, bytes >> 20, SQUARES_MAX >> 20);
}

/* Another entry names the model, too, and what it says of it comes first. */
static ps_status check_versions(const ps_job_spec *spec, const ps_conf_doc *doc)
{
    ps_job_other named[PS_JOB_OTHERS_MAX];
    size_t n = ps_job_spec_others(spec, named);
    const ps_spec_explain *e = spec->explain;
    for (size_t i = 0; i < e->n_influence; i++)
        for (size_t k = 0; k < e->influence[i].n_checkpoints; k++) {
            const ps_spec_explain_checkpoint *c = &e->influence[i].checkpoints[k];
            size_t at = 0;
            char path[PS_JOB_OTHER_KEY];
            while (at < n && strcmp(named[at].name, c->model) != 0)
                at++;
            (void)snprintf(path, sizeof path, "explain.influence[%zu].checkpoints[%zu]", i, k);
            if (at == n)
                return ps_conf_fail(doc, path, "more than %d models in all; make two jobs",
                                    PS_EXPLAIN_CHECKPOINTS_MAX);
            if (*c->version && strcmp(c->version, named[at].version) != 0)
                return ps_conf_fail(doc, path, "another version of model %s than %s; a job has one",
                                    c->model,
                                    *named[at].key ? named[at].key : "the one it compares with");
        }
    return PS_OK;
}

ps_status ps_spec_explain_check_checkpoints(const ps_job_spec *spec, const ps_conf_doc *doc)
{
    const ps_spec_explain *e = spec->explain;
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < e->n_influence; i++) {
        const ps_spec_explain_method *m = &e->influence[i];
        char at[PS_JOB_OTHER_KEY];
        (void)snprintf(at, sizeof at, "explain.influence[%zu].checkpoints", i);
        st = check_size(m, at, doc);
        for (size_t k = 0; !st && k < m->n_checkpoints; k++) {
            (void)snprintf(at, sizeof at, "explain.influence[%zu].checkpoints[%zu]", i, k);
            st = check_one(spec, m, k, at, doc);
        }
    }
    return st ? st : check_versions(spec, doc);
}

ps_status ps_spec_explain_match_checkpoint(const ps_spec_model *model,
                                           const ps_spec_model *checkpoint)
{
    ps_status st = ps_spec_model_same(model, checkpoint);
    return st ? ps_wrap(st, "is no checkpoint of the job's model") : PS_OK;
}
