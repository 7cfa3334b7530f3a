/* saliency: what a number of a matrix counts for: w² for its magnitude alone; times the mean square
 * of the input it meets (Wanda's, which roots it: the same order); times the curvature of the loss
 * there: Fisher's mean of squared gradients, or the optimizer's second moment.
 *
 * With a curvature, ½·N·f·w² predicts what the loss rises by when the number becomes 0, and
 * ½·N·f·Δw² when it moves by Δw; N: tokens (examples) of the gradients whose squares f is the mean
 * of, for f of means over N (Adam's v, divided by 1 − β₂ᵗ). Pure; any thread.
 */
#ifndef PS_COMPRESS_SALIENCY_H
#define PS_COMPRESS_SALIENCY_H

#include <stdint.h>

/* A matrix and what is known of it. */
typedef struct ps_salient {
    const float *weights;   /* [rows, columns] */
    uint64_t rows, columns; /* of a vector: 1, and its length */
    const float *squares;   /* [columns]: of inputs; NULL: they count alike */
    const float *curvature; /* [rows, columns]; NULL: likewise */
} ps_salient;

static inline double ps_saliency(const ps_salient *s, uint64_t row, uint64_t column)
{
    uint64_t at = row * s->columns + column;
    double w = (double)s->weights[at];
    return w * w * (s->squares ? (double)s->squares[column] : 1) *
           (s->curvature ? (double)s->curvature[at] : 1);
}

/* Σ ½·N·f·Δw² over a matrix that becomes `is`; is NULL: zeros. s->curvature is there. */
double ps_saliency_loss(const ps_salient *s, const float *is, double examples);

#endif
