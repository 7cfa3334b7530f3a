/* task: the kinds of tasks that workers do, and the rows that one is of. */
#ifndef PS_SCHED_TASK_H
#define PS_SCHED_TASK_H

#include <stdint.h>

#define PS_WORKER_MAX 64 /* bytes of a worker's name and its zero */

typedef enum ps_task_kind {
    PS_TASK_PLAN,
    PS_TASK_TRAIN,
    PS_TASK_EVALUATE,
    PS_TASK_PREDICT,
    PS_TASK_GENERATE,
} ps_task_kind;
const char *ps_task_kind_name(ps_task_kind kind);   /* "train", as on the wire */
const char *ps_task_kind_phrase(ps_task_kind kind); /* "a train task", for a sentence */

/* Rows of an epoch, and what became of them on workers so far. */
typedef struct ps_row_range {
    uint32_t epoch; /* from 0 */
    uint64_t begin, end;
    uint32_t failures;         /* times a worker said that it failed */
    uint32_t losses;           /* times its worker went silent before any row of it was done */
    uint64_t ready_ns;         /* not before; 0: at once */
    char avoid[PS_WORKER_MAX]; /* the worker it failed on last; "": none */
} ps_row_range;

#endif
