/* task_result: what a worker says of a task when it is over. Hostile; all of it is borrowed, but
 * for the plan. */
#ifndef PS_SCHED_TASK_RESULT_H
#define PS_SCHED_TASK_RESULT_H

#include "common/format/metric_list.h"
#include "psd/v1/workers.pb-c.h"

#include <stdbool.h>
#include <stdint.h>

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
    /* may be taken over, and is NULL then; else the caller's: psd__v1__plan_result__free_unpacked
     */
    Psd__V1__PlanResult *plan;
} ps_task_result;

#endif
