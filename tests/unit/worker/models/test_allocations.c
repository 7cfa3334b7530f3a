/* A training step, or one that explains, takes no memory: everything was taken when the model was
 * made. This program's own malloc counts what any thread asks for, libraries included, while a step
 * runs. */
#include "common/base/rng.h"
#include "tests/lib/check_main.h"
#include "worker/models/model.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTED false /* malloc is the sanitizer's: a short step shows that it is one */
enum { LENGTH = 4, STEPS = 1 };
static atomic_bool counting;
static atomic_uint taken;
#else
#define COUNTED true
enum { LENGTH = 64, STEPS = 3 };
static atomic_bool counting;
static atomic_uint taken;

/* glibc's own, under their other names. */
void *__libc_malloc(size_t bytes);                  // NOLINT
void *__libc_calloc(size_t count, size_t bytes);    // NOLINT
void *__libc_realloc(void *memory, size_t bytes);   // NOLINT
void *__libc_memalign(size_t border, size_t bytes); // NOLINT

static void count(void)
{
    if (atomic_load(&counting))
        atomic_fetch_add(&taken, 1);
}

void *malloc(size_t bytes)
{
    count();
    return __libc_malloc(bytes);
}

void *calloc(size_t n, size_t bytes)
{
    count();
    return __libc_calloc(n, bytes);
}

void *realloc(void *memory, size_t bytes)
{
    count();
    return __libc_realloc(memory, bytes);
}

void *aligned_alloc(size_t border, size_t bytes)
{
    count();
    return __libc_memalign(border, bytes);
}

int posix_memalign(void **out, size_t border, size_t bytes)
{
    count();
    *out = __libc_memalign(border, bytes);
    return *out ? 0 : 12;
}
#endif
enum { ROWS = 4, TOKENS = ROWS * LENGTH, VOCABULARY = 300, INPUTS = 784 };

static int32_t tokens[TOKENS], labels[TOKENS];
static float features[ROWS * INPUTS];

static void fill_batch(void)
{
    ps_rng rng;
    ps_rng_seed(&rng, 2);
    for (int i = 0; i < TOKENS; i++) {
        tokens[i] = (int32_t)ps_rng_below(&rng, VOCABULARY);
        labels[i] = (int32_t)ps_rng_below(&rng, 10);
    }
    for (int i = 0; i < ROWS * INPUTS; i++)
        features[i] = (float)ps_rng_normal(&rng);
}

static ps_model_batch batch_of(bool mlp)
{
    ps_model_batch batch = {.rows = ROWS, .labels = labels};
    if (mlp) {
        batch.features = features;
    } else {
        batch.tokens = tokens;
        batch.length = LENGTH;
    }
    return batch;
}

static ps_status step(ps_model *model, bool mlp, bool more)
{
    ps_model_batch batch = batch_of(mlp);
    batch.train = true;
    batch.add_gradients = more;
    ps_model_result result;
    ps_status st = ps_model_forward(model, &batch, NULL);
    if (!st)
        st = ps_model_loss(model, &batch);
    if (!st)
        st = ps_model_backward(model, NULL);
    return st ? st : ps_model_result_get(model, &result);
}

static float outputs[ROWS * VOCABULARY];

/* From each row's last output back to what came in. */
static ps_status explain(ps_model *model, bool mlp)
{
    ps_model_batch batch = batch_of(mlp);
    ps_model_point points[ROWS];
    for (int i = 0; i < ROWS; i++)
        points[i] = (ps_model_point){i, mlp ? 0 : LENGTH - 1};
    ps_status st = ps_model_forward(model, &batch, NULL);
    if (!st)
        st = ps_model_outputs_at(model, points, ROWS, outputs);
    return st ? st : ps_model_backward_at(model, points, ROWS, outputs, NULL);
}

typedef struct kind {
    const char *architecture;
    bool bf16, recompute;
    double dropout;
    bool explain;
} kind;

static const kind kinds[] = {
    {"mlp"},
    {"gpt2"},
    {"gpt2", true},
    {"gpt2", false, true, 0.1},
    {"llama"},
    {"llama", true, true},
    {"bert"},
    {"bert", true, true, 0.1},
    {"mlp", .explain = true},
    {"gpt2", .explain = true},
    {"llama", .explain = true},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static ps_model *make(ps_backend *backend, const kind *k, bool mlp)
{
    static const int64_t layers[] = {INPUTS, 256, 10};
    ps_model_config config = {.architecture = k->architecture};
    if (mlp) {
        config.layers = layers;
        config.layer_count = 3;
    } else {
        config.language = (ps_model_language){.vocab_size = VOCABULARY,
                                              .context_length = LENGTH,
                                              .hidden_size = 128,
                                              .num_layers = 2,
                                              .num_heads = 4,
                                              .num_kv_heads = 2,
                                              .intermediate_size = 384,
                                              .rope = {.theta = 10000},
                                              .norm_epsilon = 1e-5,
                                              .dropout = k->dropout,
                                              .tie_embeddings = true};
        if (k->architecture[0] == 'b')
            config.language.choices = (ps_arch_choices){.type_vocab_size = 2,
                                                        .num_classes = 10,
                                                        .pooler = true,
                                                        .attention_dropout = -1,
                                                        .embedding_dropout = -1,
                                                        .classifier_dropout = -1};
        if (k->architecture[0] != 'l')
            config.language.num_kv_heads = config.language.num_heads;
    }
    ps_model *model;
    ps_model_options options = {
        .max_batch = ROWS, .bf16 = k->bf16, .recompute = k->recompute, .explain = k->explain};
    ck_assert_msg(ps_model_create(backend, &config, &options, &model) == PS_OK, "%s",
                  ps_error_message());
    return model;
}

static ps_status run(ps_model *model, const kind *k, bool more)
{
    bool mlp = k->architecture[0] == 'm';
    return k->explain ? explain(model, mlp) : step(model, mlp, more);
}

START_TEST(a_step_takes_no_memory)
{
    const kind *k = &kinds[_i];
    bool mlp = k->architecture[0] == 'm';
    ps_backend *backend;
    ck_ok(ps_backend_open("cpu", &(ps_backend_options){.threads = 2}, &backend));
    ps_model *model = make(backend, k, mlp);
    fill_batch();
    ck_ok(run(model, k, false)); /* OpenBLAS makes its own on the first call */
    ps_status st = PS_OK;
    atomic_store(&counting, true);
    for (int i = 0; !st && i < STEPS; i++) {
        st = run(model, k, false);
        if (!st)
            st = run(model, k, true);
    }
    atomic_store(&counting, false);
    ck_ok(st);
    if (COUNTED) {
        ck_assert_uint_eq(atomic_load(&taken), 0);
        atomic_store(&counting, true);
        void *volatile one = calloc(1, 1 + (size_t)_i); /* that it counts at all */
        free(one);
        atomic_store(&counting, false);
        ck_assert_uint_ge(atomic_load(&taken), 1);
    }
    ps_model_free(&model);
    ps_backend_close(&backend);
}
END_TEST

static const ps_check_case tests[] = {{&a_step_takes_no_memory, .repeat = KINDS}, {0}};

int main(void)
{
    return ps_check_main("worker/models/allocations", tests);
}
