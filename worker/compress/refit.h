/* refit: which numbers of a matrix are 0 is settled; what the others are is solved once more, all
 * of a row at once: the least squares of the outputs as they were. Pure; any thread. */
#ifndef PS_COMPRESS_REFIT_H
#define PS_COMPRESS_REFIT_H

#include "worker/compress/method.h"

#include <stdbool.h>

/* Of problem (its form is not looked at), with a Hessian to which damp·mean(diag) is added. zero,
 * [rows, columns]: stays 0. out, [rows, columns]: where it begins, 0 where zero says so; then what
 * minimises (w − out)·H·(w − out)ᵀ of each row w, as near as some turns come. PS_NO_MEMORY: out is
 * of no use. */
PS_MUST_CHECK ps_status ps_refit(const ps_compress_problem *problem, double damp, const bool *zero,
                                 float *out);

#endif
