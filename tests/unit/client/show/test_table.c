/* output: tables to the column, text from elsewhere made harmless, JSON inside JSON. */
#include "client/show/table.h"
#include "tests/lib/check_main.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static ps_buf out;

static void setup_out(void)
{
    ps_buf_clear(&out);
}

static void is(const char *expected)
{
    ck_assert_str_eq(ps_buf_cstr(&out), expected);
    ps_buf_clear(&out);
}

START_TEST(columns_are_as_wide_as_their_widest_cell)
{
    setup_out();
    static const char *const headers[] = {"NAME", ">SIZE", "NOTE", NULL};
    ps_table *t = ps_table_new(headers);
    ps_table_text(t, "fashion-mlp");
    ps_table_printf(t, "%d", 7);
    ps_table_text(t, "x");
    ps_table_text(t, "é");
    ps_table_printf(t, "%d", 123456);
    ps_table_text(t, "");
    ck_assert_uint_eq(ps_table_rows(t), 2);
    ps_table_render(t, &(ps_style){0}, &out);
    is("NAME           SIZE  NOTE\n"
       "fashion-mlp       7  x\n"
       "é            123456  \n");
    ps_table_free(&t);
}
END_TEST

START_TEST(the_last_column_is_cut_where_a_terminal_would_wrap)
{
    setup_out();
    static const char *const headers[] = {"A", "REASON", NULL};
    ps_table *t = ps_table_new(headers);
    ps_table_text(t, "1");
    ps_table_text(t, "worker has gone for good");
    ps_table_render(t, &(ps_style){.width = 16}, &out);
    is("A  REASON\n1  worker has...\n");
    ps_table_render(t, &(ps_style){.width = 16, .utf8 = true}, &out);
    is("A  REASON\n1  worker has g…\n");
    ps_table_free(&t);
}
END_TEST

START_TEST(wide_letters_and_marks_count_as_the_cells_they_take)
{
    setup_out();
    static const char *const headers[] = {"A", "REASON", NULL};
    ps_table *t = ps_table_new(headers);
    ps_table_text(t, "訓練");
    ps_table_text(t, "e\u0301e\u0301");
    ps_table_text(t, "x");
    ps_table_text(t, "訓練节点一訓練");
    ps_table_render(t, &(ps_style){.width = 16, .utf8 = true}, &out);
    is("A     REASON\n訓練  e\u0301e\u0301\nx     訓練节点… \n");
    ps_table_render(t, &(ps_style){.width = 15, .utf8 = true}, &out);
    is("A     REASON\n訓練  e\u0301e\u0301\nx     訓練节点…\n");
    ps_table_free(&t);
}
END_TEST

START_TEST(a_terminal_gets_no_empty_columns_and_no_wrapped_lines)
{
    setup_out();
    static const char *const headers[] = {"ID", "NAME", ">LOSS", "WHO", "REASON", NULL};
    ps_table *t = ps_table_new(headers);
    ps_table_text(t, "1");
    ps_table_text(t, "evaluate-fashion-mlp");
    ps_table_text(t, "");
    ps_table_text(t, "operator");
    ps_table_text(t, "");
    ps_table_render(t, &(ps_style){.width = 80}, &out);
    is("ID  NAME                  WHO\n1   evaluate-fashion-mlp  operator\n");
    ps_table_render(t, &(ps_style){.width = 24, .utf8 = true}, &out);
    is("ID  NAME\n1   evaluate-fashion-mlp\n");
    ps_table_render(t, &(ps_style){.width = 30, .utf8 = true}, &out);
    is("ID  NAME              WHO\n1   evaluate-fashio…  operator\n");
    ps_table_free(&t);
}
END_TEST

/* The widest line of what was rendered, of ASCII alone. */
static size_t widest_line(void)
{
    size_t most = 0;
    for (const char *at = ps_buf_cstr(&out); *at; at += strcspn(at, "\n") + 1)
        if (strcspn(at, "\n") > most)
            most = strcspn(at, "\n");
    return most;
}

START_TEST(no_list_wraps_on_any_terminal)
{
    static const char *const headers[] = {"NAME", ">PARAMETERS", ">SIZE",  ">TEST",
                                          ">JOB", "CREATED",     "CONFIG", NULL};
    static const char *const cells[] = {"evaluate-fashion-mlp",
                                        "536k",
                                        "2.1 MB",
                                        "0.8954",
                                        "1",
                                        "2m 17s ago",
                                        "{architecture: mlp, layers: [784, 512, 256, 10]}"};
    setup_out();
    ps_table *t = ps_table_new(headers);
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++)
        ps_table_text(t, cells[i]);
    for (unsigned width = 24; width < 140; width++) {
        setup_out();
        ps_table_render(t, &(ps_style){.width = width}, &out);
        ck_assert_msg(widest_line() <= width, "%u: %s", width, ps_buf_cstr(&out));
        ck_assert_ptr_nonnull(strstr(ps_buf_cstr(&out), "PARAMETERS"));
        ck_assert(!strstr(ps_buf_cstr(&out), " \n"));
    }
    ck_assert_ptr_nonnull(strstr(ps_buf_cstr(&out), "[784, 512, 256, 10]}"));
    ps_table_free(&t);
    setup_out();
}
END_TEST

START_TEST(a_field_is_shown_whole_on_a_terminal)
{
    setup_out();
    ps_table *t = ps_table_new(NULL);
    ps_table_field(t, "reason", "%s", "worker has gone for good");
    ps_table_render(t, &(ps_style){.width = 16, .utf8 = true}, &out);
    is("reason  worker has gone for good\n"); /* too narrow for two columns */
    ps_table_field(t, "by", "%s", "w1,w2,/a/path/that/is/longer/than/a/line w3");
    ps_table_render(t, &(ps_style){.width = 30, .utf8 = true}, &out);
    is("reason  worker has gone for\n        good\nby      w1,w2,\n"
       "        /a/path/that/is/longer/than/a/line\n        w3\n");
    ps_table_free(&t);
}
END_TEST

START_TEST(colours_do_not_change_the_alignment)
{
    setup_out();
    static const char *const headers[] = {"S", "N", NULL};
    ps_table *t = ps_table_new(headers);
    ps_table_color(t, PS_COLOR_GREEN, "done");
    ps_table_text(t, "1");
    ps_table_render(t, &(ps_style){.color = true}, &out);
    is("\033[1mS\033[0m     \033[1mN\033[0m\n\033[32mdone\033[0m  1\n");
    ps_table_free(&t);
}
END_TEST

START_TEST(fields_without_a_value_are_left_out)
{
    setup_out();
    ps_table *t = ps_table_new(NULL);
    ps_table_field(t, "name", "%s", "tiny");
    ps_table_field(t, "reason", "%s", "");
    ps_table_field(t, "loss", "%.2f", 0.5);
    ps_table_render(t, &(ps_style){0}, &out);
    is("name  tiny\nloss  0.50\n");
    ps_table_free(&t);
}
END_TEST

START_TEST(text_from_elsewhere_cannot_move_the_cursor)
{
    setup_out();
    ps_style style = {.utf8 = true};
    ps_put_clean(&out, &style,
                 "a\033[2Jb\nc\x7f\xc2\x9b"
                 "d é",
                 SIZE_MAX);
    is("a?[2Jb?c??d é");
    ps_put_clean_lines(&out, ps_slice_str("a\tb\n\033[2J\r\xc2\x9b"
                                          "é\n"));
    is("a\tb\n?[2J??é\n");
    static const char *const headers[] = {"N", NULL};
    ps_table *t = ps_table_new(headers);
    ps_table_text(t, "x\033]0;owned\007");
    ps_table_render(t, &style, &out);
    is("N\nx?]0;owned?\n");
    ps_table_free(&t);
}
END_TEST

START_TEST(cutting_never_splits_a_character)
{
    setup_out();
    ps_style style = {.utf8 = true};
    ps_put_clean(&out, &style, "éééé", 3);
    is("éé…");
    ps_put_clean(&out, &style, "éé", 2);
    is("éé");
    ps_put_clean(&out, &(ps_style){0}, "abcdef", 2); /* no room for the dots */
    is("");
}
END_TEST

START_TEST(a_pipe_has_no_colours_and_no_width)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    setenv("TERM", "xterm", 1);
    ps_style style = ps_style_for(ends[1], false);
    ck_assert(!style.color);
    ck_assert_uint_eq(style.width, 0);
    close(ends[0]);
    close(ends[1]);
}
END_TEST

START_TEST(a_terminal_has_colours_unless_told_not_to)
{
    int fd = posix_openpt(O_RDWR | O_NOCTTY);
    if (fd < 0 || grantpt(fd) != 0 || unlockpt(fd) != 0)
        return; /* no terminals where this runs */
    int end = open(ptsname(fd), O_RDWR | O_NOCTTY);
    ck_assert_int_ge(end, 0);
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    ck_assert(ps_style_for(end, false).color);
    ck_assert_uint_gt(ps_style_for(end, false).width, 0);
    ck_assert(!ps_style_for(end, true).color);
    setenv("NO_COLOR", "1", 1);
    ck_assert(!ps_style_for(end, false).color);
    unsetenv("NO_COLOR");
    setenv("TERM", "dumb", 1);
    ck_assert(!ps_style_for(end, false).color);
    close(end);
    close(fd);
}
END_TEST

START_TEST(what_cannot_be_written_is_a_failure)
{
    int fd = open("/dev/full", O_WRONLY);
    ck_assert_int_ge(fd, 0);
    ps_buf text = PS_BUF_EMPTY;
    ps_buf_puts(&text, "hello\n");
    ck_assert_int_eq(ps_output_flush(&text, fd), PS_NO_SPACE);
    ck_assert_uint_eq(text.len, 0);
    close(fd);
    ps_buf_free(&text);
}
END_TEST

static const ps_check_case tests[] = {
    {&columns_are_as_wide_as_their_widest_cell},
    {&wide_letters_and_marks_count_as_the_cells_they_take},
    {&the_last_column_is_cut_where_a_terminal_would_wrap},
    {&a_terminal_gets_no_empty_columns_and_no_wrapped_lines},
    {&no_list_wraps_on_any_terminal},
    {&a_field_is_shown_whole_on_a_terminal},
    {&colours_do_not_change_the_alignment},
    {&fields_without_a_value_are_left_out},
    {&text_from_elsewhere_cannot_move_the_cursor},
    {&cutting_never_splits_a_character},
    {&a_pipe_has_no_colours_and_no_width},
    {&a_terminal_has_colours_unless_told_not_to},
    {&what_cannot_be_written_is_a_failure},
    {0},
};

int main(void)
{
    return ps_check_main("client/show/table", tests);
}
