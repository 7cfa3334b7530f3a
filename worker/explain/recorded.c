/* recorded: which pushes of a training taught the model a row: of the loss of its label, with g its
 * gradient at this model, −⟨S·g, S·Δ⟩ over the changes Δ that a record has (docs/record.md). Above
 * 0: the push lowered the loss, to first order.
 *
 *     queries [row]                  numbers of the rows
 *     scores [row, push]             in the order of the record
 *     pushes [push, quantity]        see `quantities`; the worker is a number of workers
 *     workers [worker, byte]         its name, a number a byte, 0 behind it
 *     helping, hurting [row, rank]   pushes, from 0, with the largest scores above 0, and the least
 *                                    below; NaN where there are no more; and helping_scores, …
 *
 * A quantity that ends in _high is in units of 2^24, to which that without it, below 2^24, is
 * added.
 *
 * The record is read whole once a task. Fails: it is of a model of other shapes. */
#include "worker/explain/room.h"
#include "worker/explain/row_gradients.h"
#include "worker/explain/rows.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/record/influence.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    VERSION,
    EPOCH,
    ROW_BEGIN,
    ROW_END,
    WORKER,
    VERSION_HIGH,
    ROW_BEGIN_HIGH,
    ROW_END_HIGH,
    QUANTITIES
};
static const char *const quantities[] = {"version",        "epoch",        "row_begin",
                                         "row_end",        "worker",       "version_high",
                                         "row_begin_high", "row_end_high", NULL};
#define WHOLE (UINT64_C(1) << 24) /* below it a float32 has every whole number */
static const ps_explain_entries entries[] = {{"pushes", quantities}, {NULL, NULL}};

typedef struct recording {
    ps_explaining *x;
    ps_row_gradients gradients;
    ps_buf bytes;
    ps_influence_head head;
    ps_sketch *sketch;
    ps_slice records;
    size_t width;
    float *asked, *change; /* [batch, width], [width] */
    size_t *tensors;       /* [parameters]: of the head's */
    /* what is known of pushes */
    size_t n, room, n_workers, longest;
    float *pushes;  /* [n, QUANTITIES] */
    char **workers; /* [n_workers]; the longest has so many bytes, with its 0 */
    float *made;    /* [batch, a layer]: gradients of rows of several positions; NULL: of one */
    ps_products products;
} recording;

/* ---- the record ---- */

static ps_status of_another_model(const ps_explaining *x, const char *tensor)
{
    return ps_fail(PS_FAILED_PRECONDITION,
                   "the record of the training is of a model of other shapes than %s: %s",
                   x->job->model_name, tensor);
}

/* Which tensor of the record each parameter is; blocks of a matrix have whole columns. */
static ps_status match_tensors(recording *r)
{
    const ps_model_layout *layout = ps_model_parameters(r->x->model);
    if (layout->count != r->head.n_tensors)
        return of_another_model(r->x, "how many tensors there are");
    r->tensors = ps_alloc_array(layout->count, sizeof *r->tensors);
    for (size_t i = 0; i < layout->count; i++) {
        const ps_model_parameter_spec *p = &layout->parameters[i];
        uint64_t rows = p->rank == 2 ? (uint64_t)p->shape[0] : 1, elements = 0;
        size_t k = 0;
        while (k < r->head.n_tensors && strcmp(r->head.tensors[k].name, p->name) != 0)
            k++;
        if (k == r->head.n_tensors)
            return of_another_model(r->x, p->name);
        for (uint32_t u = 0; u < r->head.tensors[k].units; u++) {
            uint64_t n = r->head.elements[r->head.tensors[k].first_unit + u];
            elements += n;
            if (n % rows)
                return of_another_model(r->x, p->name);
        }
        if (elements != (uint64_t)ps_model_parameter_elements(p))
            return of_another_model(r->x, p->name);
        r->tensors[i] = k;
    }
    return PS_OK;
}

static ps_status open_record(recording *r)
{
    size_t used;
    if (!r->x->record)
        return ps_fail(PS_INVALID_ARGUMENT, "the job names no training with a record");
    ps_status st = r->x->record(r->x->user, &r->bytes);
    if (st == PS_NOT_FOUND)
        return ps_fail(st, "the training has left no record of what its pushes did; one with "
                           "record.influence in its job file does, when it is done");
    if (!st)
        st = ps_influence_head_read(ps_buf_slice(&r->bytes), &r->head, &used);
    if (!st)
        st = match_tensors(r);
    if (!st)
        st = ps_sketch_create(r->head.elements, r->head.n_units, r->head.sketch, &r->sketch);
    if (st)
        return st;
    r->records = ps_slice_of(r->bytes.data + used, r->bytes.len - used);
    r->width = ps_sketch_width(r->sketch);
    r->change = ps_try_alloc_raw(r->width * sizeof *r->change);
    r->asked = ps_try_alloc_raw(r->x->batch * r->width * sizeof *r->asked);
    return r->change && r->asked
               ? PS_OK
               : ps_fail(PS_NO_MEMORY, "%zu sketches; lower explain.batch", r->x->batch);
}

static size_t number_of(recording *r, const char *name)
{
    size_t i = 0, bytes = strlen(name) + 1;
    while (i < r->n_workers && strcmp(r->workers[i], name) != 0)
        i++;
    if (i < r->n_workers)
        return i;
    r->workers = ps_realloc(r->workers, (r->n_workers + 1) * sizeof *r->workers);
    r->workers[r->n_workers] = ps_strdup(name);
    r->longest = bytes > r->longest ? bytes : r->longest;
    return r->n_workers++;
}

static void split(uint64_t number, float *low, float *high)
{
    *low = (float)(number % WHOLE);
    *high = (float)(number / WHOLE);
}

static void note_push(recording *r, const ps_influence_record *record)
{
    const ps_influence_push *p = &record->push;
    if (r->n == r->room) {
        r->room = r->room ? 2 * r->room : 256;
        r->pushes = ps_realloc(r->pushes, r->room * QUANTITIES * sizeof *r->pushes);
    }
    float *to = r->pushes + r->n++ * QUANTITIES;
    split(p->version, &to[VERSION], &to[VERSION_HIGH]);
    split(p->row_begin, &to[ROW_BEGIN], &to[ROW_BEGIN_HIGH]);
    split(p->row_end, &to[ROW_END], &to[ROW_END_HIGH]);
    to[EPOCH] = (float)p->epoch;
    to[WORKER] = (float)number_of(r, record->worker);
}

static ps_status list_pushes(recording *r)
{
    ps_cursor at = ps_cursor_of(r->records);
    ps_influence_record record;
    ps_status st;
    while (!(st = ps_influence_read(&at, r->sketch, &record, NULL)))
        note_push(r, &record);
    if (st != PS_END)
        return st;
    return r->n ? PS_OK : ps_fail(PS_FAILED_PRECONDITION, "the record of the training has no push");
}

/* A number for each chosen row and push, of all tasks together in the end. */
static ps_status check_room(const recording *r)
{
    uint64_t rows = ps_spec_explain_items(r->x->spec), each = r->n * sizeof(float);
    if (rows > PS_EXPLAIN_PART_MAX / each)
        return ps_fail(PS_OUT_OF_RANGE,
                       "scores of %" PRIu64 " rows × %zu pushes take more than %" PRIu64
                       " bytes; explain fewer rows: lower explain.rows",
                       rows, r->n, PS_EXPLAIN_PART_MAX);
    rows = rows < r->x->batch ? rows : r->x->batch;
    return ps_explain_room(2 * rows * each + (r->n_workers * r->longest) * sizeof(float),
                           "scores of pushes", "lower explain.batch");
}

static ps_status make_room(recording *r)
{
    const ps_row_gradients *g = &r->gradients;
    ps_status st = check_room(r);
    uint64_t all = ps_row_layers_sizes(g->layer, g->layers).largest * g->batch;
    if (st || g->length == 1)
        return st;
    st = ps_explain_room(all * sizeof *r->made, "gradients of a layer, of a batch",
                         "lower explain.batch");
    if (!st)
        r->made = ps_try_alloc_raw(all * sizeof *r->made);
    return st || r->made ? st : ps_fail(PS_NO_MEMORY, "gradients of a layer; lower explain.batch");
}

static void free_state(void *state)
{
    recording *r = state;
    ps_row_gradients_close(&r->gradients);
    ps_buf_free(&r->bytes);
    ps_influence_head_free(&r->head);
    ps_sketch_free(&r->sketch);
    ps_free(&r->change);
    ps_free(&r->asked);
    ps_free(&r->tensors);
    ps_free(&r->pushes);
    for (size_t i = 0; i < r->n_workers; i++)
        ps_free(&r->workers[i]);
    ps_free(&r->workers);
    ps_free(&r->made);
    ps_products_free(&r->products);
    ps_free(&r);
}

static ps_status prepare(ps_explaining *x, const ps_spec_explain_method *spec, void **state)
{
    recording *r = ps_new(recording);
    *r = (recording){.x = x, .bytes = PS_BUF_EMPTY, .products = {.model = x->model}};
    *state = r;
    ps_status st = ps_row_gradients_open(x, &r->gradients);
    if (!st)
        st = open_record(r);
    if (!st)
        st = list_pushes(r);
    return st ? st : make_room(r);
}

/* ---- rows ---- */

/* Column block by column block, each of which is all rows of its columns. The matrix is u·vᵀ, its
 * rows as many as u: or, with made, it is that itself, whose rows are `stride` apart. */
typedef struct sketched {
    const float *u, *v, *made;
    size_t rows, columns, stride;
} sketched;

static void sketch_matrix(const recording *r, size_t parameter, const sketched *m, float *out)
{
    const ps_influence_tensor *t = &r->head.tensors[r->tensors[parameter]];
    size_t column = 0;
    for (uint32_t u = t->first_unit; u < t->first_unit + t->units; u++) {
        size_t wide = (size_t)(r->head.elements[u] / m->rows);
        for (size_t i = 0; i < m->rows; i++)
            ps_sketch_add(r->sketch, u, i * wide,
                          (m->made ? m->made + i * m->stride : m->v) + column, wide,
                          m->made ? 1 : m->u[i], out);
        column += wide;
    }
    PS_REQUIRE(column == m->columns);
}

/* A vector's block is a piece of it; numbers `stride` apart. */
static void sketch_bias(const recording *r, size_t parameter, const float *d, size_t n,
                        size_t stride, float *out)
{
    const ps_influence_tensor *t = &r->head.tensors[r->tensors[parameter]];
    size_t at = 0;
    for (uint32_t u = t->first_unit; u < t->first_unit + t->units; u++)
        for (uint64_t i = 0; i < r->head.elements[u]; i++)
            ps_sketch_add(r->sketch, u, i, d + at++ * stride, 1, 1, out);
    PS_REQUIRE(at == n);
}

/* Of a square one the layout knows which side is which. */
static bool by_outputs(const recording *r, size_t l)
{
    const ps_model_parameter_spec *p =
        &ps_model_parameters(r->x->model)->parameters[r->gradients.layer[l].weight];
    return !p->input_major;
}

/* As the tensor is stored: [out, in], or the other way round; a bias is a's last column. */
static ps_status sketch_layer(recording *r, size_t l)
{
    const ps_row_gradients *g = &r->gradients;
    const ps_row_layer *layer = &g->layer[l];
    bool turned = !by_outputs(r, l), biased = layer->bias != PS_ROW_NO_BIAS;
    size_t in = g->in[l], out = g->out[l], inputs = in - biased, all = in * out;
    sketched m = {.rows = turned ? inputs : out,
                  .columns = turned ? out : inputs,
                  .stride = turned ? out : in};
    ps_status st = !r->made ? PS_OK
                   : turned
                       ? ps_row_gradients_make(g, &r->products, g->a[l], in, g->d[l], out, r->made)
                       : ps_row_gradients_make(g, &r->products, g->d[l], out, g->a[l], in, r->made);
    for (size_t i = 0; !st && i < g->n; i++) {
        const float *a = g->a[l] + i * in, *d = g->d[l] + i * out;
        const float *made = r->made ? r->made + i * all : NULL;
        float *to = r->asked + i * r->width;
        m.u = turned ? a : d;
        m.v = turned ? d : a;
        m.made = made;
        sketch_matrix(r, layer->weight, &m, to);
        if (biased && made)
            sketch_bias(r, layer->bias, turned ? made + inputs * out : made + inputs, out,
                        turned ? 1 : in, to);
        else if (biased)
            sketch_bias(r, layer->bias, d, out, 1, to);
    }
    return st;
}

static ps_status sketch_rows(recording *r, size_t n)
{
    ps_status st = PS_OK;
    memset(r->asked, 0, n * r->width * sizeof *r->asked);
    for (size_t l = 0; !st && l < r->gradients.layers; l++)
        st = sketch_layer(r, l);
    return st;
}

static ps_status score(const recording *r, size_t n, float *scores)
{
    ps_cursor at = ps_cursor_of(r->records);
    ps_influence_record record;
    ps_status st = PS_OK;
    for (size_t k = 0; !st && k < r->n; k++) {
        st = ps_influence_read(&at, r->sketch, &record, r->change);
        for (size_t i = 0; !st && i < n; i++)
            scores[i * r->n + k] =
                r->gradients.odd[i]
                    ? NAN
                    : (float)-ps_sketch_dot(r->asked + i * r->width, r->change, r->width);
        if (!st && k % 256 == 0)
            st = r->x->check(r->x->user);
    }
    return st;
}

static ps_status put_pushes(const recording *r, ps_explain_part *out)
{
    const uint64_t shape[] = {r->n, QUANTITIES}, names[] = {r->n_workers, r->longest};
    float *letters = ps_alloc_array(r->n_workers * r->longest, sizeof *letters);
    for (size_t w = 0; w < r->n_workers; w++)
        for (size_t i = 0; r->workers[w][i]; i++)
            letters[w * r->longest + i] = (float)(unsigned char)r->workers[w][i];
    ps_status st = ps_explain_put_result(out, "pushes", "push quantity", 2, shape, r->pushes);
    if (!st)
        st = ps_explain_put_result(out, "workers", "worker byte", 2, names, letters);
    ps_free(&letters);
    return st;
}

static ps_status put_scores(const recording *r, const ps_explain_items *items, const float *scores,
                            ps_explain_part *out)
{
    ps_status st = ps_explain_put_values(out, "scores", "push", items->n, r->n, scores);
    for (size_t i = 0; !st && i < items->n; i++) {
        const float row = (float)items->row[i];
        st = ps_explain_put_rows(out, "queries", "", 1, 0, NULL, &row);
    }
    return st ? st : put_pushes(r, out);
}

static ps_status run(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                     const ps_explain_items *items, ps_explain_part *out)
{
    recording *r = state;
    float *scores = ps_try_alloc_raw(items->n * r->n * sizeof *scores);
    ps_status st = scores ? PS_OK
                          : ps_fail(PS_NO_MEMORY,
                                    "scores of %zu rows × %zu pushes; lower "
                                    "explain.batch",
                                    items->n, r->n);
    if (!st)
        st = ps_row_gradients_take(&r->gradients, x->test, items->row, items->n, PS_GRADIENT_LOSS);
    if (!st)
        st = sketch_rows(r, items->n);
    if (!st)
        st = score(r, items->n, scores);
    for (size_t i = 0; !st && i < items->n; i++)
        if (r->gradients.odd[i])
            ps_explain_warn(out,
                            "row %" PRIu64 " of data.test has no finite gradient: nothing is said "
                            "of what influenced it",
                            items->row[i]);
    if (!st)
        ps_row_gradients_say(&r->gradients, out);
    if (!st)
        st = put_scores(r, items, scores, out);
    ps_free(&scores);
    return st;
}

/* ---- all rows ---- */

typedef struct scored {
    float score;
    uint32_t push;
} scored;

static int by_score(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    return x->score > y->score   ? -1
           : x->score < y->score ? 1
                                 : (x->push > y->push) - (x->push < y->push);
}

/* sign 1: the most; -1: the least. */
static ps_status put_side(ps_explain_part *merged, const ps_explain_array *scores, size_t top,
                          const char *what, float sign)
{
    size_t rows = (size_t)scores->shape[0], n = (size_t)scores->shape[1];
    const uint64_t shape[] = {rows, top};
    char name[PS_EXPLAIN_NAME];
    scored *list = ps_try_alloc_raw((n + 1) * sizeof *list);
    float *pushes = ps_try_alloc_raw((2 * rows * top + 1) * sizeof *pushes),
          *values = pushes + rows * top;
    ps_status st = list && pushes ? PS_OK : ps_fail(PS_NO_MEMORY, "the best of %zu pushes", n);
    for (size_t i = 0; !st && i < rows; i++) {
        for (size_t k = 0; k < n; k++) {
            float score = sign * scores->floats[i * n + k];
            list[k] = (scored){isnan(score) ? 0 : score, (uint32_t)k};
        }
        qsort(list, n, sizeof *list, by_score);
        for (size_t k = 0; k < top; k++) {
            bool there = k < n && list[k].score > 0;
            pushes[i * top + k] = there ? (float)list[k].push : NAN;
            values[i * top + k] = there ? sign * list[k].score : NAN;
        }
    }
    if (!st)
        st = ps_explain_put_result(merged, what, "row rank", 2, shape, pushes);
    (void)snprintf(name, sizeof name, "%s_scores", what);
    if (!st)
        st = ps_explain_put_result(merged, name, "row rank", 2, shape, values);
    ps_free(&list);
    ps_free(&pushes);
    return st;
}

static ps_status finish(ps_explaining *x, const ps_spec_explain_method *spec,
                        ps_explain_part *merged)
{
    const ps_explain_array *scores = ps_explain_get(merged, "scores");
    if (!scores) /* no row was left */
        return PS_OK;
    if (!scores->floats || scores->rank != 2 || !ps_explain_array_count(scores))
        return ps_fail(PS_CORRUPT, "scores of pushes are missing");
    ps_status st = put_side(merged, scores, (size_t)spec->top, "helping", 1);
    return st ? st : put_side(merged, scores, (size_t)spec->top, "hurting", -1);
}

const ps_explain_method ps_explain_method_recorded = {.name = "recorded",
                                                      .entries = entries,
                                                      .prepare = prepare,
                                                      .run = run,
                                                      .free = free_state,
                                                      .finish = finish};
