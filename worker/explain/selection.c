/* A sample is the first positions of a shuffle (worker/data/shuffle.h), in the order of rows. */
#include "worker/explain/selection.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "worker/data/shuffle.h"

#include <inttypes.h>
#include <stdlib.h>

static int by_row(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static ps_status draw(const ps_spec_explain *spec, uint64_t data_rows, ps_selection *out)
{
    out->drawn = ps_try_alloc_raw(out->n * sizeof *out->drawn);
    if (!out->drawn)
        return ps_fail(PS_NO_MEMORY, "a sample of %" PRIu64 " rows", out->n);
    const ps_shuffle shuffle = ps_shuffle_make(data_rows, (uint64_t)spec->seed, 0);
    for (uint64_t i = 0; i < out->n; i++)
        out->drawn[i] = ps_shuffle_at(&shuffle, i);
    qsort(out->drawn, out->n, sizeof *out->drawn, by_row);
    return PS_OK;
}

ps_status ps_selection_make(const ps_spec_explain *spec, uint64_t data_rows, ps_selection *out)
{
    uint64_t first = (uint64_t)spec->rows.first, wanted = ps_spec_explain_items(spec);
    *out = (ps_selection){.first = first};
    if (data_rows == 0 || (spec->rows.count && first >= data_rows))
        return ps_fail(PS_OUT_OF_RANGE,
                       "rows begin with %" PRIu64 ", but there are %" PRIu64 " rows", first,
                       data_rows);
    uint64_t most = spec->rows.count ? data_rows - first : data_rows;
    out->n = wanted < most ? wanted : most;
    return spec->rows.count ? PS_OK : draw(spec, data_rows, out);
}

uint64_t ps_selection_row(const ps_selection *selection, uint64_t item)
{
    PS_REQUIRE(item < selection->n);
    return selection->drawn ? selection->drawn[item] : selection->first + item;
}

void ps_selection_free(ps_selection *selection)
{
    ps_free(&selection->drawn);
}
