/* The ziggurat (Marsaglia and Tsang 2000) with 256 layers of equal area: one word chooses layer,
 * sign and place, and in 99 of 100 draws that is all. Words are of 64 bits, so that the place does
 * not depend on the layer (Doornik 2005 on why it must not).
 *
 * A layer is a rectangle under the curve and what is left beside it; the lowest, layer 0, has the
 * tail beyond RADIUS beside it. The tables are filled before main; nothing fails.
 */
#include "common/base/rng.h"

#include <math.h>

enum { LAYERS = 256, PLACE_BITS = 52 };
#define RADIUS 3.6541528853610088 /* where the tail begins, */
#define AREA   0.00492867323399   /* of each layer, with 256 of them */

static struct {
    uint64_t inside[LAYERS]; /* places below this are under the curve */
    double width[LAYERS];    /* of one place */
    double height[LAYERS];
} table;

static double density(double x)
{
    return exp(-0.5 * x * x);
}

__attribute__((constructor)) static void fill_table(void)
{
    const double places = (double)(UINT64_C(1) << PLACE_BITS);
    double base = AREA / density(RADIUS); /* of a rectangle as high as the lowest layer */
    table.inside[0] = (uint64_t)(RADIUS / base * places);
    table.width[0] = base / places;
    table.height[0] = 1;
    double x = RADIUS;
    for (int i = LAYERS - 1; i > 0; i--) {
        double above = i > 1 ? sqrt(-2 * log(AREA / x + density(x))) : 0;
        table.inside[i] = (uint64_t)(above / x * places);
        table.width[i] = x / places;
        table.height[i] = density(x);
        x = above;
    }
}

/* Beyond RADIUS: Marsaglia 1964. */
static double tail(ps_rng *rng)
{
    double x, y;
    do {
        x = -log(1 - ps_rng_uniform(rng)) / RADIUS;
        y = -log(1 - ps_rng_uniform(rng));
    } while (2 * y <= x * x);
    return RADIUS + x;
}

double ps_rng_normal(ps_rng *rng)
{
    for (;;) {
        uint64_t word = ps_rng_next(rng);
        unsigned layer = word & (LAYERS - 1);
        double sign = word & LAYERS ? -1 : 1;
        uint64_t place = word >> (64 - PLACE_BITS);
        double x = (double)place * table.width[layer];
        if (place < table.inside[layer])
            return sign * x;
        if (!layer)
            return sign * tail(rng);
        double above = table.height[layer - 1], below = table.height[layer];
        if (below + (above - below) * ps_rng_uniform(rng) < density(x))
            return sign * x;
    }
}
