#include "worker/compress/scale.h"

#include "tests/lib/check_main.h"

#include "tests/unit/worker/compress/sample.h"

enum { ROWS = 48, COLUMNS = 128, TOKENS = 400 };

static float scales[COLUMNS];
static const ps_scale_share own = {1, 1};

/* Two matrices that share an input, a few columns of which are much larger than the others. */
static ps_sample draw(void)
{
    ps_sample s = ps_sample_draw(9, ROWS, COLUMNS, TOKENS);
    for (uint64_t t = 0; t < TOKENS; t++)
        for (uint64_t c = 5; c < COLUMNS; c += 31)
            s.inputs[t * COLUMNS + c] *= 20;
    ps_sample_sum(&s);
    return s;
}

/* What outputs of all problems lose when weights are scaled, rounded, and read with inputs that are
 * divided: from the inputs themselves. */
static double lost(const ps_sample *s, const ps_compress_problem *p, const float *by)
{
    static float w[ROWS * COLUMNS], is[ROWS * COLUMNS];
    static uint8_t bytes[ROWS * COLUMNS];
    double sum = 0, all = 0;
    memcpy(w, p->weights, sizeof w);
    ps_scale_columns(w, ROWS, COLUMNS, by, false);
    ps_form_encode(p->form, w, NULL, ROWS, COLUMNS, bytes);
    ps_form_decode(p->form, bytes, ROWS, COLUMNS, is);
    for (uint64_t t = 0; t < TOKENS; t++)
        for (uint64_t r = 0; r < ROWS; r++) {
            double y = 0, wanted = 0;
            for (uint64_t c = 0; c < COLUMNS; c++) {
                double x = (double)s->inputs[t * COLUMNS + c];
                y += (double)is[r * COLUMNS + c] * (x / (double)by[c]);
                wanted += (double)p->weights[r * COLUMNS + c] * x;
            }
            sum += (y - wanted) * (y - wanted);
            all += wanted * wanted;
        }
    return sum / all;
}

START_TEST(awqs_factors_lose_least_of_those_that_are_tried)
{
    ps_sample s = draw();
    ps_compress_problem p = ps_sample_problem(&s, "int3/64");
    ps_scale_report report;
    ck_ok(ps_method_scale(ps_method_find("awq"), &p, 1, own, scales, &report));
    ck_assert_double_gt(report.power, 0);
    ck_assert_double_lt(report.scaled, 0.8 * report.plain);
    ck_assert_double_eq_tol(lost(&s, &p, scales), report.scaled, 1e-3 * report.scaled);
    double least = INFINITY, least_power = -1;
    for (int k = 0; k < 20; k++) {
        float tried[COLUMNS], low = INFINITY, high = 0;
        for (uint64_t c = 0; c < COLUMNS; c++) {
            tried[c] = (float)pow(sqrt((double)s.sums[c * COLUMNS + c] / TOKENS), 0.05 * k);
            low = fminf(low, tried[c]);
            high = fmaxf(high, tried[c]);
        }
        for (uint64_t c = 0; c < COLUMNS; c++)
            tried[c] /= sqrtf(low * high);
        double one = lost(&s, &p, tried);
        if (one < least) {
            least = one;
            least_power = 0.05 * k;
        }
    }
    ck_assert_double_eq_tol(report.scaled, least, 1e-3 * least);
    ck_assert_double_eq_tol(report.power, least_power, 1e-9);
    ps_sample_free(&s);
}
END_TEST

/* An input that never says anything has a factor like another: finite, and near what the others
 * have. */
START_TEST(an_input_that_is_always_0_has_a_factor)
{
    ps_sample s = draw();
    static const char *const methods[] = {"awq", "smooth"};
    for (uint64_t c = 0; c < COLUMNS; c += 5)
        for (uint64_t i = 0; i < COLUMNS; i++)
            s.sums[i < c ? i * COLUMNS + c : c * COLUMNS + i] = 0;
    ps_compress_problem p = ps_sample_problem(&s, "int3/64");
    ps_scale_report report;
    ck_ok(ps_method_scale(ps_method_find(methods[_i]), &p, 1, own, scales, &report));
    ck_assert_double_gt(report.power, 0);
    ck_assert_double_lt(report.scaled, report.plain);
    for (uint64_t c = 0; c < COLUMNS; c++)
        ck_assert_msg(scales[c] >= 1e-4F && scales[c] <= 1e4F, "%g", (double)scales[c]);
    ps_sample_free(&s);
}
END_TEST

/* With a bit more, rounding still loses less by factors, and cut ranges lose more. */
START_TEST(awq_has_no_factors_where_cutting_alone_is_better)
{
    static uint8_t bytes[ROWS * COLUMNS];
    static float tried[COLUMNS];
    ps_sample s = draw();
    ps_compress_problem p = ps_sample_problem(&s, "int4/64");
    ps_compress_report cut, both;
    ps_scale_report report;
    ck_ok(ps_method_solve(ps_method_find("awq"), &p, bytes, &cut));
    ck_ok(ps_method_scale(ps_method_find("awq"), &p, 1, own, scales, &report));
    ck_assert(report.power == 0 && report.scaled == report.plain);
    for (uint64_t c = 0; c < COLUMNS; c++) {
        ck_assert(scales[c] == 1);
        tried[c] = (float)pow((double)s.sums[c * COLUMNS + c] / TOKENS, 0.2);
    }
    ck_assert_double_lt(lost(&s, &p, tried), report.plain);
    ps_scale_columns(s.weights, ROWS, COLUMNS, tried, false);
    ps_scale_sums(s.sums, COLUMNS, tried);
    ck_ok(ps_method_solve(ps_method_find("awq"), &p, bytes, &both));
    ck_assert_double_lt(cut.error, both.error);
    ps_sample_free(&s);
}
END_TEST

START_TEST(matrices_that_share_an_input_share_its_factors)
{
    ps_sample s = draw();
    float *other = ps_sample_room(ROWS * COLUMNS);
    for (uint64_t i = 0; i < ROWS * COLUMNS; i++)
        other[i] = s.weights[ROWS * COLUMNS - 1 - i];
    ps_compress_problem p[2] = {ps_sample_problem(&s, "int3/64"), ps_sample_problem(&s, "int3/64")};
    p[1].weights = other;
    ps_scale_report report;
    ck_ok(ps_method_scale(ps_method_find("awq"), p, 2, own, scales, &report));
    double first = lost(&s, &p[0], scales), second = lost(&s, &p[1], scales);
    ck_assert_double_ge(report.scaled, fmin(first, second));
    ck_assert_double_le(report.scaled, fmax(first, second));
    double least = INFINITY, most = 0;
    for (uint64_t c = 0; c < COLUMNS; c++) {
        least = fmin(least, (double)scales[c]);
        most = fmax(most, (double)scales[c]);
    }
    ck_assert_double_eq_tol(least * most, 1, 1e-5);
    free(other);
    ps_sample_free(&s);
}
END_TEST

/* s = x^½ / w^½, in proportion. */
START_TEST(smooths_factors_are_by_inputs_and_weights)
{
    ps_sample s = draw();
    ps_compress_problem p = ps_sample_problem(&s, "int8/row");
    ps_scale_report report;
    ck_ok(ps_method_scale(ps_method_find("smooth"), &p, 1, own, scales, &report));
    ck_assert_double_eq(report.power, 0.5);
    double first = 0;
    for (uint64_t c = 0; c < COLUMNS; c++) {
        double most = 0;
        for (uint64_t r = 0; r < ROWS; r++)
            most = fmax(most, fabs((double)s.weights[r * COLUMNS + c]));
        double wanted = sqrt(sqrt((double)s.sums[c * COLUMNS + c] / TOKENS) / most);
        if (c == 0)
            first = (double)scales[0] / wanted;
        ck_assert_double_eq_tol((double)scales[c], first * wanted, 1e-5 * first * wanted);
    }
    ps_sample_free(&s);
}
END_TEST

START_TEST(sums_of_divided_inputs_are_divided_sums)
{
    ps_sample s = draw();
    for (uint64_t c = 0; c < COLUMNS; c++)
        scales[c] = (float)(1 + 0.25 * (double)(c % 5));
    float *sums = ps_sample_room(COLUMNS * COLUMNS);
    memcpy(sums, s.sums, COLUMNS * COLUMNS * sizeof *sums);
    ps_scale_sums(sums, COLUMNS, scales);
    ps_scale_columns(s.inputs, TOKENS, COLUMNS, scales, true);
    ps_sample_sum(&s);
    for (uint64_t i = 0; i < COLUMNS; i++)
        for (uint64_t j = i; j < COLUMNS; j++)
            ck_assert_double_eq_tol((double)sums[i * COLUMNS + j], (double)s.sums[i * COLUMNS + j],
                                    0.05);
    float rows[4] = {6, 8, 10, 12};
    ps_scale_rows(rows, 0, 2, own, (float[]){2, 4}, 2);
    ck_assert(rows[0] == 3 && rows[1] == 4 && rows[2] == 2.5F && rows[3] == 3);
    free(sums);
    ps_sample_free(&s);
}
END_TEST

/* What the whole method is for: rows that nobody looked at lose less than by rounding, with a grid
 * as coarse as this by far. */
START_TEST(awqs_factors_and_cuts_are_better_on_other_rows)
{
    ps_sample s = draw(), other = draw();
    for (uint64_t t = 0; t < TOKENS / 2; t++) /* the first half against the second */
        memcpy(other.inputs + t * COLUMNS, other.inputs + (TOKENS / 2 + t) * COLUMNS,
               COLUMNS * sizeof *other.inputs);
    s.tokens = other.tokens = TOKENS / 2;
    ps_sample_sum(&s);
    ps_sample_sum(&other);
    static uint8_t bytes[ROWS * COLUMNS];
    ps_compress_report rounded, solved;
    ps_scale_report report;
    ps_compress_problem p = ps_sample_problem(&s, "int4/64");
    p.held_out = &other.hessian;
    ck_ok(ps_method_solve(ps_method_find("round"), &p, bytes, &rounded));
    ck_ok(ps_method_scale(ps_method_find("awq"), &p, 1, own, scales, &report));
    ps_scale_columns(s.weights, ROWS, COLUMNS, scales, false);
    ps_scale_sums(s.sums, COLUMNS, scales);
    ps_scale_sums(other.sums, COLUMNS, scales);
    ck_ok(ps_method_solve(ps_method_find("awq"), &p, bytes, &solved));
    ck_assert_double_lt(solved.error, 0.8 * rounded.error);
    ck_assert_double_lt(solved.held_out, 0.8 * rounded.held_out);
    ps_sample_free(&s);
    ps_sample_free(&other);
}
END_TEST

/* Heads of 16 columns, four of which look at the same values. */
START_TEST(columns_of_one_row_have_one_factor)
{
    static const ps_scale_share share = {16, 4};
    ps_sample s = draw();
    ps_compress_problem p = ps_sample_problem(&s, "int4/64");
    ps_scale_report report;
    for (uint64_t c = 0; c < COLUMNS; c++)
        ck_assert_uint_eq(ps_scale_row(share, c), c < 64 ? c % 16 : 16 + c % 16);
    ck_ok(ps_method_scale(ps_method_find("awq"), &p, 1, share, scales, &report));
    ck_assert_double_lt(report.scaled, report.plain);
    ck_assert_double_eq_tol(lost(&s, &p, scales), report.scaled, 1e-3 * report.scaled);
    float rows[32 * 2], least = INFINITY, most = 0;
    for (uint64_t c = 0; c < COLUMNS; c++) {
        ck_assert(scales[c] == scales[c / 64 * 64 + c % 16]);
        least = fminf(least, scales[c]);
        most = fmaxf(most, scales[c]);
    }
    ck_assert_float_gt(most, 1.5F * least);
    for (int i = 0; i < 64; i++)
        rows[i] = 3;
    ps_scale_rows(rows, 0, 2, share, scales, COLUMNS);
    for (uint64_t c = 0; c < COLUMNS; c++)
        ck_assert(rows[2 * ps_scale_row(share, c) + 1] == 3 / scales[c]);
    ps_sample_free(&s);
}
END_TEST

/* Cutting a range by what the output loses is better than not to cut, and than by the diagonal. */
START_TEST(awqs_cuts_lose_least)
{
    ps_sample s = draw();
    static uint8_t bytes[ROWS * COLUMNS * 2]; /* q8_0 takes 34 for 32 */
    ps_compress_report report[3];
    static const char *const methods[] = {"round", "search", "awq"};
    ps_compress_problem p = ps_sample_problem(&s, "int2/32");
    for (int i = 0; i < 3; i++)
        ck_ok(ps_method_solve(ps_method_find(methods[i]), &p, bytes, &report[i]));
    ck_assert_double_lt(report[2].error, report[1].error);
    ck_assert_double_lt(report[1].error, report[0].error);
    ck_assert_int_eq(report[2].fallback, PS_STEP_NONE);
    ck_assert(ps_form_parse("q8_0", &p.form));
    ck_ok(ps_method_solve(ps_method_find("awq"), &p, bytes, &report[0]));
    ck_assert(report[0].fallback == PS_STEP_DIAGONAL && report[0].why == PS_REASON_NO_RANGE);
    ps_sample_free(&s);
}
END_TEST

static const ps_check_case cases[] = {
    {&awqs_factors_lose_least_of_those_that_are_tried},
    {.test = &an_input_that_is_always_0_has_a_factor, .repeat = 2},
    {&awq_has_no_factors_where_cutting_alone_is_better},
    {&matrices_that_share_an_input_share_its_factors},
    {&smooths_factors_are_by_inputs_and_weights},
    {&sums_of_divided_inputs_are_divided_sums},
    {&awqs_factors_and_cuts_are_better_on_other_rows},
    {&columns_of_one_row_have_one_factor},
    {&awqs_cuts_lose_least},
    {0},
};

int main(void)
{
    return ps_check_main("compress/scale", cases);
}
