/* language_net: the tiny gpt2 and llama of tests/golden with three rows of twelve tokens, and what
 * is inside them by PyTorch in float64 (tests/golden/explain/make_inside.py). */
#ifndef PS_TEST_EXPLAIN_LANGUAGE_NET_H
#define PS_TEST_EXPLAIN_LANGUAGE_NET_H

#include "tests/unit/worker/models/golden_fixture.h"
#include "worker/explain/items.h"
#include "worker/explain/method.h"

#include <math.h>

enum {
    LN_ROWS = 3,
    LN_LENGTH = 12,
    LN_WIDTH = 16,
    LN_VOCABULARY = 61,
    LN_LAYERS = 2,
    LN_HEADS = 4,
    LN_TARGET = 17,
    LN_MAX = 8,
};

static const char *const ln_kinds[] = {"gpt2", "llama"};

typedef struct language_net {
    ps_test_device device;
    golden_file parameters, golden;
    ps_spec_model model_spec;
    ps_spec_explain spec;
    ps_explaining x;
    ps_explain_batch batch;
} language_net;

static inline ps_status ln_go_on(void *user)
{
    return PS_OK;
}

static inline void ln_open(language_net *n, int kind)
{
    static const uint64_t numbers[LN_ROWS] = {0, 1, 2};
    *n = (language_net){
        .model_spec = {.loss = PS_SPEC_CROSS_ENTROPY,
                       .num_layers = LN_LAYERS,
                       .num_heads = LN_HEADS,
                       .hidden_size = LN_WIDTH,
                       .context_length = 16,
                       .vocab_size = LN_VOCABULARY},
        .spec = {.target = {.kind = PS_EXPLAIN_CLASS, .number = LN_TARGET}, .seed = 1}};
    ps_test_device_open(&n->device, ps_test_backend());
    golden_open(&n->parameters, "", ln_kinds[kind]);
    golden_open(&n->golden, "explain/inside_", ln_kinds[kind]);
    n->x = (ps_explaining){.spec = &n->spec,
                           .model_spec = &n->model_spec,
                           .language = true,
                           .inputs = LN_WIDTH,
                           .outputs = LN_VOCABULARY,
                           .batch = LN_MAX,
                           .check = ln_go_on};
    n->x.model = golden_model(&n->parameters, &n->device, ln_kinds[kind],
                              (ps_model_options){.max_batch = LN_MAX, .explain = true});
    ck_ok(
        ps_explain_batch_make(&n->x,
                              &(ps_explain_raw){.n = LN_ROWS,
                                                .item = numbers,
                                                .row = numbers,
                                                .tokens = golden_get(&n->parameters, "", "tokens"),
                                                .length = LN_LENGTH},
                              &n->batch));
    ck_assert_uint_eq(n->batch.items.n, LN_ROWS);
}

static inline void ln_close(language_net *n)
{
    ps_explain_batch_free(&n->batch);
    ps_model_free(&n->x.model);
    golden_close(&n->golden);
    golden_close(&n->parameters);
    ps_test_device_close(&n->device);
}

/* items NULL: a method that has none, all its shares. out empty before; freed by the caller. */
static inline ps_status ln_try(language_net *n, const ps_spec_explain_method *spec,
                               const ps_explain_items *items, ps_explain_part *out)
{
    const ps_explain_method *m = ps_explain_method_find(spec->method);
    void *state = NULL;
    *out = PS_EXPLAIN_PART_EMPTY;
    ck_assert_ptr_nonnull(m);
    ps_status st = m->prepare ? m->prepare(&n->x, spec, &state) : PS_OK;
    for (n->x.share = 0; !st && n->x.share < (items ? 1 : PS_EXPLAIN_SHARES); n->x.share++) {
        ps_explain_part part = PS_EXPLAIN_PART_EMPTY;
        st = m->run(&n->x, spec, state, items, &part);
        if (!st)
            st = ps_explain_merge(out, &part);
        ps_explain_part_free(&part);
    }
    if (m->free)
        m->free(state);
    else
        free(state);
    return !st && m->finish ? m->finish(&n->x, spec, out) : st;
}

static inline void ln_run(language_net *n, const ps_spec_explain_method *spec, ps_explain_part *out)
{
    ck_ok(ln_try(n, spec, &n->batch.items, out));
}

static inline const float *ln_array(const ps_explain_part *part, const char *name, size_t count)
{
    const ps_explain_array *a = ps_explain_get(part, name);
    ck_assert_msg(a != NULL, "no array %s", name);
    ck_assert_uint_eq(ps_explain_array_count(a), count);
    return a->floats;
}

/* An array against that of the golden file. */
static inline void ln_compare(const language_net *n, const ps_explain_part *part, const char *name,
                              const char *golden, size_t count, double tolerance)
{
    const float *got = ln_array(part, name, count);
    const float *want = golden_get(&n->golden, "", golden);
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(fabs((double)got[i] - (double)want[i]) < tolerance, "%s[%zu]: %g, not %g",
                      name, i, (double)got[i], (double)want[i]);
}

#endif
