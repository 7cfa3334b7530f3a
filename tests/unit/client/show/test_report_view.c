/* report_view: what a report says, and what it may be instead: newer, cut, or something else. */
#include "client/show/report_view.h"

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
    "{\"method\":\"gptq\",\"error\":0.0062,\"held_out\":0.00711,\"fallback\":\"none\"}},"          \
    "{\"name\":\"b.weight\",\"form\":\"int4/128\",\"bits\":4.1,\"method\":\"gptq\",\"solved\":"    \
    "{\"error\":0.5,\"fallback\":\"diagonal\",\"why\":\"the Hessian is not positive definite\"}}," \
    "{\"name\":\"a.bias\",\"form\":\"float32\",\"bits\":32,\"why\":\"bias\"}"

static void shows(ps_buf *out, const char *line)
{
    const char *text = ps_buf_cstr(out), *at = strstr(text, line);
    ck_assert_msg(at && (at == text || at[-1] == '\n'), "'%s' begins no line of:\n%s", line, text);
}

START_TEST(a_report_is_a_table_and_what_it_came_to)
{
    ps_buf out = PS_BUF_EMPTY;
    const ps_style file = {.width = 0};
    ck_ok(ps_report_text(&out, &file, ps_slice_str(REPORT "]}\n")));
    shows(&out, "TENSOR    FORM      BITS  METHOD  ERROR  HELD OUT  NOTE\n");
    shows(&out,
          "a.weight  int4/64   4.25  gptq    0.62%    0.711%  rows of 64 are not whole groups "
          "of 128\n");
    shows(&out, "b.weight  int4/128   4.1  gptq      50%            diagonal: the Hessian is not "
                "positive definite\n");
    shows(&out, "model        small  sha256 cd\n");
    shows(&out, "made of      big  sha256 ab\n");
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

START_TEST(what_was_not_published_is_said_with_the_reason)
{
    ps_buf out = PS_BUF_EMPTY;
    const ps_style file = {.width = 0};
    ck_ok(ps_report_text(&out, &file,
                         ps_slice_str(REPORT "],\"refused\":\"the loss is\x20"
                                             "1\\u001b[2J\"}")));
    shows(&out, "not published: the loss is 1?[2J\n");
    ps_buf_free(&out);
}
END_TEST

START_TEST(what_is_no_report_is_refused)
{
    static const char *const wrong[] = {"",
                                        "[]",
                                        "{}",
                                        "{\"tensors\":{}}",
                                        "{\"tensors\":[1]}",
                                        "{\"tensors\":[{\"name\":1}]}",
                                        "{\"tensors\":[{\"bits\":\"4\"}]}",
                                        "{\"tensors\":[{\"solved\":[]}]}",
                                        REPORT,
                                        REPORT "]} x"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ps_buf out = PS_BUF_EMPTY;
        const ps_style file = {.width = 0};
        ck_assert_int_eq(ps_report_text(&out, &file, ps_slice_str(wrong[i])), PS_CORRUPT);
        ck_assert_uint_eq(out.len, 0);
    }
}
END_TEST

static const ps_check_case tests[] = {
    {&a_report_is_a_table_and_what_it_came_to},
    {&what_was_not_published_is_said_with_the_reason},
    {&what_is_no_report_is_refused},
    {0},
};

int main(void)
{
    return ps_check_main("show/report_view", tests);
}
