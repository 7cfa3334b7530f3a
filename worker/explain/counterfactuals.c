/* counterfactuals: which single token, exchanged for which other, would lower f the most (HotFlip,
 * Ebrahimi et al. 2018). To first order token v in the place of x_t changes f by
 *     Δ(t, v) = (e_v − e_{x_t})·∂f/∂e_t,
 * which is one product of the gradient with the embedding table. The `candidates` smallest of these
 * are then tried: what f really does stands beside what was expected.
 *
 *     values   [row, token]      the most that f would fall by an exchange there, as estimated
 *     position, replacement, estimate, change [row, candidate], the largest fall first: which token
 *                                (from 0) becomes which, and by how much f changes
 *
 * A pass forward and backward a row, a forward pass a candidate. */
#include "worker/explain/rows.h"

#include "gpu/op.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TILE = 4096 }; /* tokens of the vocabulary at a time */

typedef struct exchange {
    int32_t position, token;
    double estimate, change;
} exchange;

typedef struct searching {
    ps_explaining *x;
    const ps_explain_items *items;
    size_t length, hidden, vocabulary, most, row;
    ps_tensor table; /* [vocabulary, hidden] */
    ps_buffer *device;
    ps_tensor gradient, products; /* [length, hidden], [length, TILE] */
    float *slopes;                /* [n, length, hidden]: ∂f/∂e */
    float *tile;                  /* [length, TILE] */
    double *own;                  /* [length]: e_{x_t}·∂f/∂e_t */
    exchange *found;              /* [most], the smallest estimates first */
    size_t n_found;
    float *values, *position, *token, *estimate, *change;
} searching;

/* ---- gradients ---- */

static void make_row(void *user, size_t i, void *point, size_t *item)
{
    const searching *s = user;
    size_t width = ps_explain_width(s->x, s->items);
    memcpy(point, s->items->points + i * width, width * sizeof(float));
    *item = i;
}

static void take_row(void *user, size_t i, double score, const float *gradient)
{
    const searching *s = user;
    size_t width = ps_explain_width(s->x, s->items);
    memcpy(s->slopes + i * width, gradient, width * sizeof *gradient);
}

/* ---- what is expected ---- */

/* Kept in order; of equals the one that came first. */
static void offer(searching *s, size_t position, size_t token, double estimate)
{
    size_t at = s->n_found;
    if (at == s->most && estimate >= s->found[at - 1].estimate)
        return;
    at = at == s->most ? at - 1 : at;
    for (; at > 0 && s->found[at - 1].estimate > estimate; at--)
        s->found[at] = s->found[at - 1];
    s->found[at] =
        (exchange){.position = (int32_t)position, .token = (int32_t)token, .estimate = estimate};
    s->n_found += s->n_found < s->most;
}

/* The products of the vocabulary from `first` on are in s->tile, `n` a position. */
static void look_at(searching *s, size_t first, size_t n)
{
    const int32_t *tokens = s->items->tokens + s->row * s->length;
    float *values = s->values + s->row * s->length;
    for (size_t t = 0; t < s->length; t++)
        for (size_t v = 0; v < n; v++) {
            double estimate = (double)s->tile[t * n + v] - s->own[t];
            if (first + v == (size_t)tokens[t] || isnan(estimate))
                continue;
            values[t] = fmaxf(values[t], (float)-estimate);
            offer(s, t, first + v, estimate);
        }
}

static ps_status multiply(searching *s, size_t first, size_t n)
{
    ps_stream *stream = ps_model_stream(s->x->model);
    ps_tensor part = s->table, out = s->products;
    int64_t hidden = (int64_t)s->hidden;
    part.offset += first * s->hidden * sizeof(float);
    out.shape[1] = (int64_t)n;
    ps_op_gemm(stream, &(ps_gemm){.transpose_b = true,
                                  .m = (int64_t)s->length,
                                  .n = (int64_t)n,
                                  .k = hidden,
                                  .alpha = 1,
                                  .a = s->gradient,
                                  .b = ps_tensor_head(part, (int64_t)n),
                                  .c = out,
                                  .ld_a = hidden,
                                  .ld_b = hidden,
                                  .ld_c = (int64_t)n,
                                  .batch = 1});
    return ps_copy_to_host(stream, s->tile, out, s->length * n * sizeof *s->tile);
}

static ps_status expect(searching *s)
{
    const float *slopes = s->slopes + s->row * s->length * s->hidden;
    const float *points = s->items->points + s->row * s->length * s->hidden;
    ps_status st = PS_OK;
    s->n_found = 0;
    for (size_t t = 0; t < s->length; t++) {
        s->own[t] = 0;
        s->values[s->row * s->length + t] = NAN; /* which fmaxf passes over */
        for (size_t k = t * s->hidden; k < (t + 1) * s->hidden; k++)
            s->own[t] += (double)slopes[k] * (double)points[k];
    }
    ps_copy_to_device(ps_model_stream(s->x->model), s->gradient, slopes,
                      ps_tensor_bytes(s->gradient));
    for (size_t first = 0; !st && first < s->vocabulary; first += TILE) {
        size_t n = s->vocabulary - first < TILE ? s->vocabulary - first : TILE;
        st = multiply(s, first, n);
        if (!st)
            look_at(s, first, n);
    }
    return st;
}

/* ---- what f does ---- */

static void make_exchange(void *user, size_t i, void *point, size_t *item)
{
    const searching *s = user;
    int32_t *tokens = point;
    memcpy(tokens, s->items->tokens + s->row * s->length, s->length * sizeof *tokens);
    tokens[s->found[i].position] = s->found[i].token;
    *item = s->row;
}

static void take_exchange(void *user, size_t i, double score, const float *gradient)
{
    const searching *s = user;
    s->found[i].change = score - s->items->scores[s->row];
}

static int by_change(const void *left, const void *right)
{
    const exchange *a = left, *b = right;
    if (a->change != b->change)
        return a->change < b->change ? -1 : 1;
    return a->position != b->position ? a->position - b->position : a->token - b->token;
}

static void keep(const searching *s)
{
    qsort(s->found, s->n_found, sizeof *s->found, by_change);
    for (size_t i = 0; i < s->most; i++) {
        const exchange *e = i < s->n_found ? &s->found[i] : NULL;
        size_t at = s->row * s->most + i;
        s->position[at] = e ? (float)e->position : NAN;
        s->token[at] = e ? (float)e->token : NAN;
        s->estimate[at] = e ? (float)e->estimate : NAN;
        s->change[at] = e ? (float)e->change : NAN;
    }
}

static ps_status try_row(searching *s)
{
    ps_status st = expect(s);
    const ps_explain_points points = {
        .n = s->n_found, .tokens = true, .make = make_exchange, .take = take_exchange, .user = s};
    if (!st)
        st = ps_explain_evaluate(s->x, s->items, &points);
    if (!st)
        keep(s);
    return st;
}

/* ---- a run ---- */

/* The first table of embeddings: that of the tokens. */
static ps_tensor find_table(const searching *s)
{
    const ps_model_layout *layout = ps_model_parameters(s->x->model);
    size_t i = 0;
    while (i < layout->count && layout->parameters[i].role != PS_ROLE_EMBEDDING)
        i++;
    PS_REQUIRE(i < layout->count && layout->parameters[i].shape[0] == s->x->outputs);
    return ps_model_parameter(s->x->model, i);
}

static ps_status take_device(searching *s)
{
    int64_t length = (int64_t)s->length, hidden = (int64_t)s->hidden;
    size_t begin = (s->length * s->hidden * sizeof(float) + 255) / 256 * 256;
    ps_status st = ps_buffer_new(ps_model_stream(s->x->model)->backend,
                                 begin + s->length * TILE * sizeof(float), &s->device);
    if (st)
        return ps_wrap(st, "gradients of %zu tokens", s->length);
    s->gradient = ps_tensor_2d(s->device, 0, PS_DTYPE_F32, length, hidden);
    s->products = ps_tensor_2d(s->device, begin, PS_DTYPE_F32, length, TILE);
    return PS_OK;
}

static ps_status take_all(searching *s)
{
    size_t n = s->items->n, candidates = n * s->most;
    s->table = find_table(s);
    s->slopes = ps_try_alloc_raw(n * s->length * s->hidden * sizeof *s->slopes);
    s->tile = ps_try_alloc_raw(s->length * TILE * sizeof *s->tile);
    s->own = ps_try_alloc_raw(s->length * sizeof *s->own);
    s->found = ps_try_alloc_raw(s->most * sizeof *s->found);
    s->values = ps_try_alloc_raw(n * s->length * sizeof *s->values);
    s->position = ps_try_alloc_raw(4 * candidates * sizeof *s->position);
    if (!s->slopes || !s->tile || !s->own || !s->found || !s->values || !s->position)
        return ps_fail(PS_NO_MEMORY, "gradients of %zu rows of %zu tokens; lower explain.batch", n,
                       s->length);
    s->token = s->position + candidates;
    s->estimate = s->token + candidates;
    s->change = s->estimate + candidates;
    return take_device(s);
}

static void free_all(searching *s)
{
    ps_buffer_free(ps_model_stream(s->x->model)->backend, &s->device);
    ps_free(&s->slopes);
    ps_free(&s->tile);
    ps_free(&s->own);
    ps_free(&s->found);
    ps_free(&s->values);
    ps_free(&s->position);
}

static ps_status put(const searching *s, ps_explain_part *out)
{
    const struct {
        const char *name;
        const float *values;
    } arrays[] = {{"position", s->position},
                  {"replacement", s->token},
                  {"estimate", s->estimate},
                  {"change", s->change}};
    size_t n = s->items->n;
    ps_status st = ps_explain_put_values(out, "values", "token", n, s->length, s->values);
    for (size_t i = 0; !st && i < sizeof arrays / sizeof *arrays; i++)
        st = ps_explain_put_values(out, arrays[i].name, "candidate", n, s->most, arrays[i].values);
    return st;
}

static ps_status search(searching *s, ps_explain_part *out)
{
    const ps_explain_points points = {
        .n = s->items->n, .gradients = true, .make = make_row, .take = take_row, .user = s};
    ps_status st = ps_explain_evaluate(s->x, s->items, &points);
    for (s->row = 0; !st && s->row < s->items->n; s->row++)
        st = try_row(s);
    return st ? st : put(s, out);
}

static ps_status run(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                     const ps_explain_items *items, ps_explain_part *out)
{
    searching s = {.x = x,
                   .items = items,
                   .length = (size_t)items->length,
                   .hidden = (size_t)x->inputs,
                   .vocabulary = (size_t)x->outputs,
                   .most = (size_t)spec->candidates};
    ps_status st = take_all(&s);
    if (!st)
        st = search(&s, out);
    free_all(&s);
    return st;
}

const ps_explain_method ps_explain_method_counterfactuals = {.name = "counterfactuals", .run = run};
