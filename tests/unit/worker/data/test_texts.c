/* texts: documents of a token file as rows, shortened as tokenizers do where they do not fit, and
 * their classes. The file's bytes are written here, by its documented format. */
#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/data_file.h"
#include "worker/data/texts.h"

#include <string.h>

enum { HEADER = 64, LENGTH = 6 };
#define GIVEN  0x80000000u
#define BEGINS 0x40000000u
#define SECOND 0x20000000u
#define CLASS  0x10000000u

static void put_u32(uint8_t *to, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(v >> 8 * i);
}

static char *make(uint32_t marks, const uint32_t *tokens, size_t n)
{
    size_t len = HEADER + 4 * n;
    uint8_t *bytes = ps_alloc(len);
    memcpy(bytes, "PSDTOKEN", 8);
    put_u32(bytes + 8, 2);
    put_u32(bytes + 12, 4);
    put_u32(bytes + 16, (uint32_t)n);
    put_u32(bytes + 24, 256);
    put_u32(bytes + 28, marks);
    for (size_t i = 0; i < n; i++)
        put_u32(bytes + HEADER + 4 * i, tokens[i]);
    char *path = ps_test_file(ps_slice_of(bytes, len), false);
    ps_free(&bytes);
    return path;
}

static ps_status open_rows(char *path, int64_t classes, int64_t vocab, int64_t length,
                           ps_dataset **out)
{
    static char format[] = "tokens", none[] = "";
    ps_spec_data data = {.format = format, .normalise = {.scale = 1, .std = 1}};
    ps_spec_files files = {.features = none, .labels = none, .tokens = path};
    return ps_dataset_open(
        &(ps_dataset_options){.data = &data,
                              .files = &files,
                              .labels = classes ? PS_LABELS_CLASSES : PS_LABELS_NONE,
                              .classes = classes,
                              .vocab = vocab,
                              .texts = true,
                              .features = length},
        out);
}

static ps_status open_file(char *path, int64_t classes, int64_t vocab, ps_dataset **out)
{
    return open_rows(path, classes, vocab, LENGTH, out);
}

START_TEST(a_row_is_a_document_with_its_class)
{
    static const uint32_t tokens[] = {
        BEGINS | CLASS | 2, 11, 12, 13,                                                /* short */
        BEGINS | CLASS | 0, 21, 22, 23, 24, 25, 26,          27,          28,          /* long */
        BEGINS | CLASS | 1, 31, 32, 33, 34, 35, SECOND | 36, SECOND | 37, SECOND | 38, /* a pair */
        BEGINS | CLASS | 1, 41, 42, 43, 44, 45, SECOND | 46, SECOND | 47, SECOND | 48, SECOND | 49,
    };
    static const int32_t rows[4][LENGTH] = {
        {11, 12, 13, -1, -1, -1},
        {21, 22, 23, 24, 25, 28}, /* its last token stays */
        /* of their own, without the one in front and those behind, 3 and 2 became 2 and 1 */
        {31, 32, 33, 35, SECOND | 36, SECOND | 38},
        /* 3 and 3 became 1 and 2, as with tokenizers 0.23, enable_truncation(6) */
        {41, 42, 45, SECOND | 46, SECOND | 47, SECOND | 49},
    };
    static const int32_t classes[] = {2, 0, 1, 1};
    char *path = make(BEGINS | SECOND | CLASS, tokens, sizeof tokens / sizeof *tokens);
    ps_dataset *ds = NULL;
    ck_ok(open_file(path, 3, 256, &ds));
    ck_assert_uint_eq(ps_dataset_rows(ds), 4);
    for (uint64_t row = 0; row < 4; row++) {
        int32_t got[LENGTH], label = -1;
        ck_ok(ps_dataset_read(ds, &row, 1, got, &label));
        ck_assert_mem_eq(got, rows[row], sizeof got);
        ck_assert_int_eq(label, classes[row]);
    }
    ps_dataset_close(&ds);
    /* asked for no labels, it is read without them */
    int32_t got[LENGTH];
    ck_ok(open_file(path, 0, 256, &ds));
    ck_ok(ps_dataset_read(ds, &(uint64_t){1}, 1, got, NULL));
    ck_assert_mem_eq(got, rows[1], sizeof got);
    ps_dataset_close(&ds);
    ps_test_file_drop(&path);
}
END_TEST

static void refuses(uint32_t marks, const uint32_t *tokens, size_t n, int64_t classes,
                    int64_t vocab, const char *why)
{
    char *path = make(marks, tokens, n);
    ps_dataset *ds = NULL;
    ck_assert_int_eq(open_file(path, classes, vocab, &ds), PS_INVALID_ARGUMENT);
    ck_assert_msg(strstr(ps_error_message(), why), "%s", ps_error_message());
    ps_test_file_drop(&path);
}

#define REFUSES(marks, classes, vocab, why, ...)      \
    refuses((marks), (const uint32_t[]){__VA_ARGS__}, \
            sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t), (classes), (vocab), (why))

START_TEST(what_is_no_file_of_texts_is_told)
{
    REFUSES(GIVEN, 0, 256, "psctl tokenize --texts does", 1, 2);
    REFUSES(BEGINS, 2, 256, "has no classes of its texts", BEGINS | 1, 2);
    REFUSES(BEGINS, 0, 256, "tokens of no text, at token 0", 1, BEGINS | 2);
    REFUSES(BEGINS | CLASS, 2, 256, "a text without tokens ends", BEGINS | CLASS | 1,
            BEGINS | CLASS | 0, 5);
    REFUSES(BEGINS | CLASS, 2, 256, "a text without tokens ends", BEGINS | CLASS | 1);
    REFUSES(BEGINS | CLASS, 2, 256, "a text without a class, at token 2", BEGINS | CLASS | 1, 5,
            BEGINS | 6);
    REFUSES(BEGINS | CLASS, 2, 256, "a class that is no text's, at token 1", BEGINS | CLASS | 1,
            CLASS | 0, 5);
    REFUSES(BEGINS | CLASS, 2, 256, "class 2 at token 0, the model has 2", BEGINS | CLASS | 2, 5);
    REFUSES(BEGINS, 0, 9, "model.vocab_size is 9, and token 1 is 9", BEGINS | 1, 9);
}
END_TEST

START_TEST(rows_without_room_for_a_pair_are_told)
{
    static const uint32_t tokens[] = {BEGINS | 1, 2, 3, SECOND | 4, SECOND | 5};
    char *path = make(BEGINS | SECOND, tokens, sizeof tokens / sizeof *tokens);
    ps_dataset *ds = NULL;
    for (int64_t length = 1; length < 5; length++) {
        ck_assert_int_eq(open_rows(path, 0, 256, length, &ds), PS_INVALID_ARGUMENT);
        ck_assert_ptr_nonnull(strstr(ps_error_message(), "a pair takes 5 tokens at least"));
    }
    ck_ok(open_rows(path, 0, 256, 5, &ds));
    ps_dataset_close(&ds);
    ps_test_file_drop(&path);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_row_is_a_document_with_its_class},
    {&what_is_no_file_of_texts_is_told},
    {&rows_without_room_for_a_pair_are_told},
    {0},
};

int main(void)
{
    return ps_check_main("data/texts", cases);
}
