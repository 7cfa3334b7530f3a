/* net: a small model of layers, 6-5-3 with relu, whose answers are computed here in float64 as
 * well: what methods are tried on. */
#ifndef PS_TEST_EXPLAIN_NET_H
#define PS_TEST_EXPLAIN_NET_H

#include "worker/explain/baseline.h"
#include "worker/explain/items.h"
#include "worker/explain/method.h"

#include "tests/lib/ck_ok.h"
#include "tests/lib/device.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NET_IN = 6, NET_HIDDEN = 5, NET_OUT = 3, NET_ROWS = 4, NET_TARGET = 1 };

typedef struct net {
    ps_backend *backend;
    ps_spec_model model_spec;
    ps_spec_explain spec;
    ps_explain_baseline baseline;
    ps_explaining x;
    ps_explain_batch batch;
    float inputs[NET_ROWS * NET_IN];
    int32_t labels[NET_ROWS];
    float w1[NET_HIDDEN * NET_IN], b1[NET_HIDDEN], w2[NET_OUT * NET_HIDDEN], b2[NET_OUT];
} net;

static inline void net_draw(ps_rng *rng, float *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (float)ps_rng_normal(rng);
}

static inline void net_fill(net *n)
{
    float *from[4] = {n->w1, n->b1, n->w2, n->b2};
    ps_stream *s = ps_model_stream(n->x.model);
    for (size_t i = 0; i < 4; i++) {
        ps_tensor to = ps_model_parameter(n->x.model, i);
        ps_copy_to_device(s, to, from[i], ps_tensor_bytes(to));
    }
    ck_ok(ps_stream_sync(s));
    ps_model_refresh(n->x.model);
}

static inline ps_status net_go_on(void *user)
{
    return PS_OK;
}

/* The rows as items, once more after the model or the rows have been changed. */
static inline void net_again(net *n)
{
    static const uint64_t numbers[] = {0, 1, 2, 3};
    ps_explain_batch_free(&n->batch);
    ck_ok(ps_explain_batch_make(&n->x,
                                &(ps_explain_raw){.n = NET_ROWS,
                                                  .item = numbers,
                                                  .row = numbers,
                                                  .features = n->inputs,
                                                  .labels = n->labels,
                                                  .length = 1},
                                &n->batch));
}

/* baseline: the number that stands for every input. */
static inline void net_open(net *n, uint64_t seed, double baseline)
{
    static const int64_t layers[] = {NET_IN, NET_HIDDEN, NET_OUT};
    const ps_model_config config = {.architecture = "mlp", .layers = layers, .layer_count = 3};
    const ps_model_options options = {.max_batch = 8, .explain = true};
    ps_rng rng;
    ps_rng_seed(&rng, seed);
    *n = (net){.model_spec = {.loss = PS_SPEC_CROSS_ENTROPY},
               .spec = {.target = {.kind = PS_EXPLAIN_CLASS, .number = NET_TARGET}},
               .labels = {0, 1, 2, 1}};
    net_draw(&rng, n->w1, NET_HIDDEN * NET_IN);
    net_draw(&rng, n->b1, NET_HIDDEN);
    net_draw(&rng, n->w2, NET_OUT * NET_HIDDEN);
    net_draw(&rng, n->b2, NET_OUT);
    net_draw(&rng, n->inputs, NET_ROWS * NET_IN);
    ck_ok(ps_backend_open(ps_test_backend(), &(ps_backend_options){.threads = 1}, &n->backend));
    n->x = (ps_explaining){.spec = &n->spec,
                           .model_spec = &n->model_spec,
                           .inputs = NET_IN,
                           .outputs = NET_OUT,
                           .batch = 8,
                           .baseline = &n->baseline,
                           .check = net_go_on};
    ck_ok(ps_model_create(n->backend, &config, &options, &n->x.model));
    net_fill(n);
    ck_ok(ps_explain_baseline_make(
        &(ps_spec_explain_baseline){.kind = PS_EXPLAIN_VALUE, .value = baseline}, NET_IN, NULL,
        NULL, &n->baseline));
    net_again(n);
}

static inline void net_close(net *n)
{
    ps_explain_batch_free(&n->batch);
    ps_explain_baseline_free(&n->baseline);
    ps_model_free(&n->x.model);
    ps_backend_close(&n->backend);
}

/* All outputs for one input, in float64. */
static inline void net_answer(const net *n, const double *x, double *z)
{
    double a[NET_HIDDEN];
    for (size_t j = 0; j < NET_HIDDEN; j++) {
        a[j] = (double)n->b1[j];
        for (size_t k = 0; k < NET_IN; k++)
            a[j] += (double)n->w1[j * NET_IN + k] * x[k];
        a[j] = fmax(a[j], 0);
    }
    for (size_t c = 0; c < NET_OUT; c++) {
        z[c] = (double)n->b2[c];
        for (size_t j = 0; j < NET_HIDDEN; j++)
            z[c] += (double)n->w2[c * NET_HIDDEN + j] * a[j];
    }
}

/* What is explained: the logit of NET_TARGET. */
static inline double net_f(const net *n, const double *x)
{
    double z[NET_OUT];
    net_answer(n, x, z);
    return z[NET_TARGET];
}

/* out empty before; freed by the caller. */
static inline void net_run(net *n, const ps_spec_explain_method *spec, ps_explain_part *out)
{
    const ps_explain_method *m = ps_explain_method_find(spec->method);
    void *state = NULL;
    *out = PS_EXPLAIN_PART_EMPTY;
    ck_assert_ptr_nonnull(m);
    if (m->prepare)
        ck_ok(m->prepare(&n->x, spec, &state));
    ck_ok(m->run(&n->x, spec, state, &n->batch.items, out));
    if (m->free)
        m->free(state);
    else
        free(state);
    if (m->finish)
        ck_ok(m->finish(&n->x, spec, out));
}

static inline const float *net_array(const ps_explain_part *part, const char *name)
{
    const ps_explain_array *a = ps_explain_get(part, name);
    ck_assert_msg(a != NULL, "no array %s", name);
    return a->floats;
}

#endif
