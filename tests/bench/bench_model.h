/* bench_model: the tensors that a benchmark's job plans. */
#ifndef PS_BENCH_MODEL_H
#define PS_BENCH_MODEL_H

#include "psd/v1/workers.pb-c.h"

#include <stdint.h>

/* With layers, those of a GPT-2 of that depth and width: 50257 tokens, 2048 positions (24 layers of
 * 2048: 1.3 billion parameters). Otherwise mib MiB in all: matrices, each half as large as the one
 * before, and a few vectors. */
typedef struct bench_model_size {
    unsigned mib;
    unsigned layers, width;
} bench_model_size;

typedef struct bench_model bench_model;

bench_model *bench_model_new(const bench_model_size *size);
void bench_model_free(bench_model **model);
/* How many; *out is a list of them, the model's. */
size_t bench_model_tensors(bench_model *model, Psd__V1__TensorPlan ***out);
/* How long psd may take to make it. */
uint64_t bench_model_patience_ms(const bench_model_size *size);

#endif
