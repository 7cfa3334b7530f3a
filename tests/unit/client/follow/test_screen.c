/* screen: what the terminal is told, byte for byte. */
#include "client/follow/screen.h"
#include "tests/lib/check_main.h"

static ps_screen screen;
static ps_buf out;

static void is(const char *expected)
{
    ck_assert_str_eq(ps_buf_cstr(&out), expected);
    ps_buf_clear(&out);
}

START_TEST(a_frame_takes_the_place_of_the_one_before)
{
    ps_screen_draw(&screen, 40, "one\ntwo\n", &out);
    is("\033[?25lone\ntwo\n");
    ps_screen_draw(&screen, 40, "three\n", &out);
    is("\033[2A\r\033[Jthree\n");
    ps_screen_draw(&screen, 40, "four\n", &out);
    is("\033[1A\r\033[Jfour\n");
    ps_screen_end(&screen, 40, &out);
    is("\033[1A\r\033[J\033[?25h");
    ps_screen_free(&screen);
}
END_TEST

START_TEST(lines_go_by_above_the_frame)
{
    ps_screen_draw(&screen, 40, "bar\n", &out);
    ps_buf_clear(&out);
    ps_buf_puts(&screen.above, "log 1\nlog 2\n");
    ps_screen_draw(&screen, 40, "bar\n", &out);
    is("\033[1A\r\033[Jlog 1\nlog 2\nbar\n");
    ps_buf_puts(&screen.above, "log 3\n");
    ps_screen_end(&screen, 40, &out);
    is("\033[1A\r\033[Jlog 3\n\033[?25h");
    ps_screen_free(&screen);
}
END_TEST

START_TEST(a_narrower_terminal_has_wrapped_what_was_there)
{
    ps_screen_draw(&screen, 40, "\033[36m0123456789\033[0m0123456789\nab\n", &out);
    ps_buf_clear(&out);
    /* 20 columns are 3 rows of 8, and one more for the second line */
    ps_screen_draw(&screen, 8, "x\n", &out);
    is("\033[4A\r\033[Jx\n");
    ps_screen_free(&screen);
}
END_TEST

START_TEST(the_cursor_is_shown_only_if_it_was_hidden)
{
    ps_buf_puts(&screen.above, "last\n");
    ps_screen_end(&screen, 40, &out);
    is("last\n");
    ps_screen_free(&screen);
}
END_TEST

static const ps_check_case tests[] = {
    {&a_frame_takes_the_place_of_the_one_before},
    {&lines_go_by_above_the_frame},
    {&a_narrower_terminal_has_wrapped_what_was_there},
    {&the_cursor_is_shown_only_if_it_was_hidden},
    {0},
};

int main(void)
{
    return ps_check_main("client/follow/screen", tests);
}
