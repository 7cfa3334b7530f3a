/* moments: what the training of a compress job's parent left of its gradients, for a tensor
 * (common/compress/moments.h), and the loss that is predicted by it. Blocks the task's thread (not
 * asserted here: stored_range.c asks). */
#ifndef PS_TASKS_MOMENTS_H
#define PS_TASKS_MOMENTS_H

#include "worker/tasks/compress_job.h"

typedef struct ps_tensor_moments {
    float *curvature; /* [rows, columns], as a product has the parent's tensor */
    double examples;  /* that a gradient was the mean of */
} ps_tensor_moments;

/* PS_NOT_FOUND: the parent has none; PS_FAILED_PRECONDITION: none for the tensor of this shape.
 * out is freed with ps_tensor_moments_free. */
PS_MUST_CHECK ps_status ps_tensor_moments_get(const ps_compress_job *job,
                                              const ps_plan_tensor *tensor, ps_tensor_moments *out);
void ps_tensor_moments_free(ps_tensor_moments *moments);

/* What the loss rises by when weights, [rows, columns], become what bytes say in that form.
 * PS_NO_MEMORY. */
PS_MUST_CHECK ps_status ps_tensor_moments_predict(const ps_tensor_moments *moments,
                                                  const ps_model_form *tensor, ps_form form,
                                                  const float *weights, const uint8_t *bytes,
                                                  double *out);

#endif
