/* exchange_rig: a model and a psd of parts, with an exchange between them: what the tests of the
 * exchange share. One at a time, in `r`. */
#ifndef PS_TEST_EXCHANGE_RIG_H
#define PS_TEST_EXCHANGE_RIG_H

#include "common/base/mem.h"
#include "tests/lib/ck_ok.h"
#include "tests/lib/fake_parameters.h"
#include "tests/lib/lazy_backend.h"
#include "tests/lib/remote_rig.h"
#include "worker/exchange/exchange.h"

#include <check.h>
#include <math.h>
#include <string.h>

enum { INPUTS = 6, HIDDEN = 8, CLASSES = 3, ROWS = 4 };

static struct {
    ps_test_remote_rig rig;
    fake_parameters fake;
    ps_model *model;
    ps_spec_train train;
    uint64_t sequence;
    ps_exchange *exchange;
} r;

static inline void begin_hidden(ps_test_where where, double clip_norm, int64_t hidden)
{
    const int64_t layers[] = {INPUTS, hidden, CLASSES};
    memset(&r, 0, sizeof(r));
    fake_parameters_init(&r.fake);
    ps_rpc_service service = fake_parameters_service(&r.fake);
    ps_test_remote_rig_open_on(&r.rig, where, &service, 1);
    ps_model_config config = {.architecture = "mlp", .layers = layers, .layer_count = 3};
    ck_ok(
        ps_model_create(r.rig.backend, &config, &(ps_model_options){.max_batch = ROWS}, &r.model));
    const ps_model_layout *layout = ps_model_parameters(r.model);
    for (size_t i = 0; i < layout->count; i++)
        fake_parameters_add(&r.fake, layout->parameters[i].name, layout->parameters[i].rank,
                            layout->parameters[i].shape);
    r.train = (ps_spec_train){.codec = {.gradients = (char *)(uintptr_t) "float32",
                                        .parameters = (char *)(uintptr_t) "float32"},
                              .consistency = {.mode = (char *)(uintptr_t) "asp"},
                              .clip_norm = clip_norm};
}

static inline void begin(ps_test_where where, double clip_norm)
{
    begin_hidden(where, clip_norm, HIDDEN);
}

static inline ps_status open_cut(bool pull_ahead, uint64_t bucket_bytes, uint64_t piece_bytes)
{
    return ps_exchange_open(&(ps_exchange_options){.remote = &r.rig.remote,
                                                   .job_id = 1,
                                                   .backend = r.rig.backend,
                                                   .model = r.model,
                                                   .train = &r.train,
                                                   .incarnation = 5,
                                                   .sequence = &r.sequence,
                                                   .pull_ahead = pull_ahead,
                                                   .bucket_bytes = bucket_bytes,
                                                   .piece_bytes = piece_bytes},
                            &r.exchange);
}

static inline ps_status open_exchange(bool pull_ahead)
{
    return open_cut(pull_ahead, 0, 0);
}

static inline void end(void)
{
    ps_exchange_close(&r.exchange);
    ps_model_free(&r.model);
    ps_test_remote_rig_close(&r.rig);
}

/* The caller frees. */
static inline float *read_tensor(ps_tensor t)
{
    float *out = ps_alloc(ps_tensor_bytes(t));
    ck_ok(ps_copy_to_host(ps_model_stream(r.model), out, t, ps_tensor_bytes(t)));
    return out;
}

static inline void assert_model_is_server(void)
{
    for (size_t i = 0; i < r.fake.count; i++) {
        float *p = read_tensor(ps_model_parameter(r.model, i));
        const fake_tensor *t = &r.fake.tensors[i];
        for (uint64_t k = 0; k < t->rows * t->columns; k++)
            ck_assert_msg(p[k] == t->values[k], "%s[%d]: %g, not %g", t->name, (int)k, (double)p[k],
                          (double)t->values[k]);
        ps_free(&p);
    }
}

/* One step of training on fixed rows, until gradients may leave. */
static inline ps_status begin_forward(uint64_t clock)
{
    static const float features[ROWS * INPUTS] = {1, -2, 3, 0.5f, 1, 2, -1, 1, 2, 1, 0, 1};
    static const int32_t labels[ROWS] = {0, 2, 1, 2};
    ps_model_batch batch = {.rows = ROWS, .features = features, .labels = labels};
    uint64_t version = 0;
    ps_status st = ps_exchange_pull_start(r.exchange);
    if (!st)
        st = ps_model_forward(r.model, &batch, ps_exchange_hooks(r.exchange));
    if (!st)
        st = ps_exchange_pull_finish(r.exchange, &version);
    if (!st)
        st = ps_model_loss(r.model, &batch);
    ps_pusher_step step = {.clock = clock,
                           .pulled_version = version,
                           .weight = ROWS,
                           .position = clock * ROWS,
                           .next_position = (clock + 1) * ROWS};
    return st ? st : ps_exchange_push_begin(r.exchange, &step);
}

/* The same, up to the end of the backward pass. */
static inline ps_status begin_step(uint64_t clock)
{
    ps_status st = begin_forward(clock);
    return st ? st : ps_model_backward(r.model, ps_exchange_hooks(r.exchange));
}

/* A whole one, without waiting for psd's answers. */
static inline ps_status train_step_ahead(uint64_t clock)
{
    ps_model_result result;
    ps_status st = begin_step(clock);
    if (!st)
        st = ps_exchange_push_end(r.exchange);
    return st ? st : ps_model_result_get(r.model, &result);
}

/* The same; the gradients stay in the model. */
static inline ps_status train_step(uint64_t clock)
{
    ps_status st = train_step_ahead(clock);
    return st ? st : ps_exchange_drain(r.exchange);
}

/* The server's values are what they were, minus the model's gradients, exactly once. */
static inline void assert_applied_once(const fake_tensor *before)
{
    double moved = 0;
    for (size_t i = 0; i < r.fake.count; i++) {
        float *g = read_tensor(ps_model_gradient(r.model, i));
        const fake_tensor *t = &r.fake.tensors[i];
        for (uint64_t k = 0; k < t->rows * t->columns; k++) {
            ck_assert_msg(t->values[k] == before[i].values[k] - g[k], "%s[%d]", t->name, (int)k);
            moved += fabs((double)g[k]);
        }
        ps_free(&g);
    }
    ck_assert_double_gt(moved, 0.01); /* there was a gradient at all */
}

#endif
