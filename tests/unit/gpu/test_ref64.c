/* The references themselves: their gradients against finite differences in float64. */
#include "tests/lib/ref64_transformer.h"

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "tests/lib/check_main.h"
#include "tests/lib/ref64.h"

#include <math.h>

static ps_rng rng;

static double *random_numbers(int n)
{
    double *x = ps_alloc_array((size_t)n, sizeof *x);
    for (int i = 0; i < n; i++)
        x[i] = ps_rng_normal(&rng);
    return x;
}

static void check_differences(ps_ref64_cb loss, void *context, double *x, const double *gradient,
                              int n, const char *name)
{
    double *slopes = ps_alloc_array((size_t)n, sizeof *slopes);
    ps_ref64_differences(loss, context, x, (size_t)n, slopes);
    for (int i = 0; i < n; i++)
        ck_assert_msg(fabs(slopes[i] - gradient[i]) < 1e-7 + 1e-7 * fabs(slopes[i]),
                      "%s[%d]: %g by differences, %g", name, i, slopes[i], gradient[i]);
    ps_free(&slopes);
}

typedef struct norm_case {
    ps_ref64_norm r;
    double *weights;
} norm_case;

static double norm_loss_cb(void *context)
{
    norm_case *c = context;
    ps_ref64_norm_forward(&c->r);
    return ps_ref64_dot(c->r.y, c->weights, c->r.rows * c->r.n);
}

START_TEST(gradients_of_norms_agree_with_finite_differences)
{
    enum { ROWS = 3, N = 7 };
    ps_rng_seed(&rng, 1);
    double *x = random_numbers(ROWS * N), *gain = random_numbers(N), *bias = random_numbers(N);
    norm_case c = {.weights = random_numbers(ROWS * N)};
    double y[ROWS * N], mean[ROWS], rstd[ROWS], dx[ROWS * N], dgain[N], dbias[N];
    c.r = (ps_ref64_norm){ROWS, N, 0.1, x, gain, _i ? bias : NULL, y, mean, rstd};
    ps_ref64_norm_forward(&c.r);
    ps_ref64_norm_backward(&c.r, c.weights, dx, dgain, _i ? dbias : NULL);
    check_differences(norm_loss_cb, &c, x, dx, ROWS * N, "x");
    check_differences(norm_loss_cb, &c, gain, dgain, N, "gain");
    if (_i)
        check_differences(norm_loss_cb, &c, bias, dbias, N, "bias");
    ps_free(&x);
    ps_free(&gain);
    ps_free(&bias);
    ps_free(&c.weights);
}
END_TEST

typedef struct attention_case {
    ps_ref64_attention r;
    double *weights;
} attention_case;

enum { BATCH = 2, ROWS = 5, HEADS = 4, KV_HEADS = 2, DIM = 3 };
enum { QUERIES = BATCH * ROWS * HEADS * DIM, KEYS = BATCH * ROWS * KV_HEADS * DIM };

static double attention_loss_cb(void *context)
{
    attention_case *c = context;
    ps_ref64_attention_forward(&c->r);
    return ps_ref64_dot(c->r.y, c->weights, QUERIES);
}

START_TEST(gradients_of_attention_agree_with_finite_differences)
{
    ps_rng_seed(&rng, 2);
    double *q = random_numbers(QUERIES), *k = random_numbers(KEYS), *v = random_numbers(KEYS);
    double y[QUERIES], dq[QUERIES], dk[KEYS], dv[KEYS];
    attention_case c = {.weights = random_numbers(QUERIES)};
    c.r = (ps_ref64_attention){BATCH, ROWS, ROWS, HEADS, KV_HEADS, DIM, _i % 2, 0.6, q,
                               k,     v,    y,    NULL,  0,        0,   NULL,   NULL};
    static const int32_t starts[BATCH * ROWS] = {0, 0, 2, 2, 2, 1, 1, 1, 0, 3};
    static const int32_t ends[BATCH * ROWS] = {2, 2, 5, 5, 5, 3, 1, 3, 5, 5}; /* one sees none */
    if (_i > 1) {
        c.r.softcap = 0.8;
        c.r.starts = starts;
        c.r.ends = ends;
    }
    double kept[BATCH * HEADS * ROWS * ROWS];
    for (int i = 0; i < BATCH * HEADS * ROWS * ROWS; i++)
        kept[i] = i % 3 ? 1.5 : 0;
    if (_i > 2) {
        c.r.window = 2;
        c.r.kept = kept;
    }
    ps_ref64_attention_backward(&c.r, c.weights, dq, dk, dv);
    check_differences(attention_loss_cb, &c, q, dq, QUERIES, "q");
    check_differences(attention_loss_cb, &c, k, dk, KEYS, "k");
    check_differences(attention_loss_cb, &c, v, dv, KEYS, "v");
    ps_free(&q);
    ps_free(&k);
    ps_free(&v);
    ps_free(&c.weights);
}
END_TEST

/* Scores depend on the distance alone: what rotary positions are for; and inverse turns back. */
START_TEST(rotary_positions_are_relative)
{
    enum { N = 8 };
    ps_rng_seed(&rng, 3);
    double *a = random_numbers(N), *b = random_numbers(N);
    double first = 0;
    for (int32_t shift = 0; shift < 50; shift += 7) {
        double q[N], k[N];
        for (int i = 0; i < N; i++) {
            q[i] = a[i];
            k[i] = b[i];
        }
        ps_ref64_rope(q, 1, 1, N, &(int32_t){shift + 9}, 10000, false);
        ps_ref64_rope(k, 1, 1, N, &shift, 10000, false);
        double score = ps_ref64_dot(q, k, N);
        if (shift == 0)
            first = score;
        ck_assert_double_eq_tol(score, first, 1e-12);
        ps_ref64_rope(k, 1, 1, N, &shift, 10000, true);
        ck_assert_double_eq_tol(ps_ref64_dot(k, b, N), ps_ref64_dot(b, b, N), 1e-12);
    }
    ck_assert_double_gt(fabs(first - ps_ref64_dot(a, b, N)), 1e-3);
    ps_free(&a);
    ps_free(&b);
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &gradients_of_norms_agree_with_finite_differences, .repeat = 2},
    {.test = &gradients_of_attention_agree_with_finite_differences, .repeat = 4},
    {.test = &rotary_positions_are_relative},
    {0},
};

int main(void)
{
    return ps_check_main("gpu/ref64", tests);
}
