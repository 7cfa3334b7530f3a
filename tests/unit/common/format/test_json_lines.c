/* json_lines: lines come out wherever the pieces are cut, blank ones are passed over, and what is
 * wrong with one names it; texts are found at keys of keys, and what is none is told. */
#include "common/base/mem.h"
#include "common/format/json_lines.h"
#include "tests/lib/check_main.h"
#include "tests/lib/data_file.h"

#include <stdio.h>
#include <string.h>

static ps_status text_at(const char *line, const char *key, const char *want)
{
    ps_buf out = PS_BUF_EMPTY;
    ps_buf_puts(&out, "what was there before");
    ps_status st = ps_json_text_at(ps_slice_str(line), key, &out);
    if (!st) {
        ck_assert_uint_eq(out.len, strlen(want));
        ck_assert_mem_eq(out.data, want, out.len);
    }
    ps_buf_free(&out);
    return st;
}

START_TEST(a_text_is_found_at_its_key)
{
    ck_ok(text_at("{\"text\":\"a\"}", "text", "a"));
    ck_ok(text_at(" {\"n\":[1,{\"text\":2}],\"text\":\"\",\"m\":{\"text\":3}}\r", "text", ""));
    ck_ok(text_at("{\"te\\u0078t\":\"gr\\u00fc\\u00df\\n\\ud83d\\ude00\"}", "text",
                  "gr\xc3\xbc\xc3\x9f\n\xf0\x9f\x98\x80"));
    ck_ok(text_at("{\"a\":{\"x\":\"no\",\"b\":{\"c\":\"yes\"}},\"c\":\"no\"}", "a.b.c", "yes"));
    ck_ok(text_at("{\"b\":\"no\",\"a\":{\"b\":\"yes\"}}", "a.b", "yes"));
}
END_TEST

static void refuses(const char *line, const char *key, const char *message)
{
    ck_assert_int_eq(text_at(line, key, NULL), PS_CORRUPT);
    ck_assert_msg(strstr(ps_error_message(), message), "%s", ps_error_message());
}

static void label_is(const char *line, const char *want, bool wants_number)
{
    ps_buf out = PS_BUF_EMPTY;
    bool number = !wants_number;
    ck_ok(ps_json_label_at(ps_slice_str(line), "l", &out, &number));
    ck_assert_str_eq(ps_buf_cstr(&out), want);
    ck_assert_int_eq(number, wants_number);
    ps_buf_free(&out);
}

static void no_label(const char *line, const char *message)
{
    ps_buf out = PS_BUF_EMPTY;
    bool number = false;
    ck_assert_int_eq(ps_json_label_at(ps_slice_str(line), "l", &out, &number), PS_CORRUPT);
    ck_assert_msg(strstr(ps_error_message(), message), "%s", ps_error_message());
    ps_buf_free(&out);
}

START_TEST(a_label_is_a_text_or_a_whole_number)
{
    label_is("{\"l\":\"noun\"}", "noun", false);
    label_is("{\"l\":\"3\"}", "3", false);
    label_is("{\"x\":7,\"l\":12}", "12", true);
    no_label("{\"l\":-1}", "key 'l' is a number, not a text, and no whole number from 0 on");
    no_label("{\"l\":1.5}", "no whole number from 0 on");
    no_label("{\"l\":true}", "no whole number from 0 on");
    no_label("{\"l\":[1]}", "key 'l' is a list");
    no_label("{\"l\":1,\"l\":2}", "key 'l' is there twice");
}
END_TEST

START_TEST(what_is_no_text_is_told)
{
    refuses("{\"texts\":\"a\"}", "text", "it has no key 'text'; it has texts");
    refuses("{\"a\":{\"c\":\"x\"},\"b\":\"y\"}", "a.b", "it has no key 'a.b'; it has a, b");
    refuses("{}", "a", "it has no key 'a'");
    refuses("{\"text\":null}", "text", "key 'text' is null, not a text");
    refuses("{\"text\":[\"a\"]}", "text", "key 'text' is a list, not a text");
    refuses("{\"text\":{\"a\":\"b\"}}", "text", "key 'text' is an object, not a text");
    refuses("{\"a\":1}", "a.b", "key 'a.b' is a number, not within an object");
    refuses("{\"a\":\"t\"}", "a.b", "key 'a.b' is a text, not within an object");
    refuses("{\"text\":\"a\",\"text\":\"b\"}", "text", "key 'text' is there twice");
    refuses("{\"a\":{\"b\":\"x\"},\"a\":{\"b\":\"y\"}}", "a.b", "key 'a.b' is there twice");
    refuses("[{\"text\":\"a\"}]", "text", "it is a list, not an object");
    refuses("\"text\"", "text", "it is no object");
    refuses("text", "text", "byte 1: not a value");
    refuses("{\"text\":\"a\"", "text", "byte 11");
    refuses("{\"text\":\"a\"}}", "text", "byte 12");
    refuses("{\"text\":\"a\",\"b\":01}", "text", "byte 18: not a number");
    refuses("{\"text\":\"\xff\"}", "text", "byte 9");
    refuses("{\"text\":\"\\ud83d\"}", "text", "byte 16: half of a surrogate pair");
}
END_TEST

static ps_json_lines *open_lines(char *path, ps_source **source)
{
    ck_ok(ps_source_open(path, source));
    return ps_json_lines_new(*source);
}

/* The lines that are no blanks, of a line of '-' each n bytes long for n = 0, 1, 2, ... */
START_TEST(lines_come_wherever_pieces_are_cut)
{
    enum { LINES = 700 };
    ps_buf bytes = PS_BUF_EMPTY;
    for (size_t n = 0; n < LINES; n++) {
        for (size_t i = 0; i < n; i++)
            ps_buf_putc(&bytes, '-');
        ps_buf_puts(&bytes, n % 2 ? "\n" : "\n \t\r\n");
    }
    ps_buf_puts(&bytes, "the last has no end");
    for (int gz = 0; gz < 2; gz++) {
        char *path = ps_test_file(ps_buf_slice(&bytes), gz);
        ps_source *source = NULL;
        ps_json_lines *lines = open_lines(path, &source);
        ps_slice line;
        for (size_t n = 1; n < LINES; n++) {
            ck_ok(ps_json_lines_next(lines, &line));
            ck_assert_uint_eq(line.len, n);
            ck_assert(line.data[0] == '-' && line.data[n - 1] == '-');
        }
        ck_ok(ps_json_lines_next(lines, &line));
        ck_assert_uint_eq(line.len, strlen("the last has no end"));
        ck_assert_int_eq(ps_json_lines_wrap(lines, ps_fail(PS_CORRUPT, "bad")), PS_CORRUPT);
        char want[200];
        (void)snprintf(want, sizeof want, "%s: line %d: bad", path, LINES + LINES / 2 + 1);
        ck_assert_str_eq(ps_error_message(), want);
        ck_assert_int_eq(ps_json_lines_next(lines, &line), PS_END);
        ck_assert_int_eq(ps_json_lines_next(lines, &line), PS_END);
        ps_json_lines_free(&lines);
        ps_source_close(&source);
        ps_test_file_drop(&path);
    }
    ps_buf_free(&bytes);
}
END_TEST

START_TEST(a_line_without_end_is_not_held)
{
    size_t len = (size_t)PS_JSON_LINES_MOST + (1 << 20);
    uint8_t *bytes = ps_alloc(len);
    memset(bytes, '-', len);
    bytes[0] = '\n';
    char *path = ps_test_file(ps_slice_of(bytes, len), false);
    ps_source *source = NULL;
    ps_json_lines *lines = open_lines(path, &source);
    ps_slice line;
    ck_assert_int_eq(ps_json_lines_next(lines, &line), PS_CORRUPT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), ": line 2: longer than 67108864 bytes"));
    ps_json_lines_free(&lines);
    ps_source_close(&source);
    ps_test_file_drop(&path);
    ps_free(&bytes);
}
END_TEST

static const ps_check_case tests[] = {
    {&a_text_is_found_at_its_key},     {&a_label_is_a_text_or_a_whole_number},
    {&what_is_no_text_is_told},        {&lines_come_wherever_pieces_are_cut},
    {&a_line_without_end_is_not_held}, {0},
};

int main(void)
{
    return ps_check_main("format/json_lines", tests);
}
