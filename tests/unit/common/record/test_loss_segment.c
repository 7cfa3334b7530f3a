#include "common/record/loss_segment.h"

#include "tests/lib/check_main.h"

#include <string.h>

static double parts[] = {-0.5, 0.125, 1e-9};
static uint8_t gradient[] = {0, 1, 0xab, 0xff};
static const ps_loss_segment one = {.loss_begin = 2.25,
                                    .loss_end = 1.75,
                                    .gradients = 3,
                                    .met = true,
                                    .parts = parts,
                                    .gradient = gradient,
                                    .gradient_bytes = sizeof gradient};

START_TEST(a_report_is_read_as_it_was_written)
{
    ps_buf json = PS_BUF_EMPTY;
    ps_loss_segment s;
    ps_loss_report_write(&one, 3, &json);
    ck_ok(ps_loss_report_read(ps_buf_slice(&json), 3, sizeof gradient, &s));
    ck_assert_double_eq(s.loss_begin, 2.25);
    ck_assert_double_eq(s.loss_end, 1.75);
    ck_assert_uint_eq(s.gradients, 3);
    ck_assert(s.met);
    ck_assert_mem_eq(s.parts, parts, sizeof parts);
    ck_assert_mem_eq(s.gradient, gradient, sizeof gradient);
    ck_assert_double_eq_tol(ps_loss_segment_residual(&s, 3), -0.125, 1e-8);
    ps_loss_segment_free(&s);
    ck_assert_int_ne(ps_loss_report_read(ps_buf_slice(&json), 2, sizeof gradient, &s), PS_OK);
    ck_assert_int_ne(ps_loss_report_read(ps_buf_slice(&json), 4, sizeof gradient, &s), PS_OK);
    ck_assert_int_ne(ps_loss_report_read(ps_buf_slice(&json), 3, 3, &s), PS_OK);
    for (size_t len = 0; len + 1 < json.len;
         len++) /* the bytes are its own: a read behind is seen */
        ck_assert_int_ne(ps_loss_report_read(ps_slice_of(json.data, len), 3, sizeof gradient, &s),
                         PS_OK);
    ps_buf_free(&json);
}
END_TEST

START_TEST(a_report_that_makes_no_sense_is_refused)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"parts\":[1],\"gradient\":\"0g\"}",
        "{\"parts\":[1],\"gradient\":\"0\"}",
        "{\"parts\":[null],\"gradient\":\"00\"}",
        "{\"parts\":[1e999],\"gradient\":\"00\"}",
        "{\"parts\":1,\"gradient\":\"00\"}",
        "{\"parts\":[1],\"gradient\":[0]}",
        "{\"parts\":[1],\"gradient\":\"00\",\"loss_end\":null}",
        "{\"parts\":[1],\"gradient\":\"00\",\"gradients\":-1}",
    };
    ps_loss_segment s;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(ps_loss_report_read(ps_slice_str(bad[i]), 1, 1, &s), "%s", bad[i]);
    ck_ok(ps_loss_report_read(ps_slice_str("{\"gradient\":\"0a\",\"parts\":[1],\"more\":{}}"), 1, 1,
                              &s));
    ck_assert_uint_eq(s.gradient[0], 10);
    ps_loss_segment_free(&s);
}
END_TEST

START_TEST(no_report_is_longer_than_is_promised)
{
    enum { UNITS = 100, BYTES = 500 };
    const double longest = -2.2250738585072014e-308;
    double longest_parts[UNITS];
    uint8_t longest_gradient[BYTES] = {0};
    for (size_t i = 0; i < UNITS; i++)
        longest_parts[i] = longest;
    const ps_loss_segment all_longest = {.loss_begin = longest,
                                         .loss_end = longest,
                                         .gradients = UINT32_MAX,
                                         .parts = longest_parts,
                                         .gradient = longest_gradient,
                                         .gradient_bytes = BYTES};
    ps_buf json = PS_BUF_EMPTY;
    ps_loss_report_write(&all_longest, UNITS, &json);
    ck_assert_uint_le(json.len, ps_loss_report_most(UNITS, BYTES));
    ck_assert_uint_gt(json.len + 100, ps_loss_report_most(UNITS, BYTES));
    ps_buf_free(&json);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_report_is_read_as_it_was_written},
    {&no_report_is_longer_than_is_promised},
    {&a_report_that_makes_no_sense_is_refused},
    {0},
};

int main(void)
{
    return ps_check_main("record/loss_segment", cases);
}
