/* Happy path: all parts that wait are cut, f is asked at the cuts, and every new part is integrated
 * by Gauss and Legendre's rule; what holds there is added to its row's sum, and the rest waits for
 * the next round. Sums are in the order of parts, in float64. */
#include "worker/explain/path_parts.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "worker/explain/quadrature.h"

#include <math.h>
#include <string.h>

enum { POINTS = 8 }; /* of a part */

typedef struct part {
    size_t row;
    double from, to;       /* alpha at its ends, */
    double at_from, at_to; /* and f */
} part;

typedef struct cutting {
    const ps_path *path;
    double alpha[POINTS], weight[POINTS];
    part *wait, *now; /* to be cut; being integrated */
    size_t n_wait, n_now, pieces;
    double *cuts; /* [n_wait, pieces − 1]: f at them */
    double *sum;  /* [inner]: of the part whose points come in */
    double along; /* its integral of f' */
} cutting;

static double cut_at(const cutting *c, const part *p, size_t i)
{
    return i == c->pieces ? p->to : p->from + (p->to - p->from) * (double)i / (double)c->pieces;
}

/* ---- f at the cuts ---- */

static void make_cut(void *user, size_t i, void *point, size_t *item)
{
    const cutting *c = user;
    const part *p = &c->wait[i / (c->pieces - 1)];
    *item = p->row;
    c->path->at(c->path->user, p->row, cut_at(c, p, 1 + i % (c->pieces - 1)), point);
}

static void take_cut(void *user, size_t i, double score, const float *gradient)
{
    const cutting *c = user;
    c->cuts[i] = score;
}

/* The parts that wait become the parts that are integrated. */
static void cut_all(cutting *c)
{
    c->n_now = 0;
    for (size_t i = 0; i < c->n_wait; i++) {
        const part *p = &c->wait[i];
        const double *at = c->cuts + i * (c->pieces - 1);
        for (size_t k = 0; k < c->pieces; k++)
            c->now[c->n_now++] = (part){.row = p->row,
                                        .from = cut_at(c, p, k),
                                        .to = cut_at(c, p, k + 1),
                                        .at_from = k ? at[k - 1] : p->at_from,
                                        .at_to = k + 1 < c->pieces ? at[k] : p->at_to};
    }
    c->n_wait = 0;
}

/* ---- a part ---- */

static void make_point(void *user, size_t i, void *point, size_t *item)
{
    const cutting *c = user;
    const part *p = &c->now[i / POINTS];
    *item = p->row;
    c->path->at(c->path->user, p->row, p->from + (p->to - p->from) * c->alpha[i % POINTS], point);
}

/* Does it need halves, and may its row have them? */
static bool again(const cutting *c, const part *p)
{
    const ps_path *path = c->path;
    double change = path->items->scores[p->row] - path->from[p->row];
    double off = fabs(c->along - (p->at_to - p->at_from));
    float *steps = &path->steps[p->row];
    size_t more = PS_PATH_HALVES * POINTS + PS_PATH_HALVES - 1;
    if (off <= path->tolerance * fabs(change) / PS_PATH_SHARE ||
        p->to - p->from <= PS_PATH_NARROWEST * p->to || (size_t)*steps + more > path->most)
        return false;
    *steps += (float)more;
    return true;
}

static void take_point(void *user, size_t i, double score, const float *gradient)
{
    cutting *c = user;
    const ps_path *path = c->path;
    const part *p = &c->now[i / POINTS];
    double weight = c->weight[i % POINTS] * (p->to - p->from);
    if (i % POINTS == 0) {
        memset(c->sum, 0, path->inner * sizeof *c->sum);
        c->along = 0;
    }
    for (size_t k = 0; k < path->inner; k++)
        c->sum[k] += weight * (double)gradient[k];
    if (i % POINTS + 1 < POINTS)
        return;
    for (size_t k = 0; k < path->inner; k++)
        c->along += c->sum[k] * path->way(path->user, p->row, k);
    double *all = path->sums + p->row * path->inner;
    if (again(c, p))
        c->wait[c->n_wait++] = *p;
    else
        for (size_t k = 0; k < path->inner; k++)
            all[k] += c->sum[k];
}

/* ---- rounds ---- */

static ps_status make_room(cutting *c)
{
    ps_free(&c->now);
    ps_free(&c->cuts);
    c->now = ps_try_alloc_raw(c->n_wait * c->pieces * sizeof *c->now);
    c->cuts = ps_try_alloc_raw(c->n_wait * (c->pieces - 1) * sizeof *c->cuts);
    return c->now && c->cuts ? PS_OK : ps_fail(PS_NO_MEMORY, "%zu parts of a path", c->n_wait);
}

static ps_status integrate(ps_explaining *x, cutting *c)
{
    ps_status st = make_room(c);
    if (st)
        return st;
    const ps_explain_points cuts = {.n = c->n_wait * (c->pieces - 1),
                                    .first = c->path->first,
                                    .make = make_cut,
                                    .take = take_cut,
                                    .user = c};
    st = ps_explain_evaluate(x, c->path->items, &cuts);
    if (st)
        return st;
    cut_all(c);
    part *wait = ps_try_alloc_raw(c->n_now * sizeof *wait);
    if (!wait)
        return ps_fail(PS_NO_MEMORY, "%zu parts of a path", c->n_now);
    ps_free(&c->wait);
    c->wait = wait;
    const ps_explain_points points = {.n = c->n_now * POINTS,
                                      .first = c->path->first,
                                      .gradients = true,
                                      .make = make_point,
                                      .take = take_point,
                                      .user = c};
    return ps_explain_evaluate(x, c->path->items, &points);
}

/* Rows that may have as many points wait as a whole. */
static void begin(cutting *c, const size_t *rows, size_t n)
{
    const ps_path *path = c->path;
    const size_t first = PS_PATH_CUTS * POINTS + PS_PATH_CUTS - 1;
    for (size_t i = 0; i < n; i++) {
        size_t row = rows[i];
        PS_REQUIRE(row < path->items->n);
        if ((size_t)path->steps[row] + first > path->most)
            continue;
        path->steps[row] += (float)first;
        memset(path->sums + row * path->inner, 0, path->inner * sizeof *path->sums);
        c->wait[c->n_wait++] = (part){
            .row = row, .to = 1, .at_from = path->from[row], .at_to = path->items->scores[row]};
    }
}

ps_status ps_path_by_parts(ps_explaining *x, const ps_path *path, const size_t *rows, size_t n)
{
    cutting c = {.path = path, .pieces = PS_PATH_CUTS};
    c.wait = ps_try_alloc_raw(n * sizeof *c.wait);
    c.sum = ps_try_alloc_raw(path->inner * sizeof *c.sum);
    ps_status st =
        c.wait && c.sum ? PS_OK : ps_fail(PS_NO_MEMORY, "a path of %zu numbers", path->inner);
    ps_gauss_legendre(POINTS, c.alpha, c.weight);
    if (!st)
        begin(&c, rows, n);
    for (; !st && c.n_wait; c.pieces = PS_PATH_HALVES)
        st = integrate(x, &c);
    ps_free(&c.wait);
    ps_free(&c.now);
    ps_free(&c.cuts);
    ps_free(&c.sum);
    return st;
}
