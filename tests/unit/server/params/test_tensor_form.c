/* Tensors that are trained in a form: which can be, what a pull's pieces are as blocks, and that a
 * checkpoint says the form. */
#include "server/params/tensor_form.h"

#include "common/base/mem.h"
#include "server/durable/checkpoint_config.h"
#include "tests/lib/check_main.h"
#include "tests/lib/params.h"

#include <math.h>
#include <string.h>

enum { ROWS = 12, COLUMNS = 128 };

static ps_form form_of(const char *text)
{
    ps_form form = {0};
    ck_assert(ps_form_parse(text, &form));
    return form;
}

static const char *const texts[] = {"int4/64", "int2/32", "uint3/64", "q8_0", "bfloat16"};
#define FORMS (int)(sizeof texts / sizeof *texts)

/* Whatever the pieces are that a pull comes in, with two column blocks and blocks of some rows:
 * they are what the same numbers are as whole rows. */
START_TEST(pieces_are_the_blocks_of_whole_rows)
{
    test_params p;
    test_params_init(&p, ROWS, COLUMNS);
    p.plans[0].form = form_of(texts[_i]);
    p.config.column_blocks = 2;
    p.config.block_elements = 192;
    ps_param_store *store = NULL;
    ck_ok(ps_param_store_create(&p.config, &store));
    const ps_param_tensor *t = &ps_param_store_placement(store)->tensors[0];
    float *values = test_params_read(store, 0);
    float want[ROWS * COLUMNS], got[ROWS * COLUMNS] = {0};
    uint8_t bytes[ROWS * COLUMNS * sizeof(float)];
    ps_form_encode(t->form, values, NULL, ROWS, COLUMNS, bytes);
    ps_form_decode(t->form, bytes, ROWS, COLUMNS, want);
    uint64_t version;
    ps_pull *pull = NULL;
    ps_block_view view;
    ck_ok(ps_pull_begin(store, NULL, 0, 0, &version, &pull));
    while (ps_pull_next(pull, &view) == PS_OK) {
        const ps_param_shard *shard = &t->shards[view.shard];
        const float *piece = (const float *)(const void *)view.bytes.data;
        float decoded[192];
        size_t len = 0;
        if (view.tensor == 0) {
            ck_ok(ps_tensor_form_bytes(t, piece, view.count, &len));
            ck_assert_uint_lt(len, view.count * sizeof(float));
            ps_tensor_form_encode(t, piece, view.count, bytes);
            ps_form_decode(t->form, bytes, 1, view.count, decoded);
            for (uint64_t i = 0; i < view.count; i++) {
                uint64_t at = view.offset + i, width = shard->column_end - shard->column_begin;
                got[at / width * COLUMNS + shard->column_begin + at % width] = decoded[i];
            }
        }
        ps_block_view_release(&view);
    }
    ck_assert_mem_eq(got, want, sizeof got);
    ps_pull_free(&pull);
    ps_param_store_unref(&store);
    ps_free(&values);
}
END_TEST

static void refused(const char *form, unsigned column_blocks, unsigned block, const char *said)
{
    test_params p;
    test_params_init(&p, ROWS, COLUMNS);
    p.plans[0].form = form_of(form);
    p.config.column_blocks = column_blocks;
    p.config.block_elements = block;
    ps_param_store *store = NULL;
    ck_assert_int_eq(ps_param_store_create(&p.config, &store), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(), said);
}

START_TEST(what_is_no_whole_groups_is_refused)
{
    refused("int4/64", 4, 0,
            "tensor w: a column block of 32 columns is not whole groups of int4/64; use fewer "
            "column_blocks");
    refused("int4/64", 1, 96, "tensor w: blocks of 96 elements are not whole groups of int4/64");
    refused("int4/row", 1, 0,
            "tensor w: not to be trained in int4/row: only matrices, in forms whose group is no "
            "row");
    test_params p;
    test_params_init(&p, ROWS, COLUMNS);
    p.plans[1].form = form_of("int4/64");
    ps_param_store *store = NULL;
    ck_assert_int_eq(ps_param_store_create(&p.config, &store), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "tensor b: not to be trained"));
}
END_TEST

START_TEST(what_a_form_cannot_hold_is_refused)
{
    const ps_param_tensor t = {.name = "w", .form = form_of("q8_0")};
    float values[64] = {1};
    size_t bytes = 0;
    ck_ok(ps_tensor_form_bytes(&t, values, 64, &bytes));
    ck_assert_uint_eq(bytes, 68);
    ck_assert_int_eq(ps_tensor_form_bytes(&t, values, 33, &bytes), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(), "tensor w: 33 elements are not whole groups of q8_0");
    static const float bad[] = {NAN, INFINITY, -INFINITY, 3e38f};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        values[63] = bad[i];
        ck_assert_int_eq(ps_tensor_form_bytes(&t, values, 64, &bytes), PS_INVALID_ARGUMENT);
    }
    ck_assert_str_eq(ps_error_message(), "tensor w: a weight of 3e+38 is more than q8_0 can hold; "
                                         "try a lower learning rate");
}
END_TEST

START_TEST(a_checkpoint_says_the_form)
{
    test_params p;
    test_params_init(&p, ROWS, COLUMNS);
    p.plans[0].form = form_of("uint3/32");
    p.config.column_blocks = 1;
    p.config.block_elements = PS_PARAM_BLOCK_MAX;
    ps_buf bytes = PS_BUF_EMPTY;
    ps_checkpoint_config read = {0};
    ps_checkpoint_config_encode(&p.config, &bytes);
    ck_ok(ps_checkpoint_config_decode(ps_buf_slice(&bytes), &read));
    ck_assert(ps_form_same(read.plans[0].form, p.plans[0].form));
    ck_assert_ptr_null(read.plans[1].form.row);
    ps_checkpoint_config_free(&read);
    uint8_t *at = memmem(bytes.data, bytes.len, "uint3/32", 8);
    ck_assert_ptr_nonnull(at);
    memcpy(at, "uint9/32", 8);
    ck_assert_int_eq(ps_checkpoint_config_decode(ps_buf_slice(&bytes), &read),
                     PS_FAILED_PRECONDITION);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "a newer psd wrote it"));
    ps_buf_free(&bytes);
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &pieces_are_the_blocks_of_whole_rows, .repeat = FORMS},
    {.test = &what_is_no_whole_groups_is_refused},
    {.test = &what_a_form_cannot_hold_is_refused},
    {.test = &a_checkpoint_says_the_form},
    {0},
};

int main(void)
{
    return ps_check_main("params/tensor_form", tests);
}
