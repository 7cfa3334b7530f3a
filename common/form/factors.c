/* Some columns at a time, so that as many sums go on beside one another. Each sum is in the order
 * of the rank: the same number whatever the rows are divided into. Cannot fail. */
#include "common/form/factors.h"

#include "common/base/require.h"

enum { BESIDE = 8 };

static const uint64_t numbers_most = INT64_MAX / sizeof(float);

bool ps_factors_fit(uint32_t rank, uint64_t rows, uint64_t columns)
{
    uint64_t least = rows < columns ? rows : columns, whole, both;
    return rank && rank <= least && !__builtin_mul_overflow(rows, columns, &whole) &&
           whole <= numbers_most && !__builtin_mul_overflow(rows + columns, rank, &both) &&
           both <= numbers_most;
}

bool ps_factors_save(uint32_t rank, uint64_t rows, uint64_t columns)
{
    return ps_factors_fit(rank, rows, columns) && rank * (rows + columns) < rows * columns;
}

static void some_columns(const float *left, const float *right, uint32_t rank, uint64_t n,
                         float *out)
{
    double sums[BESIDE] = {0};
    for (uint32_t k = 0; k < rank; k++)
        for (uint64_t c = 0; c < n; c++)
            sums[c] += (double)left[k] * (double)right[c * rank + k];
    for (uint64_t c = 0; c < n; c++)
        out[c] = (float)sums[c];
}

void ps_factors_rows(const float *factors, uint32_t rank, uint64_t rows, uint64_t columns,
                     uint64_t first, uint64_t n, float *out)
{
    PS_REQUIRE(ps_factors_fit(rank, rows, columns) && first + n <= rows);
    const float *right = factors + rows * rank;
    for (uint64_t r = first; r < first + n; r++, out += columns)
        for (uint64_t c = 0; c < columns; c += BESIDE) {
            uint64_t some = columns - c < BESIDE ? columns - c : BESIDE;
            if (some == BESIDE) /* known when this is compiled */
                some_columns(factors + r * rank, right + c * rank, rank, BESIDE, out + c);
            else
                some_columns(factors + r * rank, right + c * rank, rank, some, out + c);
        }
}
