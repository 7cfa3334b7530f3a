/* turned_net: a model of layers 4-8-8-3 whose second layer is the first one turned, and rows with a
 * bit that decides their label: what methods that look inside are tried on. */
#ifndef PS_TEST_EXPLAIN_TURNED_NET_H
#define PS_TEST_EXPLAIN_TURNED_NET_H

#include "worker/explain/baseline.h"
#include "worker/explain/items.h"
#include "worker/explain/method.h"

#include "tests/lib/ck_ok.h"
#include "tests/lib/device.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { IN = 4, WIDE = 8, OUT = 3, ROWS = 120, BATCH = 8, PIECE = 48, DEAD = 5 };

typedef struct rig {
    ps_backend *backend;
    ps_spec_model model_spec;
    ps_spec_explain spec;
    ps_explaining x;
    float inputs[ROWS * IN];
    int32_t labels[ROWS];
    float w1[WIDE * IN], b1[WIDE], w2[WIDE * WIDE], b2[WIDE], w3[OUT * WIDE], b3[OUT];
} rig;

static inline ps_status go_on(void *user)
{
    return PS_OK;
}

/* 1 − 2vvᵀ/vᵀv, which keeps lengths. */
static inline void reflect(ps_rng *rng, float *out)
{
    double v[WIDE], length = 0;
    for (size_t i = 0; i < WIDE; i++) {
        v[i] = ps_rng_normal(rng);
        length += v[i] * v[i];
    }
    for (size_t i = 0; i < WIDE; i++)
        for (size_t j = 0; j < WIDE; j++)
            out[i * WIDE + j] = (float)((i == j) - 2 * v[i] * v[j] / length);
}

static inline void draw(rig *r, uint64_t seed)
{
    ps_rng rng;
    ps_rng_seed(&rng, seed);
    for (size_t i = 0; i < WIDE * IN; i++)
        r->w1[i] = (float)ps_rng_normal(&rng);
    for (size_t i = 0; i < WIDE; i++) {
        r->b1[i] = (float)ps_rng_normal(&rng);
        r->b2[i] = 100; /* relu changes nothing then */
    }
    for (size_t k = 0; k < IN; k++)
        r->w1[DEAD * IN + k] = 0;
    r->b1[DEAD] = -1;
    reflect(&rng, r->w2);
    for (size_t i = 0; i < OUT * WIDE; i++)
        r->w3[i] = (float)ps_rng_normal(&rng);
    for (size_t i = 0; i < ROWS; i++) {
        for (size_t k = 0; k < IN; k++)
            r->inputs[i * IN + k] = (float)ps_rng_normal(&rng);
        bool bit = ps_rng_next(&rng) >> 63;
        r->inputs[i * IN] = bit ? 4 : -4;
        r->labels[i] = bit ? 2 : 0;
    }
}

static inline void setup(rig *r, uint64_t seed)
{
    static const int64_t layers[] = {IN, WIDE, WIDE, OUT};
    const ps_model_config config = {.architecture = "mlp", .layers = layers, .layer_count = 4};
    const ps_model_options options = {.max_batch = BATCH, .explain = true};
    *r = (rig){.model_spec = {.loss = PS_SPEC_CROSS_ENTROPY}, .spec = {.seed = 3}};
    draw(r, seed);
    ck_ok(ps_backend_open(ps_test_backend(), &(ps_backend_options){.threads = 1}, &r->backend));
    r->x = (ps_explaining){.spec = &r->spec,
                           .model_spec = &r->model_spec,
                           .inputs = IN,
                           .outputs = OUT,
                           .batch = BATCH,
                           .check = go_on};
    ck_ok(ps_model_create(r->backend, &config, &options, &r->x.model));
    float *from[6] = {r->w1, r->b1, r->w2, r->b2, r->w3, r->b3};
    for (size_t i = 0; i < 6; i++) {
        ps_tensor to = ps_model_parameter(r->x.model, i);
        ps_copy_to_device(ps_model_stream(r->x.model), to, from[i], ps_tensor_bytes(to));
    }
    ck_ok(ps_stream_sync(ps_model_stream(r->x.model)));
    ps_model_refresh(r->x.model);
}

static inline void teardown(rig *r)
{
    ps_model_free(&r->x.model);
    ps_backend_close(&r->backend);
}

/* Rows from `begin` on, one batch after the other, as a task has them. */
static inline void run_rows(rig *r, const ps_spec_explain_method *spec, uint64_t begin,
                            uint64_t end, ps_explain_part *out)
{
    const ps_explain_method *m = ps_explain_method_find(spec->method);
    void *state = NULL;
    *out = PS_EXPLAIN_PART_EMPTY;
    ck_ok(m->prepare(&r->x, spec, &state));
    for (uint64_t at = begin; at < end; at += BATCH) {
        uint64_t numbers[BATCH];
        ps_explain_batch batch;
        for (uint64_t i = 0; i < BATCH; i++)
            numbers[i] = at + i;
        ck_ok(ps_explain_batch_make(&r->x,
                                    &(ps_explain_raw){.n = BATCH,
                                                      .item = numbers,
                                                      .row = numbers,
                                                      .features = r->inputs + at * IN,
                                                      .labels = r->labels + at,
                                                      .length = 1},
                                    &batch));
        ck_ok(m->run(&r->x, spec, state, &batch.items, out));
        ps_explain_batch_free(&batch);
    }
    m->free(state);
}

/* In pieces, merged and finished. */
static inline void run_all(rig *r, const ps_spec_explain_method *spec, ps_explain_part *out)
{
    run_rows(r, spec, 0, PIECE, out);
    for (uint64_t begin = PIECE; begin < ROWS; begin += PIECE) {
        ps_explain_part more;
        uint64_t end = begin + PIECE < ROWS ? begin + PIECE : ROWS;
        run_rows(r, spec, begin, end, &more);
        ck_ok(ps_explain_merge(out, &more));
        ps_explain_part_free(&more);
    }
    ck_ok(ps_explain_method_find(spec->method)->finish(&r->x, spec, out));
}

static inline const float *array(const ps_explain_part *part, const char *name)
{
    const ps_explain_array *a = ps_explain_get(part, name);
    ck_assert_msg(a != NULL, "no array %s", name);
    return a->floats;
}

/* What the first linear layer makes of a row, and what its activation leaves of that. */
static inline double first_linear(const rig *r, size_t row, size_t channel)
{
    double a = (double)r->b1[channel];
    for (size_t k = 0; k < IN; k++)
        a += (double)r->w1[channel * IN + k] * (double)r->inputs[row * IN + k];
    return a;
}

static inline double first_layer(const rig *r, size_t row, size_t channel)
{
    return fmax(first_linear(r, row, channel), 0);
}

#endif
