/* Shares from all coalitions, and from orders of the players. */
#include "worker/explain/shapley.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <math.h>

/* φ_i = Σ over S without i of |S|!·(M − |S| − 1)!/M! · (v(S and i) − v(S)) */
void ps_shapley_exact(const double *values, size_t players, double *out)
{
    PS_REQUIRE(players >= 1 && players <= PS_SHAPLEY_EXACT_MAX);
    double share[PS_SHAPLEY_EXACT_MAX]; /* of a coalition with so many players without i */
    share[0] = 1.0 / (double)players;
    for (size_t k = 1; k < players; k++)
        share[k] = share[k - 1] * (double)k / (double)(players - k);
    for (size_t i = 0; i < players; i++) {
        size_t bit = (size_t)1 << i;
        double sum = 0;
        for (size_t s = 0; s < (size_t)1 << players; s++)
            if (!(s & bit))
                sum += share[__builtin_popcountll(s)] * (values[s | bit] - values[s]);
        out[i] = sum;
    }
}

ps_status ps_shapley_orders_make(size_t players, ps_shapley_orders *out)
{
    PS_REQUIRE(players >= 1 && players <= PS_SHAPLEY_PLAYERS_MAX);
    double *room = ps_try_alloc(2 * players * sizeof *room);
    if (!room)
        return ps_fail(PS_NO_MEMORY, "shares of %zu players", players);
    *out = (ps_shapley_orders){.players = players, .mean = room, .spread = room + players};
    return PS_OK;
}

void ps_shapley_orders_free(ps_shapley_orders *orders)
{
    ps_free(&orders->mean);
    *orders = (ps_shapley_orders){0};
}

void ps_shapley_order(ps_rng *rng, size_t players, uint32_t *order)
{
    for (size_t i = 0; i < players; i++)
        order[i] = (uint32_t)i;
    for (size_t i = players; i > 1; i--) {
        size_t j = ps_rng_below(rng, i);
        uint32_t last = order[i - 1];
        order[i - 1] = order[j];
        order[j] = last;
    }
}

void ps_shapley_orders_add(ps_shapley_orders *orders, const uint32_t *order, double empty,
                           const double *there, const double *back)
{
    size_t n = orders->players;
    orders->pairs++;
    for (size_t k = 0; k < n; k++) {
        size_t i = order[k];
        PS_REQUIRE(i < n);
        double first = there[k] - (k ? there[k - 1] : empty);
        size_t b = n - 1 - k; /* its place in the reverse */
        double second = back[b] - (b ? back[b - 1] : empty);
        double share = (first + second) / 2, off = share - orders->mean[i];
        orders->mean[i] += off / (double)orders->pairs;
        orders->spread[i] += off * (share - orders->mean[i]);
    }
}

double ps_shapley_orders_error(const ps_shapley_orders *orders, size_t i)
{
    PS_REQUIRE(i < orders->players);
    double n = (double)orders->pairs;
    return n < 2 ? NAN : sqrt(orders->spread[i] / (n - 1) / n);
}
