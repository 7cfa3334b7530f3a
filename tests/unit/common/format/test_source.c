/* source: plain and gzip files come out whole; what is behind gzip data, damaged, cut, foreign or
 * changed meanwhile is named. gzip(1), and not the library under test, makes the members. */
#include "common/base/buf.h"
#include "common/base/foreign.h"
#include "common/base/mem.h"
#include "common/format/source.h"
#include "tests/lib/check_main.h"
#include "tests/lib/data_file.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What gzip makes of a text. */
static ps_buf member(const char *text)
{
    ps_buf out = PS_BUF_EMPTY;
    uint8_t bytes[4096];
    char *path = ps_test_file(ps_slice_str(text), true);
    FILE *f = fopen(path, "rb");
    ps_buf_append(&out, bytes, fread(bytes, 1, sizeof bytes, f));
    fclose(f);
    ps_test_file_drop(&path);
    return out;
}

/* All of a file, in parts of `part` bytes. */
static ps_status read_all(const char *path, size_t part, ps_buf *out)
{
    ps_source *s = NULL;
    uint8_t bytes[1 << 16];
    size_t got = 1;
    ps_buf_clear(out);
    ps_status st = ps_source_open(path, &s);
    while (!st && got) {
        st = ps_source_read(s, bytes, part, &got);
        if (!st)
            ps_buf_append(out, bytes, got);
    }
    if (s)
        ck_assert_uint_eq(ps_source_offset(s), out->len);
    ps_source_close(&s);
    return st;
}

static void gives(const ps_buf *file, const char *want)
{
    char *path = ps_test_file(ps_buf_slice(file), false);
    static const size_t parts[] = {1, 7, 1 << 16};
    ps_buf got = PS_BUF_EMPTY;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        ps_status st = read_all(path, parts[i], &got);
        ck_assert_msg(!st, "%s", ps_error_message());
        ck_assert_str_eq(ps_buf_cstr(&got), want);
    }
    ps_buf_free(&got);
    ps_test_file_drop(&path);
}

static void fails(const ps_buf *file, const char *message)
{
    char *path = ps_test_file(ps_buf_slice(file), false);
    ps_buf got = PS_BUF_EMPTY;
    ck_assert_int_eq(read_all(path, 1 << 16, &got), PS_CORRUPT);
    ck_assert_msg(strstr(ps_error_message(), message), "%s", ps_error_message());
    ck_assert_msg(!strncmp(ps_error_message(), path, strlen(path)), "%s", ps_error_message());
    ps_buf_free(&got);
    ps_test_file_drop(&path);
}

START_TEST(plain_files_and_members_come_out_whole)
{
    ps_buf file = PS_BUF_EMPTY, one = member("one "), two = member("two"), none = member("");
    gives(&file, "");
    ps_buf_puts(&file, "plain");
    gives(&file, "plain");
    ps_buf_clear(&file);
    ps_buf_append(&file, one.data, one.len);
    ps_buf_append(&file, none.data, none.len);
    ps_buf_append(&file, two.data, two.len);
    gives(&file, "one two");
    for (int i = 0; i < 600; i++)
        ps_buf_putc(&file, '\0'); /* as on tapes */
    gives(&file, "one two");
    ps_buf_free(&file);
    ps_buf_free(&one);
    ps_buf_free(&two);
    ps_buf_free(&none);
}
END_TEST

START_TEST(a_long_file_comes_out_whole)
{
    enum { N = 300000 };
    ps_buf text = PS_BUF_EMPTY, got = PS_BUF_EMPTY;
    for (unsigned i = 0; i < N; i++)
        ps_buf_printf(&text, "%u,", i * 2654435761u);
    for (int gz = 0; gz < 2; gz++) {
        char *path = ps_test_file(ps_buf_slice(&text), gz);
        ps_status st = read_all(path, 50000, &got);
        ck_assert_msg(!st, "%s", ps_error_message());
        ck_assert_uint_eq(got.len, text.len);
        ck_assert_mem_eq(got.data, text.data, text.len);
        ps_test_file_drop(&path);
    }
    ps_buf_free(&text);
    ps_buf_free(&got);
}
END_TEST

START_TEST(what_follows_a_member_is_looked_at)
{
    ps_buf file = member("500 rows"), second = member("1500 rows");
    size_t one = file.len;
    char *message = ps_asprintf("byte %zu of the file: what follows the gzip data is none", one);
    ps_buf_putc(&file, 0x1f);
    fails(&file, message);
    ps_buf_puts(&file, "plain text");
    fails(&file, message);
    ps_free(&message);
    file.len = one;
    ps_buf_append(&file, second.data, second.len);
    file.data[one + second.len - 10] ^= 0xff;
    fails(&file, "gzip data is damaged");
    file.data[one + second.len - 10] ^= 0xff;
    file.data[file.len - 5] ^= 1;
    fails(&file, "gzip data is damaged (incorrect data check)");
    file.data[file.len - 5] ^= 1;
    for (size_t cut = one + 2; cut < one + second.len; cut++) {
        file.len = cut;
        message = ps_asprintf("byte %zu of the file: gzip data is cut short", cut);
        fails(&file, message);
        ps_free(&message);
    }
    file.len = one;
    ps_buf_puts(&file, "\x1f\x8b\x09");
    fails(&file, "gzip data is cut short");
    ps_buf_puts(&file, "12345678");
    fails(&file, "gzip data is damaged (unknown compression method)");
    ps_buf_free(&file);
    ps_buf_free(&second);
}
END_TEST

START_TEST(a_file_may_change_while_it_is_read)
{
    ps_buf text = PS_BUF_EMPTY;
    for (int i = 0; i < 100000; i++)
        ps_buf_puts(&text, "1,2,0\n");
    char *path = ps_test_file(ps_buf_slice(&text), false);
    ps_source *s = NULL;
    ck_ok(ps_source_open(path, &s));
    ck_assert_int_eq(truncate(path, 5000), 0);
    uint8_t bytes[1 << 16];
    size_t got = 1;
    ps_status st = PS_OK;
    while (!st && got)
        st = ps_source_read(s, bytes, sizeof bytes, &got);
    ck_assert_int_eq(st, PS_CORRUPT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "was changed while it was read"));
    ps_source_close(&s);
    ps_test_file_drop(&path);
    ps_buf_free(&text);
}
END_TEST

static void is_foreign(const char *bytes, size_t len, const char *what)
{
    uint8_t file[600] = "";
    memcpy(file, bytes, len);
    for (int gz = 0; gz < 2; gz++) {
        ps_source *s = NULL;
        char *path = ps_test_file(ps_slice_of(file, len < 300 ? 300 : len), gz);
        ck_ok(ps_source_open(path, &s));
        ck_assert_int_eq(ps_source_check_foreign(s), PS_CORRUPT);
        char *message = ps_asprintf("%s is %s%s; ", path, what, gz ? ", compressed by gzip" : "");
        ck_assert_msg(strstr(ps_error_message(), message), "%s", ps_error_message());
        ps_free(&message);
        ps_source_close(&s);
        ps_test_file_drop(&path);
    }
}

START_TEST(foreign_files_are_named)
{
    is_foreign("\xfd"
               "7zXZ",
               6, "compressed by xz");
    is_foreign("\x28\xb5\x2f\xfd", 4, "compressed by zstd");
    is_foreign("BZh91AY&SY", 10, "compressed by bzip2");
    is_foreign("\x04\x22\x4d\x18", 4, "compressed by lz4");
    is_foreign("BZh9\x17rE8P\x90", 10, "compressed by bzip2"); /* of nothing */
    is_foreign("\x5d\0\0\x80\0", 5, "compressed by lzma");
    is_foreign("PK\3\4", 4, "a zip archive");
    char xlsx[50] = "PK\3\4";
    memcpy(xlsx + 30, "[Content_Types].xml", 19);
    is_foreign(xlsx, sizeof xlsx, "an office document");
    is_foreign("Rar!\x1a\7\1\0", 8, "a rar archive");
    is_foreign("%PDF-1.7", 8, "a PDF document");
    is_foreign("\xff\xfe"
               "a",
               4, "text in UTF-16");
    is_foreign("\xfe\xff\0a", 4, "text in UTF-16");
    is_foreign("\xff\xfe\0\0", 4, "text in UTF-32");
    is_foreign("\0\0\xfe\xff", 4, "text in UTF-32");
    char tar[512] = "a/b";
    memcpy(tar + 257, "ustar", 5);
    is_foreign(tar, sizeof tar, "a tar archive");
    is_foreign("\x93NUMPY\1\0v\0{'descr'", 18, "an array of NumPy");
    is_foreign("PAR1\x15\4", 6, "a Parquet file");
    is_foreign("\x89HDF\r\n\x1a\n", 8, "an HDF5 file");
    is_foreign("SQLite format 3", 16, "a database of SQLite");
    is_foreign("\x89PNG\r\n\x1a\n", 8, "a picture (PNG)");
    is_foreign("GGUF\3\0\0", 8, "a model (GGUF)");
    is_foreign("PSDTOKEN\1\0\0", 12, "a token file");
    is_foreign("PSDTOKEN\2\0\0", 12, "a token file");
    is_foreign("version https://git-lfs.github.com/spec/v1", 43,
               "a pointer of Git LFS, not the file");
    /* and these are none */
    static const char *const texts[] = {"",       "1",         "BZh was here", "PK",
                                        "ustar",  "1,2\n",     "\xef\xbb\xbf", "PAR1,PAR2,y\n",
                                        "GGUF\n", "GIF, JPEG", "version 3\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        ck_assert_ptr_null(ps_foreign_find(ps_slice_str(texts[i])));
    /* compressed twice */
    ps_buf once = member("text");
    char *path = ps_test_file(ps_buf_slice(&once), true);
    ps_source *s = NULL;
    ck_ok(ps_source_open(path, &s));
    ck_assert_int_eq(ps_source_check_foreign(s), PS_CORRUPT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "is compressed by gzip, compressed by gzip"));
    ps_source_close(&s);
    ps_test_file_drop(&path);
    ps_buf_free(&once);
}
END_TEST

static const ps_check_case tests[] = {
    {&plain_files_and_members_come_out_whole},
    {&a_long_file_comes_out_whole},
    {&what_follows_a_member_is_looked_at},
    {&a_file_may_change_while_it_is_read},
    {&foreign_files_are_named},
    {0},
};

int main(void)
{
    return ps_check_main("format/source", tests);
}
