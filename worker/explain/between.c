/* Happy path: B is loaded into a model with gradients, and its difference from A is kept on the
 * host; for each point its parameters are written there, and batches of rows go forward and back.
 * Gradients are multiplied and added in float64. */
#include "worker/explain/between.h"

#include "worker/explain/other.h"

#include "common/base/mem.h"

#include <math.h>
#include <string.h>

struct ps_between {
    ps_explaining *x;
    ps_model *model; /* on the line */
    const ps_model_layout *layout;
    float **a, **change; /* [parameters]: A's, and B − A */
    float *work;         /* of the largest */
    /* a batch */
    uint64_t *rows;
    void *inputs, *labels;
    int64_t length; /* tokens of a row; 1 of others */
};

/* ---- making it ---- */

static ps_status compare_shapes(const ps_explaining *x, const ps_model_layout *a,
                                const ps_model_layout *b)
{
    bool same = a->count == b->count;
    const char *at = "how many tensors there are";
    for (size_t i = 0; same && i < a->count; i++) {
        const ps_model_parameter_spec *p = &a->parameters[i], *q = &b->parameters[i];
        same = !strcmp(p->name, q->name) && p->rank == q->rank &&
               !memcmp(p->shape, q->shape, (size_t)p->rank * sizeof *p->shape);
        at = p->name;
    }
    return same ? PS_OK
                : ps_fail(PS_INVALID_ARGUMENT,
                          "model %s is not of the shapes of the job's model: %s", x->other->name,
                          at);
}

static ps_status take_both(ps_between *b, size_t i)
{
    ps_tensor from = ps_model_parameter(b->x->model, i), to = ps_model_parameter(b->model, i);
    size_t bytes = ps_tensor_bytes(from), n = bytes / sizeof(float);
    b->a[i] = ps_try_alloc_raw(bytes);
    b->change[i] = ps_try_alloc_raw(bytes);
    if (!b->a[i] || !b->change[i])
        return ps_fail(PS_NO_MEMORY, "tensor %s of two models", b->layout->parameters[i].name);
    ps_status st = ps_copy_to_host(ps_model_stream(b->x->model), b->a[i], from, bytes);
    if (!st)
        st = ps_copy_to_host(ps_model_stream(b->model), b->change[i], to, bytes);
    for (size_t k = 0; !st && k < n; k++)
        b->change[i][k] -= b->a[i][k];
    return st;
}

static ps_status take_parameters(ps_between *b)
{
    size_t largest = 0;
    ps_status st = PS_OK;
    b->a = ps_alloc_array(b->layout->count, sizeof *b->a);
    b->change = ps_alloc_array(b->layout->count, sizeof *b->change);
    for (size_t i = 0; !st && i < b->layout->count; i++) {
        size_t bytes = ps_tensor_bytes(ps_model_parameter(b->model, i));
        largest = bytes > largest ? bytes : largest;
        st = take_both(b, i);
    }
    b->work = st ? NULL : ps_try_alloc_raw(largest);
    return st || b->work ? st : ps_fail(PS_NO_MEMORY, "a gradient of %zu bytes", largest);
}

static ps_status take_rows(ps_between *b)
{
    const ps_dataset *data = b->x->test;
    size_t n = b->x->batch;
    b->rows = ps_alloc_array(n, sizeof *b->rows);
    b->inputs = ps_try_alloc_raw(n * ps_dataset_features(data) * sizeof(float)); /* or int32 */
    b->labels = ps_try_alloc_raw(n * ps_dataset_label_bytes(data) + 1);
    return b->inputs && b->labels ? PS_OK
                                  : ps_fail(PS_NO_MEMORY, "%zu rows; lower explain.batch", n);
}

ps_status ps_between_open(ps_explaining *x, ps_between **out)
{
    ps_between *b = ps_new(ps_between);
    *b = (ps_between){.x = x,
                      .layout = ps_model_parameters(x->model),
                      .length = x->language ? (int64_t)ps_dataset_features(x->test) : 1};
    const ps_model_options options = {.max_batch = (int64_t)x->batch, .max_length = b->length};
    ps_status st = x->other->open(x->other->user, &options, &b->model);
    if (!st)
        st = compare_shapes(x, b->layout, ps_model_parameters(b->model));
    if (!st)
        st = take_parameters(b);
    if (!st)
        st = take_rows(b);
    if (st)
        ps_between_close(&b);
    *out = b;
    return st;
}

void ps_between_close(ps_between **between)
{
    ps_between *b = *between;
    if (!b)
        return;
    for (size_t i = 0; i < b->layout->count; i++) {
        if (b->a)
            ps_free(&b->a[i]);
        if (b->change)
            ps_free(&b->change[i]);
    }
    ps_free(&b->a);
    ps_free(&b->change);
    ps_free(&b->work);
    ps_free(&b->rows);
    ps_free(&b->inputs);
    ps_free(&b->labels);
    ps_model_free(&b->model);
    ps_free(between);
}

size_t ps_between_parts(const ps_between *b)
{
    return b->layout->count * PS_BETWEEN_BLOCKS;
}

/* ---- a point ---- */

static ps_status go_to(const ps_between *b, double t)
{
    ps_stream *s = ps_model_stream(b->model);
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < b->layout->count; i++) {
        ps_tensor to = ps_model_parameter(b->model, i);
        size_t bytes = ps_tensor_bytes(to);
        for (size_t k = 0; k < bytes / sizeof(float); k++)
            b->work[k] = (float)((double)b->a[i][k] + t * (double)b->change[i][k]);
        ps_copy_to_device(s, to, b->work, bytes);
        st = ps_stream_sync(s); /* the next one is written where this one was */
    }
    ps_model_refresh(b->model);
    return st;
}

static ps_status read_rows(const ps_between *b, const ps_selection *rows, uint64_t first, size_t n,
                           ps_model_batch *out)
{
    const ps_dataset *data = b->x->test;
    bool reals = ps_dataset_labels(data) == PS_LABELS_REALS;
    for (size_t i = 0; i < n; i++)
        b->rows[i] = ps_selection_row(rows, first + i);
    *out = (ps_model_batch){.rows = (int64_t)n,
                            .features = b->x->language ? NULL : b->inputs,
                            .tokens = b->x->language ? b->inputs : NULL,
                            .length = b->length,
                            .labels = reals ? NULL : b->labels,
                            .targets = reals ? b->labels : NULL};
    return ps_dataset_read(data, b->rows, n, b->inputs, b->labels);
}

static ps_status lose(const ps_between *b, const ps_model_batch *batch, ps_model_result *out)
{
    ps_status st = ps_model_forward(b->model, batch, NULL);
    if (!st)
        st = ps_model_loss(b->model, batch);
    if (!st)
        st = ps_model_backward(b->model, NULL);
    if (!st)
        st = ps_model_result_get(b->model, out);
    b->x->evaluations += 2 * (uint64_t)batch->rows;
    if (!st && !isfinite(out->loss))
        st = ps_fail(PS_OUT_OF_RANGE, "the loss on the way to model %s is not finite",
                     b->x->other->name);
    return st;
}

/* Elements of a tensor lie by rows; its inputs are its columns, or its rows where it is stored
 * [in, out]. */
static void add_products(const ps_model_parameter_spec *spec, const float *gradient,
                         const float *change, double weight, double *blocks)
{
    size_t n = (size_t)ps_model_parameter_elements(spec);
    size_t columns = (size_t)spec->shape[spec->rank - 1];
    bool by_row = spec->rank == 2 && spec->input_major;
    size_t inputs = by_row ? n / columns : columns;
    double sums[PS_BETWEEN_BLOCKS] = {0};
    for (size_t i = 0; i < n; i++) {
        size_t input = by_row ? i / columns : i % columns;
        sums[input * PS_BETWEEN_BLOCKS / inputs] += (double)gradient[i] * (double)change[i];
    }
    for (size_t k = 0; k < PS_BETWEEN_BLOCKS; k++)
        blocks[k] += weight * sums[k];
}

static ps_status add_gradients(const ps_between *b, double weight, double *parts)
{
    ps_stream *s = ps_model_stream(b->model);
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < b->layout->count; i++) {
        ps_tensor from = ps_model_gradient(b->model, i);
        st = ps_copy_to_host(s, b->work, from, ps_tensor_bytes(from));
        if (!st)
            add_products(&b->layout->parameters[i], b->work, b->change[i], weight,
                         parts + i * PS_BETWEEN_BLOCKS);
    }
    return st;
}

ps_status ps_between_at(ps_between *b, double t, const ps_selection *rows, uint64_t begin,
                        uint64_t end, double *loss, double *parts)
{
    ps_status st = go_to(b, t);
    *loss = 0;
    memset(parts, 0, ps_between_parts(b) * sizeof *parts);
    for (uint64_t first = begin; !st && first < end; first += b->x->batch) {
        size_t n = end - first < b->x->batch ? (size_t)(end - first) : b->x->batch;
        ps_model_batch batch;
        ps_model_result result;
        st = read_rows(b, rows, first, n, &batch);
        if (!st)
            st = lose(b, &batch, &result);
        if (!st) /* the loss is a mean over the batch */
            st = add_gradients(b, (double)n, parts);
        *loss += st ? 0 : result.loss * (double)n;
        if (!st)
            st = b->x->check(b->x->user);
    }
    return st;
}
