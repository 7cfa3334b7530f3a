/* GPTQ against goldens of a textbook solution (tests/golden/gptq/make.py); and what is done where
 * it cannot be. */
#include "tests/lib/check_main.h"

#include "tests/unit/worker/compress/golden.h"
#include "worker/compress/feedback.h"

#include <stdio.h>

static ps_compress_report solved(const ps_compress_problem *p, const char *method, uint8_t *out)
{
    ps_compress_report report;
    ck_ok(ps_method_solve(ps_method_find(method), p, out, &report));
    return report;
}

START_TEST(codes_are_those_of_the_textbook)
{
    ps_golden g = ps_golden_open("gptq/gptq.safetensors");
    ps_sample s = ps_golden_sample(&g);
    int compared = 0;
    for (size_t i = 0; i < g.file->n_tensors; i++) {
        const ps_safetensors_tensor *t = &g.file->tensors[i];
        char form[32];
        if (t->dtype != PS_SAFETENSORS_U8)
            continue;
        bool ordered = strchr(t->name, ' ') != NULL;
        (void)snprintf(form, sizeof form, "%.*s", (int)strcspn(t->name, " "), t->name);
        ps_compress_problem p = ps_sample_problem(&s, form);
        p.options.order = ordered;
        uint64_t len = s.rows * ps_form_row_bytes(p.form, s.columns), other = 0;
        ck_assert_uint_eq(len, t->end - t->begin);
        uint8_t *out = ps_alloc(len);
        ps_compress_report report = solved(&p, "gptq", out);
        ck_assert(report.fallback == PS_STEP_NONE && report.few_tokens);
        ck_assert_double_eq(report.damp, 0.01);
        for (uint64_t b = 0; b < len; b++)
            other += out[b] != ps_golden_data(&g, t)[b];
        ck_assert_msg(other == 0, "%s: %lu of %lu bytes differ", t->name, (unsigned long)other,
                      (unsigned long)len);
        ps_free(&out);
        compared++;
    }
    ck_assert_int_eq(compared, 18);
    ps_sample_free(&s);
    ps_golden_close(&g);
}
END_TEST

/* In every form that has codes, and on other inputs of the same kind, too. */
START_TEST(outputs_lose_a_third_of_what_rounding_does)
{
    ps_sample s = ps_sample_draw(1, 20, 256, 1000), other = ps_sample_draw(2, 1, 256, 1000);
    uint8_t *out = ps_alloc(20 * 256 * 2);
    for (const ps_form_row *const *row = ps_form_rows; *row; row++) {
        if ((*row)->plain)
            continue;
        ps_compress_problem p = ps_sample_problem(&s, "int4/64");
        p.form = (ps_form){.row = *row, .group = (*row)->group ? (*row)->group : 64};
        p.held_out = &other.hessian;
        ps_compress_report rounded = solved(&p, "round", out), gptq = solved(&p, "gptq", out);
        ck_assert_msg(gptq.error < 0.3 * rounded.error && gptq.held_out < 0.4 * rounded.held_out,
                      "%s: %g of %g, held out %g of %g", (*row)->name, gptq.error, rounded.error,
                      gptq.held_out, rounded.held_out);
    }
    ps_free(&out);
    ps_sample_free(&s);
    ps_sample_free(&other);
}
END_TEST

enum { N = 64 };

/* Columns of which a whole block has no input, in ggml's forms, are rounded, too: not given up. */
START_TEST(blocks_without_input_are_not_given_up)
{
    static const char *const forms[] = {"q4_0", "q4_1", "iq4_nl", "q8_0", "int4/32"};
    ps_sample s = ps_sample_draw(6, 4, 96, 300);
    for (uint64_t i = 0; i < 96; i++)
        for (uint64_t j = i; j < 96; j++)
            if (i < 32 || j < 32)
                s.sums[i * 96 + j] = 0;
    uint8_t *out = ps_alloc(4 * 96 * 2);
    static float is[4 * 96];
    for (size_t i = 0; i < 2 * sizeof forms / sizeof *forms; i++) {
        ps_compress_problem p = ps_sample_problem(&s, forms[i / 2]);
        double all = 0, lost = 0;
        (void)solved(&p, i % 2 ? "gptq" : "search", out);
        ps_form_decode(p.form, out, 4, 96, is);
        for (uint64_t k = 0; k < 4 * 96; k += k % 96 == 31 ? 65 : 1) {
            all += (double)s.weights[k] * (double)s.weights[k];
            lost += pow((double)s.weights[k] - (double)is[k], 2);
        }
        ck_assert_msg(lost < 0.02 * all, "%s: %g of %g", forms[i / 2], lost, all);
    }
    ps_free(&out);
    ps_sample_free(&s);
}
END_TEST

/* Two inputs whose product sums to more than their squares do: no real inputs have such sums. */
static ps_compress_report with_product(double product, const char *form, const char *same_as)
{
    ps_sample s = ps_sample_draw(5, 3, N, 200);
    static uint8_t out[3 * N * 4], wanted[3 * N * 4];
    for (uint64_t i = 0; i < N; i++)
        for (uint64_t j = i; j < N; j++)
            s.sums[i * N + j] = i == j ? 1 : 0;
    s.sums[1] = (float)product;
    ps_compress_problem p = ps_sample_problem(&s, form);
    ps_compress_report report = solved(&p, "gptq", out);
    if (same_as) {
        (void)solved(&p, same_as, wanted);
        ck_assert_mem_eq(out, wanted, 3 * ps_form_row_bytes(p.form, N));
    }
    ps_sample_free(&s);
    return report;
}

START_TEST(sums_that_are_not_positive_definite_get_more_damping_then_their_diagonal)
{
    ps_compress_report report = with_product(1.05, "int4/32", NULL);
    ck_assert_int_eq(report.fallback, PS_STEP_DAMPED);
    ck_assert_double_eq_tol(report.damp, 0.1, 1e-9);
    report = with_product(1.5, "int4/32", NULL);
    ck_assert_double_eq(report.damp, 1);
    report = with_product(2.5, "int4/32", "search");
    ck_assert_int_eq(report.fallback, PS_STEP_DIAGONAL);
    ck_assert_str_eq(ps_compress_step_text(report.fallback), "diagonal");
    ck_assert_str_eq(ps_compress_reason_text(report.why), "the Hessian is not positive definite");
    ck_assert_double_eq(report.damp, 0);
}
END_TEST

START_TEST(what_has_no_codes_or_no_input_is_rounded)
{
    ps_compress_report report = with_product(0, "bfloat16", "round");
    ck_assert(report.fallback == PS_STEP_ROUNDED && report.why == PS_REASON_NO_GRID);
    static uint8_t out[3 * N], wanted[3 * N];
    ps_sample s = ps_sample_draw(5, 3, N, 200);
    memset(s.sums, 0, N * N * sizeof *s.sums);
    ps_compress_problem p = ps_sample_problem(&s, "int3/32");
    report = solved(&p, "gptq", out);
    ck_assert(report.fallback == PS_STEP_ROUNDED && report.why == PS_REASON_NO_INPUT);
    (void)solved(&p, "round", wanted);
    ck_assert_mem_eq(out, wanted, 3 * ps_form_row_bytes(p.form, N));
    ps_sample_free(&s);
}
END_TEST

START_TEST(a_column_without_input_is_rounded_and_troubles_no_other)
{
    ps_sample s = ps_sample_draw(6, 4, N, 200);
    for (uint64_t i = 0; i < N; i++)
        s.sums[i < 9 ? i * N + 9 : 9 * N + i] = 0;
    ps_compress_problem p = ps_sample_problem(&s, "int4/32");
    static uint8_t out[4 * N];
    static float is[4 * N];
    ck_assert_int_eq(solved(&p, "gptq", out).fallback, PS_STEP_NONE);
    ps_form_decode(p.form, out, 4, N, is);
    for (uint64_t r = 0; r < 4; r++) {
        uint8_t *row = out + r * ps_form_row_bytes(p.form, N);
        ck_assert_float_eq(is[r * N + 9],
                           ps_form_settle(p.form, row, N, 9, (double)s.weights[r * N + 9]));
    }
    ps_sample_free(&s);
}
END_TEST

static const ps_check_case cases[] = {
    {&codes_are_those_of_the_textbook},
    {&outputs_lose_a_third_of_what_rounding_does},
    {&blocks_without_input_are_not_given_up},
    {&sums_that_are_not_positive_definite_get_more_damping_then_their_diagonal},
    {&what_has_no_codes_or_no_input_is_rounded},
    {&a_column_without_input_is_rounded_and_troubles_no_other},
    {0},
};

int main(void)
{
    return ps_check_main("compress/gptq", cases);
}
