/* json: tokens of good text, the byte of bad text, and that what is written reads back. */
#include "common/base/mem.h"
#include "common/base/utf8.h"
#include "common/json/json.h"
#include "tests/lib/check_main.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* All tokens as one line: { k:a 1 [ s:x t f n ] } . */
static ps_status tokens(ps_slice text, ps_buf *out)
{
    static const char *const marks[] = {
        [PS_JSON_END] = ".",     [PS_JSON_OBJECT] = "{",    [PS_JSON_OBJECT_END] = "}",
        [PS_JSON_ARRAY] = "[",   [PS_JSON_ARRAY_END] = "]", [PS_JSON_KEY] = "k:",
        [PS_JSON_STRING] = "s:", [PS_JSON_NUMBER] = "#",    [PS_JSON_TRUE] = "t",
        [PS_JSON_FALSE] = "f",   [PS_JSON_NULL] = "n",
    };
    ps_json_reader r;
    ps_json_token token = {.kind = PS_JSON_NULL};
    ps_json_reader_init(&r, text);
    ps_status st = PS_OK;
    do {
        st = ps_json_next(&r, &token);
        if (st)
            break;
        ps_buf_puts(out, marks[token.kind]);
        ps_buf_append(out, token.text.data, token.text.len);
        ps_buf_putc(out, ' ');
    } while (token.kind != PS_JSON_END);
    ps_json_reader_free(&r);
    return st;
}

static void reads(const char *text, const char *expected)
{
    ps_buf out = PS_BUF_EMPTY;
    ps_status st = tokens(ps_slice_str(text), &out);
    ck_assert_msg(st == PS_OK, "%s: %s", text, ps_error_message());
    ck_assert_str_eq(ps_buf_cstr(&out), expected);
    ps_buf_free(&out);
}

static void refuses(const char *text, const char *message)
{
    ps_buf out = PS_BUF_EMPTY;
    ck_assert_msg(tokens(ps_slice_str(text), &out) == PS_CORRUPT, "%s", text);
    ck_assert_str_eq(ps_error_message(), message);
    ps_buf_free(&out);
}

START_TEST(values_of_every_kind_are_read)
{
    reads(" {\"a\" : 1, \"b\":[true,false , null,-0.5e+3,\"x\"],\"c\":{}, \"d\":[]}\n",
          "{ k:a #1 k:b [ t f n #-0.5e+3 s:x ] k:c { } k:d [ ] } . ");
    reads("3", "#3 . ");
    reads("\"\"", "s: . ");
    reads("[[],[[]],{}]", "[ [ ] [ [ ] ] { } ] . ");
}
END_TEST

START_TEST(escapes_become_utf8)
{
    reads("\"\\\"\\\\\\/\\n\\t\\u0041\\u00fc\\u20ac\\ud83d\\ude00\"",
          "s:\"\\/\n\tA\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80 . ");
    reads("\"\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80\"", "s:\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80 . ");
}
END_TEST

START_TEST(bad_text_is_refused_at_its_byte)
{
    static const struct {
        const char *text, *message;
    } bad[] = {
        {"", "byte 0: a value is expected, and it ends here"},
        {"{", "byte 1: expected a key in quotes"},
        {"[1,]", "byte 3: a value is expected, not ']'"},
        {"{\"a\":1,}", "byte 7: expected a key in quotes"},
        {"[1 2]", "byte 3: expected ',' or ']'"},
        {"{\"a\" 1}", "byte 5: expected ':' after a key"},
        {"{1:2}", "byte 1: expected a key in quotes"},
        {"{\"a\":}", "byte 5: a value is expected, not '}'"},
        {"[1}", "byte 2: expected ',' or ']'"},
        {"1 2", "byte 2: something follows the value"},
        {"[]]", "byte 2: something follows the value"},
        {"01", "byte 2: not a number"},
        {"-", "byte 1: not a number"},
        {"1.", "byte 2: a number without digits after its point"},
        {"1e", "byte 2: a number without digits in its exponent"},
        {"+1", "byte 0: a value is expected, not '+'"},
        {"NaN", "byte 0: a value is expected, not 'N'"},
        {"\x1f\x8b", "byte 0: a value is expected, not byte 0x1f"},
        {"// a\n{}", "byte 0: a value is expected, not '/'"},
        {"nul", "byte 3: not a value"},
        {"truth", "byte 3: not a value"},
        {"\"abc", "byte 4: a string does not end"},
        {"\"a\nb\"", "byte 2: a control character in a string"},
        {"\"\\x\"", "byte 3: unknown escape"},
        {"\"\\u12g4\"", "byte 6: \\u wants four hexadecimal digits"},
        {"\"\\ud800\"", "byte 8: half of a surrogate pair"},
        {"\"\\ud800\\u0041\"", "byte 13: half of a surrogate pair"},
        {"\"\\udc00\"", "byte 7: half of a surrogate pair"},
        {"\"\xff\"", "byte 1: not UTF-8"},
        {"\"\xc0\xaf\"", "byte 1: not UTF-8"},
        {"\"\xed\xa0\x80\"", "byte 1: not UTF-8"},
        {"\"\xf4\x90\x80\x80\"", "byte 1: not UTF-8"},
        {"\"\xe2\x82\"", "byte 1: not UTF-8"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refuses(bad[i].text, bad[i].message);
}
END_TEST

START_TEST(every_cut_of_a_good_text_is_refused)
{
    static const char text[] = "{\"a\":[1.5e3,true,\"\\u00fcx\"],\"b\":{\"c\":null}}";
    for (size_t n = 0; n + 1 < sizeof text - 1; n++) {
        ps_buf out = PS_BUF_EMPTY;
        ck_assert_int_eq(tokens(ps_slice_of(text, n), &out), PS_CORRUPT);
        ps_buf_free(&out);
    }
}
END_TEST

START_TEST(a_zero_byte_is_not_the_end)
{
    ps_buf out = PS_BUF_EMPTY;
    ck_assert_int_eq(tokens(ps_slice_of("[1]\0", 4), &out), PS_CORRUPT);
    ck_assert_int_eq(tokens(ps_slice_of("tru\0", 4), &out), PS_CORRUPT);
    ps_buf_free(&out);
}
END_TEST

START_TEST(depth_is_bounded)
{
    char text[80];
    memset(text, '[', sizeof text);
    memset(text + PS_JSON_MAX_DEPTH, ']', PS_JSON_MAX_DEPTH);
    ps_buf out = PS_BUF_EMPTY;
    ck_ok(tokens(ps_slice_of(text, 2 * PS_JSON_MAX_DEPTH), &out));
    memset(text, '[', sizeof text);
    ck_assert_int_eq(tokens(ps_slice_of(text, sizeof text), &out), PS_CORRUPT);
    ck_assert_str_eq(ps_error_message(), "byte 33: nested too deeply");
    ps_buf_free(&out);
}
END_TEST

START_TEST(integers_are_exact_up_to_u64)
{
    ps_json_reader r;
    ps_json_token token;
    ps_json_reader_init(&r, ps_slice_str("[18446744073709551615, 18446744073709551616, -1, 1.0]"));
    ck_ok(ps_json_expect(&r, PS_JSON_ARRAY, &token));
    ck_ok(ps_json_expect(&r, PS_JSON_NUMBER, &token));
    ck_assert(token.is_u64);
    ck_assert_uint_eq(token.u64, UINT64_MAX);
    for (int i = 0; i < 3; i++) {
        ck_ok(ps_json_expect(&r, PS_JSON_NUMBER, &token));
        ck_assert(!token.is_u64);
    }
    ck_assert_int_eq(ps_json_expect(&r, PS_JSON_STRING, &token), PS_CORRUPT);
    ck_assert_str_eq(ps_error_message(), "byte 53: expected a string, got ']'");
    ps_json_reader_free(&r);
}
END_TEST

START_TEST(a_value_can_be_skipped)
{
    ps_json_reader r;
    ps_json_token token;
    ps_json_reader_init(&r, ps_slice_str("{\"a\":{\"b\":[1,{\"c\":2}]},\"d\":5}"));
    ck_ok(ps_json_expect(&r, PS_JSON_OBJECT, &token));
    ck_ok(ps_json_expect(&r, PS_JSON_KEY, &token));
    ck_ok(ps_json_skip(&r));
    ck_ok(ps_json_expect(&r, PS_JSON_KEY, &token));
    ck_assert_str_eq((const char *)token.text.data, "d");
    ps_json_reader_free(&r);
}
END_TEST

static ps_status sum_members(const char *text, unsigned *keys, double *sum)
{
    ps_json_reader r;
    ps_json_token token;
    ps_json_reader_init(&r, ps_slice_str(text));
    ps_status st = ps_json_expect(&r, PS_JSON_OBJECT, &token);
    for (*keys = 0, *sum = 0; ps_json_member(&r, &token, &st); ++*keys) {
        st = ps_json_expect(&r, PS_JSON_NUMBER, &token);
        *sum += st ? 0 : token.number;
    }
    if (!st)
        st = ps_json_expect(&r, PS_JSON_END, &token);
    ps_json_reader_free(&r);
    return st;
}

START_TEST(members_come_until_the_object_ends_or_something_fails)
{
    unsigned keys;
    double sum;
    ck_ok(sum_members("{\"a\": 1, \"b\": 2, \"c\": 4}", &keys, &sum));
    ck_assert_uint_eq(keys, 3);
    ck_assert_double_eq(sum, 7);
    ck_ok(sum_members("{}", &keys, &sum));
    ck_assert_uint_eq(keys, 0);
    ck_assert_int_eq(sum_members("[1]", &keys, &sum), PS_CORRUPT); /* and nothing more is read */
    ck_assert_str_eq(ps_error_message(), "byte 1: expected an object, got an array");
    ck_assert_int_eq(sum_members("{\"a\": 1, \"b\": true, \"c\": 4}", &keys, &sum), PS_CORRUPT);
    ck_assert_uint_eq(keys, 2); /* the value of the second was none */
    ck_assert_double_eq(sum, 1);
    ck_assert_int_eq(sum_members("{\"a\": 1 \"b\"", &keys, &sum), PS_CORRUPT);
    ck_assert_uint_eq(keys, 1);
}
END_TEST

START_TEST(what_is_written_reads_back)
{
    ps_buf out = PS_BUF_EMPTY;
    ps_json_writer w = ps_json_writer_to(&out);
    ps_json_object(&w);
    ps_json_put_string(&w, "s", "a\"\\\n\x01\xc3\xbc\xff");
    ps_json_put_int(&w, "i", INT64_MIN);
    ps_json_put_uint(&w, "u", UINT64_MAX);
    ps_json_put_double(&w, "d", 0.1);
    ps_json_put_bool(&w, "t", true);
    ps_json_key(&w, "l");
    ps_json_array(&w);
    ps_json_float(&w, 0.1f);
    ps_json_double(&w, NAN);
    ps_json_null(&w);
    ps_json_string(&w, NULL);
    ps_json_object(&w);
    ps_json_object_end(&w);
    ps_json_array_end(&w);
    ps_json_object_end(&w);
    ck_assert_str_eq(ps_buf_cstr(&out),
                     "{\"s\":\"a\\\"\\\\\\n\\u0001\xc3\xbc\xef\xbf\xbd\","
                     "\"i\":-9223372036854775808,\"u\":18446744073709551615,\"d\":0.1,\"t\":true,"
                     "\"l\":[0.1,null,null,null,{}]}");
    ps_buf again = PS_BUF_EMPTY;
    ck_ok(tokens(ps_buf_slice(&out), &again));
    ps_buf_free(&again);
    ps_buf_free(&out);
}
END_TEST

START_TEST(doubles_and_floats_survive)
{
    static const double values[] = {
        1.0 / 3, 1e308, 5e-324, -0.1, 123456789012345680.0, 0.30000000000000004};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        ps_buf out = PS_BUF_EMPTY;
        ps_json_writer w = ps_json_writer_to(&out);
        ps_json_double(&w, values[i]);
        ck_assert(strtod(ps_buf_cstr(&out), NULL) == values[i]);
        ps_buf_clear(&out);
        w = ps_json_writer_to(&out);
        ps_json_float(&w, (float)(values[i] / 1e300));
        ck_assert(strtof(ps_buf_cstr(&out), NULL) == (float)(values[i] / 1e300));
        ps_buf_free(&out);
    }
}
END_TEST

static bool is_encoded_and_recognised(uint32_t cp)
{
    uint8_t bytes[4];
    size_t n = ps_utf8_encode(cp, bytes);
    bool surrogate = cp >= 0xd800 && cp < 0xe000;
    return ps_utf8_length(ps_slice_of(bytes, n)) == (surrogate ? 0 : n) &&
           (n == 1 || ps_utf8_length(ps_slice_of(bytes, n - 1)) == 0);
}

START_TEST(every_code_point_is_encoded_and_recognised)
{
    uint32_t cp = 0;
    while (cp < 0x110000 && is_encoded_and_recognised(cp)) /* an assertion each takes seconds */
        cp++;
    ck_assert_msg(cp == 0x110000, "U+%04X", cp);
}
END_TEST

START_TEST(a_value_is_embedded_as_it_is)
{
    ps_buf out = PS_BUF_EMPTY;
    ps_json_writer w = ps_json_writer_to(&out);
    ps_json_object(&w);
    ps_json_key(&w, "a");
    ps_json_embed(&w, " {\"loss\": 0.25, \"n\": [1, null, true, \"x\\n\"]} ");
    ps_json_key(&w, "b");
    ps_json_embed(&w, "");
    ps_json_key(&w, "c");
    ps_json_embed(&w, "{\"broken\": ");
    ps_json_key(&w, "d");
    ps_json_embed(&w, "{} trailing");
    ps_json_object_end(&w);
    ck_assert_str_eq(ps_buf_cstr(&out),
                     "{\"a\":{\"loss\":0.25,\"n\":[1,null,true,\"x\\n\"]},\"b\":null,"
                     "\"c\":\"{\\\"broken\\\": \",\"d\":\"{} trailing\"}");
    ps_buf_free(&out);
}
END_TEST

START_TEST(what_is_too_deep_to_embed_goes_in_as_text)
{
    ps_buf out = PS_BUF_EMPTY;
    char deep[PS_JSON_MAX_DEPTH * 2 + 1] = "";
    for (int i = 0; i < PS_JSON_MAX_DEPTH; i++)
        deep[i] = '[', deep[PS_JSON_MAX_DEPTH + i] = ']';
    ps_json_writer w = ps_json_writer_to(&out);
    ps_json_array(&w);
    ps_json_embed(&w, deep);
    ps_json_array_end(&w);
    ck_assert_int_eq(ps_buf_cstr(&out)[1], '"');
    ps_buf_free(&out);
}
END_TEST

START_TEST(values_are_handed_out_as_bytes)
{
    static const char *const wanted[] = {"{\"x\": [1,\n2]}", "\"a]\"", "-1.5e3", "[]", "null"};
    ps_json_reader r;
    ps_json_token t;
    ps_slice bytes;
    size_t n = 0;
    ps_json_reader_init(
        &r, ps_slice_str("{\"k\": [ {\"x\": [1,\n2]} ,\"a]\", -1.5e3,[], null ], \"l\" : 7}"));
    ck_ok(ps_json_expect(&r, PS_JSON_OBJECT, &t));
    ck_ok(ps_json_expect(&r, PS_JSON_KEY, &t));
    ck_ok(ps_json_expect(&r, PS_JSON_ARRAY, &t));
    ps_status st = PS_OK;
    for (; ps_json_element(&r, &bytes, &st); n++) {
        ck_assert_uint_lt(n, 5);
        ck_assert_uint_eq(bytes.len, strlen(wanted[n]));
        ck_assert(memcmp(bytes.data, wanted[n], bytes.len) == 0);
    }
    ck_ok(st);
    ck_assert_uint_eq(n, 5);
    ck_ok(ps_json_expect(&r, PS_JSON_KEY, &t));
    ck_ok(ps_json_value(&r, &bytes));
    ck_assert(bytes.len == 1 && *bytes.data == '7');
    ck_ok(ps_json_expect(&r, PS_JSON_OBJECT_END, &t));
    ps_json_reader_free(&r);

    ps_json_reader_init(&r, ps_slice_str("[[1,]]"));
    ck_ok(ps_json_expect(&r, PS_JSON_ARRAY, &t));
    ck_assert(!ps_json_element(&r, &bytes, &st));
    ck_assert_int_eq(st, PS_CORRUPT);
    ps_json_reader_free(&r);
}
END_TEST

static const ps_check_case tests[] = {
    {&values_of_every_kind_are_read},
    {&escapes_become_utf8},
    {&bad_text_is_refused_at_its_byte},
    {&every_cut_of_a_good_text_is_refused},
    {&a_zero_byte_is_not_the_end},
    {&depth_is_bounded},
    {&integers_are_exact_up_to_u64},
    {&a_value_can_be_skipped},
    {&values_are_handed_out_as_bytes},
    {&a_value_is_embedded_as_it_is},
    {&what_is_too_deep_to_embed_goes_in_as_text},
    {&members_come_until_the_object_ends_or_something_fails},
    {&what_is_written_reads_back},
    {&doubles_and_floats_survive},
    {&every_code_point_is_encoded_and_recognised},
    {0},
};

int main(void)
{
    return ps_check_main("format/json", tests);
}
