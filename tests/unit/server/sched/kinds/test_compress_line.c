/* compress_line: what is in a line, and lines of which nothing is to be had. */
#include "server/sched/kinds/compress_line.h"

#include "tests/lib/check_main.h"

START_TEST(a_member_is_found_among_others)
{
    double one = 0, some[3] = {0};
    static const char line[] =
        "{\"method\":\"round\",\"more\":{\"loss\":7},\"loss\":0.25,\"losses\":[1,2.5,3e-3]}";
    ck_assert(ps_compress_line_number(line, "loss", &one));
    ck_assert_double_eq(one, 0.25);
    ck_assert(ps_compress_line_numbers(line, "losses", some, 3));
    ck_assert_double_eq(some[0], 1);
    ck_assert_double_eq(some[1], 2.5);
    ck_assert_double_eq(some[2], 3e-3);
}
END_TEST

START_TEST(what_is_not_there_is_not_found)
{
    static const char *const lines[] = {NULL,
                                        "",
                                        "[]",
                                        "{",
                                        "{}",
                                        "{\"loss\":null,\"losses\":[]}",
                                        "{\"loss\":\"1\",\"losses\":[1]}",
                                        "{\"loss\":[1],\"losses\":[1,2,3]}",
                                        "{\"loss\":1e999,\"losses\":[1,null]}",
                                        "{\"losses\":[1,2",
                                        "{\"loss\":tru"};
    double some[2];
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        ck_assert(!ps_compress_line_number(lines[i], "loss", some));
        ck_assert(!ps_compress_line_numbers(lines[i], "losses", some, 2));
    }
}
END_TEST

static const ps_check_case tests[] = {
    {&a_member_is_found_among_others},
    {&what_is_not_there_is_not_found},
    {0},
};

int main(void)
{
    return ps_check_main("sched/kinds/compress_line", tests);
}
