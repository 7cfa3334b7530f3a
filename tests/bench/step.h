/* step: how fast a model's training step is beside the processor's limit (peak.h), taken in the
 * same run: what bench_mlp_step and bench_gpt2_step share. */
#ifndef PS_BENCH_STEP_H
#define PS_BENCH_STEP_H

#include "worker/models/model.h"

typedef struct ps_bench_step {
    const char *name;  /* in JSON */
    const char *title; /* over the table */
    ps_model_config config;
    ps_model_options options;
    ps_model_batch batch;
    double flops;  /* of the products of one step */
    double weight; /* deviation of the random parameters */
    bool adamw;    /* a step ends with AdamW on the device */
    int rounds;    /* of at least 0.1 s; the best counts: the others show the neighbours */
} ps_bench_step;

/* main: with one and with two threads; --json prints an object a line, --threads N only those,
 * --type bf16 computes on numbers kept so. */
int ps_bench_step_main(const ps_bench_step *bench, int argc, char **argv);

#endif
