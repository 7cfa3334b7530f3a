/* text: what may be shown, and how wide it is. */
#include "common/base/text.h"

#include "tests/lib/check_main.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *text, *clean;
} cleaned[] = {
    {"plain, é, 訓練, 👩‍🚀", "plain, é, 訓練, 👩‍🚀"},
    {"\033[31mred\x7f\t\n", "?[31mred???"},
    {"c1\xc2\x9b"
     "2J\xc2\x85.",
     "c1?2J?."},
    {"a\u202eb\u2066c\u200fd\u061ce", "a?b?c?d?e"}, /* reads from right to left */
    {"one\u2028two\u2029three", "one?two?three"},   /* lines, for some */
    {"cut \xe8\xa8", "cut ??"},
    {"\x9b\xff\xc0\xaf\xed\xa0\x80.", "???????."}, /* C1 of Latin-1, no UTF-8, a surrogate */
    {"", ""},
};

START_TEST(what_is_not_fit_becomes_a_question_mark)
{
    char text[128];
    for (size_t i = 0; i < sizeof cleaned / sizeof *cleaned; i++) {
        (void)snprintf(text, sizeof text, "%s", cleaned[i].text);
        ps_text_clean(text);
        ck_assert_str_eq(text, cleaned[i].clean);
    }
    ps_text_clean((char *)(uintptr_t) "constant, as protobuf-c's empty string is");
}
END_TEST

static const struct {
    const char *text;
    size_t columns, clusters;
} widths[] = {
    {"abc", 3, 3},
    {"", 0, 0},
    {"a█é", 3, 3},
    {"訓練", 4, 2},
    {"ｶﾅ", 2, 2},             /* half-width */
    {"e\u0301e\u0301", 2, 2}, /* combining marks */
    {"👩\u200d🚀", 2, 1},       /* joined: one astronaut */
    {"❤\ufe0f❤", 3, 2},       /* a picture, and a letter */
    {"a\u200b", 1, 1},        /* no width at all */
    {"\u0301a", 1, 2},        /* a mark without its letter */
    {"\033\u0301", 1, 2},     /* '?' and a mark that it does not take */
    {"\xff\xff", 2, 2},
};

START_TEST(columns_are_the_cells_of_a_terminal)
{
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        size_t len = strlen(widths[i].text), clusters = 0, columns;
        ck_assert_uint_eq(ps_text_columns(widths[i].text, len), widths[i].columns);
        for (size_t at = 0; at < len; clusters++)
            at += ps_text_cluster(widths[i].text + at, len - at, &columns);
        ck_assert_uint_eq(clusters, widths[i].clusters);
    }
}
END_TEST

static const ps_check_case tests[] = {
    {&what_is_not_fit_becomes_a_question_mark},
    {&columns_are_the_cells_of_a_terminal},
    {0},
};

int main(void)
{
    return ps_check_main("common/base/text", tests);
}
