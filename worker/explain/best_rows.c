#include "worker/explain/best_rows.h"

#include "common/base/require.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { PAIR = PS_BEST_PAIR };

ps_best_rows ps_best_rows_in(float *pairs, size_t most)
{
    for (size_t i = 0; i < most * PAIR; i++)
        pairs[i] = NAN;
    return (ps_best_rows){.most = most, .pairs = pairs};
}

void ps_best_rows_offer(ps_best_rows *b, float row, float score)
{
    size_t at = b->n;
    PS_REQUIRE(b->n <= b->most);
    if (!(score > 0) || (b->n == b->most && !(score > b->pairs[(b->most - 1) * PAIR + 1])))
        return;
    b->n += b->n < b->most;
    at = at < b->n ? at : b->n - 1;
    for (; at > 0 && score > b->pairs[(at - 1) * PAIR + 1]; at--)
        memcpy(b->pairs + at * PAIR, b->pairs + (at - 1) * PAIR, PAIR * sizeof *b->pairs);
    b->pairs[at * PAIR] = row;
    b->pairs[at * PAIR + 1] = score;
}
