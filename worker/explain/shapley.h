/* shapley: how the value that players make together is shared among them (Shapley 1953), from the
 * values of coalitions. Players are features of a row, groups of them, blocks of columns, layers:
 * whoever asks says what a coalition is worth.
 *
 *     exact          the sum over all 2^M coalitions
 *     kernel         of some coalitions: weighted least squares whose weights make the solution the
 *                    exact one when all are there (Lundberg and Lee 2017), with Σφ = v(all) − v(∅)
 *                    as a constraint; sampled in pairs of a coalition and its complement (Covert
 *                    and Lee 2021)
 *     permutations   of some orders of the players, each and its reverse (Castro 2009; Mitchell
 *                    2022): every order's shares sum to v(all) − v(∅), and so does the mean
 *
 * Pure, float64; sums in a fixed order. Any thread. */
#ifndef PS_EXPLAIN_SHAPLEY_H
#define PS_EXPLAIN_SHAPLEY_H

#include "common/base/rng.h"
#include "common/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PS_SHAPLEY_EXACT_MAX = 20,
    PS_SHAPLEY_PLAYERS_MAX = 4096,
    PS_SHAPLEY_MEMBERS_MAX = 1 << 28 /* coalitions · players of a plan, bytes */
};

/* values[2^players], of the coalition whose players are the bits of the index; out[players].
 * players: 1 to PS_SHAPLEY_EXACT_MAX. */
void ps_shapley_exact(const double *values, size_t players, double *out);

/* ---- kernel ---- */

/* Coalitions to be valued beside the empty and the full one, which are always wanted. */
typedef struct ps_shapley_plan {
    size_t players, count;
    uint8_t *members; /* [count, players]: 1 is in */
    double *weights;  /* [count], above 0 */
    bool all;         /* every coalition is there: the solution is exact */
} ps_shapley_plan;

/* At most `most` coalitions, from 1 a player: all of those sizes that they suffice for, smallest
 * and largest first, and of the others pairs by chance, none twice. PS_INVALID_ARGUMENT: fewer than
 * players, or more than PS_SHAPLEY_MEMBERS_MAX bytes of them; PS_NO_MEMORY. players: 2 to
 * PS_SHAPLEY_PLAYERS_MAX. */
PS_MUST_CHECK ps_status ps_shapley_plan_make(size_t players, size_t most, ps_rng *rng,
                                             ps_shapley_plan *out);
void ps_shapley_plan_free(ps_shapley_plan *plan);

/* Is the work to end? PS_OK: it goes on. NULL: nobody asks for that. */
typedef ps_status (*ps_shapley_check)(void *user);

/* values[count] of the plan's coalitions -> out[players], in count·players²/2 + players³/6
 * operations. PS_OUT_OF_RANGE: they do not tell the players apart (more coalitions are wanted);
 * PS_NO_MEMORY; as check(user), which is asked time and again. */
PS_MUST_CHECK ps_status ps_shapley_solve(const ps_shapley_plan *plan, double empty, double full,
                                         const double *values, ps_shapley_check check, void *user,
                                         double *out);

/* ---- permutations ---- */

/* Means over pairs of orders, and how sure they are. */
typedef struct ps_shapley_orders {
    size_t players;
    uint64_t pairs;
    double *mean, *spread; /* [players]; spread: Σ(x − mean)² (Welford 1962) */
} ps_shapley_orders;

PS_MUST_CHECK ps_status ps_shapley_orders_make(size_t players, ps_shapley_orders *out);
void ps_shapley_orders_free(ps_shapley_orders *orders);
/* order[players]: a permutation by chance. */
void ps_shapley_order(ps_rng *rng, size_t players, uint32_t *order);
/* Of an order the value after each of its players has come, there[players] (the last is that of
 * all), and the same of its reverse, back[players]. */
void ps_shapley_orders_add(ps_shapley_orders *orders, const uint32_t *order, double empty,
                           const double *there, const double *back);
/* The standard error of player i's mean; NaN of fewer than two pairs. */
double ps_shapley_orders_error(const ps_shapley_orders *orders, size_t i);

#endif
