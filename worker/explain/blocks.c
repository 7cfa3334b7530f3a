/* blocks: what each column block of each matrix adds, to what its product gives and to what is
 * explained. A matrix is cut into `blocks` of its columns (cut_matrix.h), z = b + Σ_i P_i, and with
 * g the gradient of f at z
 *
 *     contributions [tensor, block]  g·P_i, of all tokens of the row: first order, as gradient x
 *                                    input has it of the input; NaN: there is no such block
 *     bias          [tensor]         g·b
 *     total         [tensor]         g·z, which they and the bias add up to
 *     side_by_side  [tensor]         1: blocks are slices of outputs, side by side (GPT-2 stores
 * its matrices [in, out]); 0: of inputs, and their P are added
 *
 * `residual`: how far the parts are from z, as a share of its largest, or what they add to the
 * score from g·z, as a share of all that is added; of the matrix where that is most. `layers`: of
 * these alone.
 *
 * One pass forward and one backward a layer, and its products once more by blocks. */
#include "worker/explain/cut_matrix.h"
#include "worker/explain/look.h"
#include "worker/explain/room.h"
#include "worker/explain/rows.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/conf/explain_spec.h"

#include <math.h>
#include <string.h>

#define TOLERANCE 1e-4

typedef struct matrices {
    ps_explaining *x;
    ps_cut_matrix *cut; /* in the order of the model's parameters, and so by layers */
    size_t n;
} matrices;

/* ---- which ---- */

static bool is_wanted(const ps_spec_explain_method *spec, int64_t layer)
{
    bool wanted = !spec->n_layers;
    for (size_t i = 0; i < spec->n_layers; i++)
        wanted = wanted || spec->layers[i] == layer;
    return wanted;
}

static ps_status check_layers(const ps_explaining *x, const ps_spec_explain_method *spec)
{
    ps_tap tap = {.kind = x->language ? PS_TAP_RESID_PRE : PS_TAP_LAYER_PRE};
    for (size_t i = 0; i < spec->n_layers; i++) {
        tap.layer = spec->layers[i];
        if (!ps_model_tap_columns(x->model, tap))
            return ps_fail(PS_INVALID_ARGUMENT, "layers: the model has no layer %lld",
                           (long long)tap.layer);
    }
    return PS_OK;
}

static ps_status prepare(ps_explaining *x, const ps_spec_explain_method *spec, void **state)
{
    size_t count = ps_model_parameters(x->model)->count;
    ps_status st = check_layers(x, spec);
    if (st)
        return st;
    matrices *m = *state = ps_try_alloc(sizeof *m);
    if (!m)
        return ps_fail(PS_NO_MEMORY, "matrices of a model");
    m->x = x;
    m->cut = ps_try_alloc(count * sizeof *m->cut);
    if (!m->cut)
        return ps_fail(PS_NO_MEMORY, "%zu matrices", count);
    for (size_t i = 0; !st && i < count; i++) {
        ps_tap behind[PS_MODEL_TAPS_BEHIND];
        if (ps_model_taps_behind(x->model, i, behind) && is_wanted(spec, behind[0].layer))
            st = ps_cut_matrix_open(x, i, (size_t)spec->blocks, &m->cut[m->n++]);
    }
    return st;
}

static void free_state(void *state)
{
    matrices *m = state;
    for (size_t i = 0; m && i < m->n; i++)
        ps_cut_matrix_free(m->x, &m->cut[i]);
    if (m)
        ps_free(&m->cut);
    ps_free(&m);
}

/* ---- a layer's passes ---- */

typedef struct pass {
    ps_explaining *x;
    const ps_explain_items *items;
    ps_cut_matrix *cut; /* [n] of one layer */
    size_t n, rows;
    float **parts, **z;     /* [n]: [blocks, rows, outputs], [rows, outputs] */
    float *g;               /* [rows, widest] */
    size_t tensors, blocks; /* sides of: */
    double *shares;         /* [items, tensors, blocks] */
    double *bias, *total;   /* [items, tensors] */
    double *residual;       /* [items] */
    ps_status failed;       /* of a hook */
} pass;

static size_t item_of(const pass *p, size_t row)
{
    return row / (size_t)p->items->length;
}

static double sum_of(const pass *p, size_t k, size_t row, size_t column)
{
    const ps_cut_matrix *w = &p->cut[k];
    double sum = (double)w->bias[column];
    for (size_t b = 0; b < w->blocks; b++)
        sum += (double)p->parts[k][(b * p->rows + row) * w->outputs + column];
    return sum;
}

/* How far z is from its parts' sum, row by row of the items. */
static void measure_sum(pass *p, size_t k)
{
    PS_REQUIRE(k < p->n && p->rows == p->items->n * (size_t)p->items->length);
    size_t outputs = p->cut[k].outputs, each = (size_t)p->items->length;
    for (size_t i = 0; i < p->items->n; i++) {
        double off = 0, most = 1e-30;
        for (size_t at = i * each * outputs; at < (i + 1) * each * outputs; at++) {
            double z = (double)p->z[k][at];
            off = ps_explain_worse(off, fabs(z - sum_of(p, k, at / outputs, at % outputs)));
            most = ps_explain_worse(most, fabs(z));
        }
        p->residual[i] = ps_explain_worse(p->residual[i], off / most);
    }
}

/* Columns from `column` on of rows that are `outputs` wide. */
static void spread(const float *from, size_t rows, size_t columns, float *to, size_t outputs,
                   size_t column)
{
    for (size_t row = 0; row < rows; row++)
        memcpy(to + row * outputs + column, from + row * columns, columns * sizeof *to);
}

static void at(void *user, ps_tap tap, ps_tensor seen, int64_t ld)
{
    pass *p = user;
    for (size_t k = 0; !p->failed && k < p->n; k++) {
        ps_cut_matrix *w = &p->cut[k];
        size_t column = ps_cut_matrix_column(w, tap);
        if (ps_tap_equal(tap, w->before))
            p->failed = ps_cut_matrix_parts(p->x, w, seen, ld, p->parts[k]);
        if (p->failed || column == SIZE_MAX)
            continue;
        PS_REQUIRE((size_t)seen.shape[0] == p->rows);
        p->failed = ps_tap_read(ps_model_stream(p->x->model), seen, ld, p->g);
        if (!p->failed)
            spread(p->g, p->rows, (size_t)seen.shape[1], p->z[k], w->outputs, column);
    }
}

/* g at columns [column, column + columns) of product k. */
static void add_shares(pass *p, size_t k, size_t column, size_t columns)
{
    const ps_cut_matrix *w = &p->cut[k];
    PS_REQUIRE(w->parameter < p->tensors && w->blocks <= p->blocks);
    PS_REQUIRE(column + columns <= w->outputs);
    for (size_t row = 0; row < p->rows; row++) {
        size_t place = item_of(p, row) * p->tensors + w->parameter;
        const float *g = p->g + row * columns;
        for (size_t c = 0; c < columns; c++) {
            p->bias[place] += (double)g[c] * (double)w->bias[column + c];
            p->total[place] += (double)g[c] * (double)p->z[k][row * w->outputs + column + c];
        }
        for (size_t b = 0; b < w->blocks; b++) {
            const float *part = p->parts[k] + (b * p->rows + row) * w->outputs + column;
            for (size_t c = 0; c < columns; c++)
                p->shares[place * p->blocks + b] += (double)g[c] * (double)part[c];
        }
    }
}

static void gradient_at(void *user, ps_tap tap, ps_tensor seen, int64_t ld)
{
    pass *p = user;
    for (size_t k = 0; !p->failed && k < p->n; k++) {
        size_t column = ps_cut_matrix_column(&p->cut[k], tap);
        if (column == SIZE_MAX)
            continue;
        p->failed = ps_tap_read(ps_model_stream(p->x->model), seen, ld, p->g);
        if (!p->failed)
            add_shares(p, k, column, (size_t)seen.shape[1]);
    }
}

/* How far what the parts add is from what z as a whole does. */
static void measure_shares(pass *p, size_t k)
{
    const ps_cut_matrix *w = &p->cut[k];
    for (size_t i = 0; i < p->items->n; i++) {
        size_t place = i * p->tensors + w->parameter;
        double sum = p->bias[place], all = fabs(sum) + 1e-30;
        for (size_t b = 0; b < w->blocks; b++) {
            sum += p->shares[place * p->blocks + b];
            all += fabs(p->shares[place * p->blocks + b]);
        }
        p->residual[i] = ps_explain_worse(p->residual[i], fabs(sum - p->total[place]) / all);
    }
}

static void give_back(pass *p)
{
    for (size_t k = 0; k < p->n; k++) {
        ps_free(&p->parts[k]);
        ps_free(&p->z[k]);
    }
    ps_free(&p->g);
}

static ps_status take_room(pass *p)
{
    size_t widest = 0, numbers = 0;
    for (size_t k = 0; k < p->n; k++) {
        const ps_cut_matrix *w = &p->cut[k];
        widest = w->outputs > widest ? w->outputs : widest;
        numbers += (w->blocks + 1) * w->outputs;
    }
    ps_status st = ps_explain_room((numbers + widest) * p->rows * sizeof(float),
                                   "the column blocks of a layer", "lower explain.batch");
    if (st)
        return st;
    p->g = ps_try_alloc_raw(p->rows * widest * sizeof *p->g);
    bool whole = p->g;
    for (size_t k = 0; k < p->n; k++) {
        size_t each = p->rows * p->cut[k].outputs;
        p->parts[k] = ps_try_alloc_raw(p->cut[k].blocks * each * sizeof(float));
        p->z[k] = ps_try_alloc_raw(each * sizeof(float));
        whole = whole && p->parts[k] && p->z[k];
    }
    return whole ? PS_OK
                 : ps_fail(PS_NO_MEMORY, "column blocks of %zu rows; lower explain.batch", p->rows);
}

static ps_status pass_layer(pass *p)
{
    const ps_model_hooks hooks = {.at = at, .gradient_at = gradient_at, .user = p};
    ps_status st = take_room(p);
    if (!st)
        st = ps_explain_look(p->x, p->items, &hooks);
    if (!st)
        st = p->failed;
    for (size_t k = 0; !st && k < p->n; k++)
        measure_sum(p, k);
    if (!st)
        st = ps_explain_look_back(p->x, p->items, &hooks);
    if (!st)
        st = p->failed;
    for (size_t k = 0; !st && k < p->n; k++)
        measure_shares(p, k);
    give_back(p);
    return st;
}

/* ---- all layers ---- */

static ps_status pass_all(pass *p, const matrices *m)
{
    ps_status st = PS_OK;
    for (size_t first = 0; !st && first < m->n; first += p->n) {
        p->cut = m->cut + first;
        for (p->n = 1; first + p->n < m->n && p->cut[p->n].layer == p->cut->layer;)
            p->n++;
        st = pass_layer(p);
    }
    return st;
}

/* values[count] of NaN, for tensors that are none. */
static ps_status take_values(size_t count, float **out)
{
    *out = ps_try_alloc_raw(count * sizeof **out);
    for (size_t i = 0; *out && i < count; i++)
        (*out)[i] = NAN;
    return *out ? PS_OK : ps_fail(PS_NO_MEMORY, "%zu numbers of matrices", count);
}

/* from[items, tensors], or [items, tensors, blocks], of which a matrix has as many as it has. */
static ps_status put_by_tensor(const pass *p, const matrices *m, const char *name,
                               const double *from, bool by_block, ps_explain_part *out)
{
    size_t each = by_block ? p->blocks : 1;
    const uint64_t shape[2] = {p->tensors, each};
    float *values;
    ps_status st = take_values(p->items->n * p->tensors * each, &values);
    for (size_t i = 0; !st && i < p->items->n * m->n; i++) {
        const ps_cut_matrix *w = &m->cut[i % m->n];
        size_t place = (i / m->n * p->tensors + w->parameter) * each;
        for (size_t b = 0; b < each && b < w->blocks; b++)
            values[place + b] = (float)from[place + b];
    }
    if (!st)
        st = ps_explain_put_rows(out, name, by_block ? "tensor block" : "tensor", p->items->n,
                                 by_block ? 2 : 1, shape, values);
    ps_free(&values);
    return st;
}

static ps_status put_sides(const pass *p, const matrices *m, ps_explain_part *out)
{
    const uint64_t shape[1] = {p->tensors};
    float *values;
    ps_status st = take_values(p->tensors, &values);
    for (size_t k = 0; !st && k < m->n; k++)
        values[m->cut[k].parameter] = m->cut[k].side_by_side;
    if (!st)
        st = ps_explain_put_result(out, "side_by_side", "tensor", 1, shape, values);
    ps_free(&values);
    return st;
}

static ps_status put_residual(const pass *p, ps_explain_part *out)
{
    float *values;
    ps_status st = take_values(p->items->n, &values);
    for (size_t i = 0; !st && i < p->items->n; i++)
        values[i] = (float)p->residual[i];
    if (!st)
        st = ps_explain_put_rows(out, "residual", "", p->items->n, 0, NULL, values);
    out->tolerance = TOLERANCE;
    ps_free(&values);
    return st;
}

static ps_status put_all(const pass *p, const matrices *m, ps_explain_part *out)
{
    ps_status st = put_by_tensor(p, m, "contributions", p->shares, true, out);
    if (!st)
        st = put_by_tensor(p, m, "bias", p->bias, false, out);
    if (!st)
        st = put_by_tensor(p, m, "total", p->total, false, out);
    if (!st)
        st = put_sides(p, m, out);
    return st ? st : put_residual(p, out);
}

static ps_status run(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                     const ps_explain_items *items, ps_explain_part *out)
{
    const matrices *m = state;
    pass p = {.x = x,
              .items = items,
              .rows = items->n * (size_t)items->length,
              .tensors = ps_model_parameters(x->model)->count,
              .blocks = (size_t)spec->blocks};
    size_t places = items->n * p.tensors;
    p.parts = ps_try_alloc(m->n * sizeof *p.parts);
    p.z = ps_try_alloc(m->n * sizeof *p.z);
    p.shares = ps_try_alloc(places * p.blocks * sizeof *p.shares);
    p.bias = ps_try_alloc(places * sizeof *p.bias);
    p.total = ps_try_alloc(places * sizeof *p.total);
    p.residual = ps_try_alloc(items->n * sizeof *p.residual);
    ps_status st = p.parts && p.z && p.shares && p.bias && p.total && p.residual
                       ? pass_all(&p, m)
                       : ps_fail(PS_NO_MEMORY, "column blocks of %zu rows", items->n);
    if (!st)
        st = put_all(&p, m, out);
    ps_free(&p.parts);
    ps_free(&p.z);
    ps_free(&p.shares);
    ps_free(&p.bias);
    ps_free(&p.total);
    ps_free(&p.residual);
    return st;
}

const ps_explain_method ps_explain_method_blocks = {
    .name = "blocks", .prepare = prepare, .run = run, .free = free_state};
