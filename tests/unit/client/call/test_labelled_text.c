/* labelled_text: lines of JSON as documents of a token file, whose bytes are read here by the
 * documented format; and labels that are no class. */
#include "client/call/labelled_text.h"
#include "tests/lib/check_main.h"
#include "tests/lib/data_file.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { HEADER = 64 };
#define BEGINS 0x40000000u
#define SECOND 0x20000000u
#define CLASS  0x10000000u

typedef struct rig {
    char path[64];
    ps_tokenizer *tokenizer;
    ps_labelled_text labelled;
} rig;

static void rig_open(rig *r, const char *pair, const char *label, const char *classes)
{
    (void)snprintf(r->path, sizeof r->path, "/tmp/psd-labelled-%ld", (long)getpid());
    (void)unlink(r->path);
    r->tokenizer = ps_tokenizer_bytes();
    r->labelled = (ps_labelled_text){
        .text = "a", .pair = pair, .label = label, .classes = classes, .tokenizer = r->tokenizer};
    const ps_token_file_info about = {
        .vocab_size = 256, .marks = ps_labelled_text_marks(&r->labelled), .tokenizer = "bytes"};
    ck_ok(ps_token_writer_new(r->path, true, &about, &r->labelled.writer));
}

static void rig_close(rig *r)
{
    ps_token_writer_drop(&r->labelled.writer);
    ps_tokenizer_free(&r->tokenizer);
    (void)unlink(r->path);
}

static ps_status put(rig *r, const char *line)
{
    return ps_labelled_text_put(&r->labelled, ps_slice_str(line));
}

/* The file has these tokens, and no more. */
static void check_file(rig *r, const uint32_t *want, size_t n)
{
    uint8_t bytes[1024];
    ck_ok(ps_token_writer_finish(&r->labelled.writer));
    FILE *file = fopen(r->path, "rb");
    ck_assert_ptr_nonnull(file);
    size_t len = fread(bytes, 1, sizeof bytes, file);
    (void)fclose(file);
    ck_assert_uint_eq(len, HEADER + 4 * n);
    for (size_t i = 0; i < n; i++) {
        const uint8_t *at = bytes + HEADER + 4 * i;
        uint32_t token =
            at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
        ck_assert_msg(token == want[i], "token %zu is %08x, not %08x", i, token, want[i]);
    }
}

START_TEST(a_line_becomes_a_class_and_its_texts)
{
    static const uint32_t want[] = {BEGINS | CLASS | 1, 'x', 'y',          SECOND | 'z',
                                    BEGINS | CLASS | 0, 'q', SECOND | 'r', SECOND | 's'};
    rig r;
    rig_open(&r, "b", "c", "noun,verb");
    ck_ok(put(&r, "{\"a\":\"xy\",\"b\":\"z\",\"c\":\"verb\"}"));
    ck_ok(put(&r, "{\"c\":\"noun\",\"b\":\"rs\",\"a\":\"q\"}"));
    ck_assert_uint_eq(r.labelled.tokens, 6);
    ck_assert_uint_eq(r.labelled.bytes, 6);
    check_file(&r, want, sizeof want / sizeof *want);
    rig_close(&r);
}
END_TEST

START_TEST(without_names_a_class_is_a_number)
{
    static const uint32_t want[] = {BEGINS | CLASS | 12, 'x'};
    rig r;
    rig_open(&r, NULL, "c", NULL);
    ck_ok(put(&r, "{\"a\":\"x\",\"c\":12}"));
    check_file(&r, want, sizeof want / sizeof *want);
    rig_close(&r);
    rig_open(&r, NULL, NULL, NULL);
    ck_ok(put(&r, "{\"a\":\"x\"}"));
    check_file(&r, &(uint32_t){BEGINS | 'x'}, 1);
    rig_close(&r);
}
END_TEST

static void refuses(const char *classes, const char *line, const char *why)
{
    rig r;
    rig_open(&r, NULL, "c", classes);
    ck_assert_int_eq(put(&r, line), PS_CORRUPT);
    ck_assert_msg(strstr(ps_error_message(), why), "%s", ps_error_message());
    rig_close(&r);
}

START_TEST(what_is_no_class_or_text_is_told)
{
    static const char none[] = "which is none of --classes";
    refuses("noun,verb", "{\"a\":\"x\",\"c\":\"other\"}", none);
    refuses("noun,verb", "{\"a\":\"x\",\"c\":\"nou\"}", none);
    refuses("noun,verb", "{\"a\":\"x\",\"c\":\"noun,verb\"}", none);
    refuses("noun,verb", "{\"a\":\"x\",\"c\":\"noun\\u0000\"}", none);
    refuses(NULL, "{\"a\":\"x\",\"c\":\"noun\"}", "key 'c' is a text; --classes A,B");
    refuses(NULL, "{\"a\":\"x\",\"c\":999999999}", "key 'c' is too large a number for a class");
    refuses(NULL, "{\"a\":\"x\"}", "it has no key 'c'");
    refuses(NULL, "{\"c\":1}", "it has no key 'a'");
    refuses(NULL, "{\"a\":\"\",\"c\":1}", "key 'a' is empty, and the tokenizer puts nothing");
}
END_TEST

static const ps_check_case cases[] = {
    {&a_line_becomes_a_class_and_its_texts},
    {&without_names_a_class_is_a_number},
    {&what_is_no_class_or_text_is_told},
    {0},
};

int main(void)
{
    return ps_check_main("call/labelled_text", cases);
}
