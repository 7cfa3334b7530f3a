/* feedback: deciding a matrix's numbers column by column, so that what one loses is made good in
 * those that follow: the loop that GPTQ and SparseGPT share. Frantar and others 2022 (GPTQ), with
 * the inverse's Cholesky; here H = L·D·Lᵀ itself, which gives the same numbers (Chee and others
 * 2023, QuIP, theorem 6) for a third of the work.
 */
#ifndef PS_COMPRESS_FEEDBACK_H
#define PS_COMPRESS_FEEDBACK_H

#include "worker/compress/method.h"

typedef struct ps_feedback {
    uint64_t columns;
    uint64_t *order; /* [columns]: the last is decided first */
    double *l;       /* [columns, columns]: below the diagonal, how much of a number's loss is added
                        to each that follows */
    double *d;       /* [columns]: what a squared loss costs when all that follow make it good */
} ps_feedback;

/* first, [columns]: what is decided before all others, NULL: none is; then by options.order. From H
 * with damp·mean(diag) added; if that is not positive definite, with ten times as much, to
 * 1. A column whose input was always 0 is decided by itself. *made: false, and why, if it comes to
 * nothing; report has damp, fallback and why. PS_NO_MEMORY. ps_feedback_clear afterwards. */
PS_MUST_CHECK ps_status ps_feedback_make(const ps_compress_problem *problem, const bool *first,
                                         ps_feedback *out, ps_compress_report *report, bool *made);
void ps_feedback_clear(ps_feedback *feedback);

/* Who decides; on several threads, each with rows of its own. */
typedef struct ps_decider {
    /* Of a row: the next n columns, and what they would best be, all together and given those that
     * are decided; first to be decided is the last. NULL: nobody asks. */
    void (*look)(void *user, uint64_t row, const uint64_t *columns, const double *values,
                 const double *d, size_t n);
    /* The number becomes what is returned. */
    double (*decide)(void *user, uint64_t row, uint64_t column, double value);
    void *user;
} ps_decider;

enum { PS_FEEDBACK_BLOCK = 128 }; /* the most columns of a look */

PS_MUST_CHECK ps_status ps_feedback_run(const ps_feedback *feedback, const float *weights,
                                        uint64_t rows, size_t threads, const ps_decider *decider);

#endif
