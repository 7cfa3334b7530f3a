/* generation: tokens that come in pieces, again, with holes, and at the end in the result. */
#include "client/follow/generation.h"

#include "tests/lib/check_main.h"

#include <string.h>

static ps_status add(ps_generation *g, uint64_t first, const char *tokens)
{
    uint32_t ids[32];
    Psd__V1__Output more = PSD__V1__OUTPUT__INIT;
    more.first = first;
    more.tokens = ids;
    for (; tokens[more.n_tokens]; more.n_tokens++)
        ids[more.n_tokens] = (uint8_t)tokens[more.n_tokens];
    return ps_generation_add(g, &more);
}

static void shows(ps_generation *g, const char *text)
{
    ck_assert_str_eq(ps_buf_cstr(&g->text), text);
    ps_buf_consume(&g->text, g->text.len);
}

START_TEST(text_comes_once_and_in_whole_characters)
{
    ps_tokenizer *bytes = ps_tokenizer_bytes();
    ps_generation g;
    ps_generation_end end;
    ps_generation_init(&g, bytes);
    ck_ok(add(&g, 0, "ab\xc3"));
    shows(&g, "ab");
    ck_ok(add(&g, 0, "ab\xc3\xa4")); /* again, and the rest of a character */
    shows(&g, "\xc3\xa4");
    ck_ok(add(&g, 9, "zz")); /* behind a hole, which the result fills */
    shows(&g, "");
    ck_assert_int_eq(add(&g, 1, "x"), PS_ABORTED);
    ck_ok(ps_generation_finish(&g,
                               "{\"tokens\":[97,98,195,164,99,195],\"prompt_tokens\":7,\"new\":[1],"
                               "\"ended\":\"stop\",\"load_seconds\":0.5,\"seconds\":2}",
                               &end));
    shows(&g, "c\xef\xbf\xbd"); /* the last character never came whole */
    ck_assert_uint_eq(g.ids.n, 6);
    ck_assert_uint_eq(end.prompt_tokens, 7);
    ck_assert_str_eq(end.ended, "stop");
    ck_assert_double_eq(end.load_seconds, 0.5);
    ck_assert_double_eq(end.seconds, 2);
    ck_assert_double_eq(end.generate_seconds, 0);
    ps_generation_free(&g);
    ps_tokenizer_free(&bytes);
}
END_TEST

START_TEST(a_result_that_is_none_is_refused)
{
    static const char *const bad[] = {"",
                                      "[]",
                                      "{\"tokens\":5}",
                                      "{\"tokens\":[\"a\"]}",
                                      "{\"tokens\":[-1]}",
                                      "{\"tokens\":[4294967296]}",
                                      "{\"tokens\":[1",
                                      "{\"ended\":3}",
                                      "{\"seconds\":\"long\"}"};
    ps_tokenizer *bytes = ps_tokenizer_bytes();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ps_generation g;
        ps_generation_end end;
        ps_generation_init(&g, bytes);
        ck_assert_msg(ps_generation_finish(&g, bad[i], &end) == PS_CORRUPT, "taken: %s", bad[i]);
        ps_generation_free(&g);
    }
    ps_tokenizer_free(&bytes);
}
END_TEST

static const ps_check_case cases[] = {
    {&text_comes_once_and_in_whole_characters},
    {&a_result_that_is_none_is_refused},
    {0},
};

int main(void)
{
    return ps_check_main("client/follow/generation", cases);
}
