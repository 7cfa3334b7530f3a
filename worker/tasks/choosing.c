/* Happy path: every tensor that has the units is read, with what has been summed of its input, and
 * what they count for there is added up. Fails with what reading fails with. */
#include "worker/tasks/choosing.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "worker/compress/groups.h"
#include "worker/compress/repair.h"
#include "worker/tasks/moments.h"

#include <string.h>

ps_member ps_plan_member_of(const ps_plan_member *m)
{
    return (ps_member){.columns = m->columns, .begin = m->begin, .span = m->span};
}

ps_status ps_input_squares(const ps_compress_job *job, const ps_plan_tensor *t, float **out)
{
    ps_compress_sums sums = {0};
    uint64_t n = ps_plan_from_columns(t);
    *out = NULL;
    if (job->spec->compress->prune->by != PS_PRUNE_BY_ACTIVATION)
        return PS_OK;
    ps_status st = ps_compress_sums_take(job, t, &sums);
    if (!st && !(*out = ps_try_alloc_raw((size_t)n * sizeof **out)))
        st = ps_fail(PS_NO_MEMORY, "squares of the inputs of %s", t->stored.name);
    for (uint64_t i = 0; !st && i < n; i++)
        (*out)[i] = sums.hessians[0].sums[sums.hessians[0].squares ? i : i * n + i];
    ps_compress_sums_free(&sums);
    return st;
}

static ps_status add_tensor(const ps_compress_job *job, const ps_plan_tensor *t,
                            const ps_plan_member *m, double *importance)
{
    float *weights = NULL, *squares = NULL;
    ps_tensor_moments moments = {0};
    ps_member member = ps_plan_member_of(m);
    ps_status st = ps_compress_parent_weights(job, t, &weights);
    if (!st)
        st = ps_input_squares(job, t, &squares);
    if (!st && job->spec->compress->prune->by == PS_PRUNE_BY_MOMENTS)
        st = ps_tensor_moments_get(job, t, &moments);
    if (!st)
        ps_units_importance(&(ps_salient){.weights = weights,
                                          .rows = ps_plan_from_rows(t),
                                          .columns = ps_plan_from_columns(t),
                                          .squares = squares,
                                          .curvature = moments.curvature},
                            &member, job->plan->units[m->units].units, importance);
    ps_free(&weights);
    ps_free(&squares);
    ps_tensor_moments_free(&moments);
    return st;
}

/* Columns alone: with these 0 a unit is gone, whatever it is itself. An embedding has no input. */
static bool counts(const ps_compress_job *job, const ps_plan_tensor *t, const ps_plan_member *m)
{
    bool activation = job->spec->compress->prune->by == PS_PRUNE_BY_ACTIVATION;
    return t->from.n_dims == 2 && m->columns && (!activation || t->input != PS_PLAN_NO_INPUT);
}

static ps_status importance_of(const ps_compress_job *job, size_t units, double *importance)
{
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < job->plan->n_tensors; i++) {
        const ps_plan_tensor *t = &job->plan->tensors[i];
        for (size_t k = 0; !st && k < t->n_members; k++)
            if (t->members[k].units == units && counts(job, t, &t->members[k]))
                st = add_tensor(job, t, &t->members[k], importance);
    }
    return st;
}

/* By what each of them counts for. */
static ps_status by_importance(const ps_compress_job *job, size_t set, bool *keep, double *lost)
{
    const ps_plan_units *u = &job->plan->units[set];
    double all = 0, gone = 0;
    double *importance = ps_try_alloc((size_t)u->units * sizeof *importance);
    if (!importance)
        return ps_fail(PS_NO_MEMORY, "importance of units");
    ps_status st = importance_of(job, set, importance);
    if (!st)
        st = ps_units_keep(importance, u->units, u->left, keep);
    for (uint64_t i = 0; !st && i < u->units; i++) {
        all += importance[i];
        gone += keep[i] ? 0 : importance[i];
    }
    *lost = all > 0 ? gone / all : 0;
    ps_free(&importance);
    return st;
}

/* The product whose columns are the set's, all of them. */
static const ps_plan_tensor *product_of(const ps_plan *plan, size_t set, uint64_t *span)
{
    for (size_t i = 0; i < plan->n_tensors; i++) {
        const ps_plan_tensor *t = &plan->tensors[i];
        if (t->n_members == 1 && t->members[0].units == set && t->members[0].columns) {
            *span = t->members[0].span;
            return t;
        }
    }
    return NULL;
}

/* By what the product behind them cannot make good without them. */
static ps_status by_repair(const ps_compress_job *job, size_t set, bool *keep, double *lost)
{
    uint64_t span = 0;
    const ps_plan_tensor *t = product_of(job->plan, set, &span);
    float *weights = NULL;
    ps_compress_sums sums = {0};
    if (!t)
        return ps_fail(PS_FAILED_PRECONDITION, "model %s has no product behind its heads",
                       job->spec->model_name);
    ps_status st = ps_compress_parent_weights(job, t, &weights);
    if (!st)
        st = ps_compress_sums_take(job, t, &sums);
    if (!st)
        st = ps_groups_keep(&(ps_compress_problem){.name = t->stored.name,
                                                   .weights = weights,
                                                   .rows = ps_plan_from_rows(t),
                                                   .columns = ps_plan_from_columns(t),
                                                   .hessian = &sums.hessians[0],
                                                   .options = {.damp = PS_REPAIR_DAMP}},
                            span, job->plan->units[set].left, keep, lost);
    ps_free(&weights);
    ps_compress_sums_free(&sums);
    return st;
}

/* By how much each layer changes what runs through it. */
static ps_status by_influence(const ps_compress_job *job, size_t set, bool *keep, double *lost)
{
    double *influence = NULL, all = 0, gone = 0;
    const ps_plan_units *u = &job->plan->units[set];
    ps_status st = ps_layers_influence(job, &influence);
    if (!st)
        st = ps_units_keep(influence, u->units, u->left, keep);
    for (uint64_t i = 0; !st && i < u->units; i++) {
        all += influence[i];
        gone += keep[i] ? 0 : influence[i];
    }
    *lost = all > 0 ? gone / all : 0;
    ps_free(&influence);
    return st;
}

ps_status ps_layers_influence(const ps_compress_job *job, double **out)
{
    const ps_plan_units *u = &job->plan->units[0];
    ps_compress_sums sums = {0};
    PS_REQUIRE(u->moves);
    *out = NULL;
    ps_status st = ps_compress_sums_of(job, u->input, &sums);
    if (!st && !(*out = ps_try_alloc((size_t)u->units * sizeof **out)))
        st = ps_fail(PS_NO_MEMORY, "influence of layers");
    for (uint64_t i = 0; !st && i < u->units; i++)
        (*out)[i] = (double)sums.hessians[0].sums[i] / (double)sums.hessians[0].tokens;
    ps_compress_sums_free(&sums);
    return st;
}

static ps_status choose(const ps_compress_job *job, size_t set, bool *keep, double *lost)
{
    const ps_spec_prune *p = job->spec->compress->prune;
    bool repair = p->what == PS_PRUNE_HEADS && p->repair == PS_PRUNE_REPAIR_SQUARES;
    if (job->plan->units[set].moves)
        return by_influence(job, set, keep, lost);
    return (repair ? by_repair : by_importance)(job, set, keep, lost);
}

/* The set that was chosen from last: its tensors come one after the other. */
typedef struct chosen {
    size_t set;
    uint64_t units;
    double lost;
    bool keep[];
} chosen;

static void remember(ps_job_entry *entry, size_t set, uint64_t units, const bool *keep, double lost)
{
    void **note = ps_job_entry_note(entry);
    chosen *c = ps_try_alloc(sizeof *c + (size_t)units * sizeof *keep);
    if (!c)
        return; /* then it is found again */
    c->set = set;
    c->units = units;
    c->lost = lost;
    memcpy(c->keep, keep, (size_t)units * sizeof *keep);
    ps_free(note);
    *note = c;
}

ps_status ps_choose_units(const ps_compress_job *job, size_t set, bool *keep, double *lost)
{
    uint64_t units = job->plan->units[set].units;
    const chosen *known = *ps_job_entry_note(job->entry);
    if (known && known->set == set && known->units == units) {
        memcpy(keep, known->keep, (size_t)units * sizeof *keep);
        *lost = known->lost;
        return PS_OK;
    }
    ps_status st = choose(job, set, keep, lost);
    if (!st)
        remember(job->entry, set, units, keep, *lost);
    return st;
}
