/* prefetch: the batches of a range in the shuffle's order, bounded memory, and a clean stop. */
#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/data_file.h"
#include "tests/lib/fault.h"
#include "worker/data/prefetch.h"

#include <string.h>
#include <unistd.h>

enum { ROWS = 1000 };

/* Row i has the features (i, i + 0.5) and the class i % 5. */
static ps_dataset *make(ps_label_kind kind)
{
    uint8_t x[ROWS * 8], y[ROWS];
    for (uint32_t i = 0; i < ROWS; i++) {
        float values[2] = {(float)i, (float)i + 0.5f};
        for (int k = 0; k < 2; k++) {
            uint32_t word = 0;
            memcpy(&word, &values[k], 4);
            ps_put_u32be(x + 8 * i + 4 * k, word);
        }
        y[i] = (uint8_t)(i % 5);
    }
    uint32_t dims[] = {ROWS, 2};
    size_t len = 0;
    uint8_t *bytes = ps_test_idx(0x0d, 2, dims, ps_slice_of(x, sizeof x), &len);
    static char name[] = "idx";
    ps_spec_data data = {.format = name, .normalise = {.std = 1}};
    ps_spec_files files = {.features = ps_test_file(ps_slice_of(bytes, len), false)};
    ps_free(&bytes);
    bytes = ps_test_idx(0x08, 1, dims, ps_slice_of(y, sizeof y), &len);
    files.labels = ps_test_file(ps_slice_of(bytes, len), false);
    ps_free(&bytes);
    ps_dataset_options o = {.data = &data, .files = &files, .labels = kind};
    ps_dataset *ds = NULL;
    ps_status st = ps_dataset_open(&o, &ds);
    ck_assert_msg(st == PS_OK, "%s", ps_error_message());
    ps_test_file_drop(&files.features);
    ps_test_file_drop(&files.labels);
    return ds;
}

static void check_batches(ps_label_kind kind, const ps_shuffle *shuffle, uint64_t max_bytes)
{
    ps_dataset *ds = make(kind);
    ps_prefetch *p = NULL;
    ps_prefetch_options o = {.dataset = ds,
                             .shuffle = shuffle,
                             .begin = 100,
                             .end = 457,
                             .batch_size = 32,
                             .max_bytes = max_bytes};
    ps_status st = ps_prefetch_start(&o, &p);
    ck_assert_msg(st == PS_OK, "%s", ps_error_message());
    uint64_t at = 100;
    const ps_batch *b = NULL;
    while (!(st = ps_prefetch_next(p, &b))) {
        ck_assert_uint_eq(b->first, at);
        ck_assert_uint_eq(b->rows, at + 32 <= 457 ? 32 : 457 - at);
        ck_assert((b->classes != NULL) == (kind == PS_LABELS_CLASSES));
        ck_assert((b->targets != NULL) == (kind == PS_LABELS_REALS));
        for (size_t i = 0; i < b->rows; i++, at++) {
            uint64_t row = shuffle ? ps_shuffle_at(shuffle, at) : at;
            ck_assert(b->features[2 * i] == (float)row);
            ck_assert(b->features[2 * i + 1] == (float)row + 0.5f);
            if (b->classes)
                ck_assert_int_eq(b->classes[i], (int)(row % 5));
            if (b->targets)
                ck_assert(b->targets[i] == (float)(row % 5));
        }
        ps_prefetch_give_back(p, b);
    }
    ck_assert_int_eq(st, PS_END);
    ck_assert_uint_eq(at, 457);
    ck_assert_int_eq(ps_prefetch_next(p, &b), PS_END);
    ps_prefetch_free(&p);
    ck_assert_ptr_null(p);
    ps_dataset_close(&ds);
}

START_TEST(every_row_of_the_range_comes_in_order)
{
    ps_shuffle shuffle = ps_shuffle_make(ROWS, 3, 1);
    check_batches(PS_LABELS_CLASSES, &shuffle, 1 << 20);
    check_batches(PS_LABELS_CLASSES, NULL, 1 << 20);
    check_batches(PS_LABELS_REALS, &shuffle, 1 << 20);
    check_batches(PS_LABELS_NONE, &shuffle, 1 << 20);
}
END_TEST

START_TEST(one_slot_is_enough)
{
    check_batches(PS_LABELS_CLASSES, NULL, 32 * 12); /* exactly one batch */
}
END_TEST

START_TEST(a_budget_below_one_batch_is_refused)
{
    ps_dataset *ds = make(PS_LABELS_CLASSES);
    ps_prefetch *p = NULL;
    ps_prefetch_options o = {
        .dataset = ds, .end = ROWS, .batch_size = 32, .max_bytes = 32 * 12 - 1};
    ck_assert_int_eq(ps_prefetch_start(&o, &p), PS_RESOURCE_EXHAUSTED);
    o.max_bytes = 1 << 20;
    o.end = ROWS + 1;
    ck_assert_int_eq(ps_prefetch_start(&o, &p), PS_OUT_OF_RANGE);
    o.end = ROWS;
    o.batch_size = 0;
    ck_assert_int_eq(ps_prefetch_start(&o, &p), PS_INVALID_ARGUMENT);
    o.batch_size = SIZE_MAX / 2;
    ck_assert_int_eq(ps_prefetch_start(&o, &p), PS_RESOURCE_EXHAUSTED);
    o.batch_size = 32;
    for (unsigned long k = 1; k <= 4; k++) {
        fault_memory(k);
        ck_assert_int_eq(ps_prefetch_start(&o, &p), PS_NO_MEMORY);
        fault_memory(0);
    }
    ck_assert_ptr_null(p);
    ps_dataset_close(&ds);
}
END_TEST

START_TEST(no_more_is_read_ahead_than_the_budget)
{
    ps_dataset *ds = make(PS_LABELS_CLASSES);
    ps_prefetch *p = NULL;
    ps_prefetch_options o = {
        .dataset = ds, .end = ROWS, .batch_size = 10, .max_bytes = 3 * 10 * 12};
    ck_ok(ps_prefetch_start(&o, &p));
    const ps_batch *held[3], *b = NULL;
    for (int i = 0; i < 3; i++)
        ck_ok(ps_prefetch_next(p, &held[i]));
    ck_assert_int_eq(ps_prefetch_next(p, &b), PS_FAILED_PRECONDITION);
    ck_assert(held[0]->features[0] == 0 && held[2]->features[0] == 20); /* untouched */
    ps_prefetch_give_back(p, held[0]);
    ck_ok(ps_prefetch_next(p, &b));
    ck_assert_uint_eq(b->first, 30);
    ps_prefetch_free(&p); /* with batches held */
    ps_dataset_close(&ds);
}
END_TEST

START_TEST(it_can_be_stopped_at_any_moment)
{
    ps_dataset *ds = make(PS_LABELS_CLASSES);
    for (int i = 0; i < 50; i++) {
        ps_prefetch *p = NULL;
        ps_prefetch_options o = {.dataset = ds, .end = ROWS, .batch_size = 7, .max_bytes = 4096};
        ck_ok(ps_prefetch_start(&o, &p));
        usleep((unsigned)i * 20);
        ps_prefetch_free(&p);
    }
    ps_dataset_close(&ds);
}
END_TEST

START_TEST(an_empty_range_ends_at_once)
{
    ps_dataset *ds = make(PS_LABELS_CLASSES);
    ps_prefetch *p = NULL;
    ps_prefetch_options o = {
        .dataset = ds, .begin = 5, .end = 5, .batch_size = 7, .max_bytes = 4096};
    ck_ok(ps_prefetch_start(&o, &p));
    const ps_batch *b = NULL;
    ck_assert_int_eq(ps_prefetch_next(p, &b), PS_END);
    ps_prefetch_free(&p);
    ps_dataset_close(&ds);
}
END_TEST

static const ps_check_case tests[] = {
    {&every_row_of_the_range_comes_in_order},
    {&one_slot_is_enough},
    {&a_budget_below_one_batch_is_refused},
    {&no_more_is_read_ahead_than_the_budget},
    {&it_can_be_stopped_at_any_moment},
    {&an_empty_range_ends_at_once},
    {0},
};

int main(void)
{
    return ps_check_main("data/prefetch", tests);
}
