/* text_look: what is no UTF-8 is found wherever a piece ends; the cases are those of RFC 3629,
 * section 3, and of the encodings that texts come in. */
#include "common/format/text_look.h"
#include "tests/lib/check_main.h"

#include <string.h>

/* Of the text, in pieces of every length. */
static void looks(const char *text, size_t len, bool foreign, uint64_t at, uint64_t zeros)
{
    for (size_t piece = 1; piece <= len; piece++) {
        ps_text_look look = {0};
        for (size_t i = 0; i < len; i += piece)
            ps_text_look_feed(&look, ps_slice_of(text + i, len - i < piece ? len - i : piece));
        ps_text_look_end(&look);
        ck_assert_int_eq(look.foreign, foreign);
        ck_assert_uint_eq(look.at, at);
        ck_assert_uint_eq(look.zeros, zeros);
    }
}

#define LOOKS(text, ...) looks((text), sizeof(text) - 1, __VA_ARGS__)

START_TEST(text_in_utf8_has_nothing_that_is_none)
{
    LOOKS("plain text of more than sixteen bytes", false, 37, 0);
    LOOKS("\xef\xbb\xbfgr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80!", false, 19, 0);
    LOOKS("a\0b\0\0", false, 5, 3);
}
END_TEST

START_TEST(the_first_byte_that_is_none_is_found)
{
    LOOKS("gr\xfc\xdf dich", true, 2, 0);                  /* ISO 8859-1 */
    LOOKS("0123456789abcdef \x93quoted\x94", true, 17, 0); /* Windows-1252 */
    LOOKS("\xe2\x82", true, 0, 0);                         /* cut */
    LOOKS("ab\xe2\x82x", true, 2, 0);
    LOOKS("\xc0\xaf", true, 0, 0);      /* not the shortest form */
    LOOKS("x\xed\xa0\x80", true, 1, 0); /* a surrogate */
    LOOKS("\x80\0\0", true, 0, 2);
}
END_TEST

static const ps_check_case cases[] = {
    {&text_in_utf8_has_nothing_that_is_none},
    {&the_first_byte_that_is_none_is_found},
    {0},
};

int main(void)
{
    return ps_check_main("format/text_look", cases);
}
