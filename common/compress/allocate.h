/* allocate: which form each tensor gets, so that the whole costs no more than it may and loses
 * least: a knapsack. Tensors that must have the same form (q, k and v; gate and up, where a loader
 * fuses them) are one item, whose choices are sums over them. Cost and loss are the caller's: bytes
 * and predicted loss for a target size, or the other way round for a target loss. Pure; any thread.
 */
#ifndef PS_COMPRESS_ALLOCATE_H
#define PS_COMPRESS_ALLOCATE_H

#include "common/base/status.h"

#include <stddef.h>

typedef struct ps_choice {
    double cost, loss; /* finite, not negative */
} ps_choice;

typedef struct ps_item {
    const ps_choice *choices;
    size_t count; /* from 1 */
} ps_item;

typedef struct ps_allocation {
    double cost, loss; /* of what was chosen */
} ps_allocation;

/* chosen, [n]: an index into each item's choices. The cost is never above `most`. Not always the
 * very least loss: that of the best mix of rates (Lagrange), then every step that still fits, the
 * one that gains most for its cost first, and exchanges of two items. PS_INVALID_ARGUMENT: even the
 * cheapest choices cost more. */
PS_MUST_CHECK ps_status ps_allocate(const ps_item *items, size_t n, double most, size_t *chosen,
                                    ps_allocation *out);

#endif
