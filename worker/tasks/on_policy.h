/* on_policy: batches of a distillation in which the student has gone on with rows of the data
 * itself (distil.on_policy; Agarwal et al. 2024, GKD): so the teacher answers what the student
 * says, not only what it should have said. Of such a row the first half is the data's, the prompt;
 * the rest is drawn from the student's answers, at temperature 1.
 *
 * Which batches these are, and what is drawn, depends on the job's seed, the epoch, and where the
 * batch lies in it, and on the parameters: a task that is done again, by anybody, under parameters
 * that are the same comes to the same. The student's parameters are copied into a model that keeps
 * keys and values, and tokens go through that one by one, row by row. One thread. */
#ifndef PS_TASKS_ON_POLICY_H
#define PS_TASKS_ON_POLICY_H

#include "worker/models/model.h"
#include "worker/remote/gate.h"

typedef struct ps_on_policy ps_on_policy;

typedef struct ps_on_policy_options {
    ps_backend *backend;           /* borrowed */
    const ps_model_config *config; /* the student's; what it points to is borrowed */
    int64_t rows, length;          /* of the largest batch */
    int64_t words;                 /* tokens below this are drawn: those that the teacher knows */
    double share;                  /* of batches, above 0, at most 1 */
    uint64_t seed;                 /* the job's */
    uint32_t epoch;
    ps_gate *gate; /* asked between rows whether that is still wanted; borrowed. NULL: it is */
} ps_on_policy_options;

/* PS_NO_MEMORY. */
PS_MUST_CHECK ps_status ps_on_policy_create(const ps_on_policy_options *options,
                                            ps_on_policy **out);
void ps_on_policy_free(ps_on_policy **policy); /* NULL is nothing */

/* Is the batch whose first row is at that position of the epoch one of these? */
bool ps_on_policy_chosen(const ps_on_policy *policy, uint64_t first);
/* The batch's tokens and labels become what the student, a model of this configuration on the same
 * backend whose parameters are all there, goes on with; they are the policy's until the next call.
 */
PS_MUST_CHECK ps_status ps_on_policy_write(ps_on_policy *policy, ps_model *student, uint64_t first,
                                           ps_model_batch *batch);

#endif
