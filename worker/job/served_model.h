/* served_model: the stored model that a task's thread generated, or embedded texts, with last, kept
 * on the device so that the next prompt begins at once. It is known by the version that psd gives
 * its file, so one that was replaced under its name is loaded anew. One model; it leaves when
 * another is wanted, or when a job needs the room. One thread. */
#ifndef PS_JOB_SERVED_MODEL_H
#define PS_JOB_SERVED_MODEL_H

#include "common/conf/job_spec.h"
#include "worker/models/model.h"
#include "worker/task/task.h"

typedef struct ps_served_model ps_served_model;

void ps_served_model_create(ps_served_model **out);
void ps_served_model_free(ps_served_model **served);
void ps_served_model_drop(ps_served_model *served); /* gives its memory back */
/* Drops it if the device has failed under it; true: it had. */
bool ps_served_model_mend(ps_served_model *served);

typedef struct ps_served_need {
    const char *name;    /* of the stored model */
    size_t length;       /* tokens of a sequence; more than its context: its context */
    ps_spec_cache cache; /* USUAL: float32 where all matrices are; else bfloat16, or int8 where one
                            has codes of 8 bits or fewer, which is as near as products are then */
    ps_spec_weights weights;
    bool texts; /* it is to embed texts, PS_SERVED_TEXTS at a time at most: a model of those, of
                   which nothing but the name is needed beside */
} ps_served_need;

enum { PS_SERVED_TEXTS = 256 };
/* Tokens that texts may have that go through such a model at once on the backend. */
size_t ps_served_tokens(const ps_spec_model *model, const ps_backend *backend);

/* The model of the run's task, ready for ps_model_extend, or for texts. Both are valid for this
 * task. Fails as ps_stored_model_load; PS_NO_MEMORY. */
PS_MUST_CHECK ps_status ps_served_model_get(ps_task_run *run, const ps_served_need *need,
                                            ps_model **model, const ps_spec_model **spec);

#endif
