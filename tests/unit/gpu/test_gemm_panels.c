/* Products by panels against plain C, of numbers whose sums float32 holds exactly in any order, and
 * which bfloat16 has, too: what comes out is right or it is wrong. */
#include "gpu/cpu/gemm_panels.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/device.h"

#include <math.h>
#include <string.h>

static const ps_panel_kernels *(*const kinds[])(void) = {ps_panel_kernels_f32,
                                                         ps_panel_kernels_bf16};

/* Sizes around those of panels, of blocks of k (in lanes, see k_of) and of columns, and of what is
 * held of A; room behind each row. */
static const struct {
    int m, n, k;
    int pad_a, pad_b, pad_c;
    float alpha, beta;
} cases[] = {
    {1, 1, 1, 0, 0, 0, 1, 0},       {7, 13, 29, 3, 1, 2, 1, 0},    {8, 48, 32, 0, 0, 0, 2, 0},
    {9, 49, 33, 0, 0, 5, 1, 1},     {16, 31, 17, 1, 0, 1, -1, -2}, {65, 100, 2, 0, 3, 0, 1, 3},
    {3, 385, 401, 5, 0, 2, 1, 0},   /* two blocks of columns and of k */
    {40, 10, 1600, 0, 7, 0, 4, 1},  /* five blocks of k */
    {512, 50, 769, 1, 0, 1, 1, 0},  /* more of A than is held */
    {512, 390, 769, 1, 0, 1, 1, 0}, /* and for two blocks of columns */
};
#define CASES (int)(sizeof cases / sizeof *cases)

/* Odd where the lanes are. */
static int64_t k_of(const ps_panel_kernels *kernels, int i)
{
    return cases[i].k * kernels->lane_k - cases[i].k % kernels->lane_k;
}

typedef struct matrix {
    int64_t ld;
    float *f32;
    uint16_t *bf16;
} matrix;

static uint32_t seed;

static int next(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (int)(seed >> 24) % 17 - 8;
}

/* NaN behind the rows: nothing of it may come into the result. */
static matrix make(int64_t rows, int64_t columns, int64_t pad)
{
    matrix m = {.ld = columns + pad};
    m.f32 = ps_alloc_array((size_t)(rows * m.ld), sizeof(float));
    m.bf16 = ps_alloc_array((size_t)(rows * m.ld), sizeof(uint16_t));
    for (int64_t i = 0; i < rows * m.ld; i++) {
        m.f32[i] = i % m.ld < columns ? (float)next() : NAN;
        uint32_t bits;
        memcpy(&bits, &m.f32[i], sizeof bits);
        m.bf16[i] = (uint16_t)(bits >> 16);
    }
    return m;
}

static void drop(matrix *m)
{
    ps_free(&m->f32);
    ps_free(&m->bf16);
}

static float element(const matrix *m, bool transposed, int64_t row, int64_t column)
{
    return m->f32[transposed ? column * m->ld + row : row * m->ld + column];
}

/* A row of B at a time, which the compiler makes vector code of. */
static float *reference(int i, int64_t k, const matrix *a, bool ta, const matrix *b, bool tb,
                        const matrix *c)
{
    int64_t m = cases[i].m, n = cases[i].n;
    float *out = ps_alloc_array((size_t)(m * n), sizeof *out);
    float *row = ps_alloc_array((size_t)n, sizeof *row);
    for (int64_t l = 0; l < k; l++) {
        for (int64_t y = 0; y < n; y++)
            row[y] = element(b, tb, l, y);
        for (int64_t x = 0; x < m; x++) {
            float factor = element(a, ta, x, l);
            for (int64_t y = 0; y < n; y++)
                out[x * n + y] += factor * row[y];
        }
    }
    for (int64_t x = 0; x < m; x++)
        for (int64_t y = 0; y < n; y++)
            out[x * n + y] = cases[i].alpha * out[x * n + y] +
                             (cases[i].beta != 0 ? cases[i].beta * c->f32[x * c->ld + y] : 0);
    ps_free(&row);
    return out;
}

static void run(const ps_panel_kernels *kernels, int i, const matrix *a, bool ta, const matrix *b,
                bool tb, const matrix *c)
{
    bool f32 = kernels->lane_k == 1;
    float *scratch = ps_alloc_array(PS_PANELS_SCRATCH + 16, sizeof *scratch);
    float *aligned = scratch + (64 - (uintptr_t)scratch % 64) % 64 / sizeof *scratch;
    memset(scratch, 0xFF, PS_PANELS_SCRATCH * sizeof *scratch); /* NaN, and not read */
    ps_cpu_panels_run(&(ps_panels_product){.kernels = kernels,
                                           .transpose_a = ta,
                                           .transpose_b = tb,
                                           .m = cases[i].m,
                                           .n = cases[i].n,
                                           .k = k_of(kernels, i),
                                           .alpha = cases[i].alpha,
                                           .beta = cases[i].beta,
                                           .a = f32 ? (const void *)a->f32 : a->bf16,
                                           .b = f32 ? (const void *)b->f32 : b->bf16,
                                           .c = c->f32,
                                           .ld_a = a->ld,
                                           .ld_b = b->ld,
                                           .ld_c = c->ld,
                                           .scratch = aligned});
    ps_free(&scratch);
}

static void check(const ps_panel_kernels *kernels, int i, bool ta, bool tb)
{
    int64_t m = cases[i].m, n = cases[i].n, k = k_of(kernels, i);
    matrix a = make(ta ? k : m, ta ? m : k, cases[i].pad_a);
    matrix b = make(tb ? n : k, tb ? k : n, cases[i].pad_b);
    matrix c = make(m, n, cases[i].pad_c);
    float *want = reference(i, k, &a, ta, &b, tb, &c);
    for (int64_t x = 0; x < m && cases[i].beta == 0; x++)
        for (int64_t y = 0; y < n; y++)
            c.f32[x * c.ld + y] = NAN; /* is not read */
    run(kernels, i, &a, ta, &b, tb, &c);
    for (int64_t x = 0; x < m; x++) {
        for (int64_t y = 0; y < n; y++)
            ck_assert_msg(c.f32[x * c.ld + y] == want[x * n + y], "%d transposed %d %d: [%d,%d]", i,
                          ta, tb, (int)x, (int)y);
        for (int64_t y = n; y < c.ld; y++)
            ck_assert_msg(isnan(c.f32[x * c.ld + y]), "%d: written behind row %d", i, (int)x);
    }
    ps_free(&want);
    drop(&a);
    drop(&b);
    drop(&c);
}

START_TEST(products_by_panels_are_those_of_plain_c)
{
    const ps_panel_kernels *kernels = kinds[_i % 2]();
    if (ps_test_leave_out((int64_t)cases[_i / 2].m * cases[_i / 2].n))
        return;
    for (int layout = 0; kernels && layout < 4; layout++)
        check(kernels, _i / 2, layout & 1, layout & 2);
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &products_by_panels_are_those_of_plain_c, .repeat = 2 * CASES},
    {0},
};

int main(void)
{
    return ps_check_main("gpu/gemm_panels", tests);
}
