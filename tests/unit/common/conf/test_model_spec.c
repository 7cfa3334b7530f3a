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
    ck_assert_int_eq(ps_spec_model_parse(ps_buf_slice(&text), "m", &m), PS_OK);
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

static const ps_check_case tests[] = {
    {&classes_have_names},
    {0},
};

int main(void)
{
    return ps_check_main("conf/model_spec", tests);
}
