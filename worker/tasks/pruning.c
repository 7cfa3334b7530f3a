#include "worker/tasks/pruning.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "worker/compress/error.h"
#include "worker/compress/sparse.h"
#include "worker/compress/units.h"
#include "worker/tasks/choosing.h"
#include "worker/tasks/moments.h"

#include <math.h>
#include <string.h>

/* ---- what stays of a tensor ---- */

typedef struct cut {
    bool *stays[2]; /* of rows, of columns; all, or not */
} cut;

static void cut_free(cut *c)
{
    ps_free(&c->stays[0]);
    ps_free(&c->stays[1]);
}

static ps_status cut_new(const ps_plan_tensor *t, cut *out)
{
    uint64_t n[2] = {ps_plan_from_rows(t), ps_plan_from_columns(t)};
    *out = (cut){0};
    for (size_t i = 0; i < 2; i++) {
        out->stays[i] = ps_try_alloc_raw((size_t)n[i]);
        if (!out->stays[i]) {
            cut_free(out);
            return ps_fail(PS_NO_MEMORY, "tensor %s: what stays of it", t->stored.name);
        }
        memset(out->stays[i], true, (size_t)n[i]);
    }
    return PS_OK;
}

/* Which of a few stay. */
static void tell_kept(const ps_plan_units *u, const bool *keep, ps_pruning_report *report)
{
    ps_free(&report->kept);
    report->kept = ps_alloc_array(u->left, sizeof *report->kept);
    report->n_kept = 0;
    for (uint64_t i = 0; i < u->units; i++)
        if (keep[i])
            report->kept[report->n_kept++] = i;
}

static ps_status find_cut(const ps_compress_job *job, const ps_plan_tensor *t, cut *c,
                          ps_pruning_report *report)
{
    ps_status st = cut_new(t, c);
    size_t known = SIZE_MAX;
    bool *keep = NULL;
    for (size_t k = 0; !st && k < t->n_members; k++) {
        const ps_plan_member *m = &t->members[k];
        const ps_plan_units *u = &job->plan->units[m->units];
        const ps_member member = ps_plan_member_of(m);
        double lost = 0;
        if (m->units != known) { /* else q, k and v of the same */
            ps_free(&keep);
            keep = ps_try_alloc((size_t)u->units);
            st = keep ? ps_choose_units(job, m->units, keep, &lost)
                      : ps_fail(PS_NO_MEMORY, "tensor %s: what stays of it", t->stored.name);
            known = m->units;
            if (!st && u->named)
                tell_kept(u, keep, report);
        }
        if (!st)
            ps_units_mark(&member, u->units, keep, c->stays[m->columns]);
        report->importance = lost > report->importance ? lost : report->importance;
    }
    ps_free(&keep);
    return st;
}

/* Only what has column >= row is there, and needed. */
static void cut_sums(ps_hessian *h, float *sums, uint64_t columns, const bool *stays)
{
    float *out = sums;
    if (!h->sums)
        return;
    for (uint64_t r = 0; r < (h->squares ? 1 : columns); r++)
        for (uint64_t c = 0; c < columns; c++)
            if (stays[c] && (h->squares || stays[r]))
                *out++ = sums[r * columns + c];
}

static ps_status repair(const ps_plan_tensor *t, const cut *c, uint64_t rows, float *weights,
                        const ps_compress_sums *sums, bool wanted, ps_pruning_report *report)
{
    uint64_t columns = ps_plan_from_columns(t), left = ps_units_count(c->stays[1], columns);
    const ps_compress_problem problem = {.name = t->stored.name,
                                         .weights = weights,
                                         .rows = rows,
                                         .columns = columns,
                                         .hessian = &sums->hessians[0],
                                         .held_out = ps_compress_sums_held_out(sums),
                                         .options = {.damp = PS_REPAIR_DAMP}};
    if (!wanted) {
        ps_units_cut(weights, rows, columns, NULL, c->stays[1], weights);
        return PS_OK;
    }
    float *out = ps_try_alloc_raw((size_t)(rows * left) * sizeof *out);
    if (!out)
        return ps_fail(PS_NO_MEMORY, "tensor %s: repair", t->stored.name);
    ps_status st = ps_repair_columns(&problem, c->stays[1], out, &report->repair);
    if (!st)
        memcpy(weights, out, (size_t)(rows * left) * sizeof *out);
    report->columns = !st;
    ps_free(&out);
    return st;
}

/* ---- norms ---- */

/* [numbers of the norm]; *out NULL: it has none. */
static ps_status norm_bias(const ps_compress_job *job, const ps_plan_tensor *norm, float **out)
{
    static const char weight[] = "weight";
    size_t len = strlen(norm->stored.name), end = sizeof weight - 1;
    *out = NULL;
    for (size_t i = 0; i < job->plan->n_tensors; i++) {
        const ps_plan_tensor *t = &job->plan->tensors[i];
        if (len > end && !strncmp(t->stored.name, norm->stored.name, len - end) &&
            !strcmp(t->stored.name + len - end, "bias"))
            return ps_compress_parent_weights(job, t, out);
    }
    return PS_OK;
}

/* A norm divides by the root mean square of all channels, and of what is left that is another one:
 * by r of a token more. So gains become c = √mean(r²) as much:
 *     r² = mean over the channels that stay of z²,   z = (x − bias) / gain, x what the norm made
 * where a LayerNorm's z are taken to be 0 on average. gains, [those that stay], in place. */
static ps_status scale_norm(const ps_compress_job *job, const ps_plan_tensor *t, const bool *stays,
                            float *gains, double *scale)
{
    ps_compress_sums sums = {0};
    float *bias = NULL;
    uint64_t n = ps_plan_from_rows(t), left = 0, at = 0;
    double sum = 0;
    ps_status st = ps_compress_sums_of(job, t->feeds, &sums);
    if (!st)
        st = norm_bias(job, t, &bias);
    for (uint64_t i = 0; !st && i < n; i++) {
        if (!stays[i])
            continue;
        const ps_hessian *h = &sums.hessians[0];
        double gain = (double)gains[at++], shift = bias ? (double)bias[i] : 0;
        double square = (double)h->sums[h->squares ? i : i * n + i] / (double)h->tokens;
        if (gain == 0)
            continue;
        sum += (square - shift * shift) / (gain * gain);
        left++;
    }
    *scale = !st && left && sum > 0 ? sqrt(sum / (double)left) : 1;
    for (uint64_t i = 0; !st && i < at; i++)
        gains[i] = (float)((double)gains[i] * *scale);
    ps_compress_sums_free(&sums);
    ps_free(&bias);
    return st;
}

void ps_pruning_report_clear(ps_pruning_report *report)
{
    ps_free(&report->kept);
}

ps_status ps_prune_tensor(const ps_compress_job *job, const ps_plan_tensor *t, float *weights,
                          float *curvature, ps_compress_sums *sums, ps_pruning_report *report)
{
    PS_REQUIRE(t->n_members);
    uint64_t rows = ps_plan_from_rows(t), columns = ps_plan_from_columns(t);
    cut c;
    *report = (ps_pruning_report){0};
    ps_status st = find_cut(job, t, &c, report);
    if (!st) {
        uint64_t left = ps_units_count(c.stays[0], rows);
        ps_units_cut(weights, rows, columns, c.stays[0], NULL, weights);
        if (curvature)
            ps_units_cut(curvature, rows, columns, c.stays[0], c.stays[1], curvature);
        if (ps_units_count(c.stays[1], columns) < columns) {
            bool wanted = job->spec->compress->prune->repair == PS_PRUNE_REPAIR_SQUARES &&
                          t->needs == PS_METHOD_HESSIAN; /* else it is no product */
            st = repair(t, &c, left, weights, sums, wanted, report);
            for (size_t i = 0; !st && i < 2; i++)
                cut_sums(&sums->hessians[i], sums->memory[i], columns, c.stays[1]);
        }
    }
    if (!st && t->feeds != PS_PLAN_NO_INPUT &&
        job->spec->compress->prune->repair == PS_PRUNE_REPAIR_SQUARES)
        st = scale_norm(job, t, c.stays[0], weights, &report->scale);
    cut_free(&c);
    return st;
}

/* ---- zeros ---- */

/* What its numbers count for, and what that borrows. */
typedef struct counting {
    ps_salient salient;
    float *squares;
    ps_tensor_moments moments;
} counting;

static void counting_close(counting *c)
{
    ps_free(&c->squares);
    ps_tensor_moments_free(&c->moments);
}

static ps_status counting_open(const ps_compress_job *job, const ps_plan_tensor *t,
                               const float *weights, counting *out)
{
    *out = (counting){0};
    ps_status st = ps_input_squares(job, t, &out->squares);
    if (!st && job->spec->compress->prune->by == PS_PRUNE_BY_MOMENTS)
        st = ps_tensor_moments_get(job, t, &out->moments);
    out->salient = (ps_salient){.weights = weights,
                                .rows = ps_plan_from_rows(t),
                                .columns = ps_plan_from_columns(t),
                                .squares = out->squares,
                                .curvature = out->moments.curvature};
    return st;
}

static ps_status the_least(const ps_compress_job *job, const ps_plan_tensor *t,
                           const ps_sparsity *want, const float *weights, float *out)
{
    counting c;
    ps_status st = counting_open(job, t, weights, &c);
    memcpy(out, weights, (size_t)ps_model_form_numbers(&t->from) * sizeof *out);
    if (!st && job->spec->compress->prune->over == PS_PRUNE_OVER_ROW)
        st = ps_sparse_rows(&c.salient, want, out);
    else if (!st)
        ps_sparse_least(&c.salient, t->n_zeros, out);
    counting_close(&c);
    return st;
}

ps_status ps_prune_count(const ps_compress_job *job, const ps_plan_tensor *t, const float *weights,
                         double *counts)
{
    counting c;
    ps_status st = counting_open(job, t, weights, &c);
    if (!st)
        ps_sparse_count(&c.salient, counts);
    counting_close(&c);
    return st;
}

static ps_status measure_zeros(const ps_compress_problem *p, const float *out,
                               ps_pruning_report *report)
{
    ps_status st = PS_OK;
    report->error = report->held_out = -1;
    if (p->hessian)
        st = ps_error_share(out, p->weights, p->rows, p->columns, p->hessian, 0, &report->error);
    if (!st && p->held_out)
        st =
            ps_error_share(out, p->weights, p->rows, p->columns, p->held_out, 0, &report->held_out);
    for (uint64_t i = 0; i < p->rows * p->columns; i++)
        report->zeros += out[i] == 0; /* -0 is one */
    return st;
}

ps_status ps_prune_zeros(const ps_compress_job *job, const ps_plan_tensor *t, float *weights,
                         const ps_compress_sums *sums, ps_pruning_report *report)
{
    const ps_spec_prune *prune = job->spec->compress->prune;
    const ps_sparsity want = {.ratio = prune->ratio, .two_of_four = prune->what == PS_PRUNE_2OF4};
    const ps_compress_problem problem = {.name = t->stored.name,
                                         .weights = weights,
                                         .rows = ps_plan_from_rows(t),
                                         .columns = ps_plan_from_columns(t),
                                         .hessian = sums->memory[0] ? &sums->hessians[0] : NULL,
                                         .held_out = ps_compress_sums_held_out(sums),
                                         .options = PS_COMPRESS_OPTIONS};
    size_t n = (size_t)(problem.rows * problem.columns);
    ps_compress_report solved;
    *report = (ps_pruning_report){0};
    float *out = ps_try_alloc_raw(n * sizeof *out);
    if (!out)
        return ps_fail(PS_NO_MEMORY, "tensor %s: zeros", t->stored.name);
    ps_status st = prune->repair == PS_PRUNE_REPAIR_SQUARES
                       ? ps_sparse_solve(&problem, &want, out, &solved)
                       : the_least(job, t, &want, weights, out);
    if (!st)
        st = measure_zeros(&problem, out, report);
    if (!st)
        memcpy(weights, out, n * sizeof *out);
    ps_free(&out);
    return st;
}

/* ---- back to the parent's shape ---- */

void ps_prune_expand(const ps_plan *plan, const ps_plan_tensor *t, const float *numbers, float *out)
{
    uint64_t n_columns = t->from.n_dims == 2 ? t->from.shape[1] : 1;
    for (uint64_t i = 0; i < t->from.shape[0]; i++)
        for (uint64_t k = 0; k < n_columns; k++) {
            bool there = true;
            for (size_t m = 0; m < t->n_members; m++) {
                const ps_plan_member *at = &t->members[m];
                const ps_plan_units *u = &plan->units[at->units];
                uint64_t index = at->columns == t->from.transposed ? i : k;
                uint64_t first = at->begin + u->left * at->span,
                         end = at->begin + u->units * at->span;
                there &= index < first || index >= end;
            }
            *out++ = there ? *numbers++ : 0;
        }
}
