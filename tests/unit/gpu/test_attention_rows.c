/* The kernels for rows of keys and values, of every processor that this one can be: against
 * float64. */
#include "gpu/cpu/attention_rows.h"

#include "common/base/rng.h"
#include "tests/lib/check_main.h"

#include <math.h>

enum { HEADS = 6, KV_HEADS = 3, MOST = 100, LD = 16, APART = 4, ROWS = PS_CPU_QUARTERS };

static const int dims[] = {1, 4, 15, 16, 33, 64, 100};
#define DIMS (int)(sizeof dims / sizeof *dims)

static const ps_dtype types[] = {PS_DTYPE_F32, PS_DTYPE_BF16, PS_DTYPE_I8};
#define TYPES (int)(sizeof types / sizeof *types)

/* Of a plain processor; of AVX2; of AVX-512. */
enum { PROCESSORS = 3 };
static bool pretend(int number, ps_cpu_features *out)
{
    ps_cpu_features real = ps_cpu_features_read();
    *out = (ps_cpu_features){.avx2 = number > 0, .avx512 = number > 1};
    return (real.avx2 || number < 1) && (real.avx512 || number < 2);
}

typedef struct rows {
    float x[ROWS][KV_HEADS * MOST]; /* as they are kept */
    float scales[ROWS][KV_HEADS];
    double x64[ROWS][KV_HEADS * MOST];
    ps_cpu_key_rows r;
} rows;

static void draw_one(rows *all, ps_dtype type, int row, int i, int d, ps_rng *rng)
{
    float v = (float)ps_rng_normal(rng);
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    uint16_t half = (uint16_t)(bits >> 16);
    int8_t byte = (int8_t)(ps_rng_uniform(rng) * 255 - 127);
    bits = (uint32_t)half << 16;
    if (type == PS_DTYPE_F32)
        all->x[row][i] = v;
    else if (type == PS_DTYPE_BF16)
        memcpy((char *)all->x[row] + 2 * i, &half, sizeof half);
    else
        memcpy((char *)all->x[row] + i, &byte, sizeof byte);
    if (type == PS_DTYPE_BF16)
        memcpy(&v, &bits, sizeof v);
    all->x64[row][i] = type == PS_DTYPE_I8 ? byte * (double)all->scales[row][i / d] : (double)v;
}

static void draw(rows *all, ps_dtype type, int d, ps_rng *rng)
{
    *all = (rows){
        .r = {.heads = HEADS, .kv_heads = KV_HEADS, .head_dim = d, .ld = LD, .apart = APART}};
    for (int row = 0; row < ROWS; row++) {
        for (int h = 0; h < KV_HEADS; h++)
            all->scales[row][h] = (float)(0.001 + ps_rng_uniform(rng) * 0.01);
        for (int i = 0; i < KV_HEADS * d; i++)
            draw_one(all, type, row, i, d, rng);
        all->r.x[row] = all->x[row];
        all->r.scales[row] = all->scales[row];
    }
}

/* scores are written where they belong, and nowhere else */
static void check_scores(const rows *all, const float *q, const float *got, double scale)
{
    int d = (int)all->r.head_dim;
    for (int i = 0; i < HEADS * LD; i++) {
        int h = i / LD, row = i % LD / APART;
        double want = 0, size = 1e-3;
        for (int j = 0; j < d; j++) {
            double term = (double)q[h * d + j] * all->x64[row][h / 2 * d + j];
            want += scale * term;
            size += fabs(scale * term);
        }
        if (i % APART)
            ck_assert_float_eq(got[i], 77);
        else
            ck_assert_double_eq_tol((double)got[i], want, 1e-6 * size);
    }
}

static void check_sums(const rows *all, const float *scores, const float *before, const float *got)
{
    int d = (int)all->r.head_dim;
    for (int i = 0; i < HEADS * d; i++) {
        double want = (double)before[i], size = 1e-3 + fabs(want);
        for (int row = 0; row < ROWS; row++) {
            double term =
                (double)scores[i / d * LD + row * APART] * all->x64[row][i / d / 2 * d + i % d];
            want += term;
            size += fabs(term);
        }
        ck_assert_double_eq_tol((double)got[i], want, 1e-6 * size);
    }
    for (int i = HEADS * d; i < HEADS * MOST; i++)
        ck_assert_float_eq(got[i], before[i]);
}

START_TEST(scores_and_sums_agree_with_float64)
{
    ps_cpu_features features;
    if (!pretend(_i % PROCESSORS, &features))
        return;
    const ps_cpu_row_kernels *kernels = ps_cpu_row_kernels_for(&features);
    ps_dtype type = types[_i / PROCESSORS];
    ps_rng rng;
    ps_rng_seed(&rng, 3);
    for (int n = 0; n < DIMS; n++) {
        static rows all;
        float q[HEADS * MOST], scores[HEADS * LD], before[HEADS * MOST], sum[HEADS * MOST];
        draw(&all, type, dims[n], &rng);
        for (int i = 0; i < HEADS * MOST; i++) {
            q[i] = (float)ps_rng_normal(&rng);
            before[i] = sum[i] = (float)ps_rng_normal(&rng);
        }
        for (int i = 0; i < HEADS * LD; i++)
            scores[i] = 77;
        kernels->score[type](&all.r, scores, q, 0.25f);
        check_scores(&all, q, scores, 0.25);
        kernels->add[type](&all.r, sum, scores);
        check_sums(&all, scores, before, sum);
    }
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &scores_and_sums_agree_with_float64, .repeat = PROCESSORS * TYPES},
    {0},
};

int main(void)
{
    return ps_check_main("gpu/attention_rows", tests);
}
