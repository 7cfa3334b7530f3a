/* Names of the points of a pass. */
#include "worker/models/tap.h"

#include "tests/lib/check_main.h"

#include <string.h>

START_TEST(names_are_read_as_they_are_written)
{
    char name[PS_TAP_NAME];
    for (int kind = 0; kind < PS_TAP_KINDS; kind++) {
        ps_tap_kind same;
        ck_ok(ps_tap_kind_parse(ps_tap_kind_name((ps_tap_kind)kind), &same));
        ck_assert_int_eq(same, kind);
        int64_t layer = ps_tap_place_of(same) == PS_TAP_ONCE ? 0 : 12;
        ps_tap got;
        ck_ok(ps_tap_parse(ps_tap_name((ps_tap){same, layer}, name), &got));
        ck_assert(ps_tap_equal(got, (ps_tap){same, layer}));
    }
    ck_assert_str_eq(ps_tap_name((ps_tap){PS_TAP_Z, 3}, name), "blocks.3.attn.hook_z");
    ck_assert_str_eq(ps_tap_name((ps_tap){PS_TAP_LAYER_POST, 1}, name), "layers.1.post");
}
END_TEST

START_TEST(other_names_are_refused)
{
    static const char *const wrong[] = {"",
                                        "z",
                                        "hook_z",
                                        "blocks.attn.hook_z",
                                        "blocks.-1.attn.hook_z",
                                        "layers.0.z",
                                        "layers.",
                                        "blocks.1.attn.hook_z ",
                                        "blocks.99999999999.attn.hook_z"};
    ps_tap tap;
    ps_tap_kind kind;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_int_eq(ps_tap_parse(wrong[i], &tap), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), " resid_pre "));
    ck_assert_int_eq(ps_tap_kind_parse("hook_z", &kind), PS_INVALID_ARGUMENT);
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &names_are_read_as_they_are_written},
    {.test = &other_names_are_refused},
    {0},
};

int main(void)
{
    return ps_check_main("models/tap", tests);
}
