/* report_view: what a report says, and what it may be instead: newer, cut, or something else. */
#include "client/show/report_view.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"

#include <string.h>

#define REPORT                                                                                     \
    "{\"parent\":{\"name\":\"big\",\"version\":\"models/big.0\",\"sha256\":\"ab\",\"test\":"       \
    "{\"samples\":96,\"loss\":1.65,\"perplexity\":5.2}},\"model\":{\"name\":\"small\",\"version\"" \
    ":\"models/small.1\",\"sha256\":\"cd\",\"test\":{\"samples\":96,\"loss\":1.6525,"              \
    "\"perplexity\":5.21,\"divergence\":0.002}},\"published\":true,\"later\":{\"than\":[1,{}]},"   \
    "\"total\":{\"parameters\":1000,\"parent_bytes\":4000,\"bytes\":570,\"bits\":4.56,"            \
    "\"calibration_rows\":112,\"held_out_rows\":16,\"seconds\":75},\"tensors\":["                  \
    "{\"name\":\"a.weight\",\"shape\":[2,64],\"form\":\"int4/64\",\"bytes\":68,\"bits\":4.25,"     \
    "\"method\":\"gptq\",\"why\":\"rows of 64 are not whole groups of 128\",\"solved\":"           \
    "{\"method\":\"gptq\",\"predicted\":0.00123,\"error\":0.0062,\"held_out\":0.00711,"            \
    "\"fallback\":\"none\"}},"                                                                     \
    "{\"name\":\"b.weight\",\"form\":\"int4/128\",\"bits\":4.1,\"method\":\"gptq\",\"solved\":"    \
    "{\"error\":0.5,\"fallback\":\"diagonal\",\"why\":\"the Hessian is not positive definite\"}}," \
    "{\"name\":\"a.bias\",\"form\":\"float32\",\"bits\":32,\"why\":\"bias\"}"

static const ps_style file = {.width = 0};

static void shows(ps_buf *out, const char *line)
{
    const char *text = ps_buf_cstr(out), *at = strstr(text, line);
    ck_assert_msg(at && (at == text || at[-1] == '\n'), "'%s' begins no line of:\n%s", line, text);
}

START_TEST(a_report_is_a_table_and_what_it_came_to)
{
    ps_buf out = PS_BUF_EMPTY;
    ck_ok(ps_report_text(&out, &file, ps_slice_str(REPORT "]}\n")));
    shows(&out, "TENSOR    FORM      BITS  METHOD  ERROR  HELD OUT  PREDICTED  NOTE\n");
    shows(&out,
          "a.weight  int4/64   4.25  gptq    0.62%    0.711%    +0.0012  rows of 64 are not whole "
          "groups of 128\n");
    shows(&out, "b.weight  int4/128   4.1  gptq      50%                       diagonal: the "
                "Hessian is not "
                "positive definite\n");
    shows(&out, "model        small\n  sha256     cd\nmade of      big\n  sha256     ab\n");
    shows(&out, "size         570 B instead of 4.0 kB, 4.56 bits a parameter\n");
    shows(&out, "measured on  96 samples\n");
    shows(&out, "loss         1.6525 instead of 1.6500 (+0.0025)\n");
    shows(&out, "divergence   0.0020\n");
    shows(&out, "calibration  112 rows, and 16 to measure errors on\n");
    shows(&out, "as it was    1 tensor\n");
    shows(&out, "took         1m 15s\n");
    ck_assert_ptr_null(strstr(ps_buf_cstr(&out), "published"));
    ps_buf_free(&out);
}
END_TEST

START_TEST(a_low_rank_is_a_table_of_its_own)
{
    ps_buf out = PS_BUF_EMPTY;
    ck_ok(ps_report_text(&out, &file,
                         ps_slice_str(REPORT
                                      ",{\"name\":\"c\",\"form\":\"factors/64\",\"bits\":20,"
                                      "\"solved\":{\"lowrank\":{\"rank\":64,\"of\":128,"
                                      "\"error\":0.01,\"held_out\":0.012,\"mse\":1e-5}}}]}\n")));
    shows(&out, "LOW RANK  RANK       ERROR  HELD OUT\n");
    shows(&out, "c         64 of 128     1%      1.2%\n");
    shows(&out, "as it was    1 tensor\n");
    ps_buf_free(&out);
}
END_TEST

START_TEST(what_was_not_published_is_said_with_the_reason)
{
    ps_buf out = PS_BUF_EMPTY;
    ck_ok(ps_report_text(&out, &file,
                         ps_slice_str(REPORT "],\"refused\":\"the loss is\x20"
                                             "1\\u001b[2J\"}")));
    shows(&out, "not published: the loss is 1?[2J\n");
    ps_buf_free(&out);
}
END_TEST

/* As a worker may write it: the others are shown, and nothing moves the cursor. */
START_TEST(a_line_that_cannot_be_read_is_shown_as_that)
{
    static const char *const wrong[] = {"\"solved\":[]", "\"solved\":{\"error\":\"none\"}",
                                        "\"solved\":{\"prune\":7}", "\"bits\":\"4\"",
                                        "\"solved\":\"a report that is nested too deeply\""};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ps_buf out = PS_BUF_EMPTY;
        char *json = ps_asprintf(REPORT ",{\"name\":\"bad\\u001b[2J\",\"form\":\"int4/64\",%s},7,"
                                        "{\"name\":\"last\",\"form\":\"int8/row\",\"bits\":8,"
                                        "\"method\":\"round\"}]}",
                                 wrong[i]);
        ck_ok(ps_report_text(&out, &file, ps_slice_str(json)));
        const char *text = ps_buf_cstr(&out), *bad = strstr(text, "\nbad?[2J   int4/64 ");
        ck_assert_msg(bad && strstr(bad, "  cannot be read: byte "), "%s\n%s", json, text);
        shows(&out, "last      int8/row     8  round ");
        ck_assert_ptr_null(strchr(text, '\033'));
        ps_free(&json);
        ps_buf_free(&out);
    }
}
END_TEST

static char *view_of(const char *json)
{
    ps_buf out = PS_BUF_EMPTY;
    ck_ok(ps_report_text(&out, &file, ps_slice_str(json)));
    char *text = ps_strdup(ps_buf_cstr(&out));
    ps_buf_free(&out);
    return text;
}

START_TEST(what_was_removed_is_shown_with_what_repairing_made_good)
{
    char *text = view_of(
        "{\"total\":{\"parameters\":700000,\"parent_parameters\":800000},\"tensors\":["
        "{\"name\":\"up\",\"form\":\"float32\",\"solved\":{\"prune\":{\"outputs_kept\":384,"
        "\"outputs\":512,\"importance_lost\":0.1}}},{\"name\":\"down\",\"form\":\"float32\","
        "\"solved\":{\"prune\":{\"inputs_kept\":384,\"inputs\":512,\"importance_lost\":0.1,"
        "\"cut\":0.0525,\"repaired\":0.0112,\"held_out_cut\":0.06,\"held_out_repaired\":0.0123,"
        "\"why\":\"too few rows\"}}},{\"name\":\"wide\",\"solved\":{\"prune\":{\"zeros\":25,"
        "\"numbers\":100,\"error\":0.02,\"held_out\":0.025}}},{\"name\":\"norm\",\"solved\":"
        "{\"method\":\"fold\"}},{\"name\":\"wpe\"}]}");
    ck_assert_str_eq(
        text,
        "PRUNED  KEPT                   IMPORTANCE LOST    CUT  ERROR  HELD OUT  NOTE\n"
        "up      384 of 512 outputs                 10%                          \n"
        "down    384 of 512 inputs                  10%  5.25%  1.12%     1.23%  not repaired: too "
        "few rows\n"
        "wide    75%, the others are 0                             2%      2.5%  \n"
        "\n"
        "parameters  700k instead of 800k\n"
        "as it was   1 tensor\n"
        "folded      1 tensor\n");
    ps_free(&text);
}
END_TEST

#define TESTS                                                                                  \
    "\"parent\":{\"name\":\"a\",\"test\":{\"loss\":1.5}},\"model\":{\"name\":\"b\",\"test\":{" \
    "\"loss\":1.502}},\"tensors\":[],"

START_TEST(what_lies_between_the_two_has_its_error)
{
    char *text =
        view_of("{" TESTS "\"compared\":{\"samples\":9,\"model\":{\"tokens_a_second\":12000,"
                "\"generated_a_second\":100},\"other\":{\"tokens_a_second\":9000,"
                "\"generated_a_second\":350},\"loss_difference\":0.002,"
                "\"loss_difference_error\":0.0003,\"divergence\":0.01,"
                "\"divergence_error\":0.001,\"same_top\":0.97,\"data\":{\"test_sha256\":\"ef\","
                "\"calibration_sha256\":\"12\",\"shared_rows\":3}}}");
    ck_assert_str_eq(text, "model        b\n"
                           "made of      a\n"
                           "loss         1.5020 instead of 1.5000 (+0.002 +- 0.0003)\n"
                           "divergence   0.01 +- 0.001\n"
                           "same top     97.00%\n"
                           "generated/s  350 instead of 100 (3.50 times)\n"
                           "tokens/s     9.0k instead of 12.0k (0.75 times)\n"
                           "  sha256     12\n"
                           "  shared     3 rows with the test data\n");
    ps_free(&text);
    text = view_of("{" TESTS "\"overlap\":\"not checked\"}");
    ck_assert_ptr_nonnull(strstr(text, "shared rows  not checked\n"));
    ps_free(&text);
    text = view_of("{" TESTS "\"compared\":{\"model\":{\"tokens_a_second\":\"\\u001b\"}}}");
    ck_assert_str_eq(text, "model     b\n"
                           "made of   a\n"
                           "loss      1.5020 instead of 1.5000 (+0.002)\n"
                           "compared  cannot be read: a number is expected\n");
    ps_free(&text);
}
END_TEST

START_TEST(a_prediction_that_does_not_hold_is_marked)
{
    static const struct {
        double predicted, measured, error;
        const char *range, *says;
    } cases[] = {
        {0.0239, 0.0215, 0.0004, "quadratic",
         "+0.0239 of loss; measured +0.0215 ± 0.0004, within 30%\n"},
        {0.0123, 0.0078, NAN, "quadratic", "+0.0123 of loss; measured +0.0078: off by 58%\n"},
        {0.0005, -0.001, 0.0002, "quadratic",
         "+0.0005 of loss; measured -0.001 ± 0.0002: off by 150%\n"},
        {0.0005, -0.001, 0.001, "quadratic",
         "+0.0005 of loss; measured -0.001 ± 0.001: no more apart than chance\n"},
        {0.158, 0.349, NAN, "beyond",
         "+0.158 of loss; measured +0.349: off by 55%; so large a change is beyond what can be "
         "predicted\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char error[40] = "";
        if (isfinite(cases[i].error))
            (void)snprintf(error, sizeof error, "\"measured_error\":%g,", cases[i].error);
        char *json = ps_asprintf("{\"total\":{\"predicted\":%g,\"measured\":%g,%s\"range\":\"%s\"},"
                                 "\"tensors\":[]}",
                                 cases[i].predicted, cases[i].measured, error, cases[i].range);
        char *text = view_of(json);
        ck_assert_msg(strstr(text, cases[i].says), "%s", text);
        ps_free(&json);
        ps_free(&text);
    }
}
END_TEST

START_TEST(what_is_no_report_is_refused)
{
    static const char *const wrong[] = {
        "", "[]", "{}", "{\"tensors\":{}}", "{\"tensors\":[{\"name\":}]}", REPORT, REPORT "]} x"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ps_buf out = PS_BUF_EMPTY;
        ck_assert_int_eq(ps_report_text(&out, &file, ps_slice_str(wrong[i])), PS_CORRUPT);
        ck_assert_uint_eq(out.len, 0);
    }
}
END_TEST

static const ps_check_case tests[] = {
    {&a_report_is_a_table_and_what_it_came_to},
    {&a_low_rank_is_a_table_of_its_own},
    {&what_was_not_published_is_said_with_the_reason},
    {&a_line_that_cannot_be_read_is_shown_as_that},
    {&what_was_removed_is_shown_with_what_repairing_made_good},
    {&what_lies_between_the_two_has_its_error},
    {&a_prediction_that_does_not_hold_is_marked},
    {&what_is_no_report_is_refused},
    {0},
};

int main(void)
{
    return ps_check_main("show/report_view", tests);
}
