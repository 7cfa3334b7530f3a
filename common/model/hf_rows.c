/* Cannot fail. */
#include "common/model/hf_rows.h"

#include "common/base/require.h"

#include <string.h>

uint64_t ps_hf_row(const ps_lm_tensor *t, uint64_t row)
{
    PS_REQUIRE(row < t->shape[0]);
    if (!t->by_heads)
        return row;
    uint64_t size = t->shape[0] / (3 * t->heads), inside = row % size, head = row / size % t->heads;
    uint64_t which = row / size / t->heads; /* queries, keys, values */
    return (head * 3 + which) * size + inside;
}

void ps_hf_rows_in(const ps_lm_tensor *t, const void *theirs, size_t row_bytes, void *ours)
{
    PS_REQUIRE(t->by_heads);
    for (uint64_t row = 0; row < t->shape[0]; row++)
        memcpy((uint8_t *)ours + row * row_bytes,
               (const uint8_t *)theirs + ps_hf_row(t, row) * row_bytes, row_bytes);
}

void ps_hf_rows_out(const ps_lm_tensor *t, const void *ours, size_t row_bytes, void *theirs)
{
    PS_REQUIRE(t->by_heads);
    for (uint64_t row = 0; row < t->shape[0]; row++)
        memcpy((uint8_t *)theirs + ps_hf_row(t, row) * row_bytes,
               (const uint8_t *)ours + row * row_bytes, row_bytes);
}
