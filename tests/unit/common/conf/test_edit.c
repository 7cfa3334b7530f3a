/* edit: values put into a document from outside. */
#include "common/conf/edit.h"

#include "common/conf/tree.h"
#include "tests/lib/check_main.h"

#include <string.h>

static const char job[] = "kind: train # a comment\nname: \"7\"\ntrain:\n  epochs: 2\n  "
                          "optimizer: {name: sgd, learning_rate: 0.1}\nmodel: {layers: [4, 2]}\n"
                          "data:\n";

static void becomes(const char *const *sets, size_t n, const char *expected)
{
    ps_buf out = PS_BUF_EMPTY;
    ps_conf_node *root = NULL;
    ck_assert_msg(ps_conf_edit(ps_slice_str(job), "job.yaml", sets, n, &out) == PS_OK, "%s",
                  ps_error_message());
    ck_assert_str_eq(ps_buf_cstr(&out), expected);
    ck_ok(ps_conf_tree_parse(ps_buf_slice(&out), "again", &root));
    ps_conf_tree_free(&root);
    ps_buf_free(&out);
}

START_TEST(a_value_takes_the_place_of_what_is_there)
{
    becomes((const char *[]){"train.epochs=30", "name=a, b", "model.layers=[8, 8]"}, 3,
            "kind: train\nname: \"a, b\"\ntrain: {epochs: 30, optimizer: {name: sgd, "
            "learning_rate: 0.1}}\nmodel: {layers: [8, 8]}\ndata: ~\n");
}
END_TEST

START_TEST(a_key_that_is_missing_is_made_with_the_sections_above_it)
{
    becomes((const char *[]){"data.test.features=/x y", "train.optimizer={name: adamw}", "kind="},
            3,
            "kind: ~\nname: \"7\"\ntrain: {epochs: 2, optimizer: {name: adamw}}\n"
            "model: {layers: [4, 2]}\ndata: {test: {features: \"/x y\"}}\n");
}
END_TEST

static void refuses(const char *set, const char *message)
{
    ps_buf out = PS_BUF_EMPTY;
    ck_assert_int_eq(ps_conf_edit(ps_slice_str(job), "job.yaml", &set, 1, &out),
                     PS_INVALID_ARGUMENT);
    ck_assert_msg(strstr(ps_error_message(), message), "%s", ps_error_message());
    ck_assert_uint_eq(out.len, 0);
    ps_buf_free(&out);
}

START_TEST(what_is_no_value_of_a_key_is_refused)
{
    refuses("train.epochs", "--set: 'train.epochs' is not KEY=VALUE, such as train.epochs=3");
    refuses("=3", "is not KEY=VALUE");
    refuses(".=3", "names no key");
    refuses("name.first=x", "--set name.first=x: name is no section");
    refuses("name=[1", "--set name=[1: value");
    refuses("name=x\nkind: evil", "more than one value");
}
END_TEST

static const ps_check_case cases[] = {
    {&a_value_takes_the_place_of_what_is_there},
    {&a_key_that_is_missing_is_made_with_the_sections_above_it},
    {&what_is_no_value_of_a_key_is_refused},
    {0},
};

int main(void)
{
    return ps_check_main("common/conf/edit", cases);
}
