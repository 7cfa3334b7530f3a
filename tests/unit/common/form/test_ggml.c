/* ggml's blocks against ggml's own (tests/golden/ggml: rows that are hard, with and without
 * importance): the same bytes, and read as the same numbers. */
#include "common/form/form.h"

#include "tests/lib/check_main.h"

#include "common/base/disk.h"
#include "common/base/mem.h"
#include "common/format/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const types[] = {"q8_0", "q4_0", "q4_1", "q5_0", "q5_1",   "q2_k",
                                    "q3_k", "q4_k", "q5_k", "q6_k", "iq4_nl", "mxfp4"};
enum { TYPES = sizeof types / sizeof *types, ROWS = 10, READ = 4, COLUMNS = 512 };

static ps_buf bytes;
static ps_safetensors *golden;

static void load(void)
{
    char *path = ps_asprintf("%s/tests/golden/ggml/blocks.safetensors", getenv("PSD_SOURCE_ROOT"));
    ck_ok(ps_disk_read_file(&ps_disk_system, path, 1 << 20, &bytes));
    ps_free(&path);
    ck_ok(ps_safetensors_parse(ps_buf_slice(&bytes), bytes.len, &golden));
}

static void unload(void)
{
    ps_safetensors_free(&golden);
    ps_buf_free(&bytes);
}

static const void *tensor(const char *name, const char *rest, size_t expected)
{
    char whole[32];
    (void)snprintf(whole, sizeof whole, "%s%s", name, rest);
    const ps_safetensors_tensor *t = ps_safetensors_find(golden, whole);
    ck_assert_msg(t && t->end - t->begin == expected, "%s", whole);
    return bytes.data + golden->data_start + t->begin;
}

static ps_form form_of(const char *text)
{
    ps_form form;
    ck_assert_msg(ps_form_parse(text, &form), "%s", text);
    return form;
}

static void expect_blocks(const char *type, const char *rest, const float *importance)
{
    static float x[ROWS * COLUMNS];
    static uint8_t out[ROWS * COLUMNS * 2];
    ps_form form = form_of(type);
    size_t row = ps_form_row_bytes(form, COLUMNS);
    const uint8_t *expected = tensor(type, rest, ROWS * row);
    memcpy(x, tensor("numbers", "", sizeof x), sizeof x);
    ps_form_encode(form, x, importance, ROWS, COLUMNS, out);
    for (size_t r = 0; r < ROWS; r++)
        ck_assert_msg(!memcmp(out + r * row, expected + r * row, row), "%s%s: row %zu", type, rest,
                      r);
}

START_TEST(blocks_are_ggmls_byte_for_byte)
{
    load();
    expect_blocks(types[_i], "", NULL);
    unload();
}
END_TEST

START_TEST(so_they_are_with_importance)
{
    float importance[COLUMNS];
    load();
    memcpy(importance, tensor("importance", "", sizeof importance), sizeof importance);
    expect_blocks(types[_i], ".importance", importance);
    memcpy(importance, tensor("holes", "", sizeof importance), sizeof importance);
    expect_blocks(types[_i], ".holes", importance);
    unload();
}
END_TEST

START_TEST(blocks_are_read_as_gguf_py_reads_them)
{
    static float out[READ * COLUMNS];
    ps_form form = form_of(types[_i]);
    load();
    const void *blocks = tensor(types[_i], "", ROWS * ps_form_row_bytes(form, COLUMNS));
    ps_form_decode(form, blocks, READ, COLUMNS, out);
    ck_assert_mem_eq(out, tensor(types[_i], ".read", sizeof out), sizeof out);
    unload();
}
END_TEST

static const ps_check_case cases[] = {
    {.test = &blocks_are_ggmls_byte_for_byte, .repeat = TYPES},
    {.test = &so_they_are_with_importance, .repeat = TYPES},
    {.test = &blocks_are_read_as_gguf_py_reads_them, .repeat = TYPES},
    {0},
};

int main(void)
{
    return ps_check_main("form/ggml", cases);
}
