/* scale: factors for the inputs of products. Column c of the weights times s[c], and whatever makes
 * input c divided by s[c], leave outputs as they are; but rounding loses less where large inputs
 * meet weights that were made large. All matrices that share an input share the factors.
 *
 *     ps_method_scale(method, problems, 3, scales, &report);     q, k and v
 *     ps_scale_columns(w, rows, columns, scales, false);          of each
 *     ps_scale_sums(sums, columns, scales);                       of what they see now
 *     the norm before them: ps_scale_columns(gain, 1, columns, scales, true), and its bias
 *
 * Where the input is another matrix's output, its rows are divided: ps_scale_rows. Where a row is
 * several inputs (a value that several heads look at), these have one factor: ps_scale_share.
 * Pure; any thread.
 */
#ifndef PS_COMPRESS_SCALE_H
#define PS_COMPRESS_SCALE_H

#include "worker/compress/method.h"

/* Column c is made by row c / (span·repeat) · span + c % span: repeat runs of span columns each are
 * the same rows'. {1, 1}: every column has a row of its own. */
typedef struct ps_scale_share {
    uint64_t span, repeat;
} ps_scale_share;

static inline uint64_t ps_scale_row(ps_scale_share share, uint64_t column)
{
    return column / (share.span * share.repeat) * share.span + column % share.span;
}

typedef struct ps_scale_report {
    double plain;  /* share of the output's power that rounding loses without factors */
    double scaled; /* and with them */
    double power;  /* what the inputs' sizes were raised to; 0: all factors are 1,
                      as of a method whose own codes lose less without any */
} ps_scale_report;

/* Problems have the same columns and Hessian (not squares alone), and a form each. scales:
 * [columns], from 1e-4 to 1e4; their largest times their least is 1. PS_NO_MEMORY. As
 * ps_method_solve: a weight or sum is not finite, too few tokens. The method has factors:
 * ps_method.power. share: span · repeat divides columns. */
PS_MUST_CHECK ps_status ps_method_scale(const ps_method *method,
                                        const ps_compress_problem *problems, size_t n,
                                        ps_scale_share share, float *scales,
                                        ps_scale_report *report);

void ps_scale_columns(float *w, uint64_t rows, uint64_t columns, const float *scales, bool divide);
/* Of w [.., columns] the rows that make these inputs, from row `from` on. */
void ps_scale_rows(float *w, uint64_t from, uint64_t columns, ps_scale_share share,
                   const float *scales, uint64_t inputs);
/* Σ x·xᵀ of inputs that have been divided. */
void ps_scale_sums(float *sums, uint64_t columns, const float *scales);

#endif
