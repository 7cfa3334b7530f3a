/* weight_change: what the method of that name says of each tensor. A is the job's model, B the one
 * that it is compared with, D = B − A. */
#ifndef PS_EXPLAIN_WEIGHT_CHANGE_H
#define PS_EXPLAIN_WEIGHT_CHANGE_H

/* numbers of A; Frobenius' norms of A, B and D; change ‖D‖/‖A‖; sqnr 10·log₁₀(‖A‖²/‖D‖²), in
 * decibels, infinite where nothing changed; the largest |D| and the number of the element that has
 * it, counted through the tensor; cosine of A and B. Of matrices: largest singular values and
 * stable ranks of the three (spectrum.h). NaN where there is none. */
#define PS_EXPLAIN_CHANGE_QUANTITIES(X) \
    X(elements)                         \
    X(norm)                             \
    X(other_norm)                       \
    X(change_norm)                      \
    X(change)                           \
    X(sqnr)                             \
    X(largest)                          \
    X(largest_at)                       \
    X(cosine)                           \
    X(largest_singular)                 \
    X(other_largest_singular)           \
    X(change_largest_singular)          \
    X(stable_rank) X(other_stable_rank) X(change_stable_rank)

typedef enum ps_explain_change_quantity {
#define X(name) PS_CHANGE_##name,
    PS_EXPLAIN_CHANGE_QUANTITIES(X)
#undef X
        PS_EXPLAIN_CHANGE_COUNT
} ps_explain_change_quantity;

#endif
