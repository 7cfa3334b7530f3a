#include "worker/compress/method.h"

#include "tests/lib/check_main.h"

#include "common/conf/compress_rows.h"
#include "tests/unit/worker/compress/sample.h"
#include "worker/compress/rows.h"

#define ONE(name) +1
enum { ROWS = 70, COLUMNS = 256, TOKENS = 300, METHODS = 0 PS_SOLVERS(ONE) };

static ps_sample sample;

static void set_up(void)
{
    sample = ps_sample_draw(3, ROWS, COLUMNS, TOKENS);
}

static ps_compress_report solved(const char *method, const ps_compress_problem *p, uint8_t *out)
{
    ps_compress_report report;
    ck_ok(ps_method_solve(ps_method_find(method), p, out, &report));
    return report;
}

/* Σ over tokens and rows of (Σ w·x)²: from the inputs themselves, not from their sums. */
static double power(const float *w, const float *minus)
{
    double sum = 0;
    for (uint64_t t = 0; t < TOKENS; t++)
        for (uint64_t r = 0; r < ROWS; r++) {
            double y = 0;
            for (uint64_t c = 0; c < COLUMNS; c++)
                y += ((double)w[r * COLUMNS + c] - (minus ? (double)minus[r * COLUMNS + c] : 0)) *
                     (double)sample.inputs[t * COLUMNS + c];
            sum += y * y;
        }
    return sum;
}

START_TEST(every_method_is_found_by_its_name)
{
    for (size_t i = 0; ps_method_names[i]; i++)
        ck_assert_ptr_nonnull(ps_method_find(ps_method_names[i]));
    for (size_t i = 0; ps_methods[i]; i++) {
        ck_assert_ptr_eq(ps_method_find(ps_methods[i]->name), ps_methods[i]);
        ck_assert_ptr_nonnull(ps_method_row_find(ps_methods[i]->name));
    }
    ck_assert_ptr_null(ps_method_find("guess"));
}
END_TEST

START_TEST(the_report_is_what_outputs_lose)
{
    set_up();
    static uint8_t bytes[ROWS * COLUMNS];
    static float is[ROWS * COLUMNS];
    ps_compress_problem p = ps_sample_problem(&sample, "int4/64");
    p.held_out = &sample.hessian;
    ps_compress_report report = solved("round", &p, bytes);
    ps_form_decode(p.form, bytes, ROWS, COLUMNS, is);
    double wanted = power(is, sample.weights) / power(sample.weights, NULL), mse = 0;
    for (size_t i = 0; i < ROWS * COLUMNS; i++)
        mse += pow((double)is[i] - (double)sample.weights[i], 2) / (ROWS * COLUMNS);
    ck_assert_double_eq_tol(report.error, wanted, 1e-5 * wanted);
    ck_assert_double_eq_tol(report.held_out, wanted, 1e-5 * wanted);
    ck_assert_double_eq_tol(report.mse, mse, 1e-12 * mse);
    ck_assert(!report.few_tokens && report.fallback == PS_STEP_NONE);
    p.hessian = NULL;
    ck_assert_double_eq(solved("round", &p, bytes).error, -1);
    ps_sample_free(&sample);
}
END_TEST

START_TEST(round_is_the_forms_own_bytes_and_search_its_own_with_importance)
{
    set_up();
    static uint8_t bytes[ROWS * COLUMNS], wanted[ROWS * COLUMNS];
    float importance[COLUMNS];
    for (size_t i = 0; i < COLUMNS; i++)
        importance[i] = (float)((double)sample.sums[i * COLUMNS + i] / TOKENS);
    ps_compress_problem p = ps_sample_problem(&sample, "uint3/64");
    size_t len = ROWS * ps_form_row_bytes(p.form, COLUMNS);
    double lost = solved("round", &p, bytes).error;
    ps_form_encode(p.form, sample.weights, NULL, ROWS, COLUMNS, wanted);
    ck_assert_mem_eq(bytes, wanted, len);
    ck_assert_double_lt(solved("search", &p, bytes).error, lost);
    ps_form_encode(p.form, sample.weights, importance, ROWS, COLUMNS, wanted);
    ck_assert_mem_eq(bytes, wanted, len);
    float squares[COLUMNS];
    for (size_t i = 0; i < COLUMNS; i++)
        squares[i] = sample.sums[i * COLUMNS + i];
    p.hessian = &(ps_hessian){.sums = squares, .squares = true, .tokens = TOKENS};
    (void)solved("search", &p, bytes);
    ck_assert_mem_eq(bytes, wanted, len);
    ps_sample_free(&sample);
}
END_TEST

/* The seed's W = Q·P. */
START_TEST(a_range_of_fp8_is_one_scale_for_all)
{
    set_up();
    static uint8_t bytes[ROWS * (4 + COLUMNS)];
    ps_compress_problem p = ps_sample_problem(&sample, "fp8/row");
    p.options.one_range = true;
    float most = 0, scale;
    for (size_t i = 0; i < ROWS * COLUMNS; i++)
        most = fmaxf(most, fabsf(sample.weights[i]));
    (void)solved(ps_methods[_i]->name, &p, bytes);
    memcpy(&scale, bytes, sizeof scale);
    for (size_t r = 1; r < ROWS; r++)
        ck_assert_mem_eq(bytes + r * (4 + COLUMNS), bytes, 4);
    ck_assert_float_le(scale, most / 448);
    ck_assert_float_ge(scale, most / 448 / 2);
    ps_sample_free(&sample);
}
END_TEST

START_TEST(one_range_is_one_scale_and_zero_for_all)
{
    set_up();
    static uint8_t bytes[ROWS * (4 + COLUMNS)];
    static float is[ROWS * COLUMNS];
    ps_compress_problem p = ps_sample_problem(&sample, "uint8/row");
    p.options.one_range = true;
    double least = 0, most = 0;
    for (size_t i = 0; i < ROWS * COLUMNS; i++) {
        least = fmin(least, (double)sample.weights[i]);
        most = fmax(most, (double)sample.weights[i]);
    }
    (void)solved(_i ? "search" : "round", &p, bytes);
    for (size_t r = 1; r < ROWS; r++)
        ck_assert_mem_eq(bytes + r * (4 + COLUMNS), bytes, 4);
    ps_form_decode(p.form, bytes, ROWS, COLUMNS, is);
    double step = (most - least) / 255;
    for (size_t i = 0; i < ROWS * COLUMNS && !_i; i++)
        ck_assert_double_le(fabs((double)is[i] - (double)sample.weights[i]), step * 0.62);
    ps_sample_free(&sample);
}
END_TEST

START_TEST(threads_change_no_byte)
{
    set_up();
    static uint8_t one[ROWS * COLUMNS], many[ROWS * COLUMNS];
    ps_compress_problem p = ps_sample_problem(&sample, "int4/64");
    size_t len = ROWS * ps_form_row_bytes(p.form, COLUMNS);
    p.options.threads = 1;
    ps_compress_report first = solved(ps_methods[_i]->name, &p, one);
    p.options.threads = 16;
    ps_compress_report second = solved(ps_methods[_i]->name, &p, many);
    ck_assert_mem_eq(one, many, len);
    ck_assert_double_eq(first.error, second.error);
    ps_sample_free(&sample);
}
END_TEST

static void refused(const char *method, const ps_compress_problem *p, const char *says)
{
    static uint8_t bytes[ROWS * COLUMNS * 4];
    ps_compress_report report;
    ck_assert_int_eq(ps_method_solve(ps_method_find(method), p, bytes, &report),
                     PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), says));
}

START_TEST(what_is_not_finite_is_refused_by_its_place)
{
    set_up();
    ps_compress_problem p = ps_sample_problem(&sample, "int4/64");
    sample.weights[2 * COLUMNS + 5] = NAN;
    refused("round", &p, "tensor sample: weight [2, 5] is not finite");
    sample.weights[2 * COLUMNS + 5] = 1e30F;
    refused("round", &p, "tensor sample: weight [2, 5] is 1e+30, more than int4 has a number for");
    sample.weights[2 * COLUMNS + 5] = 1;
    sample.sums[3 * COLUMNS + 9] = INFINITY;
    refused("search", &p, "calibration: the sum of activations [3, 9] is not finite");
    ps_sample_free(&sample);
}
END_TEST

enum { FEW = 40, SAME = 24, DEAD = 40 };

/* Sums that have no inverse: of fewer tokens than columns; of columns that always say the same; of
 * columns that never say anything. With the least damping that may be said. */
static ps_sample draw_without_inverse(int kind)
{
    ps_sample s = ps_sample_draw(9, 8, 128, kind == 0 ? FEW : TOKENS);
    for (uint64_t t = 0; t < s.tokens; t++)
        for (uint64_t c = 0; c < 128; c++) {
            float *x = &s.inputs[t * 128 + c];
            if (kind == 1 && c >= 128 - SAME)
                *x = x[-SAME];
            if (kind == 2 && c < DEAD)
                *x = 0;
        }
    ps_sample_sum(&s);
    return s;
}

START_TEST(sums_without_an_inverse_are_no_trouble)
{
    static uint8_t bytes[8 * 128 * 2];
    static float is[2][8 * 128];
    for (int kind = 0; kind < 3; kind++) {
        ps_sample s = draw_without_inverse(kind);
        ps_compress_problem p = ps_sample_problem(&s, "int4/32");
        p.options.damp = 1e-6;
        double errors[2];
        for (int method = 0; method < 2; method++) {
            errors[method] = solved(method ? ps_methods[_i]->name : "round", &p, bytes).error;
            ps_form_decode(p.form, bytes, 8, 128, is[method]);
        }
        ck_assert_msg(errors[1] < 1.2 * errors[0], "%s %d: %g of %g", ps_methods[_i]->name, kind,
                      errors[1], errors[0]);
        for (uint64_t k = 0; k < (uint64_t)8 * 128; k++) {
            ck_assert_msg(isfinite(is[1][k]) && fabsf(is[1][k]) < 1, "%s %d: %g",
                          ps_methods[_i]->name, kind, (double)is[1][k]);
            if (kind == 2 && k % 128 < 32) /* a whole group of which nothing is known */
                ck_assert_float_le(fabsf(is[1][k] - s.weights[k]), 0.03F);
        }
        ps_sample_free(&s);
    }
}
END_TEST

/* Sums are anybody's: the same bytes whatever their unit, to the ends of float32. */
START_TEST(the_unit_of_sums_changes_nothing)
{
    set_up();
    static const char *const forms[] = {"q4_k", "q4_0", "iq4_nl", "q2_k",
                                        "q3_k", "q6_k", "int4/64"};
    static uint8_t wanted[ROWS * COLUMNS * 2], bytes[ROWS * COLUMNS * 2];
    float *as_drawn = ps_sample_room(COLUMNS * COLUMNS);
    memcpy(as_drawn, sample.sums, COLUMNS * COLUMNS * sizeof *as_drawn);
    ps_compress_problem p = ps_sample_problem(&sample, forms[_i]);
    size_t len = ROWS * ps_form_row_bytes(p.form, COLUMNS);
    (void)solved("search", &p, wanted);
    for (int power = -90; power <= 110; power += 200) {
        for (size_t i = 0; i < COLUMNS * COLUMNS; i++)
            sample.sums[i] = ldexpf(as_drawn[i], power);
        (void)solved("search", &p, bytes);
        ck_assert_mem_eq(bytes, wanted, len);
    }
    free(as_drawn);
    ps_sample_free(&sample);
}
END_TEST

START_TEST(too_few_tokens_are_refused_or_told)
{
    set_up();
    static uint8_t bytes[ROWS * COLUMNS];
    ps_compress_problem p = ps_sample_problem(&sample, "int4/64");
    sample.hessian.tokens = COLUMNS / 8 - 1;
    refused("gptq", &p, "31 tokens of calibration for 256 columns, at least 32");
    ck_assert(solved("search", &p, bytes).few_tokens); /* these take no inverse */
    ck_assert(solved("awq", &p, bytes).few_tokens);
    sample.hessian.tokens = COLUMNS / 8;
    ck_assert(solved("search", &p, bytes).few_tokens);
    p.hessian = NULL;
    refused("search", &p, "needs a calibration");
    ps_sample_free(&sample);
}
END_TEST

static const ps_check_case cases[] = {
    {&every_method_is_found_by_its_name},
    {&the_report_is_what_outputs_lose},
    {&round_is_the_forms_own_bytes_and_search_its_own_with_importance},
    {.test = &one_range_is_one_scale_and_zero_for_all, .repeat = 2},
    {.test = &a_range_of_fp8_is_one_scale_for_all, .repeat = METHODS},
    {.test = &threads_change_no_byte, .repeat = METHODS},
    {.test = &sums_without_an_inverse_are_no_trouble, .repeat = METHODS},
    {&what_is_not_finite_is_refused_by_its_place},
    {.test = &the_unit_of_sums_changes_nothing, .repeat = 7},
    {&too_few_tokens_are_refused_or_told},
    {0},
};

int main(void)
{
    return ps_check_main("compress/method", cases);
}
