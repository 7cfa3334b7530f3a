/* narrow: a float32 matrix of a file, as its bytes come, as the bfloat16 that a model holds of it:
 * rounded to nearest, its rows those of outputs. A matrix that is stored [in,out] is collected in
 * bfloat16 until it is there, as its rows are the file's columns; others go on as they come. One
 * thread at a time (not asserted: it is a local of a transfer). */
#ifndef PS_JOB_NARROW_H
#define PS_JOB_NARROW_H

#include "common/base/slice.h"
#include "worker/job/staging.h"
#include "worker/models/model.h"

typedef struct ps_narrow ps_narrow;

/* to: the model's, U8 [outputs, 2 · inputs]; spec: its shape in the file. staging is borrowed.
 * PS_NO_MEMORY; *out is to be freed then, too. */
PS_MUST_CHECK ps_status ps_narrow_create(ps_staging *staging, const ps_model_parameter_spec *spec,
                                         ps_tensor to, ps_narrow **out);
void ps_narrow_free(ps_narrow **narrow); /* NULL is nothing */
/* The next bytes, cut anywhere; no more than the matrix has. Fails as ps_staging_write. */
PS_MUST_CHECK ps_status ps_narrow_write(ps_narrow *narrow, ps_slice bytes);

#endif
