/* probe: of one segment of a training, how its loss on some rows changed, and through which column
 * blocks (common/record/loss_segment.h). The rows are the first record.loss_changes.probe_rows of
 * the first epoch's permutation, always the same; the loss is the training's, without dropout.
 *
 *     pull both ends ─▶ g at both and in the middle ─▶ Simpson's rule ─▶ within the tolerance? told
 *                              ▲                                            │ no
 *                              └───── each half of the interval alone ◀─────┘ at most SPLITS deep
 *
 * The straight line between the ends is not the way that the training took; but the loss does not
 * depend on the way, so the parts add up to its change all the same. A segment that still misses is
 * told as it is, marked. Fails as pulls and the model do. */
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/record/loss_segment.h"
#include "worker/data/prefetch.h"
#include "worker/data/shuffle.h"
#include "worker/job/job_cache.h"
#include "worker/tasks/kept_gradient.h"
#include "worker/tasks/pass.h"
#include "worker/tasks/task_kind.h"

#include <math.h>
#include <string.h>

enum { SPLITS = 3 };

/* Against rounding: a part's share of all that moved, that no tolerance goes below. */
#define SLACK 0.05

/* The loss at a point of the line, and its gradient. */
typedef struct point {
    double at; /* from 0 to 1 */
    double loss;
    float *gradient; /* all tensors, one after the other, in the model's order */
} point;

typedef struct probing {
    ps_task_run *run;
    ps_job_entry *entry;
    const ps_spec_record *record;
    ps_dataset *data;
    ps_model *model;
    const ps_model_teaching *teaching;
    ps_exchange *exchange;
    const ps_tensor_maps *maps;
    float *begin, *end, *now; /* parameters, as gradients */
    float *mean;              /* of the gradient along the line */
    double *wanted;           /* parts of an interval, until it is known to be good */
    size_t units;
    ps_loss_segment told;
} probing;

/* ---- the model's numbers, as one array ---- */

static size_t tensor_bytes(const probing *p, size_t i)
{
    return (size_t)p->maps->tensors[i].elements * sizeof(float);
}

static ps_status read_all(const probing *p, ps_tensor (*of)(const ps_model *, size_t), float *out)
{
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < p->maps->count; i++) {
        st = ps_copy_to_host(ps_model_stream(p->model), out, of(p->model, i), tensor_bytes(p, i));
        out += p->maps->tensors[i].elements;
    }
    return st;
}

static ps_status pull(const probing *p, uint64_t waypoint, float *out)
{
    uint64_t version;
    ps_status st = ps_exchange_pull_at(p->exchange, waypoint, &version);
    return st ? st : read_all(p, ps_model_parameter, out);
}

static ps_status go_to(const probing *p, double at)
{
    for (uint64_t i = 0; i < p->maps->elements; i++)
        p->now[i] = (float)((1 - at) * p->begin[i] + at * p->end[i]);
    const float *from = p->now;
    for (size_t i = 0; i < p->maps->count; i++) {
        ps_copy_to_device(ps_model_stream(p->model), ps_model_parameter(p->model, i), from,
                          tensor_bytes(p, i));
        from += p->maps->tensors[i].elements;
    }
    ps_model_refresh(p->model);
    return ps_stream_sync(ps_model_stream(p->model));
}

/* ---- loss and gradient at a point ---- */

static ps_status add_batch(const probing *p, const ps_batch *batch, uint64_t rows, bool first,
                           double *loss)
{
    ps_model_batch input = ps_pass_model_batch(batch);
    ps_model_result result;
    input.teaching = p->teaching;
    input.add_gradients = !first;
    input.weight = (double)batch->rows / (double)rows;
    ps_status st = ps_model_forward(p->model, &input, NULL);
    if (!st)
        st = ps_model_loss(p->model, &input);
    if (!st)
        st = ps_model_backward(p->model, NULL);
    if (!st)
        st = ps_model_result_get(p->model, &result);
    if (!st && !isfinite(result.loss))
        st = ps_fail(PS_OUT_OF_RANGE, "the loss of the probe rows is no number");
    if (!st)
        *loss += result.loss * input.weight;
    return st;
}

static ps_status over_rows(const probing *p, ps_prefetch *prefetch, uint64_t rows, double *loss)
{
    const ps_batch *batch;
    ps_status st;
    bool first = true;
    while (!(st = ps_prefetch_next(prefetch, &batch))) {
        st = ps_gate_check(p->run->remote->gate);
        if (!st && ps_task_stopping(p->run))
            st = ps_fail(PS_CANCELLED, "the worker is stopping");
        if (!st)
            st = add_batch(p, batch, rows, first, loss);
        ps_prefetch_give_back(prefetch, batch);
        first = false;
        if (st)
            break;
    }
    return st == PS_END ? PS_OK : st;
}

static ps_status measure(probing *p, double at, point *out)
{
    uint64_t all = ps_dataset_rows(p->data), rows = (uint64_t)p->record->loss_changes->probe_rows;
    rows = rows < all ? rows : all;
    ps_shuffle shuffle = ps_shuffle_make(all, p->run->task->seed, 0);
    const ps_prefetch_options options = {.dataset = p->data,
                                         .shuffle = &shuffle,
                                         .end = rows,
                                         .batch_size = ps_job_entry_batch(p->entry),
                                         .max_bytes = p->run->env->conf->memory_bytes};
    ps_prefetch *prefetch;
    ps_status st = go_to(p, at);
    if (!st)
        st = ps_prefetch_start(&options, &prefetch);
    if (st)
        return st;
    *out = (point){.at = at};
    st = over_rows(p, prefetch, rows, &out->loss);
    ps_prefetch_free(&prefetch);
    if (st)
        return st;
    out->gradient = ps_try_alloc_raw((size_t)p->maps->elements * sizeof *out->gradient);
    if (!out->gradient)
        return ps_fail(PS_NO_MEMORY, "no memory for a gradient of the probe rows");
    p->told.gradients++;
    return read_all(p, ps_model_gradient, out->gradient);
}

/* ---- parts ---- */

/* Where unit (tensor, shard) is among all, in psd's order. */
static size_t first_unit(const probing *p, size_t tensor)
{
    size_t unit = 0;
    for (size_t i = 0; i < p->maps->count; i++)
        if (p->maps->tensors[i].id < p->maps->tensors[tensor].id)
            unit += p->maps->tensors[i].shard_count;
    return unit;
}

typedef void (*row_fn)(const probing *p, size_t unit, uint64_t in_model, uint64_t in_unit,
                       uint64_t n, void *user);

/* Each row of each unit: where it lies in the arrays, and in the unit. */
static void each_row(const probing *p, row_fn each, void *user)
{
    uint64_t base = 0;
    for (size_t i = 0; i < p->maps->count; i++) {
        const ps_tensor_map *map = &p->maps->tensors[i];
        size_t unit = first_unit(p, i);
        for (uint32_t s = 0; s < map->shard_count; s++) {
            const ps_shard_map *shard = &map->shards[s];
            for (uint64_t r = 0; r < map->rows; r++)
                each(p, unit + s, base + r * map->columns + shard->column_begin, r * shard->width,
                     shard->width, user);
        }
        base += map->elements;
    }
}

typedef struct simpson {
    const float *g0, *g1, *g2;
    double share; /* of the line, over 6 */
} simpson;

static void add_part(const probing *p, size_t unit, uint64_t at, uint64_t in_unit, uint64_t n,
                     void *user)
{
    const simpson *s = user;
    double sum = 0;
    for (uint64_t i = at; i < at + n; i++)
        sum += ((double)s->g0[i] + 4.0 * (double)s->g1[i] + (double)s->g2[i]) *
               ((double)p->end[i] - (double)p->begin[i]);
    p->wanted[unit] += s->share * sum;
}

/* Into p->wanted; how far it misses, and of how much. */
static bool is_good(const probing *p, const point *a, const point *m, const point *b)
{
    simpson s = {a->gradient, m->gradient, b->gradient, (b->at - a->at) / 6};
    double change = b->loss - a->loss, sum = 0, moved = 0;
    memset(p->wanted, 0, p->units * sizeof *p->wanted);
    each_row(p, add_part, &s);
    for (size_t u = 0; u < p->units; u++) {
        sum += p->wanted[u];
        moved += fabs(p->wanted[u]);
    }
    return fabs(sum - change) <=
           p->record->loss_changes->tolerance * fmax(fabs(change), SLACK * moved);
}

static void take_parts(const probing *p, const point *a, const point *m, const point *b)
{
    float share = (float)((b->at - a->at) / 6);
    for (size_t u = 0; u < p->units; u++)
        p->told.parts[u] += p->wanted[u];
    for (uint64_t i = 0; i < p->maps->elements; i++)
        p->mean[i] += share * (a->gradient[i] + 4 * m->gradient[i] + b->gradient[i]);
}

/* From a to b. */
static ps_status interval(probing *p, const point *a, const point *b, unsigned splits)
{
    point m = {0};
    ps_status st = measure(p, (a->at + b->at) / 2, &m);
    if (!st) {
        bool good = is_good(p, a, &m, b);
        if (good || splits == SPLITS) {
            p->told.met &= good;
            take_parts(p, a, &m, b);
        } else {
            st = interval(p, a, &m, splits + 1);
            if (!st)
                st = interval(p, &m, b, splits + 1);
        }
    }
    ps_free(&m.gradient);
    return st;
}

/* The end of a segment is the next one's beginning: its gradient stays with the job's entry. */
static bool take_kept(const probing *p, point *out)
{
    double loss;
    size_t bytes = (size_t)p->maps->elements * sizeof *out->gradient;
    const float *gradient =
        ps_kept_gradient_at(*ps_job_entry_note(p->entry), p->begin, p->maps->elements, &loss);
    if (!gradient)
        return false;
    *out = (point){.loss = loss, .gradient = ps_try_alloc_raw(bytes)};
    if (out->gradient)
        memcpy(out->gradient, gradient, bytes);
    return out->gradient;
}

static void keep(const probing *p, const point *end)
{
    void **note = ps_job_entry_note(p->entry);
    ps_free(note);
    *note = ps_kept_gradient_make(p->end, end->gradient, p->maps->elements, end->loss);
}

static ps_status along(probing *p)
{
    point a = {0}, b = {0};
    ps_status st = take_kept(p, &a) ? PS_OK : measure(p, 0, &a);
    if (!st)
        st = measure(p, 1, &b);
    if (!st) {
        p->told.loss_begin = a.loss;
        p->told.loss_end = b.loss;
        p->told.met = true;
        keep(p, &b);
        st = interval(p, &a, &b, 0);
    }
    ps_free(&a.gradient);
    ps_free(&b.gradient);
    return st;
}

/* ---- the mean gradient's sketch ---- */

typedef struct sketching {
    const ps_sketch *sketch;
    float *numbers;
} sketching;

static void add_row(const probing *p, size_t unit, uint64_t at, uint64_t in_unit, uint64_t n,
                    void *user)
{
    const sketching *s = user;
    ps_sketch_add(s->sketch, unit, in_unit, p->mean + at, (size_t)n, 1, s->numbers);
}

static ps_status sketch_mean(probing *p)
{
    if (!p->record->influence)
        return PS_OK;
    uint64_t *elements = ps_alloc_array(p->units, sizeof *elements);
    for (size_t i = 0; i < p->maps->count; i++)
        for (uint32_t s = 0; s < p->maps->tensors[i].shard_count; s++)
            elements[first_unit(p, i) + s] = p->maps->tensors[i].shards[s].elements;
    ps_sketch *sketch;
    ps_status st =
        ps_sketch_create(elements, p->units, (uint32_t)p->record->influence->sketch, &sketch);
    ps_free(&elements);
    if (st)
        return st;
    sketching s = {sketch, ps_alloc_array(ps_sketch_width(sketch), sizeof(float))};
    each_row(p, add_row, &s);
    p->told.gradient_bytes = ps_loss_gradient_bytes(sketch);
    p->told.gradient = ps_alloc(p->told.gradient_bytes);
    ps_loss_gradient_write(sketch, s.numbers, p->told.gradient);
    ps_free(&s.numbers);
    ps_sketch_free(&sketch);
    return PS_OK;
}

/* ---- the task ---- */

static ps_status open_all(ps_task_run *run, probing *p)
{
    *p = (probing){.run = run};
    ps_status st = ps_job_cache_get(run, &p->entry);
    if (st)
        return st;
    p->record = ps_job_entry_spec(p->entry)->record;
    if (!p->record || !p->record->loss_changes)
        return ps_fail(PS_INVALID_ARGUMENT, "a probe of a job without record.loss_changes");
    st = ps_job_entry_data(p->entry, run, PS_JOB_TRAIN_DATA, &p->data);
    if (!st)
        st = ps_job_entry_model(p->entry, run, &p->model);
    if (!st)
        st = ps_job_entry_teaching(p->entry, run, &p->teaching);
    if (!st)
        st = ps_job_entry_exchange(p->entry, run, &p->exchange);
    return st;
}

static ps_status make_room(probing *p)
{
    p->maps = ps_exchange_maps(p->exchange);
    for (size_t i = 0; i < p->maps->count; i++)
        p->units += p->maps->tensors[i].shard_count;
    size_t bytes = (size_t)p->maps->elements * sizeof(float);
    p->begin = ps_try_alloc_raw(bytes);
    p->end = ps_try_alloc_raw(bytes);
    p->now = ps_try_alloc_raw(bytes);
    p->mean = ps_try_alloc(bytes);
    p->wanted = ps_alloc_array(p->units, sizeof *p->wanted);
    p->told.parts = ps_alloc_array(p->units, sizeof *p->told.parts);
    return p->begin && p->end && p->now && p->mean
               ? PS_OK
               : ps_fail(PS_NO_MEMORY, "no memory to measure losses: 7 times the parameters");
}

static ps_status probe(probing *p)
{
    ps_status st = make_room(p);
    if (!st)
        st = pull(p, p->run->task->row_begin, p->begin);
    if (!st)
        st = pull(p, p->run->task->row_end, p->end);
    if (!st)
        st = along(p);
    return st ? st : sketch_mean(p);
}

static ps_status run_task(ps_task_run *run, Psd__V1__TaskResult *result)
{
    probing p;
    ps_status st = open_all(run, &p);
    if (!st)
        st = probe(&p);
    if (!st) {
        ps_buf json = PS_BUF_EMPTY;
        ps_loss_report_write(&p.told, p.units, &json);
        ps_result_report(result, ps_buf_cstr(&json));
        ps_buf_free(&json);
    }
    ps_loss_segment_free(&p.told);
    ps_free(&p.begin);
    ps_free(&p.end);
    ps_free(&p.now);
    ps_free(&p.mean);
    ps_free(&p.wanted);
    return st;
}

const ps_worker_kind ps_worker_kind_probe = {.name = "probe", .run = run_task};
