/* weight_change: a model against itself, with one tensor scaled, one with a number changed, one in
 * another shape, one gone and one more: what comes of each is known without computing it. */
#include "tests/unit/worker/explain/net.h"

#include "tests/lib/check_main.h"

#include "common/base/mem.h"
#include "common/conf/explain_rows.h"
#include "worker/explain/other.h"
#include "worker/explain/weight_change.h"

enum { W1, B1, W2, B2 };

static struct {
    net net;
    ps_explain_other other;
    float w1[NET_HIDDEN * NET_IN], b1[NET_HIDDEN], w2[NET_OUT * NET_HIDDEN];
} t;

static const ps_model_form its[] = {
    {.name = "layers.0.weight", .n_dims = 2, .shape = {NET_HIDDEN, NET_IN}},
    {.name = "layers.0.bias", .n_dims = 1, .shape = {NET_HIDDEN}},
    {.name = "layers.1.weight", .n_dims = 2, .shape = {NET_OUT, NET_HIDDEN}},
    {.name = "layers.1.bias", .n_dims = 1, .shape = {NET_OUT + 1}},
    {.name = "layers.2.bias", .n_dims = 1, .shape = {1}},
};

static ps_status tensors(void *user, const ps_model_form **out, size_t *n)
{
    *out = its;
    *n = sizeof its / sizeof *its;
    return PS_OK;
}

static ps_status numbers(void *user, const ps_model_form *tensor, float **out)
{
    const float *const all[] = {t.w1, t.b1, t.w2};
    const size_t sizes[] = {sizeof t.w1, sizeof t.b1, sizeof t.w2};
    size_t i = (size_t)(tensor - its);
    ck_assert_uint_lt(i, 3);
    *out = ps_try_alloc_raw(sizes[i]);
    memcpy(*out, all[i], sizes[i]);
    return PS_OK;
}

static void open_both(void)
{
    net_open(&t.net, 3, 0);
    t.other = (ps_explain_other){.name = "child", .tensors = tensors, .numbers = numbers};
    t.net.x.other = &t.other;
    memcpy(t.b1, t.net.b1, sizeof t.b1);
    memcpy(t.w2, t.net.w2, sizeof t.w2);
    for (size_t i = 0; i < NET_HIDDEN * NET_IN; i++)
        t.w1[i] = 1.5F * t.net.w1[i];
    t.b1[2] -= 3;
}

/* All shares, merged. */
static void run_all(ps_explain_part *out)
{
    const ps_spec_explain_method spec = {.method = (char *)(uintptr_t) "weight_change",
                                         .side_max = 16};
    *out = PS_EXPLAIN_PART_EMPTY;
    for (unsigned share = 0; share < PS_EXPLAIN_SHARES; share++) {
        ps_explain_part part;
        t.net.x.share = share;
        net_run(&t.net, &spec, &part);
        ck_ok(ps_explain_merge(out, &part));
        ps_explain_part_free(&part);
    }
}

START_TEST(what_changed_is_told_of_each_tensor)
{
    ps_explain_part part;
    open_both();
    run_all(&part);
    const ps_explain_array *a = ps_explain_get(&part, "statistics");
    ck_assert_ptr_nonnull(a);
    ck_assert_uint_eq(a->shape[0], 4);
    ck_assert_uint_eq(a->shape[1], PS_EXPLAIN_CHANGE_COUNT);
    const double *s[4];
    for (size_t i = 0; i < 4; i++)
        s[i] = a->doubles + i * PS_EXPLAIN_CHANGE_COUNT;
    ck_assert_double_eq(s[W1][PS_CHANGE_elements], NET_HIDDEN * NET_IN);
    ck_assert_double_eq_tol(s[W1][PS_CHANGE_change], 0.5, 1e-6);
    ck_assert_double_eq_tol(s[W1][PS_CHANGE_sqnr], 20 * log10(2), 1e-5);
    ck_assert_double_eq_tol(s[W1][PS_CHANGE_cosine], 1, 1e-12);
    ck_assert_double_eq_tol(
        s[W1][PS_CHANGE_other_largest_singular] / s[W1][PS_CHANGE_largest_singular], 1.5, 1e-6);
    ck_assert_double_eq_tol(
        s[W1][PS_CHANGE_change_largest_singular] / s[W1][PS_CHANGE_largest_singular], 0.5, 1e-6);
    ck_assert_double_eq_tol(s[W1][PS_CHANGE_change_stable_rank], s[W1][PS_CHANGE_stable_rank],
                            1e-5);
    ck_assert_double_eq_tol(s[B1][PS_CHANGE_change_norm], 3, 1e-6);
    ck_assert_double_eq_tol(s[B1][PS_CHANGE_largest], 3, 1e-6);
    ck_assert_double_eq(s[B1][PS_CHANGE_largest_at], 2);
    ck_assert(isnan(s[B1][PS_CHANGE_stable_rank]));
    ck_assert_double_eq(s[W2][PS_CHANGE_change], 0);
    ck_assert(isinf(s[W2][PS_CHANGE_sqnr]));
    ck_assert_double_eq(s[W2][PS_CHANGE_change_stable_rank], 0);
    ck_assert(isnan(s[B2][PS_CHANGE_change]));
    ck_assert_uint_eq(part.n_warnings, 2);
    ck_assert_str_eq(part.warnings[0], "model child alone has 1 tensors: layers.2.bias");
    ck_assert_str_eq(part.warnings[1], "layers.1.bias: model child has it in another shape");
    ps_explain_part_free(&part);
    net_close(&t.net);
}
END_TEST

/* Every tensor to 8 bits, one of them to 2: it comes first by how much it changed. */
START_TEST(a_tensor_that_was_rounded_badly_comes_first)
{
    ps_explain_part part;
    open_both();
    float *const to[] = {t.w1, t.b1, t.w2};
    const float *const from[] = {t.net.w1, t.net.b1, t.net.w2};
    const size_t sizes[] = {NET_HIDDEN * NET_IN, NET_HIDDEN, NET_OUT * NET_HIDDEN};
    for (size_t i = 0; i < 3; i++) {
        float most = 0, steps = i == (size_t)_i ? 1 : 127;
        for (size_t k = 0; k < sizes[i]; k++)
            most = fmaxf(most, fabsf(from[i][k]));
        for (size_t k = 0; k < sizes[i]; k++)
            to[i][k] = most / steps * roundf(from[i][k] / most * steps);
    }
    run_all(&part);
    const double *s = ps_explain_get(&part, "statistics")->doubles;
    for (size_t i = 0; i < 3; i++)
        if (i != (size_t)_i)
            ck_assert_double_gt(s[(size_t)_i * PS_EXPLAIN_CHANGE_COUNT + PS_CHANGE_change],
                                10 * s[i * PS_EXPLAIN_CHANGE_COUNT + PS_CHANGE_change]);
    ps_explain_part_free(&part);
    net_close(&t.net);
}
END_TEST

static const ps_check_case cases[] = {
    {.test = &what_changed_is_told_of_each_tensor},
    {.test = &a_tensor_that_was_rounded_badly_comes_first, .repeat = 3},
    {0},
};

int main(void)
{
    return ps_check_main("explain/weight_change", cases);
}
