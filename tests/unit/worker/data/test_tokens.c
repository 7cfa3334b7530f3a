/* tokens: rows of a token file and the tokens that follow; those that are given are no labels. The
 * file's bytes are written here, by its documented format. */
#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/data_file.h"
#include "worker/data/tokens.h"

#include <string.h>

enum { HEADER = 64, LENGTH = 3 };
#define GIVEN  0x80000000u
#define BEGINS 0x40000000u

static void put_u32(uint8_t *to, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(v >> 8 * i);
}

/* Of version 2, with tokens of 4 bytes. */
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
    memcpy(bytes + 40, "bytes", 5);
    for (size_t i = 0; i < n; i++)
        put_u32(bytes + HEADER + 4 * i, tokens[i]);
    char *path = ps_test_file(ps_slice_of(bytes, len), false);
    ps_free(&bytes);
    return path;
}

static ps_status open_as(char *path, ps_label_kind labels, unsigned documents, ps_dataset **out)
{
    static char format[] = "tokens", none[] = "";
    ps_spec_data data = {
        .format = format, .normalise = {.scale = 1, .std = 1}, .documents = documents};
    ps_spec_files files = {.features = none, .labels = none, .tokens = path};
    return ps_dataset_open(
        &(ps_dataset_options){.data = &data, .files = &files, .labels = labels, .features = LENGTH},
        out);
}

static ps_status open_file(char *path, ps_label_kind labels, ps_dataset **out)
{
    return open_as(path, labels, PS_SPEC_TOGETHER, out);
}

START_TEST(documents_that_are_apart_begin_where_they_are_marked)
{
    static const uint32_t tokens[] = {BEGINS | 1, 2, 3, 4, BEGINS | GIVEN | 5, BEGINS | 6, 7, 8};
    static const int32_t begun[2][LENGTH] = {{0, 0, 0}, {0, 1, 2}};
    static const int32_t labels[2][LENGTH] = {{2, 3, 4}, {-1, -1, 7}};
    char *path = make(BEGINS | GIVEN, tokens, sizeof tokens / sizeof *tokens);
    ps_dataset *ds = NULL;
    ck_ok(open_as(path, PS_LABELS_NEXT, PS_SPEC_APART, &ds));
    ck_assert(ps_dataset_is_apart(ds));
    for (uint64_t row = 0; row < 2; row++) {
        int32_t got[LENGTH], next[LENGTH], starts[LENGTH];
        ck_ok(ps_dataset_read(ds, &row, 1, got, next));
        ck_ok(ps_dataset_read_starts(ds, &row, 1, starts));
        ck_assert_mem_eq(next, labels[row], sizeof next);
        ck_assert_mem_eq(starts, begun[row], sizeof starts);
    }
    int32_t beyond[LENGTH];
    ck_assert_int_eq(ps_dataset_read_starts(ds, &(uint64_t){2}, 1, beyond), PS_OUT_OF_RANGE);
    ps_dataset_close(&ds);
    ck_ok(open_file(path, PS_LABELS_NEXT, &ds));
    ck_assert(!ps_dataset_is_apart(ds));
    ps_dataset_close(&ds);
    ps_test_file_drop(&path);
}
END_TEST

START_TEST(without_marks_documents_cannot_be_apart)
{
    static const uint32_t tokens[] = {GIVEN | 1, 2, 3, 4};
    char *path = make(GIVEN, tokens, 4);
    ps_dataset *ds = NULL;
    ck_assert_int_eq(open_as(path, PS_LABELS_NEXT, PS_SPEC_APART, &ds), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "does not mark where documents begin"));
    ps_test_file_drop(&path);
}
END_TEST

START_TEST(documents_of_one_token_teach_nothing)
{
    static const uint32_t tokens[] = {BEGINS | 1, BEGINS | 2, BEGINS | 3, BEGINS | 4};
    char *path = make(BEGINS, tokens, 4);
    ps_dataset *ds = NULL;
    ck_assert_int_eq(open_as(path, PS_LABELS_NEXT, PS_SPEC_APART, &ds), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "begins a document: there is none to learn"));
    ps_test_file_drop(&path);
}
END_TEST

START_TEST(given_tokens_are_read_and_are_no_labels)
{
    static const uint32_t tokens[] = {BEGINS | GIVEN | 1, GIVEN | 2, 3, 4,
                                      BEGINS | GIVEN | 5, GIVEN | 6, 7, 255};
    static const int32_t rows[2][LENGTH] = {{1, 2, 3}, {4, 5, 6}};
    static const int32_t labels[2][LENGTH] = {{-1, 3, 4}, {-1, -1, 7}};
    char *path = make(BEGINS | GIVEN, tokens, sizeof tokens / sizeof *tokens);
    ps_dataset *ds = NULL;
    ck_ok(open_file(path, PS_LABELS_NEXT, &ds));
    ck_assert_uint_eq(ps_dataset_rows(ds), 2);
    for (uint64_t row = 0; row < 2; row++) {
        int32_t got[LENGTH], next[LENGTH];
        ck_ok(ps_dataset_read(ds, &row, 1, got, next));
        ck_assert_mem_eq(got, rows[row], sizeof got);
        ck_assert_mem_eq(next, labels[row], sizeof next);
    }
    ps_dataset_close(&ds);
    ps_test_file_drop(&path);
}
END_TEST

START_TEST(a_file_of_prompts_alone_teaches_nothing)
{
    static const uint32_t tokens[] = {1, GIVEN | 2, GIVEN | 3, GIVEN | 4};
    char *path = make(GIVEN, tokens, 4);
    ps_dataset *ds = NULL;
    ck_assert_int_eq(open_file(path, PS_LABELS_NEXT, &ds), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "every token in it is given"));
    ck_ok(open_file(path, PS_LABELS_NONE, &ds)); /* to predict from it is all right */
    ps_dataset_close(&ds);
    ps_test_file_drop(&path);
}
END_TEST

START_TEST(a_mark_that_the_header_does_not_have_is_no_token)
{
    static const uint32_t tokens[] = {1, 2, BEGINS | 3, 4};
    char *path = make(GIVEN, tokens, 4);
    ps_dataset *ds = NULL;
    ck_assert_int_eq(open_file(path, PS_LABELS_NEXT, &ds), PS_CORRUPT);
    ck_assert_ptr_nonnull(
        strstr(ps_error_message(), "token 2 is 1073741827, the vocabulary has 256"));
    ps_test_file_drop(&path);
}
END_TEST

static const ps_check_case tests[] = {
    {&documents_that_are_apart_begin_where_they_are_marked},
    {&without_marks_documents_cannot_be_apart},
    {&documents_of_one_token_teach_nothing},
    {&given_tokens_are_read_and_are_no_labels},
    {&a_file_of_prompts_alone_teaches_nothing},
    {&a_mark_that_the_header_does_not_have_is_no_token},
    {0},
};

int main(void)
{
    return ps_check_main("data/tokens", tests);
}
