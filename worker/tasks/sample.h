/* sample: which token comes next. Logits are divided by the temperature; of the likeliest top_k
 * tokens, those are kept that are needed to make up a share of top_p (Holtzman et al. 2020); one of
 * these is drawn. The draw depends on the seed and on which token of the job it is, and on nothing
 * else: so a job that another worker goes on with comes to what the first would have come to. One
 * thread (not asserted: it is a local of the task). */
#ifndef PS_TASKS_SAMPLE_H
#define PS_TASKS_SAMPLE_H

#include "common/base/status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct ps_sampling {
    double temperature; /* 0: the largest logit, and of equal ones the first */
    uint64_t top_k;     /* 0: all */
    double top_p;       /* (0, 1] */
    uint64_t seed;
} ps_sampling;

typedef struct ps_sampler ps_sampler;

void ps_sampler_create(const ps_sampling *how, size_t vocabulary, ps_sampler **out);
void ps_sampler_free(ps_sampler **sampler);
/* The job's index-th token, out of logits[vocabulary]. PS_CORRUPT: they have no largest. */
PS_MUST_CHECK ps_status ps_sampler_draw(ps_sampler *sampler, const float *logits, uint64_t index,
                                        int32_t *token);

#endif
