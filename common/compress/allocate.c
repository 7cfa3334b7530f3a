/* For a price of cost each item chooses by itself; the price at which all together just fit is
 * found by halving (Shoham and Gersho, Efficient bit allocation for an arbitrary set of quantizers,
 * 1988). What is left over is spent by steps to a choice that loses less, and by pairs of which one
 * gives up what the other gains more from. Cannot fail but where nothing fits. */
#include "common/compress/allocate.h"

#include "common/base/require.h"

#include <math.h>
#include <stdbool.h>

enum { HALVINGS = 200 };

static bool better(ps_choice a, ps_choice b, double price)
{
    double x = a.loss + price * a.cost, y = b.loss + price * b.cost;
    return x < y || (x == y && a.cost < b.cost);
}

/* INFINITY: the cheapest; of equals the one that loses less. */
static bool cheaper(ps_choice a, ps_choice b)
{
    return a.cost < b.cost || (a.cost == b.cost && a.loss < b.loss);
}

static ps_allocation choose_at(const ps_item *items, size_t n, double price, size_t *chosen)
{
    ps_allocation sum = {0, 0};
    for (size_t k = 0; k < n; k++) {
        const ps_choice *c = items[k].choices;
        size_t best = 0;
        for (size_t i = 1; i < items[k].count; i++)
            if (isinf(price) ? cheaper(c[i], c[best]) : better(c[i], c[best], price))
                best = i;
        chosen[k] = best;
        sum.cost += c[best].cost;
        sum.loss += c[best].loss;
    }
    return sum;
}

/* A price that is high enough for everything to be as cheap as by itself. */
static double high_price(const ps_item *items, size_t n)
{
    double price = 1e-300;
    for (size_t k = 0; k < n; k++)
        for (size_t i = 0; i < items[k].count; i++)
            for (size_t j = 0; j < items[k].count; j++) {
                ps_choice a = items[k].choices[i], b = items[k].choices[j];
                if (a.cost < b.cost && a.loss > b.loss)
                    price = fmax(price, 2 * (a.loss - b.loss) / (b.cost - a.cost));
            }
    return price;
}

/* By ratio, as prices may be of any size. */
static ps_allocation find_price(const ps_item *items, size_t n, double most, size_t *chosen)
{
    ps_allocation free = choose_at(items, n, 0, chosen);
    if (free.cost <= most)
        return free;
    double high = high_price(items, n), low = high * 1e-30;
    if (choose_at(items, n, high, chosen).cost > most)
        return choose_at(items, n, INFINITY, chosen);
    for (int k = 0; k < HALVINGS; k++) {
        double middle = sqrt(low) * sqrt(high);
        if (choose_at(items, n, middle, chosen).cost <= most)
            high = middle;
        else
            low = middle;
    }
    return choose_at(items, n, high, chosen);
}

/* A change of an item's choice. */
typedef struct change {
    size_t item, choice;
    double cost, gain; /* more cost, less loss */
} change;

static change change_to(const ps_item *items, const size_t *chosen, size_t item, size_t choice)
{
    ps_choice is = items[item].choices[chosen[item]], to = items[item].choices[choice];
    return (change){item, choice, to.cost - is.cost, is.loss - to.loss};
}

static void apply(const change *c, size_t *chosen, ps_allocation *at)
{
    chosen[c->item] = c->choice;
    at->cost += c->cost;
    at->loss -= c->gain;
}

/* The change within `room` that gains most for its cost, of other items than `but`. */
static bool best_change(const ps_item *items, size_t n, const size_t *chosen, double room,
                        size_t but, change *out)
{
    double best = -1;
    for (size_t k = 0; k < n; k++)
        for (size_t i = 0; k != but && i < items[k].count; i++) {
            change c = change_to(items, chosen, k, i);
            double rate = c.cost > 0 ? c.gain / c.cost : INFINITY;
            if (c.gain > 0 && c.cost <= room && rate > best) {
                best = rate;
                *out = c;
            }
        }
    return best >= 0;
}

/* One item becomes cheaper, and what another gains with that is more. */
static bool exchange(const ps_item *items, size_t n, double most, size_t *chosen, ps_allocation *at)
{
    for (size_t k = 0; k < n; k++)
        for (size_t i = 0; i < items[k].count; i++) {
            change down = change_to(items, chosen, k, i), up;
            if (down.cost < 0 &&
                best_change(items, n, chosen, most - at->cost - down.cost, k, &up) &&
                up.gain + down.gain > 1e-12 * at->loss) {
                apply(&down, chosen, at);
                apply(&up, chosen, at);
                return true;
            }
        }
    return false;
}

static ps_allocation sum_of(const ps_item *items, size_t n, const size_t *chosen)
{
    ps_allocation sum = {0, 0};
    for (size_t k = 0; k < n; k++) {
        sum.cost += items[k].choices[chosen[k]].cost;
        sum.loss += items[k].choices[chosen[k]].loss;
    }
    return sum;
}

ps_status ps_allocate(const ps_item *items, size_t n, double most, size_t *chosen,
                      ps_allocation *out)
{
    for (size_t k = 0; k < n; k++)
        PS_REQUIRE(items[k].count);
    ps_allocation least = choose_at(items, n, INFINITY, chosen);
    if (least.cost > most)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "the least that can be had is %.0f, above the %.0f "
                       "that were asked for",
                       least.cost, most);
    ps_allocation at = find_price(items, n, most, chosen);
    change c;
    size_t turns = 0; /* each gains; this only bounds the time */
    do
        while (best_change(items, n, chosen, most - at.cost, n, &c))
            apply(&c, chosen, &at);
    while (turns++ < 100 * n && exchange(items, n, most, chosen, &at));
    *out = sum_of(items, n, chosen);
    PS_REQUIRE(out->cost <= most * (1 + 1e-12));
    return PS_OK;
}
