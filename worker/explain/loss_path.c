/* loss_path: through which of its parameters a model B has another loss than this one, A: what the
 * change of each adds to it on the straight way from A to B,
 *
 *     (B − A)_p · ∫₀¹ ∂L/∂p (A + t·(B − A)) dt,
 *
 * of which all together are L(B) − L(A): loss change allocation (Lan et al. 2019) of one long step.
 * Simpson's rule on `steps` segments, which are doubled, with what is there kept, until that sum is
 * within `tolerance` of the difference, or there are steps_max. A share has its part of the chosen
 * rows, and doubles by itself.
 *
 *     by_tensor [tensor]        of the mean loss; the sum is summary's
 *     by_block [tensor, block]  equal parts of a tensor's inputs (between.h)
 *     segments [share]          that it ended with
 *     summary [quantity]        see `quantities`; residual is difference − sum
 */
#include "worker/explain/between.h"
#include "worker/explain/other.h"
#include "worker/explain/rows.h"

#include "common/base/mem.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* A loss is a float32's; a difference below that is none. */
#define NOISE 1e-6

enum { ROWS, LOSS, OTHER_LOSS, TOTALS };

static const char *const quantities[] = {"rows", "loss",     "other_loss", "difference",
                                         "sum",  "residual", "segments",   NULL};
static const char *const totals[] = {"rows", "loss", "other_loss", NULL};
static const ps_explain_entries entries[] = {
    {"summary", quantities}, {"totals", totals}, {NULL, NULL}};

/* A share's rows, and its sums of parts at the points of Simpson's rule. */
typedef struct path {
    ps_between *between;
    const ps_selection *rows;
    uint64_t begin, end;
    size_t n; /* parts */
    uint64_t segments;
    double *ends, *joints, *middles; /* at 0 and 1; between segments; in their middles */
    double *parts;                   /* of a point; then the integral */
    double losses[2];                /* summed over the rows: A's and B's */
} path;

/* ---- the integral ---- */

static ps_status add_point(path *p, double t, double *loss, double *sums)
{
    double its = 0;
    ps_status st = ps_between_at(p->between, t, p->rows, p->begin, p->end, &its, p->parts);
    for (size_t i = 0; !st && i < p->n; i++)
        sums[i] += p->parts[i];
    if (loss)
        *loss = its;
    return st;
}

static ps_status add_middles(path *p)
{
    ps_status st = PS_OK;
    for (uint64_t k = 0; !st && k < p->segments; k++)
        st = add_point(p, ((double)k + 0.5) / (double)p->segments, NULL, p->middles);
    return st;
}

static ps_status begin_path(path *p, uint64_t segments)
{
    p->segments = segments;
    ps_status st = add_point(p, 0, &p->losses[0], p->ends);
    if (!st)
        st = add_point(p, 1, &p->losses[1], p->ends);
    for (uint64_t k = 1; !st && k < segments; k++)
        st = add_point(p, (double)k / (double)segments, NULL, p->joints);
    return st ? st : add_middles(p);
}

static ps_status double_path(path *p)
{
    for (size_t i = 0; i < p->n; i++) {
        p->joints[i] += p->middles[i];
        p->middles[i] = 0;
    }
    p->segments *= 2;
    return add_middles(p);
}

/* Into `parts`; their sum. */
static double integrate(path *p)
{
    double sum = 0;
    for (size_t i = 0; i < p->n; i++) {
        p->parts[i] =
            (p->ends[i] + 2 * p->joints[i] + 4 * p->middles[i]) / (6 * (double)p->segments);
        sum += p->parts[i];
    }
    return sum;
}

static ps_status walk(path *p, const ps_spec_explain_method *spec, ps_explain_part *out)
{
    ps_status st = begin_path(p, (uint64_t)spec->steps);
    while (!st) {
        double difference = p->losses[1] - p->losses[0], missed = fabs(integrate(p) - difference);
        double allowed =
            spec->tolerance * fabs(difference) + NOISE * (fabs(p->losses[0]) + fabs(p->losses[1]));
        if (missed <= allowed)
            return PS_OK;
        if (2 * p->segments > (uint64_t)spec->steps_max) {
            ps_explain_warn(out,
                            "a share's sum is %.3g off a difference of %.3g after %" PRIu64
                            " segments; raise steps_max",
                            missed, difference, p->segments);
            return PS_OK;
        }
        st = double_path(p);
    }
    return st;
}

/* ---- a share ---- */

static ps_status put(const path *p, const ps_explaining *x, ps_explain_part *out)
{
    double segments[PS_EXPLAIN_SHARES] = {0};
    const double sums[TOTALS] = {(double)(p->end - p->begin), p->losses[0], p->losses[1]};
    uint64_t shape[2] = {p->n / PS_BETWEEN_BLOCKS, PS_BETWEEN_BLOCKS};
    segments[x->share] = (double)p->segments;
    ps_status st = ps_explain_put_sums(out, "by_block", "tensor block", 2, shape, p->parts);
    shape[0] = TOTALS;
    if (!st)
        st = ps_explain_put_sums(out, "totals", "quantity", 1, shape, sums);
    shape[0] = PS_EXPLAIN_SHARES;
    return st ? st : ps_explain_put_sums(out, "segments", "share", 1, shape, segments);
}

static ps_status make_room(path *p)
{
    p->n = ps_between_parts(p->between);
    p->ends = ps_try_alloc(4 * p->n * sizeof *p->ends);
    if (!p->ends)
        return ps_fail(PS_NO_MEMORY, "%zu parts of the loss", p->n);
    p->joints = p->ends + p->n;
    p->middles = p->joints + p->n;
    p->parts = p->middles + p->n;
    return PS_OK;
}

static ps_status run(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                     const ps_explain_items *items, ps_explain_part *out)
{
    ps_selection rows = {0};
    path p = {.rows = &rows};
    ps_status st = ps_selection_make(x->spec, ps_dataset_rows(x->test), &rows);
    if (st)
        return st;
    p.begin = rows.n * x->share / PS_EXPLAIN_SHARES;
    p.end = rows.n * (x->share + 1) / PS_EXPLAIN_SHARES;
    st = ps_between_open(x, &p.between);
    if (!st)
        st = make_room(&p);
    if (!st && p.begin < p.end)
        st = walk(&p, spec, out);
    if (!st)
        st = put(&p, x, out);
    ps_free(&p.ends);
    ps_between_close(&p.between);
    ps_selection_free(&rows);
    return st;
}

/* ---- all of them ---- */

static double largest(const ps_explain_array *a)
{
    double most = 0;
    for (uint64_t i = 0; i < ps_explain_array_count(a); i++)
        most = fmax(most, a->doubles[i]);
    return most;
}

/* Sums over rows become means. */
static ps_status put_tensors(ps_explain_part *merged, const ps_explain_array *blocks, double rows,
                             double *sum)
{
    uint64_t tensors = blocks->shape[0], n = tensors * PS_BETWEEN_BLOCKS;
    float *values = ps_try_alloc((n + tensors) * sizeof *values), *whole = values + n;
    const uint64_t shape[2] = {tensors, PS_BETWEEN_BLOCKS};
    if (!values)
        return ps_fail(PS_NO_MEMORY, "%" PRIu64 " tensors", tensors);
    for (uint64_t t = 0; t < tensors; t++) {
        double all = 0;
        for (uint64_t k = 0; k < PS_BETWEEN_BLOCKS; k++) {
            double part = blocks->doubles[t * PS_BETWEEN_BLOCKS + k] / rows;
            values[t * PS_BETWEEN_BLOCKS + k] = (float)part;
            all += part;
        }
        whole[t] = (float)all;
        *sum += all;
    }
    ps_status st = ps_explain_put_result(merged, "by_tensor", "tensor", 1, shape, whole);
    if (!st)
        st = ps_explain_put_result(merged, "by_block", "tensor block", 2, shape, values);
    ps_free(&values);
    return st;
}

static ps_status finish(ps_explaining *x, const ps_spec_explain_method *spec,
                        ps_explain_part *merged)
{
    const ps_explain_array *blocks = ps_explain_get(merged, "by_block"),
                           *sums = ps_explain_get(merged, "totals"),
                           *segments = ps_explain_get(merged, "segments");
    if (!blocks || blocks->rank != 2 || blocks->shape[1] != PS_BETWEEN_BLOCKS || !blocks->doubles ||
        !sums || !sums->doubles || ps_explain_array_count(sums) != TOTALS || !segments ||
        !segments->doubles)
        return ps_fail(PS_CORRUPT, "loss_path: sums are missing");
    double rows = sums->doubles[ROWS], sum = 0;
    double a = sums->doubles[LOSS] / rows, b = sums->doubles[OTHER_LOSS] / rows;
    double most = largest(segments);
    ps_status st = put_tensors(merged, blocks, rows, &sum);
    const float summary[] = {(float)rows,          (float)a,   (float)b, (float)(b - a), (float)sum,
                             (float)(b - a - sum), (float)most};
    const uint64_t shape[1] = {sizeof summary / sizeof *summary};
    return st ? st : ps_explain_put_result(merged, "summary", "quantity", 1, shape, summary);
}

const ps_explain_method ps_explain_method_loss_path = {
    .name = "loss_path", .entries = entries, .run = run, .finish = finish};
