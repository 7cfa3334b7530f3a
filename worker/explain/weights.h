/* weights: what the method of that name says of each tensor, and how much of it there is. */
#ifndef PS_EXPLAIN_WEIGHTS_H
#define PS_EXPLAIN_WEIGHTS_H

/* elements, and how many of them are not finite; the others' share of zeros, mean, deviation,
 * minimum, maximum, the largest |w| (the histogram's limit), Frobenius' norm. Of matrices: the
 * largest singular value, stable and effective rank, and the power law of what they stretch
 * (spectrum.h): alpha, the σ² it begins from, its distance, how many values it is of. */
#define PS_EXPLAIN_WEIGHT_QUANTITIES(X) \
    X(elements)                         \
    X(not_finite)                       \
    X(zeros)                            \
    X(mean)                             \
    X(deviation)                        \
    X(minimum)                          \
    X(maximum)                          \
    X(limit)                            \
    X(norm)                             \
    X(largest_singular)                 \
    X(stable_rank) X(effective_rank) X(alpha) X(alpha_from) X(alpha_distance) X(alpha_tail)

typedef enum ps_explain_weight_quantity {
#define X(name) PS_WEIGHT_##name,
    PS_EXPLAIN_WEIGHT_QUANTITIES(X)
#undef X
        PS_EXPLAIN_WEIGHT_COUNT
} ps_explain_weight_quantity;

enum {
    PS_EXPLAIN_WEIGHT_BINS = 64,   /* of the histogram */
    PS_EXPLAIN_WEIGHT_POINTS = 64, /* of the curve of singular values */
};

#endif
