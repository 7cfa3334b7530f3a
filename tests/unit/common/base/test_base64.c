#include "common/base/base64.h"

#include "tests/lib/check_main.h"
#include "tests/lib/ck_ok.h"

#include <string.h>

/* RFC 4648, section 10; and all bits set, for the last two letters. */
static const char *const pairs[][2] = {{"", ""},
                                       {"f", "Zg=="},
                                       {"fo", "Zm8="},
                                       {"foo", "Zm9v"},
                                       {"foob", "Zm9vYg=="},
                                       {"foobar", "Zm9vYmFy"},
                                       {"\xff\xff\xfe", "///+"}};

START_TEST(base64_is_that_of_the_standard)
{
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        ps_buf text = PS_BUF_EMPTY, bytes = PS_BUF_EMPTY;
        ps_base64_write(&text, ps_slice_str(pairs[i][0]));
        ck_assert_str_eq(ps_buf_cstr(&text), pairs[i][1]);
        ck_ok(ps_base64_read(ps_buf_slice(&text), &bytes));
        ck_assert_str_eq(ps_buf_cstr(&bytes), pairs[i][0]);
        ps_buf_free(&text);
        ps_buf_free(&bytes);
    }
}
END_TEST

/* Sections 3.1, 3.3, 3.5 and 4 of the RFC: one text for the bytes, and nothing beside it. */
START_TEST(any_other_spelling_is_refused_and_leaves_nothing)
{
    static const char *const bad[] = {"Zg=",      "Zg",       "Zh==",   "Zm9=",       "====",
                                      "Z===",     "Zg==Zg==", "Zg\n==", "Zm9v\nYmFy", "-_-_",
                                      "Zm9vYg=a", "=Zm8",     "Zm 8"};
    ps_buf out = PS_BUF_EMPTY;
    ps_buf_puts(&out, "x");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_msg(ps_base64_read(ps_slice_str(bad[i]), &out) == PS_CORRUPT, "%s", bad[i]);
        ck_assert_uint_eq(out.len, 1);
    }
    ck_assert_int_eq(ps_base64_read(ps_slice_of("Zg\0=", 4), &out), PS_CORRUPT);
    ps_buf_free(&out);
}
END_TEST

static const ps_check_case tests[] = {
    {&base64_is_that_of_the_standard},
    {&any_other_spelling_is_refused_and_leaves_nothing},
    {0},
};

int main(void)
{
    return ps_check_main("base/base64", tests);
}
