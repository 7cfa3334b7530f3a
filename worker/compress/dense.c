/* Columns are made 16 at a time, for which b's part is copied together so that it stays in the
 * cache, and rows 4 at a time, whose sums stay in registers. The compiler vectorises over columns,
 * so a vector's width changes no sum. */
#include "worker/compress/dense.h"

#include "common/base/require.h"
#include "gpu/cpu/vector.h"

#include <string.h>

enum { ROWS = 4, COLUMNS = 16 };

/* c[4, 16] += a[4, k]·b[k, 16] */
PS_VECTOR static void tile(double *c, size_t ldc, const double *restrict a, size_t lda,
                           const double *restrict b, size_t k)
{
    double sum[ROWS][COLUMNS];
    for (size_t r = 0; r < ROWS; r++)
        memcpy(sum[r], c + r * ldc, sizeof sum[r]);
    for (size_t i = 0; i < k; i++)
        for (size_t r = 0; r < ROWS; r++) {
            double x = a[r * lda + i];
            PS_SIMD
            for (size_t j = 0; j < COLUMNS; j++)
                sum[r][j] += x * b[i * COLUMNS + j];
        }
    for (size_t r = 0; r < ROWS; r++)
        memcpy(c + r * ldc, sum[r], sizeof sum[r]);
}

/* What is left over at the edges, likewise. */
static void edge(double *c, size_t ldc, const double *a, size_t lda, const double *b, size_t m,
                 size_t n, size_t k)
{
    for (size_t r = 0; r < m; r++)
        for (size_t i = 0; i < k; i++)
            for (size_t j = 0; j < n; j++)
                c[r * ldc + j] += a[r * lda + i] * b[i * COLUMNS + j];
}

void ps_dense_add(double *c, size_t ldc, const double *a, size_t lda, const double *b, size_t ldb,
                  size_t m, size_t n, size_t k)
{
    PS_REQUIRE(k <= PS_DENSE_BLOCK);
    double held[PS_DENSE_BLOCK * COLUMNS];
    for (size_t j = 0; j < n; j += COLUMNS) {
        size_t some = n - j < COLUMNS ? n - j : COLUMNS, r = 0;
        for (size_t i = 0; i < k; i++)
            memcpy(held + i * COLUMNS, b + i * ldb + j, some * sizeof *held);
        for (; some == COLUMNS && r + ROWS <= m; r += ROWS)
            tile(c + r * ldc + j, ldc, a + r * lda, lda, held, k);
        edge(c + r * ldc + j, ldc, a + r * lda, lda, held, m - r, some, k);
    }
}
