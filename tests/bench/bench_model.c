/* Names and shapes are as in the models' own files. Nothing can fail. */
#include "tests/bench/bench_model.h"

#include "common/base/mem.h"

#include <stdarg.h>
#include <stdio.h>

enum {
    MATRICES_MAX = 32, /* of a halving series */
    VECTORS = 4,
    COLUMNS = 1024,
    LAYERS_MAX = 128,
    OF_LAYER = 12,
    TENSORS_MAX = LAYERS_MAX * OF_LAYER + 4,
    VOCABULARY = 50257,
    POSITIONS = 2048,
};

struct bench_model {
    Psd__V1__TensorPlan tensors[TENSORS_MAX];
    Psd__V1__TensorPlan *list[TENSORS_MAX];
    uint64_t sides[TENSORS_MAX][2];
    char names[TENSORS_MAX][48];
    size_t n;
};

/* rows 0: a vector. */
PS_PRINTF(5, 6)
static void add(bench_model *m, uint64_t rows, uint64_t columns, Psd__V1__Initializer init,
                const char *name, ...)
{
    Psd__V1__TensorPlan *t = &m->tensors[m->n];
    *t = (Psd__V1__TensorPlan)PSD__V1__TENSOR_PLAN__INIT;
    va_list args;
    va_start(args, name);
    (void)vsnprintf(m->names[m->n], sizeof m->names[m->n], name, args);
    va_end(args);
    t->name = m->names[m->n];
    m->sides[m->n][0] = rows ? rows : columns;
    m->sides[m->n][1] = columns;
    t->shape = m->sides[m->n];
    t->n_shape = rows ? 2 : 1;
    t->initializer = init;
    t->scale = init == PSD__V1__INITIALIZER__INITIALIZER_NORMAL ? 0.02 : 0.1;
    m->list[m->n++] = t;
}

static void add_series(bench_model *m, unsigned mib)
{
    const Psd__V1__Initializer uniform = PSD__V1__INITIALIZER__INITIALIZER_UNIFORM;
    const uint64_t least = (1u << 20) / (COLUMNS * sizeof(float)); /* rows of a block */
    uint64_t left = mib * least;
    while (left > least && m->n < MATRICES_MAX - 1) {
        uint64_t rows = (left / 2 + least - 1) / least * least;
        add(m, rows, COLUMNS, uniform, "layers.%zu.weight", m->n);
        left -= rows;
    }
    if (left)
        add(m, left, COLUMNS, uniform, "layers.%zu.weight", m->n);
    for (int i = 0; i < VECTORS; i++)
        add(m, 0, COLUMNS, uniform, "layers.%zu.bias", m->n);
}

static void add_norm(bench_model *m, uint64_t width, const char *name)
{
    add(m, 0, width, PSD__V1__INITIALIZER__INITIALIZER_ONES, "%s.weight", name);
    add(m, 0, width, PSD__V1__INITIALIZER__INITIALIZER_ZEROS, "%s.bias", name);
}

/* Of a layer: y = xW + b. */
static void add_linear(bench_model *m, unsigned layer, const char *name, uint64_t in, uint64_t out)
{
    add(m, in, out, PSD__V1__INITIALIZER__INITIALIZER_NORMAL, "h.%u.%s.weight", layer, name);
    add(m, 0, out, PSD__V1__INITIALIZER__INITIALIZER_ZEROS, "h.%u.%s.bias", layer, name);
}

static void add_gpt2(bench_model *m, unsigned layers, uint64_t width)
{
    add(m, VOCABULARY, width, PSD__V1__INITIALIZER__INITIALIZER_NORMAL, "wte.weight");
    add(m, POSITIONS, width, PSD__V1__INITIALIZER__INITIALIZER_NORMAL, "wpe.weight");
    for (unsigned i = 0; i < layers && i < LAYERS_MAX; i++) {
        char norm[32];
        (void)snprintf(norm, sizeof norm, "h.%u.ln_1", i);
        add_norm(m, width, norm);
        add_linear(m, i, "attn.c_attn", width, 3 * width);
        add_linear(m, i, "attn.c_proj", width, width);
        (void)snprintf(norm, sizeof norm, "h.%u.ln_2", i);
        add_norm(m, width, norm);
        add_linear(m, i, "mlp.c_fc", width, 4 * width);
        add_linear(m, i, "mlp.c_proj", 4 * width, width);
    }
    add_norm(m, width, "ln_f");
}

bench_model *bench_model_new(const bench_model_size *size)
{
    bench_model *m = ps_new(bench_model);
    if (size->layers)
        add_gpt2(m, size->layers, size->width);
    else
        add_series(m, size->mib);
    return m;
}

void bench_model_free(bench_model **model)
{
    ps_free(model);
}

size_t bench_model_tensors(bench_model *model, Psd__V1__TensorPlan ***out)
{
    *out = model->list;
    return model->n;
}

/* 20 s, and for a GPT-2 its 12 w² parameters a layer at a million a second more. */
uint64_t bench_model_patience_ms(const bench_model_size *size)
{
    return 20000 + 12ull * size->width * size->width * size->layers / 1000;
}
