/* audit_chain: every way to change a log is found; what a disk cut is not taken for one. */
#include "common/security/audit_chain.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"

#include <stdio.h>
#include <string.h>

enum { LINES = 5, LINE = 256 };

static char lines[LINES][LINE];
static ps_audit_head heads[LINES];

static void make_lines(void)
{
    ps_audit_head head = ps_audit_head_none();
    for (int i = 0; i < LINES; i++) {
        (void)snprintf(lines[i], LINE, "{\"event\":\"call %d\",\"seq\":%d,\"prev\":\"%s\"}", i,
                       i + 1, head.sha256);
        ps_audit_head_advance(&head, ps_slice_str(lines[i]));
        heads[i] = head;
    }
}

/* The lines of this order, by their numbers; a text of another line ends the list. */
static ps_status check(const int *order, const ps_audit_head *wanted)
{
    ps_audit_check c = {.wanted = wanted};
    ps_status st = PS_OK;
    for (; !st && *order >= 0; order++)
        st = ps_audit_check_line(&c, ps_slice_str(lines[*order]));
    return st ? st : ps_audit_check_end(&c);
}

START_TEST(a_whole_log_is_whole)
{
    make_lines();
    ck_ok(check((int[]){0, 1, 2, 3, 4, -1}, NULL));
    for (int i = 0; i < LINES; i++)
        ck_ok(check((int[]){0, 1, 2, 3, 4, -1}, &heads[i]));
    ck_ok(check((int[]){2, 3, 4, -1}, &heads[3])); /* the older file is elsewhere */
}
END_TEST

START_TEST(what_was_taken_moved_or_put_in_is_found)
{
    make_lines();
    ck_assert_int_eq(check((int[]){0, 1, 3, 4, -1}, NULL), PS_CORRUPT);
    ck_assert_int_eq(check((int[]){0, 2, 1, 3, 4, -1}, NULL), PS_CORRUPT);
    ck_assert_int_eq(check((int[]){0, 1, 1, 2, 3, 4, -1}, NULL), PS_CORRUPT);
    ck_assert_int_eq(check((int[]){3, 4, 0, 1, 2, -1}, NULL), PS_CORRUPT); /* audit.log* */
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "the oldest file is not named first"));
    ck_assert_int_eq(check((int[]){-1}, NULL), PS_CORRUPT);
    ck_ok(check((int[]){0, 1, 2, -1}, NULL)); /* a cut tail shows only beside a head */
    ck_assert_int_eq(check((int[]){0, 1, 2, -1}, &heads[4]), PS_CORRUPT);
    ck_assert_ptr_nonnull(
        strstr(ps_error_message(), "they end with line 3, and there was a line 5"));
    ck_assert_int_eq(check((int[]){2, 3, 4, -1}, &heads[0]), PS_CORRUPT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "name the older files, too"));
}
END_TEST

START_TEST(every_changed_byte_is_found)
{
    make_lines();
    for (int i = 0; i < LINES; i++)
        for (size_t at = 0; lines[i][at]; at++) {
            lines[i][at] ^= 1;
            ps_status st = check((int[]){0, 1, 2, 3, 4, -1}, &heads[LINES - 1]);
            ck_assert_msg(st == PS_CORRUPT, "line %d byte %zu", i, at);
            lines[i][at] ^= 1;
        }
}
END_TEST

START_TEST(the_first_line_of_all_follows_none)
{
    make_lines();
    memset(strstr(lines[0], "0000"), '1', 4);
    ck_assert_int_eq(check((int[]){0, -1}, NULL), PS_CORRUPT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "it is the first line and follows another"));
}
END_TEST

START_TEST(lines_that_are_none_are_counted)
{
    make_lines();
    ps_audit_check c = {0};
    ck_ok(ps_audit_check_line(&c, ps_slice_str("{\"event\":\"of a psd of before\"}")));
    ck_ok(ps_audit_check_line(&c, ps_slice_str(lines[0])));
    ck_ok(ps_audit_check_line(&c, ps_slice_of(lines[1], 20)));
    ck_ok(ps_audit_check_line(&c, ps_slice_str("")));
    ck_ok(ps_audit_check_line(&c, ps_slice_str(lines[1])));
    ck_assert_int_eq(ps_audit_check_line(&c, ps_slice_str("{\"event\":\"put in\"}")), PS_CORRUPT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "it has no number and follows 2"));
    ck_ok(ps_audit_check_end(&c));
    ck_assert_uint_eq(c.lines, 2);
    ck_assert_uint_eq(c.others, 3);
}
END_TEST

START_TEST(a_head_is_text_and_back)
{
    static const char *const bad[] = {"", "1", "0:", "x:y", "1:abc", "-1:"};
    char text[PS_AUDIT_HEAD_TEXT];
    ps_audit_head back;
    make_lines();
    ps_audit_head_text(&heads[4], text);
    ck_ok(ps_audit_head_parse(text, &back));
    ck_assert_uint_eq(back.seq, 5);
    ck_assert_str_eq(back.sha256, heads[4].sha256);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_int_eq(ps_audit_head_parse(bad[i], &back), PS_INVALID_ARGUMENT);
}
END_TEST

static const ps_check_case tests[] = {
    {&a_whole_log_is_whole},
    {&what_was_taken_moved_or_put_in_is_found},
    {&every_changed_byte_is_found, 30},
    {&the_first_line_of_all_follows_none},
    {&lines_that_are_none_are_counted},
    {&a_head_is_text_and_back},
    {0},
};

int main(void)
{
    return ps_check_main("security/audit_chain", tests);
}
