/* sparse: which numbers of matrices become 0, with their shapes as they are. Zeros are numbers like
 * any other in every form here: such a model is neither smaller nor faster; what it is good for is
 * elsewhere. Pure; any thread. Saliency may be magnitude, Wanda's (squares of inputs), or Fisher's
 * and the optimizer's (curvature).
 */
#ifndef PS_COMPRESS_SPARSE_H
#define PS_COMPRESS_SPARSE_H

#include "worker/compress/method.h"
#include "worker/compress/saliency.h"

/* How many of how many: a ratio of a row, or 2 of each 4 that follow one another. */
typedef struct ps_sparsity {
    double ratio;     /* from 0 to 1; not heeded with two_of_four */
    bool two_of_four; /* columns are a multiple of 4 */
} ps_sparsity;

/* The least salient of each row become 0; w: tensor->weights, or a copy. PS_NO_MEMORY. */
PS_MUST_CHECK ps_status ps_sparse_rows(const ps_salient *tensor, const ps_sparsity *want, float *w);
/* The `count` least salient of the tensor become 0; w as above. Of equals, the first. */
void ps_sparse_least(const ps_salient *tensor, uint64_t count, float *w);
/* How many numbers of it are how salient: counts[PS_PLAN_BINS] (common/compress/plan.h). */
void ps_sparse_count(const ps_salient *tensor, double *counts);

/* SparseGPT: as GPTQ, but numbers stay or become 0, and those that stay make good what went; which:
 * of each 128 columns (or four) of a row, those that cost least when all that follow help (Frantar
 * and Alistarh, 2023). The paper chooses for all rows of a block at once; here each row has its own
 * share, as the other methods have. There, only columns that follow make good what went; so at the
 * end all that stayed are solved once more (refit.h). out: [rows, columns]. The report as of a
 * method, form apart. */
PS_MUST_CHECK ps_status ps_sparse_solve(const ps_compress_problem *problem, const ps_sparsity *want,
                                        float *out, ps_compress_report *report);

#endif
