/* moments: how large the gradients of a model's training were, as its job leaves them
 * (train.keep_moments): moments.safetensors, of every tensor the variance v of each element's
 * gradient, without bias, as BF16 (of adagrad, which knows no more, the mean square); and in its
 * metadata, of how many examples a gradient was the mean. ½·N·v·Δw² is then, to second order, what
 * the loss rises by when an element moves by Δw (worker/compress/saliency.h), N being the rows, or
 * tokens. Pure; any thread. */
#ifndef PS_COMPRESS_MOMENTS_H
#define PS_COMPRESS_MOMENTS_H

#include "common/conf/job_spec.h"
#include "common/format/safetensors.h"

#define PS_MOMENTS_FILE "moments.safetensors"
#define PS_MOMENTS_META "psd.moments"

/* N of such a file, of a training of that model. PS_CORRUPT: it does not say. */
PS_MUST_CHECK ps_status ps_moments_examples(const ps_safetensors *file, const ps_spec_model *model,
                                            double *out);

#endif
