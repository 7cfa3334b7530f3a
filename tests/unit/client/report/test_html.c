/* html, palette, room: no text becomes markup, colours can be told apart and read, and what does
 * not fit is counted. */
#include "client/report/html.h"

#include "client/report/palette.h"
#include "client/report/room.h"
#include "tests/lib/check_main.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define says(text, ...)                              \
    do {                                             \
        ps_buf out = PS_BUF_EMPTY;                   \
        ps_html(&out, __VA_ARGS__);                  \
        ck_assert_str_eq(ps_buf_cstr(&out), (text)); \
        ps_buf_free(&out);                           \
    } while (0)

START_TEST(no_text_becomes_markup)
{
    says("<b title=\"&lt;/b&gt;&quot; onclick=&#39;x\">&amp;amp;</b>", "<b title=\"%s\">%s</b>",
         "</b>\" onclick='x", "&amp;");
    says("a\nb\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd.", "%s.", "a\nb\x01\xff\xe2\x80\xae");
    says("×é漢", "%s", "×é漢");
    says("", "%s", "");
}
END_TEST

START_TEST(numbers_are_those_of_printf)
{
    says("-3 7 18446744073709551615 2.50 1e+20 100%", "%d %u %" PRIu64 " %.2f %g 100%%", -3, 7u,
         UINT64_MAX, 2.5, 1e20);
    says("1e+302% 1e+15 999999999999999.0 inf nan", "%.1f%% %.1f %.1f %.1f %.1f", 1e302, 1e15,
         999999999999999.0, HUGE_VAL, fabs((double)NAN));
    says("  4|9|-8", "%3d|%zu|%" PRId64, 4, (size_t)9, (int64_t)-8);
}
END_TEST

START_TEST(a_block_of_data_cannot_be_ended_by_what_is_in_it)
{
    const char *json = "[\"</script><!--&\"]";
    ps_buf out = PS_BUF_EMPTY;
    ps_html_data(&out, "x", ps_slice_str(json));
    ck_assert_str_eq(ps_buf_cstr(&out), "<script type=\"application/json\" id=\"x\">"
                                        "[\"\\u003c/script\\u003e\\u003c!--\\u0026\"]</script>\n");
    ps_buf_free(&out);
}
END_TEST

START_TEST(colours_go_from_end_to_end_and_can_be_read)
{
    ck_assert_str_eq(ps_rgb_hex(ps_palette_sequential(0)).text, "#00224e");
    ck_assert_str_eq(ps_rgb_hex(ps_palette_sequential(1)).text, "#fee838");
    ck_assert_str_eq(ps_rgb_hex(ps_palette_sequential(7)).text, "#fee838");
    ck_assert_str_eq(ps_rgb_hex(ps_palette_sequential(NAN)).text, "#00224e");
    ck_assert_str_eq(ps_rgb_hex(ps_palette_diverging(0)).text, "#ffffff");
    ck_assert_str_eq(ps_rgb_hex(ps_palette_diverging(NAN)).text, "#ffffff");
    /* black on white is 21 (WCAG 2.1), and more is lighter all the way, as grey is */
    ck_assert_double_eq_tol(ps_palette_contrast((ps_rgb){0}, (ps_rgb){255, 255, 255}), 21, 1e-12);
    for (int i = 0; i <= 100; i++) {
        ps_rgb c = ps_palette_sequential(i / 100.0), d = ps_palette_diverging(i / 50.0 - 1);
        ck_assert_double_ge(ps_palette_contrast(ps_palette_on(c), c), 4.5);
        ck_assert_double_ge(ps_palette_contrast(ps_palette_on(d), d), 4.5);
        if (i)
            ck_assert_double_gt(
                ps_palette_contrast(c, (ps_rgb){0}),
                ps_palette_contrast(ps_palette_sequential((i - 1) / 100.0), (ps_rgb){0}));
    }
    for (size_t i = 0; i < PS_PALETTE_CATEGORIES; i++)
        for (size_t k = 0; k < i; k++)
            ck_assert_str_ne(ps_rgb_hex(ps_palette_category(i)).text,
                             ps_rgb_hex(ps_palette_category(k)).text);
}
END_TEST

START_TEST(what_does_not_fit_is_left_out_and_said)
{
    ps_room room = ps_room_of(10);
    room.allowed[PS_ROOM_FIGURES] = 10;
    ps_buf piece = PS_BUF_EMPTY, out = PS_BUF_EMPTY;
    ps_buf_puts(&piece, "0123456");
    ck_assert(ps_room_take(&room, &piece, &out) && !piece.len);
    ps_buf_puts(&piece, "0123");
    ck_assert(!ps_room_take(&room, &piece, &out) && !piece.len);
    ps_buf_puts(&piece, "789");
    ck_assert(ps_room_take(&room, &piece, &out));
    ps_room_left_out(&room, "%d of %d", 1, 3);
    ck_assert_str_eq(ps_buf_cstr(&out), "0123456789");
    ck_assert_uint_eq(room.n_notes, 1);
    ck_assert_str_eq(room.notes[0], "1 of 3");
    ps_room_clear(&room);
    ps_buf_free(&piece);
    ps_buf_free(&out);
}
END_TEST

static const ps_check_case tests[] = {
    {&no_text_becomes_markup},
    {&numbers_are_those_of_printf},
    {&a_block_of_data_cannot_be_ended_by_what_is_in_it},
    {&colours_go_from_end_to_end_and_can_be_read},
    {&what_does_not_fit_is_left_out_and_said},
    {0},
};

int main(void)
{
    return ps_check_main("client/report/html", tests);
}
