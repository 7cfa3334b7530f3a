/* moving: of which of the parent's layers a tensor is, when whole layers go: layer i of the new
 * model is the i-th of those that stay (choosing.h). The task's thread's (not asserted: it is a
 * part of the task). */
#ifndef PS_TASKS_MOVING_H
#define PS_TASKS_MOVING_H

#include "common/json/json.h"
#include "worker/tasks/compress_job.h"

typedef struct ps_moved {
    size_t layer;      /* of the parent's */
    size_t layers;     /* that it has */
    double *influence; /* [layers] */
    bool *keep;        /* [layers] */
} ps_moved;

/* Of a tensor that moves; freed with ps_moved_clear, also after a failure. The first of them says
 * to who follows the job which layers go. */
PS_MUST_CHECK ps_status ps_moved_find(const ps_compress_job *job, const ps_plan_tensor *tensor,
                                      ps_moved *out);
void ps_moved_clear(ps_moved *moved);
/* The weights that it has there: as ps_compress_parent_weights. */
PS_MUST_CHECK ps_status ps_moved_weights(const ps_compress_job *job, const ps_plan_tensor *tensor,
                                         const ps_moved *moved, float **out);
/* {"layer":3,"layers":4,"kept":[0,3],"influence":[0.4,0.1,0.1,0.3]} */
void ps_moved_tell(const ps_moved *moved, ps_json_writer *json);

#endif
