/* token_file: what is written is read back; the bytes are those of the documented format; damaged
 * files are refused; whatever fails leaves no file. */
#include "common/base/disk.h"
#include "common/base/mem.h"
#include "common/format/token_file.h"
#include "tests/lib/check_main.h"
#include "tests/lib/data_file.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/psd-token-file-XXXXXX";
static char *path;

static void set_up(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    path = ps_asprintf("%s/out.tok", folder);
}

static size_t files_in_folder(void)
{
    size_t n = 0;
    DIR *d = opendir(folder);
    for (const struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    (void)closedir(d);
    return n;
}

static void tear_down(void)
{
    (void)unlink(path);
    ck_assert_uint_eq(files_in_folder(), 0);
    (void)rmdir(folder);
    ps_free(&path);
    memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
}

static void write_tokens(uint32_t vocab_size, const uint32_t *tokens, size_t n, bool force)
{
    ps_token_file_info about = {
        .vocab_size = vocab_size, .tokenizer_hash = 0x1122334455667788, .tokenizer = "gpt2"};
    ps_token_writer *w = NULL;
    ck_ok(ps_token_writer_new(path, force, &about, &w));
    ck_ok(ps_token_writer_add(w, tokens, n / 2));
    ck_ok(ps_token_writer_add(w, tokens + n / 2, n - n / 2));
    ck_assert_uint_eq(ps_token_writer_count(w), n);
    ck_ok(ps_token_writer_finish(&w));
    ck_assert_ptr_null(w);
}

START_TEST(the_bytes_are_those_of_the_format)
{
    static const uint8_t want[] = "PSDTOKEN"
                                  "\1\0\0\0"
                                  "\2\0\0\0"
                                  "\3\0\0\0\0\0\0\0"
                                  "\0\0\1\0"
                                  "\0\0\0\0"
                                  "\x88\x77\x66\x55\x44\x33\x22\x11"
                                  "gpt2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                                  "\1\0"
                                  "\xff\xff"
                                  "\x34\x12";
    set_up();
    write_tokens(65536, (uint32_t[]){1, 65535, 0x1234}, 3, false);
    ps_buf got = PS_BUF_EMPTY;
    ck_ok(ps_disk_read_file(&ps_disk_system, path, 1000, &got));
    ck_assert_uint_eq(got.len, sizeof want - 1);
    ck_assert_mem_eq(got.data, want, got.len);
    ps_buf_free(&got);
    tear_down();
}
END_TEST

START_TEST(marks_stand_above_the_tokens)
{
    static const uint8_t want[] = "PSDTOKEN"
                                  "\2\0\0\0"
                                  "\4\0\0\0"
                                  "\4\0\0\0\0\0\0\0"
                                  "\0\1\0\0"
                                  "\0\0\0\xc0"
                                  "\0\0\0\0\0\0\0\0"
                                  "bytes\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                                  "\1\0\0\xc0"
                                  "\2\0\0\x80"
                                  "\3\0\0\0"
                                  "\xff\0\0\x40";
    static const uint32_t tokens[] = {1, 2, 3, 255};
    set_up();
    ps_token_file_info about = {
        .vocab_size = 256, .tokenizer = "bytes", .marks = PS_TOKEN_GIVEN | PS_TOKEN_BEGINS};
    ps_token_writer *w = NULL;
    ck_ok(ps_token_writer_new(path, false, &about, &w));
    ps_token_writer_begin(w);
    ps_token_writer_give(w, true);
    ck_ok(ps_token_writer_add(w, tokens, 2));
    ps_token_writer_give(w, false);
    ck_ok(ps_token_writer_add(w, tokens + 2, 1));
    ps_token_writer_begin(w);
    ck_ok(ps_token_writer_add(w, tokens + 3, 1));
    ck_ok(ps_token_writer_finish(&w));
    ps_buf got = PS_BUF_EMPTY;
    ck_ok(ps_disk_read_file(&ps_disk_system, path, 1000, &got));
    ck_assert_uint_eq(got.len, sizeof want - 1);
    ck_assert_mem_eq(got.data, want, got.len);
    ps_buf_free(&got);
    ps_token_file *f = NULL;
    int32_t ids[4];
    uint32_t marks[4];
    ck_ok(ps_token_file_open(path, &f));
    ck_ok(ps_token_file_copy(f, 0, 4, ids, marks));
    static const uint32_t want_marks[] = {PS_TOKEN_GIVEN | PS_TOKEN_BEGINS, PS_TOKEN_GIVEN, 0,
                                          PS_TOKEN_BEGINS};
    ck_assert_mem_eq(ids, tokens, sizeof ids);
    ck_assert_mem_eq(marks, want_marks, sizeof marks);
    ps_token_file_close(&f);
    tear_down();
}
END_TEST

START_TEST(tokens_come_back)
{
    enum { N = 50000 }; /* more than the writer's buffer holds */
    static const uint32_t sizes[] = {65536, 65537};
    uint32_t *tokens = ps_alloc_array(N, sizeof *tokens);
    int32_t *copy = ps_alloc_array(N, sizeof *copy);
    for (size_t s = 0; s < 2; s++) {
        set_up();
        for (uint32_t i = 0; i < N; i++)
            tokens[i] = i * 7919 % sizes[s];
        write_tokens(sizes[s], tokens, N, false);
        ps_token_file *f = NULL;
        ck_ok(ps_token_file_open(path, &f));
        ck_assert_uint_eq(ps_token_file_count(f), N);
        ck_assert_str_eq(ps_token_file_about(f)->tokenizer, "gpt2");
        ck_assert_uint_eq(ps_token_file_about(f)->tokenizer_hash, 0x1122334455667788);
        uint32_t *marks = ps_alloc_array(N, sizeof *marks);
        memset(marks, 0xff, N * sizeof *marks);
        ck_ok(ps_token_file_copy(f, 1, N - 1, copy, marks));
        for (size_t i = 1; i < N; i++)
            ck_assert(copy[i - 1] == (int32_t)tokens[i] && marks[i - 1] == 0);
        ps_free(&marks);
        ck_ok(ps_token_file_copy(f, N, 0, copy, NULL));
        ck_assert_int_eq(ps_token_file_copy(f, N, 1, copy, NULL), PS_OUT_OF_RANGE);
        ck_assert_int_eq(ps_token_file_copy(f, UINT64_MAX, 2, copy, NULL), PS_OUT_OF_RANGE);
        ps_token_file_close(&f);
        tear_down();
    }
    ps_free(&tokens);
    ps_free(&copy);
}
END_TEST

START_TEST(a_file_that_is_there_is_kept)
{
    set_up();
    write_tokens(300, (uint32_t[]){1, 2}, 2, false);
    ps_token_file_info about = {.vocab_size = 300};
    ps_token_writer *w = NULL;
    ck_assert_int_eq(ps_token_writer_new(path, false, &about, &w), PS_ALREADY_EXISTS);
    ck_assert_ptr_null(w);
    ck_ok(ps_token_writer_new(path, true, &about, &w));
    ck_assert_uint_eq(files_in_folder(), 2);
    ps_token_writer_drop(&w);
    ck_assert_uint_eq(files_in_folder(), 1);
    ps_token_file *f = NULL;
    ck_ok(ps_token_file_open(path, &f));
    ck_assert_uint_eq(ps_token_file_count(f), 2);
    ps_token_file_close(&f);
    write_tokens(300, (uint32_t[]){1, 2, 3}, 3, true);
    ck_ok(ps_token_file_open(path, &f));
    ck_assert_uint_eq(ps_token_file_count(f), 3);
    ps_token_file_close(&f);
    tear_down();
}
END_TEST

/* The good file with one byte changed, or cut to len. */
static void refuses(size_t at, uint8_t value, size_t len, const char *message)
{
    uint8_t bytes[] = "PSDTOKEN"
                      "\1\0\0\0"
                      "\2\0\0\0"
                      "\2\0\0\0\0\0\0\0"
                      "\x2c\1\0\0"
                      "\0\0\0\0"
                      "\0\0\0\0\0\0\0\0"
                      "bytes\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                      "\1\0"
                      "\2\0";
    bytes[at] = value;
    char *name = ps_test_file(ps_slice_of(bytes, len), false);
    ps_token_file *f = NULL;
    ck_assert_int_eq(ps_token_file_open(name, &f), PS_CORRUPT);
    ck_assert_ptr_null(f);
    ck_assert_msg(strstr(ps_error_message(), message), "%s", ps_error_message());
    ps_test_file_drop(&name);
}

START_TEST(damaged_files_are_refused)
{
    enum { WHOLE = 68 };
    refuses(0, 'p', WHOLE, "not a token file; psctl tokenize makes one");
    refuses(8, 3, WHOLE, "a token file of version 3, this is for 1 and 2");
    refuses(8, 0, WHOLE, "a token file of version 0, this is for 1 and 2");
    refuses(8, 2, WHOLE, "a token file of version 2 with marks 0x0");
    refuses(28, 1, WHOLE, "a token file of version 1 with marks 0x1");
    refuses(12, 4, WHOLE, "4 bytes a token with a vocabulary of 300");
    refuses(26, 1, WHOLE, "2 bytes a token with a vocabulary of 65836");
    refuses(27, 0x80, WHOLE, "bytes a token with a vocabulary of 2147483948");
    refuses(16, 3, WHOLE, "3 tokens of 2 bytes and a header of 64 are not 68 bytes");
    refuses(23, 0x80, WHOLE, "are not 68 bytes"); /* a count that overflows */
    refuses(0, 'P', WHOLE - 1, "are not 67 bytes");
    refuses(0, 'P', 63, "not a token file");
    refuses(63, 'x', WHOLE, "the tokenizer's name has no end");
    char *packed = ps_test_file(ps_slice_str("PSDTOKEN, and more than a header of it"), true);
    ps_token_file *f = NULL;
    ck_assert_int_eq(ps_token_file_open(packed, &f), PS_CORRUPT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "is compressed by gzip; unpack it (gunzip)"));
    ps_test_file_drop(&packed);
}
END_TEST

START_TEST(a_token_beyond_the_vocabulary_is_named)
{
    uint8_t bytes[] = "PSDTOKEN"
                      "\1\0\0\0"
                      "\2\0\0\0"
                      "\3\0\0\0\0\0\0\0"
                      "\x2c\1\0\0"
                      "\0\0\0\0"
                      "\0\0\0\0\0\0\0\0"
                      "bytes\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                      "\1\0"
                      "\x2b\1"
                      "\x2c\1";
    char *name = ps_test_file(ps_slice_of(bytes, sizeof bytes - 1), false);
    ps_token_file *f = NULL;
    int32_t out[3];
    ck_ok(ps_token_file_open(name, &f));
    ck_ok(ps_token_file_copy(f, 0, 2, out, NULL));
    ck_assert_int_eq(ps_token_file_copy(f, 1, 2, out, NULL), PS_CORRUPT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), ": token 2 is 300, the vocabulary has 300"));
    ps_token_file_close(&f);
    ps_test_file_drop(&name);
    ck_assert_int_eq(ps_token_file_open("/tmp", &f), PS_INVALID_ARGUMENT);
    ck_assert_int_eq(ps_token_file_open("/nonexistent", &f), PS_NOT_FOUND);
}
END_TEST

/* A class may be a larger number than the vocabulary has ids. */
START_TEST(the_first_token_beyond_is_named_and_no_class)
{
    uint8_t bytes[] = "PSDTOKEN"
                      "\2\0\0\0"
                      "\4\0\0\0"
                      "\4\0\0\0\0\0\0\0"
                      "\5\0\0\0"
                      "\0\0\0\x50"
                      "\0\0\0\0\0\0\0\0"
                      "bytes\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                      "\x9\0\0\x50"
                      "\4\0\0\0"
                      "\7\0\0\0"
                      "\x9\0\0\0";
    char *name = ps_test_file(ps_slice_of(bytes, sizeof bytes - 1), false);
    ps_token_file *f = NULL;
    int32_t out[4];
    ck_ok(ps_token_file_open(name, &f));
    ck_ok(ps_token_file_copy(f, 0, 2, out, NULL));
    ck_assert_int_eq(ps_token_file_copy(f, 0, 4, out, NULL), PS_CORRUPT);
    ck_assert_msg(strstr(ps_error_message(), ": token 2 is 7, the vocabulary has 5"), "%s",
                  ps_error_message());
    ps_token_file_close(&f);
    ps_test_file_drop(&name);
}
END_TEST

static void refuses_to_copy(const ps_token_file *f, const char *message)
{
    int32_t out[3];
    ck_assert_int_eq(ps_token_file_copy(f, 0, 3, out, NULL), PS_CORRUPT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), path));
    ck_assert_msg(strstr(ps_error_message(), message), "%s", ps_error_message());
}

/* Writes tokens into the file that is there, as cp does. */
static void write_in_place(uint32_t vocab_size, const uint32_t *tokens, size_t n)
{
    char *kept = ps_asprintf("%s.kept", path), *command = NULL;
    ck_assert_int_eq(rename(path, kept), 0);
    write_tokens(vocab_size, tokens, n, false);
    command = ps_asprintf("cat %s > %s && mv %s %s", path, kept, kept, path);
    ck_assert_int_eq(system(command), 0);
    ps_free(&command);
    ps_free(&kept);
}

START_TEST(a_file_may_change_while_it_is_read)
{
    set_up();
    static const uint32_t tokens[] = {1, 2, 3};
    int32_t out[3];
    write_tokens(300, tokens, 3, false);
    ps_token_file *f = NULL;
    ck_ok(ps_token_file_open(path, &f));
    write_in_place(300, (uint32_t[]){4, 5, 6}, 3); /* which is as good as the first */
    ck_ok(ps_token_file_copy(f, 0, 3, out, NULL));
    ck_assert_int_eq(out[2], 6);
    write_in_place(70000, tokens, 3);
    refuses_to_copy(f, "another file was written in its place while it was read");
    write_in_place(300, tokens, 2);
    refuses_to_copy(f, "was cut short while it was read, byte 68 is gone");
    ck_assert_int_eq(truncate(path, 0), 0);
    refuses_to_copy(f, "was cut short while it was read, byte 64 is gone");
    ps_token_file_close(&f);
    tear_down();
}
END_TEST

static const ps_check_case tests[] = {
    {&the_bytes_are_those_of_the_format},
    {&marks_stand_above_the_tokens},
    {&tokens_come_back},
    {&a_file_that_is_there_is_kept},
    {&damaged_files_are_refused},
    {&a_token_beyond_the_vocabulary_is_named},
    {&the_first_token_beyond_is_named_and_no_class},
    {&a_file_may_change_while_it_is_read},
    {0},
};

int main(void)
{
    return ps_check_main("format/token_file", tests);
}
