/* model_spec: the names of classes, as they are written, checked and formatted. */
#include "common/conf/job_spec.h"
#include "tests/lib/check_main.h"

#include <string.h>

START_TEST(classes_have_names)
{
    static const char yaml[] =
        "{architecture: mlp, layers: [4, 3], classes: [setosa, 'a, \"b\"', 1]}";
    ps_spec_model *m = NULL;
    ps_status st = ps_spec_model_parse(ps_slice_str(yaml), "m", &m);
    ck_assert_msg(!st, "%s", ps_error_message());
    ck_assert_uint_eq(m->n_classes, 3);
    ps_buf text = PS_BUF_EMPTY;
    ps_spec_model_format(m, &text);
    ck_assert_ptr_nonnull(
        strstr(ps_buf_cstr(&text), "classes: [\"setosa\",\"a, \\\"b\\\"\",\"1\"]}"));
    ps_spec_model_free(&m);
    ck_ok(ps_spec_model_parse(ps_buf_slice(&text), "m", &m));
    ck_assert_str_eq(m->classes[1], "a, \"b\"");
    ps_spec_model_free(&m);
    ps_buf_free(&text);
    static const struct {
        const char *yaml, *message;
    } bad[] = {
        {"{architecture: mlp, layers: [4, 3], classes: [a, b]}",
         "m:1: classes: 2 names, but the last of layers is 3; they must be the same"},
        {"{architecture: mlp, layers: [4, 3], classes: [a, b, a]}",
         "m:1: classes: 'a' is there twice"},
        {"{architecture: mlp, layers: [4, 2], loss: squared_error, classes: [a, b]}",
         "m:1: classes: only with loss cross_entropy"},
        {"{architecture: gpt2, vocab_size: 2, context_length: 2, hidden_size: 2, num_layers: 1, "
         "num_heads: 1, classes: [a, b]}",
         "m:1: classes: not for architecture gpt2"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_int_eq(ps_spec_model_parse(ps_slice_str(bad[i].yaml), "m", &m),
                         PS_INVALID_ARGUMENT);
        ck_assert_str_eq(ps_error_message(), bad[i].message);
    }
}
END_TEST

START_TEST(numbers_of_inputs_read_back_bit_for_bit)
{
    static const char yaml[] = "{architecture: mlp, layers: [3, 2], input_mean: [0.1, -1e300, 7], "
                               "input_std: [1e-300, 0.30000000000000004, 1], input_missing: mean}";
    ps_spec_model *m = NULL, *again = NULL;
    ps_status st = ps_spec_model_parse(ps_slice_str(yaml), "m", &m);
    ck_assert_msg(!st, "%s", ps_error_message());
    ps_buf text = PS_BUF_EMPTY;
    ps_spec_model_format(m, &text);
    ck_ok(ps_spec_model_parse(ps_buf_slice(&text), "m", &again));
    ck_assert_uint_eq(again->n_input_mean, 3);
    ck_assert_mem_eq(m->input_mean, again->input_mean, 3 * sizeof(double));
    ck_assert_mem_eq(m->input_std, again->input_std, 3 * sizeof(double));
    ck_assert(again->input_std[1] == 0.1 + 0.2);
    ck_assert_uint_eq(again->input_missing, PS_SPEC_MISSING_MEAN);
    ps_spec_model_free(&m);
    ps_spec_model_free(&again);
    ps_buf_free(&text);
    static const struct {
        const char *yaml, *message;
    } bad[] = {
        {"{architecture: mlp, layers: [4, 3], input_mean: [1, 2]}",
         "m:1: input_mean: 2 numbers, but layers begins with 4; they must be the same"},
        {"{architecture: mlp, layers: [1, 3], input_std: [1]}",
         "m:1: input_std: only with input_mean"},
        {"{architecture: mlp, layers: [1, 3], input_mean: [1], input_std: [0]}",
         "m:1: input_std[0]: 0 is out of range, allowed 2.22507e-308 to 1.79769e+308"},
        {"{architecture: mlp, layers: [1, 3], input_mean: [1e999]}",
         "m:1: input_mean[0]: 1e999 is out of range, allowed -1.79769e+308 to 1.79769e+308"},
        {"{architecture: mlp, layers: [1, 3], input_mean: [nan]}",
         "m:1: input_mean[0]: expected a number, got 'nan'"},
        {"{architecture: mlp, layers: [1, 3], input_missing: mean}",
         "m:1: input_missing: mean: only with input_mean"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_int_eq(ps_spec_model_parse(ps_slice_str(bad[i].yaml), "m", &m),
                         PS_INVALID_ARGUMENT);
        ck_assert_str_eq(ps_error_message(), bad[i].message);
    }
}
END_TEST

START_TEST(as_many_inputs_as_there_may_be_fit_a_section)
{
    ps_spec_model *m = NULL;
    ps_buf text = PS_BUF_EMPTY;
    ps_buf_printf(&text, "{architecture: mlp, layers: [%d, 2]", PS_SPEC_INPUTS_MAX);
    for (int list = 0; list < 2; list++) {
        ps_buf_puts(&text, list ? ", input_std: [" : ", input_mean: [");
        for (int i = 0; i < PS_SPEC_INPUTS_MAX; i++)
            ps_buf_printf(&text, "%s%.17g", i ? ", " : "",
                          (list ? 1 : -1) * (1.2345678901234567e-100 + i * 1e-101));
        ps_buf_putc(&text, ']');
    }
    ps_buf_puts(&text, "}");
    ck_assert_msg(!ps_spec_model_parse(ps_buf_slice(&text), "m", &m), "%s", ps_error_message());
    ps_buf_clear(&text);
    ps_spec_model_format(m, &text);
    ck_assert_uint_lt(text.len, 256 * 1024);
    ps_spec_model_free(&m);
    ck_assert_msg(!ps_spec_model_parse(ps_buf_slice(&text), "m", &m), "%s", ps_error_message());
    ps_spec_model_free(&m);
    ps_buf_free(&text);
}
END_TEST

static const ps_check_case tests[] = {
    {&classes_have_names},
    {&numbers_of_inputs_read_back_bit_for_bit},
    {&as_many_inputs_as_there_may_be_fit_a_section},
    {0},
};

int main(void)
{
    return ps_check_main("conf/model_spec", tests);
}
