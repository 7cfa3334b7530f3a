/* task_result: what a worker says of a task when it is over. Hostile; all of it is borrowed, but
 * for the plan. */
#ifndef PS_SCHED_TASK_RESULT_H
#define PS_SCHED_TASK_RESULT_H

#include "common/format/metric_list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The numbers are those of the messages; a worker's may be any. */
typedef enum ps_plan_init {
    PS_PLAN_ZEROS,
    PS_PLAN_UNIFORM, /* in [-scale, scale) */
    PS_PLAN_NORMAL,  /* mean 0, deviation scale */
    PS_PLAN_ONES,
} ps_plan_init;
/* What a parameter is to its model. */
typedef enum ps_plan_role {
    PS_PLAN_UNSPECIFIED,
    PS_PLAN_MATRIX, /* of a linear layer, the head included */
    PS_PLAN_EMBEDDING,
    PS_PLAN_BIAS,
    PS_PLAN_NORM, /* gain and bias of a norm */
} ps_plan_role;
typedef struct ps_plan_tensor {
    char *name;
    uint64_t *shape; /* n_shape */
    size_t n_shape;
    ps_plan_init initializer;
    double scale;
    ps_plan_role role;
} ps_plan_tensor;
/* plan: the data's size and the model's tensors. */
typedef struct ps_plan {
    uint64_t train_rows, test_rows;
    ps_plan_tensor *tensors; /* n_tensors */
    size_t n_tensors;
    char *model; /* the job's model section, settled; "": nothing was left to the data */
} ps_plan;
ps_plan *ps_plan_copy(const ps_plan *plan); /* owns all of it */
void ps_plan_free(ps_plan **plan);          /* such a copy; NULL is nothing */

/* evaluate, and predict: of the rows there were. */
typedef struct ps_evaluation {
    uint64_t samples;
    double loss;            /* mean */
    ps_metric_list metrics; /* likewise */
} ps_evaluation;

typedef enum ps_generate_end {
    PS_GENERATE_END_UNKNOWN,
    PS_GENERATE_END_LENGTH,
    PS_GENERATE_END_STOP,
    PS_GENERATE_END_CONTEXT,
} ps_generate_end;

typedef struct ps_generation {
    uint64_t tokens; /* of the whole job */
    ps_generate_end end;
    double load_seconds, prompt_seconds; /* until the model was there, until the first token, */
    double seconds;                      /* and of all that came after it */
} ps_generation;

typedef struct ps_task_result {
    uint64_t lease_id;
    int code;            /* gRPC's; 0: it is done */
    const char *message; /* when it is not; NULL or "": nothing was said */
    bool retry;          /* another worker may succeed */
    /* what a task of that kind has come to; NULL: nothing is said of it */
    const ps_evaluation *evaluation;
    const ps_generation *generation;
    ps_plan *plan; /* as ps_plan_copy; may be taken over, and is NULL then */
} ps_task_result;

#endif
