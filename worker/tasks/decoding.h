/* decoding: how fast stored language models generate, one token after the other, as a generate job
 * would: two at a time, in turns on the same tokens, so that whatever else the machine does slows
 * both. On the task's thread. */
#ifndef PS_TASKS_DECODING_H
#define PS_TASKS_DECODING_H

#include "common/conf/job_spec.h"
#include "worker/job/stored_stream.h"
#include "worker/task/task.h"

typedef struct ps_decoding {
    ps_stored_model which;
    const ps_spec_model *spec;
    double seconds; /* out: of a token, the median of some; NaN: too few tokens to tell */
} ps_decoding;

/* tokens: what they are given, at least n of them. PS_NO_MEMORY: there is no room for both; as
 * ps_stored_model_load. */
PS_MUST_CHECK ps_status ps_decoding_measure(ps_task_run *run, ps_decoding sides[2],
                                            const int32_t *tokens, size_t n);

#endif
