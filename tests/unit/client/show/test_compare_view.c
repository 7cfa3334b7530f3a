/* compare_view: both models beside each other, and what lies between them. */
#include "client/show/compare_view.h"

#include "client/call/support.h"
#include "tests/lib/check_main.h"

#include <string.h>

static ps_status show(const char *result, ps_buf *out)
{
    Psd__V1__Model model = PSD__V1__MODEL__INIT, other = PSD__V1__MODEL__INIT;
    const Psd__V1__Model *const models[2] = {&model, &other};
    const ps_style style = {.utf8 = true};
    model.name = ps_borrow("big");
    model.bytes = 4000000;
    model.forms = ps_borrow("float32");
    other.name = ps_borrow("small");
    other.bytes = 600000;
    other.forms = ps_borrow("q4_0, float32");
    return ps_compare_text(out, &style, models, result);
}

START_TEST(two_models_stand_beside_each_other)
{
    ps_buf out = PS_BUF_EMPTY;
    ck_ok(
        show("{\"report\":{\"samples\":96,\"model\":{\"name\":\"big\",\"loss\":1.5,\"perplexity\":"
             "4.4817,\"accuracy\":0.5,\"tokens_a_second\":12000},\"other\":{\"loss\":1.5021,"
             "\"perplexity\":4.4911,\"accuracy\":0.49,\"tokens_a_second\":40000,\"generated_a_"
             "second\":350,\"new\":[]},"
             "\"loss_difference\":0.0021,\"loss_difference_error\":0.0004,\"divergence\":0.003,"
             "\"same_top\":0.975},\"seconds\":3}",
             &out));
    ck_assert_str_eq(ps_buf_cstr(&out), "                 big          small\n"
                                        "loss          1.5000         1.5021\n"
                                        "perplexity    4.4817         4.4911\n"
                                        "accuracy      0.5000         0.4900\n"
                                        "size          4.0 MB         600 kB\n"
                                        "stored as    float32  q4_0, float32\n"
                                        "generated/s        -            350\n"
                                        "tokens/s       12.0k          40.0k\n"
                                        "\n"
                                        "rows        96\n"
                                        "loss        +0.0021 ± 0.0004\n"
                                        "divergence  0.003\n"
                                        "same top    97.50%\n");
    ps_buf_free(&out);
}
END_TEST

START_TEST(a_result_that_does_not_say_is_refused)
{
    static const char *const wrong[] = {
        "", "{}", "[]", "{\"report\":1}", "{\"report\":{\"samples\":\"x\"}}", "{\"report\":{}} x"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ps_buf out = PS_BUF_EMPTY;
        ck_assert_int_eq(show(wrong[i], &out), PS_CORRUPT);
        ck_assert_uint_eq(out.len, 0);
    }
}
END_TEST

static const ps_check_case tests[] = {
    {&two_models_stand_beside_each_other},
    {&a_result_that_does_not_say_is_refused},
    {0},
};

int main(void)
{
    return ps_check_main("show/compare_view", tests);
}
