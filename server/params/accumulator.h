/* accumulator: the weighted sum of several pushes, block by block, until it is applied as one
 * update: Σ w·g / Σ w, with Σ w taken for each block over the pushes that touch it. Elements of a
 * block that a push does not cover count as zero in that push.
 *
 * All memory is taken at creation: 4 bytes a parameter. Summation order: in float32, in the order
 * in which pushes come to a block; so two pushes give the same bits in either order, and more of
 * them give sums that differ in rounding only.
 *
 * For consistency models that hold pushes (controller.h).
 *
 * add: any thread. apply: while no add is under way.
 */
#ifndef PS_PARAMS_ACCUMULATOR_H
#define PS_PARAMS_ACCUMULATOR_H

#include "server/params/update.h"

typedef struct ps_accumulator ps_accumulator;

PS_MUST_CHECK ps_status ps_accumulator_create(ps_param_store *store, ps_accumulator **out);
void ps_accumulator_free(ps_accumulator **accumulator);
/* What a push has for one block (as ps_update_block); weight > 0 multiplies the gradient. */
void ps_accumulator_add(ps_accumulator *accumulator, uint64_t block, const ps_block_piece *pieces,
                        size_t n, double weight);
/* Applies the means as one update and is empty again. Where the store clips, the means of all
 * blocks together are scaled down to that norm. (gate) */
void ps_accumulator_apply(ps_accumulator *accumulator);
uint64_t ps_accumulator_bytes(const ps_accumulator *accumulator);

#endif
