/* task_result: what a worker says of a task when it is over: numbers, a report and names of files,
 * of which the task's kind knows the meaning. Hostile; all of it is borrowed, but for the plan. */
#ifndef PS_SCHED_TASK_RESULT_H
#define PS_SCHED_TASK_RESULT_H

#include "common/base/status.h"
#include "common/format/metric_list.h"
#include "common/security/digest.h"

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
/* What pushes do to it (server/params/block_kinds.h). */
typedef enum ps_plan_blocks { PS_PLAN_PARAMETERS, PS_PLAN_WORDS, PS_PLAN_SUMS } ps_plan_blocks;
typedef struct ps_data_plan_tensor {
    char *name;
    uint64_t *shape; /* n_shape */
    size_t n_shape;
    ps_plan_init initializer;
    double scale;
    char *begins_as; /* the tensor whose values it begins with; "": its own */
    ps_plan_role role;
    char *form;            /* that it is to be trained in, "int4/128"; "": none */
    bool transposed;       /* of a form's: the model has it as [shape[1], shape[0]] */
    ps_plan_blocks blocks; /* psd's own alone: a worker's are parameters */
} ps_data_plan_tensor;
/* plan: the data's size and the model's tensors. */
typedef struct ps_data_plan {
    uint64_t train_rows, test_rows;
    uint32_t epochs;              /* psd's own; 0: as the job file says */
    ps_data_plan_tensor *tensors; /* n_tensors */
    size_t n_tensors;
    char *model; /* the job's model section, settled; "": nothing was left to the data */
} ps_data_plan;
ps_data_plan *ps_data_plan_copy(const ps_data_plan *plan); /* owns all of it */
void ps_data_plan_free(ps_data_plan **plan);               /* such a copy; NULL is nothing */

/* A number with a name as of a metric, or that of a field of the message Progress. */
typedef struct ps_result_number {
    const char *name;
    double value;
} ps_result_number;

/* A file of data that the task has read: "" for a digest that nobody has computed. */
typedef struct ps_result_file {
    const char *path, *sha256;
    uint64_t bytes;
} ps_result_file;

enum {
    PS_RESULT_NUMBERS = 16,
    PS_RESULT_ARTIFACTS = 16,
    PS_RESULT_FILES = 16,
    PS_RESULT_PATH_MOST = 4096, /* bytes of a path, the zero included */
    PS_RESULT_REPORT = 64 << 10
};

typedef struct ps_task_result {
    uint64_t lease_id;
    int code;            /* gRPC's; 0: it is done */
    const char *message; /* when it is not; NULL or "": nothing was said */
    bool retry;          /* another worker may succeed */
    ps_result_number numbers[PS_RESULT_NUMBERS];
    size_t n_numbers;
    const char *report; /* a JSON object; NULL or "": none */
    char *own_report;   /* the scheduler's copy of it, made outside its turns; NULL: none;
                           may be taken over, and is NULL then */
    char *const *artifacts;
    size_t n_artifacts;
    ps_result_file files[PS_RESULT_FILES];
    size_t n_files;     /* as it was said: more than PS_RESULT_FILES are refused */
    ps_data_plan *plan; /* as ps_data_plan_copy; NULL: none; may be taken over, and is NULL then */
} ps_task_result;

/* Adds a number. One of a name that is none, or is there, and one too many are left out. */
void ps_task_result_add(ps_task_result *result, const char *name, double value);
/* The number of that name; false: there is none. */
bool ps_task_result_number(const ps_task_result *result, const char *name, double *out);
/* The same of a count: a whole number from 0. */
bool ps_task_result_count(const ps_task_result *result, const char *name, uint64_t *out);
/* The numbers that are metrics of a model. */
void ps_task_result_metrics(const ps_task_result *result, ps_metric_list *out);
/* The text of that key of the report, if it is one of the words, which end with NULL; NULL: it is
 * not. */
const char *ps_task_result_word(const ps_task_result *result, const char *key,
                                const char *const *words);

/* Is it what a worker may say? PS_INVALID_ARGUMENT: the report is too long or no JSON object, a
 * name is none of an artifact, a path none of a file, or a digest no SHA-256. */
PS_MUST_CHECK ps_status ps_task_result_check(const ps_task_result *result);

#endif
