/* csv_text and csv_number against Python's csv module and float() (tests/golden/csv), and what only
 * psd says: lines, limits, and a record that is larger than what is read at a time. */
#include "common/base/disk.h"
#include "common/base/mem.h"
#include "common/json/json.h"
#include "tests/lib/check_main.h"
#include "tests/lib/data_file.h"
#include "worker/data/csv_number.h"
#include "worker/data/csv_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the golden files ---- */

static void open_golden(const char *name, ps_buf *bytes, ps_json_reader *r)
{
    char *path = ps_asprintf("%s/tests/golden/csv/%s", getenv("PSD_SOURCE_ROOT"), name);
    ps_json_token token;
    ck_ok(ps_disk_read_file(&ps_disk_system, path, 1 << 20, bytes));
    ps_json_reader_init(r, ps_buf_slice(bytes));
    ck_ok(ps_json_expect(r, PS_JSON_ARRAY, &token));
    ps_free(&path);
}

static ps_json_token next(ps_json_reader *r)
{
    ps_json_token token;
    ps_status st = ps_json_next(r, &token);
    ck_assert_msg(!st, "%s", ps_error_message());
    return token;
}

static char *member(ps_json_reader *r)
{
    (void)next(r); /* the key */
    ps_json_token token = next(r);
    return ps_strdup((const char *)token.text.data);
}

static void is_field(const ps_csv_field *field, ps_slice want, const char *text)
{
    ck_assert_msg(field->len == want.len && !memcmp(field->text, want.data, want.len),
                  "%s: a field is '%s', expected '%s'", text, field->text, (const char *)want.data);
    ck_assert_int_eq(field->text[field->len], '\0');
}

/* The records that follow in the golden file. */
static void compare(ps_json_reader *r, ps_csv_text *t, const char *text)
{
    ps_csv_record record;
    ps_json_token token = next(r);
    if (token.kind == PS_JSON_NULL) {
        ps_status st = PS_OK;
        while (!st)
            st = ps_csv_text_next(t, &record);
        ck_assert_msg(st == PS_CORRUPT, "%s is taken", text);
        return;
    }
    while (next(r).kind == PS_JSON_ARRAY) {
        ps_status st = ps_csv_text_next(t, &record);
        ck_assert_msg(!st, "%s: %s", text, ps_error_message());
        size_t n = 0;
        for (; (token = next(r)).kind == PS_JSON_STRING; n++) {
            ck_assert_msg(n < record.n, "%s: too few fields", text);
            is_field(&record.fields[n], token.text, text);
        }
        ck_assert_msg(n == record.n, "%s: %zu fields, not %zu", text, record.n, n);
    }
    ck_assert_msg(ps_csv_text_next(t, &record) == PS_END, "%s: more than is there", text);
}

START_TEST(texts_are_read_as_python_reads_them)
{
    ps_buf bytes = PS_BUF_EMPTY;
    ps_json_reader r;
    size_t n = 0;
    open_golden("texts.json", &bytes, &r);
    for (; next(&r).kind == PS_JSON_OBJECT; n++) {
        char *delimiter = member(&r), *text = member(&r);
        char *path = ps_test_file(ps_slice_str(text), false);
        ps_csv_text *t = NULL;
        ck_ok(ps_csv_text_open(path, *delimiter, &t));
        (void)next(&r); /* "rows" */
        compare(&r, t, text);
        ck_assert_int_eq(next(&r).kind, PS_JSON_OBJECT_END);
        ps_csv_text_close(&t);
        ps_test_file_drop(&path);
        ps_free(&delimiter);
        ps_free(&text);
    }
    ck_assert_uint_gt(n, 600);
    ps_json_reader_free(&r);
    ps_buf_free(&bytes);
}
END_TEST

START_TEST(numbers_are_the_nearest_doubles)
{
    ps_buf bytes = PS_BUF_EMPTY;
    ps_json_reader r;
    size_t n = 0;
    open_golden("numbers.json", &bytes, &r);
    for (; next(&r).kind == PS_JSON_ARRAY; n++) {
        ps_json_token token = next(&r);
        char *text = ps_strdup((const char *)token.text.data);
        double v = -1;
        uint64_t bits;
        bool is = ps_csv_number(text, &v);
        memcpy(&bits, &v, sizeof bits);
        token = next(&r);
        ck_assert_msg(is == (token.kind == PS_JSON_NUMBER), "'%s'", text);
        ck_assert_msg(!is || bits == token.u64, "%s is %a", text, v);
        ck_assert(is || v == -1);
        ck_assert_int_eq(next(&r).kind, PS_JSON_ARRAY_END);
        ps_free(&text);
    }
    ck_assert_uint_gt(n, 500);
    ps_json_reader_free(&r);
    ps_buf_free(&bytes);
}
END_TEST

/* ---- lines and limits ---- */

static void fails(const char *text, const char *message)
{
    char *path = ps_test_file(ps_slice_str(text), false);
    ps_csv_text *t = NULL;
    ps_csv_record record;
    ck_ok(ps_csv_text_open(path, ',', &t));
    ps_status st = PS_OK;
    while (!st)
        st = ps_csv_text_next(t, &record);
    ck_assert_int_eq(st, PS_CORRUPT);
    ck_assert_msg(strstr(ps_error_message(), message), "%s", ps_error_message());
    ps_csv_text_close(&t);
    ps_test_file_drop(&path);
}

START_TEST(lines_are_counted_as_they_end)
{
    static const size_t lines[] = {1, 4, 5, 7, 8};
    char *path = ps_test_file(ps_slice_str("\xef\xbb\xbf"
                                           "1\r\n\n\r2\r3,\"a\nb\"\n\"\r\n\"\n"),
                              false);
    ps_csv_text *t = NULL;
    ps_csv_record record;
    ck_ok(ps_csv_text_open(path, ',', &t));
    for (size_t i = 0; i < 4; i++) {
        ck_ok(ps_csv_text_next(t, &record));
        ck_assert_uint_eq(record.line, lines[i]);
    }
    ck_assert_int_eq(ps_csv_text_next(t, &record), PS_END);
    ck_assert_int_eq(ps_csv_text_next(t, &record), PS_END);
    ps_csv_text_close(&t);
    ps_test_file_drop(&path);
    fails("1\n2,\"3\" 4\n", ":2: column 1: text behind the closing quote");
    fails("1\n2,\"\n\n\n", ":2: a quote is opened here and never closed");
    fails("1,\xff\n\"\" \t\t \"\"", ":2: column 0: text behind the closing quote");
}
END_TEST

START_TEST(a_record_may_be_larger_than_what_is_read_at_a_time)
{
    enum { LEN = 3 << 20 };
    ps_buf text = PS_BUF_EMPTY;
    ps_buf_puts(&text, "1,\"");
    for (size_t i = 0; i < LEN; i++)
        ps_buf_puts(&text, i % 7 ? "x" : "\"\"");
    ps_buf_puts(&text, "\" ,3\n4,5,6");
    for (int gz = 0; gz < 2; gz++) {
        char *path = ps_test_file(ps_buf_slice(&text), gz);
        ps_csv_text *t = NULL;
        ps_csv_record record;
        ck_ok(ps_csv_text_open(path, ',', &t));
        ck_ok(ps_csv_text_next(t, &record));
        ck_assert_uint_eq(record.n, 3);
        ck_assert_uint_eq(record.fields[1].len, LEN);
        ck_assert_int_eq(record.fields[1].text[0], '"');
        ck_assert_int_eq(record.fields[1].text[LEN - 1], 'x');
        ck_assert_str_eq(record.fields[2].text, "3");
        ck_ok(ps_csv_text_next(t, &record));
        ck_assert_str_eq(record.fields[2].text, "6");
        ps_csv_text_close(&t);
        ps_test_file_drop(&path);
    }
    ps_buf_free(&text);
    size_t len = PS_CSV_MAX_RECORD + (1u << 18);
    char *endless = ps_alloc(len + 1);
    memset(endless, 'x', len);
    fails(endless, ":1: a line of more than 16777216 bytes");
    endless[0] = '"';
    fails(endless, ":1: a line of more than 16777216 bytes; is a quote never closed?");
    ps_free(&endless);
}
END_TEST

static const ps_check_case tests[] = {
    {&texts_are_read_as_python_reads_them},
    {&numbers_are_the_nearest_doubles},
    {&lines_are_counted_as_they_end},
    {&a_record_may_be_larger_than_what_is_read_at_a_time},
    {0},
};

int main(void)
{
    return ps_check_main("data/csv_text", tests);
}
