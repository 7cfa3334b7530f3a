/* sample: a matrix and inputs that are correlated, as a layer's are; and their sums in float64. */
#ifndef PS_TEST_COMPRESS_SAMPLE_H
#define PS_TEST_COMPRESS_SAMPLE_H

#include "worker/compress/method.h"

#include "common/base/rng.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct ps_sample {
    uint64_t rows, columns, tokens;
    float *weights, *inputs, *sums; /* [rows, columns], [tokens, columns], [columns, columns] */
    ps_hessian hessian;
} ps_sample;

static inline void *ps_sample_room(uint64_t n)
{
    float *p = calloc(n, sizeof *p);
    ck_assert_ptr_nonnull(p);
    return p;
}

static inline void ps_sample_sum(ps_sample *s)
{
    for (uint64_t i = 0; i < s->columns; i++)
        for (uint64_t j = 0; j < s->columns; j++) {
            double sum = 0;
            for (uint64_t t = 0; t < s->tokens; t++)
                sum +=
                    (double)s->inputs[t * s->columns + i] * (double)s->inputs[t * s->columns + j];
            s->sums[i * s->columns + j] = j < i ? NAN : (float)sum; /* nobody reads below */
        }
    s->hessian = (ps_hessian){.sums = s->sums, .tokens = s->tokens};
}

/* Each input is near the one before it, and some are larger than others. */
static inline ps_sample ps_sample_draw(uint64_t seed, uint64_t rows, uint64_t columns,
                                       uint64_t tokens)
{
    ps_sample s = {.rows = rows, .columns = columns, .tokens = tokens};
    s.weights = ps_sample_room(rows * columns);
    s.inputs = ps_sample_room(tokens * columns);
    s.sums = ps_sample_room(columns * columns);
    ps_rng rng;
    ps_rng_seed(&rng, seed);
    for (uint64_t i = 0; i < rows * columns; i++)
        s.weights[i] = (float)(0.05 * ps_rng_normal(&rng));
    for (uint64_t t = 0; t < tokens; t++) {
        double x = 0;
        for (uint64_t c = 0; c < columns; c++) {
            x = 0.8 * x + ps_rng_normal(&rng);
            s.inputs[t * columns + c] = (float)(x * (c % 7 == 3 ? 4 : 1));
        }
    }
    ps_sample_sum(&s);
    return s;
}

static inline void ps_sample_free(ps_sample *s)
{
    free(s->weights);
    free(s->inputs);
    free(s->sums);
}

static inline ps_compress_problem ps_sample_problem(const ps_sample *s, const char *form)
{
    ps_compress_problem p = {.name = "sample",
                             .weights = s->weights,
                             .rows = s->rows,
                             .columns = s->columns,
                             .hessian = &s->hessian,
                             .options = PS_COMPRESS_OPTIONS};
    ck_assert_msg(ps_form_parse(form, &p.form), "%s", form);
    return p;
}

#endif
