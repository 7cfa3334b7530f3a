/* weight_change: how far another model's tensors are from this one's, without data, both decoded
 * from whatever they are stored in. A tensor is one share's; of all of this model's tensors:
 *
 *     statistics [tensor, quantity]  PS_EXPLAIN_CHANGE_QUANTITIES
 *
 * NaN of one that the other does not have, or in another shape, with a warning; so are tensors that
 * it alone has, in one line. Spectra of matrices whose smaller side is over side_max are left out:
 * theirs are three each. */
#include "worker/explain/weight_change.h"

#include "worker/explain/other.h"
#include "worker/explain/rows.h"
#include "worker/explain/spectrum.h"

#include "common/base/mem.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define NAME(name) #name,
static const char *const quantities[] = {PS_EXPLAIN_CHANGE_QUANTITIES(NAME) NULL};
static const ps_explain_entries entries[] = {{"statistics", quantities}, {NULL, NULL}};

/* A share's: zeros in the rows of tensors that are others'. */
typedef struct changing {
    ps_explaining *x;
    const ps_model_layout *layout;
    const ps_model_form *tensors; /* the other's */
    size_t n_tensors;
    int64_t side_max;
    double *statistics;
    ps_explain_part *out;
} changing;

/* A tensor of both. */
typedef struct pair {
    const ps_model_parameter_spec *spec;
    float *a, *b; /* b becomes the difference */
    size_t n;
    double *to;
    ps_eigen_watch watch;
} pair;

/* ---- numbers ---- */

static void measure(const pair *p)
{
    double aa = 0, bb = 0, ab = 0, dd = 0, largest = 0;
    size_t at = 0;
    for (size_t i = 0; i < p->n; i++) {
        double a = (double)p->a[i], b = (double)p->b[i], d = b - a;
        aa += a * a;
        bb += b * b;
        ab += a * b;
        dd += d * d;
        if (fabs(d) > largest) {
            largest = fabs(d);
            at = i;
        }
    }
    double *to = p->to;
    to[PS_CHANGE_elements] = (double)p->n;
    to[PS_CHANGE_norm] = sqrt(aa);
    to[PS_CHANGE_other_norm] = sqrt(bb);
    to[PS_CHANGE_change_norm] = sqrt(dd);
    to[PS_CHANGE_change] = dd == 0 ? 0 : sqrt(dd / aa);
    to[PS_CHANGE_sqnr] = 10 * log10(aa / dd);
    to[PS_CHANGE_largest] = largest;
    to[PS_CHANGE_largest_at] = (double)at;
    to[PS_CHANGE_cosine] = ab / sqrt(aa * bb);
    if (dd == 0)
        to[PS_CHANGE_sqnr] = INFINITY;
}

static ps_status put_spectrum(const pair *p, const float *w, ps_explain_change_quantity largest,
                              ps_explain_change_quantity stable, double *values)
{
    size_t rows = (size_t)p->spec->shape[0], columns = (size_t)p->spec->shape[1];
    ps_status st = ps_spectrum(w, rows, columns, 0, &p->watch, values);
    if (st)
        return ps_wrap(st, "tensor %s", p->spec->name);
    p->to[largest] = sqrt(values[0]);
    p->to[stable] = ps_spectrum_stable_rank(values, rows < columns ? rows : columns);
    return PS_OK;
}

static ps_status put_spectra(const pair *p, size_t side)
{
    double *values = ps_try_alloc_raw(side * sizeof *values);
    ps_status st =
        values ? put_spectrum(p, p->a, PS_CHANGE_largest_singular, PS_CHANGE_stable_rank, values)
               : ps_fail(PS_NO_MEMORY, "%zu singular values", side);
    if (!st)
        st = put_spectrum(p, p->b, PS_CHANGE_other_largest_singular, PS_CHANGE_other_stable_rank,
                          values);
    for (size_t i = 0; i < p->n; i++)
        p->b[i] -= p->a[i];
    if (!st)
        st = put_spectrum(p, p->b, PS_CHANGE_change_largest_singular, PS_CHANGE_change_stable_rank,
                          values);
    ps_free(&values);
    return st;
}

static ps_status compare(const changing *g, const pair *p)
{
    const ps_model_parameter_spec *spec = p->spec;
    measure(p);
    bool finite = isfinite(p->to[PS_CHANGE_norm]) && isfinite(p->to[PS_CHANGE_other_norm]);
    if (!finite)
        ps_explain_warn(g->out, "%s: numbers that are not finite, in one of the two", spec->name);
    if (!finite || spec->rank != 2)
        return PS_OK;
    int64_t side = spec->shape[0] < spec->shape[1] ? spec->shape[0] : spec->shape[1];
    return side > g->side_max ? PS_OK : put_spectra(p, (size_t)side);
}

/* ---- tensors ---- */

static bool same_shape(const ps_model_parameter_spec *spec, const ps_model_form *its)
{
    bool same = its->n_dims == (uint32_t)spec->rank;
    for (int d = 0; same && d < spec->rank; d++)
        same = its->shape[d] == (uint64_t)spec->shape[d];
    return same;
}

static ps_status read_both(const changing *g, size_t tensor, const ps_model_form *its, pair *p)
{
    ps_tensor from = ps_model_parameter(g->x->model, tensor);
    p->a = ps_try_alloc_raw(ps_tensor_bytes(from));
    ps_status st =
        p->a ? ps_copy_to_host(ps_model_stream(g->x->model), p->a, from, ps_tensor_bytes(from))
             : ps_fail(PS_NO_MEMORY, "tensor %s", p->spec->name);
    return st ? st : g->x->other->numbers(g->x->other->user, its, &p->b);
}

static ps_status take(const changing *g, size_t tensor)
{
    const ps_model_parameter_spec *spec = &g->layout->parameters[tensor];
    const ps_model_form *its = ps_model_form_find(g->tensors, g->n_tensors, spec->name);
    pair p = {.spec = spec,
              .n = (size_t)ps_model_parameter_elements(spec),
              .watch = {g->x->check, g->x->user},
              .to = g->statistics + tensor * PS_EXPLAIN_CHANGE_COUNT};
    for (size_t i = 0; i < PS_EXPLAIN_CHANGE_COUNT; i++)
        p.to[i] = NAN;
    if (!its || !same_shape(spec, its)) {
        ps_explain_warn(g->out, "%s: model %s has %s", spec->name, g->x->other->name,
                        its ? "it in another shape" : "no such tensor");
        return PS_OK;
    }
    ps_status st = read_both(g, tensor, its, &p);
    if (!st)
        st = compare(g, &p);
    ps_free(&p.a);
    ps_free(&p.b);
    return st;
}

static bool has(const ps_model_layout *layout, const char *name)
{
    for (size_t i = 0; i < layout->count; i++)
        if (!strcmp(layout->parameters[i].name, name))
            return true;
    return false;
}

static void name_its_own(const changing *g)
{
    ps_buf names = PS_BUF_EMPTY;
    size_t n = 0;
    for (size_t i = 0; i < g->n_tensors; i++)
        if (!has(g->layout, g->tensors[i].name) && n++ < 8)
            ps_buf_printf(&names, "%s%s", n > 1 ? ", " : "", g->tensors[i].name);
    if (n)
        ps_explain_warn(g->out, "model %s alone has %zu tensors: %s%s", g->x->other->name, n,
                        ps_buf_cstr(&names), n > 8 ? ", …" : "");
    ps_buf_free(&names);
}

static ps_status take_share(const changing *g)
{
    ps_status st = PS_OK;
    if (g->x->share == 0)
        name_its_own(g);
    for (size_t i = g->x->share; !st && i < g->layout->count; i += PS_EXPLAIN_SHARES) {
        st = take(g, i);
        if (!st)
            st = g->x->check(g->x->user);
    }
    return st;
}

static ps_status run(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                     const ps_explain_items *items, ps_explain_part *out)
{
    changing g = {
        .x = x, .layout = ps_model_parameters(x->model), .side_max = spec->side_max, .out = out};
    const uint64_t shape[2] = {g.layout->count, PS_EXPLAIN_CHANGE_COUNT};
    ps_status st = x->other->tensors(x->other->user, &g.tensors, &g.n_tensors);
    if (st)
        return st;
    g.statistics = ps_try_alloc(g.layout->count * PS_EXPLAIN_CHANGE_COUNT * sizeof *g.statistics);
    if (!g.statistics)
        return ps_fail(PS_NO_MEMORY, "statistics of %zu tensors", g.layout->count);
    st = take_share(&g);
    if (!st)
        st = ps_explain_put_sums(out, "statistics", "tensor quantity", 2, shape, g.statistics);
    ps_free(&g.statistics);
    return st;
}

const ps_explain_method ps_explain_method_weight_change = {
    .name = "weight_change", .entries = entries, .run = run};
