/* stage: what happens to a step's gradients between the backward pass and their encoding: a table,
 * done in the order of its rows (rows: clip_norm).
 *
 * A stage changes gradients in place. One that is `whole` needs all of them before the first may
 * leave: nothing is then sent before the backward pass has ended. Pure; any thread.
 */
#ifndef PS_EXCHANGE_STAGE_H
#define PS_EXCHANGE_STAGE_H

#include "common/base/status.h"
#include "common/conf/job_spec.h"

typedef struct ps_stage_step {
    const ps_spec_train *train;
    float *const *gradients;  /* [count], host memory */
    const uint64_t *elements; /* [count] */
    size_t count;
    uint64_t clock; /* for messages */
} ps_stage_step;

typedef struct ps_stage {
    const char *name;
    bool whole;
    bool (*wanted)(const ps_spec_train *train);
    ps_status (*apply)(const ps_stage_step *step);
} ps_stage;

bool ps_stages_whole(const ps_spec_train *train); /* is one wanted that needs all gradients? */
/* Those that the job wants, on all gradients of a step. */
PS_MUST_CHECK ps_status ps_stages_apply(const ps_stage_step *step);

#endif
