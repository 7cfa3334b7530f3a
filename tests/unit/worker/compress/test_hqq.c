/* hqq against goldens of the published solver (tests/golden/hqq/make.py); and what it is good for.
 */
#include "tests/lib/check_main.h"

#include "tests/unit/worker/compress/golden.h"

enum { ROWS = 24, COLUMNS = 256 };

/* Σ |ΔW|^0.7 and Σ ΔW². */
typedef struct losses {
    double shrunk, square;
} losses;

static losses lost(const ps_sample *s, const char *method, ps_compress_problem *p)
{
    static uint8_t bytes[ROWS * COLUMNS * 2];
    static float is[ROWS * COLUMNS];
    ps_compress_report report;
    losses out = {0, 0};
    ck_ok(ps_method_solve(ps_method_find(method), p, bytes, &report));
    ck_assert_int_eq(report.fallback, PS_STEP_NONE);
    ps_form_decode(p->form, bytes, ROWS, COLUMNS, is);
    for (size_t i = 0; i < ROWS * COLUMNS; i++) {
        double e = fabs((double)is[i] - (double)s->weights[i]);
        out.shrunk += pow(e, 0.7);
        out.square += e * e;
    }
    return out;
}

/* By the scale, or by the zero. */
START_TEST(less_is_lost_than_by_rounding)
{
    static const struct {
        const char *form;
        double most; /* of rounding's */
    } rows[] = {{"int2/64", 0.9},   {"int3/64", 0.96},  {"int4/64", 1},  {"int8/row", 1.001},
                {"uint2/64", 0.96}, {"uint3/64", 0.94}, {"uint4/64", 1}, {"uint8/row", 1.001}};
    ps_sample s = ps_sample_draw(4, ROWS, COLUMNS, 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ps_compress_problem p = ps_sample_problem(&s, rows[i].form);
        p.hessian = NULL;
        losses rounded = lost(&s, "round", &p), hqq = lost(&s, "hqq", &p);
        ck_assert_msg(hqq.shrunk <= rows[i].most * rounded.shrunk, "%s: %g of %g", rows[i].form,
                      hqq.shrunk, rounded.shrunk);
    }
    ps_sample_free(&s);
}
END_TEST

/* The grid does not depend on the unit that weights are in. */
START_TEST(twice_the_weights_are_the_same_codes)
{
    static uint8_t one[ROWS * COLUMNS], two[ROWS * COLUMNS];
    ps_sample s = ps_sample_draw(4, ROWS, COLUMNS, 1);
    ps_compress_problem p = ps_sample_problem(&s, "int3/row");
    ps_compress_report report;
    p.hessian = NULL;
    ck_ok(ps_method_solve(ps_method_find("hqq"), &p, one, &report));
    for (size_t i = 0; i < ROWS * COLUMNS; i++)
        s.weights[i] *= 64;
    ck_ok(ps_method_solve(ps_method_find("hqq"), &p, two, &report));
    for (size_t r = 0; r < ROWS; r++)
        ck_assert_mem_eq(one + r * (2 + COLUMNS * 3 / 8) + 2, two + r * (2 + COLUMNS * 3 / 8) + 2,
                         COLUMNS * 3 / 8);
    ps_sample_free(&s);
}
END_TEST

START_TEST(one_range_is_one_grid_and_zeros_stay_zeros)
{
    static uint8_t bytes[ROWS * (2 + COLUMNS)];
    static float is[ROWS * COLUMNS];
    ps_sample s = ps_sample_draw(4, ROWS, COLUMNS, 1);
    ps_compress_problem p = ps_sample_problem(&s, "int8/row");
    ps_compress_report report;
    p.hessian = NULL;
    p.options.one_range = true;
    ck_ok(ps_method_solve(ps_method_find("hqq"), &p, bytes, &report));
    for (size_t r = 1; r < ROWS; r++)
        ck_assert_mem_eq(bytes, bytes + r * (2 + COLUMNS), 2);
    ck_assert_double_lt(report.mse, 1e-6);
    memset(s.weights, 0, ROWS * COLUMNS * sizeof *s.weights);
    ck_ok(ps_method_solve(ps_method_find("hqq"), &p, bytes, &report));
    ps_form_decode(p.form, bytes, ROWS, COLUMNS, is);
    for (size_t i = 0; i < ROWS * COLUMNS; i++)
        ck_assert_float_eq(is[i], 0);
    ps_sample_free(&s);
}
END_TEST

START_TEST(forms_with_no_scale_alone_are_rounded)
{
    static const char *const forms[] = {"q8_0", "q4_k", "fp8/64"};
    static uint8_t bytes[ROWS * COLUMNS * 2], wanted[ROWS * COLUMNS * 2];
    ps_sample s = ps_sample_draw(4, ROWS, COLUMNS, 1);
    ps_compress_problem p = ps_sample_problem(&s, forms[_i]);
    ps_compress_report report;
    p.hessian = NULL;
    ck_ok(ps_method_solve(ps_method_find("hqq"), &p, bytes, &report));
    ck_assert(report.fallback == PS_STEP_ROUNDED && report.why == PS_REASON_NO_RANGE);
    ps_form_encode(p.form, s.weights, NULL, ROWS, COLUMNS, wanted);
    ck_assert_mem_eq(bytes, wanted, ROWS * ps_form_row_bytes(p.form, COLUMNS));
    ps_sample_free(&s);
}
END_TEST

START_TEST(zeros_and_codes_are_those_of_the_published_solver)
{
    static const char *const forms[] = {"uint2/32", "uint3/64", "uint4/128", "uint8/128"};
    static uint8_t bytes[ROWS * COLUMNS];
    ps_golden g = ps_golden_open("hqq/hqq.safetensors");
    const ps_safetensors_tensor *w = ps_golden_find(&g, "weights");
    const ps_safetensors_tensor *want = ps_golden_find(&g, forms[_i]);
    ps_sample s = {.rows = w->shape[0], .columns = w->shape[1]};
    s.weights = ps_sample_room(s.rows * s.columns);
    memcpy(s.weights, ps_golden_data(&g, w), s.rows * s.columns * sizeof(float));
    ps_compress_problem p = ps_sample_problem(&s, forms[_i]);
    ps_compress_report report;
    p.hessian = NULL;
    ck_ok(ps_method_solve(ps_method_find("hqq"), &p, bytes, &report));
    ck_assert_uint_eq(want->end - want->begin, s.rows * ps_form_row_bytes(p.form, s.columns));
    ck_assert_mem_eq(bytes, ps_golden_data(&g, want), want->end - want->begin);
    ps_sample_free(&s);
    ps_golden_close(&g);
}
END_TEST

static const ps_check_case cases[] = {
    {.test = &zeros_and_codes_are_those_of_the_published_solver, .repeat = 4},
    {&less_is_lost_than_by_rounding},
    {&twice_the_weights_are_the_same_codes},
    {&one_range_is_one_grid_and_zeros_stay_zeros},
    {.test = &forms_with_no_scale_alone_are_rounded, .repeat = 3},
    {0},
};

int main(void)
{
    return ps_check_main("compress/hqq", cases);
}
