#include "common/record/influence.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint64_t elements[] = {100, 60, 5};
static ps_influence_tensor tensors[] = {{(char[]){"w"}, 0, 2}, {(char[]){"b"}, 2, 1}};
static const ps_influence_head head = {.sketch = 64,
                                       .every = 3,
                                       .n_tensors = 2,
                                       .n_units = 3,
                                       .tensors = tensors,
                                       .elements = elements};

static const ps_influence_push one = {.version = 6,
                                      .clock = 7,
                                      .client = 1,
                                      .sequence = UINT64_C(1) << 40,
                                      .lease = 9,
                                      .row_begin = 128,
                                      .row_end = 192,
                                      .staleness = 2,
                                      .epoch = 1,
                                      .flags = PS_INFLUENCE_SHARE,
                                      .weight = 64,
                                      .gradient_sq = 0.25,
                                      .correction = 0.125,
                                      .worker = "worker-1"};

static void write_file(ps_buf *out, float *numbers)
{
    ps_sketch *shape;
    ps_influence_sketch(&head, &shape);
    const bool touched[] = {true, false, true};
    for (size_t i = 0; i < ps_sketch_width(shape); i++)
        numbers[i] = (float)i - 20.5f;
    ps_influence_head_write(&head, out);
    ps_influence_write(shape, &one, touched, numbers, out);
    ps_influence_write(shape, &one, touched, numbers, out);
    ps_sketch_free(&shape);
}

START_TEST(what_is_written_is_read)
{
    float numbers[128], got[128];
    ps_buf file = PS_BUF_EMPTY;
    write_file(&file, numbers);
    ps_influence_head read;
    size_t used;
    ck_ok(ps_influence_head_read(ps_buf_slice(&file), &read, &used));
    ck_assert_uint_eq(used, ps_influence_head_bytes(file.data));
    ck_assert_uint_eq(read.sketch, 64);
    ck_assert_uint_eq(read.every, 3);
    ck_assert_uint_eq(read.n_tensors, 2);
    ck_assert_str_eq(read.tensors[1].name, "b");
    ck_assert_uint_eq(read.tensors[1].first_unit, 2);
    ck_assert_mem_eq(read.elements, elements, sizeof elements);
    ps_sketch *shape;
    ps_influence_sketch(&read, &shape);
    ps_cursor at = ps_cursor_of(ps_slice_of(file.data + used, file.len - used));
    ps_influence_record record;
    for (int i = 0; i < 2; i++) {
        ck_ok(ps_influence_read(&at, shape, &record, got));
        ck_assert_str_eq(record.push.worker, "worker-1");
        ck_assert_uint_eq(record.push.sequence, one.sequence);
        ck_assert_uint_eq(record.push.row_end, 192);
        ck_assert_uint_eq(record.push.epoch, 1);
        ck_assert_double_eq(record.push.correction, 0.125);
        ps_sketch_part left_out = ps_sketch_part_of(shape, 1);
        for (uint32_t n = 0; n < ps_sketch_width(shape); n++) {
            bool none = n >= left_out.at && n < left_out.at + left_out.width;
            ck_assert_double_eq_tol(got[n], none ? 0 : numbers[n], 0.2);
        }
    }
    ck_assert_int_eq(ps_influence_read(&at, shape, &record, got), PS_END);
    ps_sketch_free(&shape);
    ps_influence_head_free(&read);
    ps_buf_free(&file);
}
END_TEST

/* Of a copy that is as long as it says, so that a read behind it is found. */
static ps_status read_all(const uint8_t *bytes, size_t len, size_t *records)
{
    uint8_t *copy = ps_alloc(len + 1);
    memcpy(copy, bytes, len);
    ps_influence_head read;
    size_t used;
    *records = 0;
    ps_status st = ps_influence_head_read(ps_slice_of(copy, len), &read, &used);
    if (!st) {
        ps_sketch *shape;
        float numbers[256];
        ps_influence_record record;
        ps_influence_sketch(&read, &shape);
        ps_cursor at = ps_cursor_of(ps_slice_of(copy + used, len - used));
        while (!(st = ps_influence_read(&at, shape, &record,
                                        ps_sketch_width(shape) <= 256 ? numbers : NULL)))
            ++*records;
        ps_sketch_free(&shape);
        ps_influence_head_free(&read);
    }
    free(copy);
    return st;
}

START_TEST(a_file_is_good_up_to_where_it_is_whole)
{
    float numbers[128];
    ps_buf file = PS_BUF_EMPTY;
    write_file(&file, numbers);
    size_t first = ps_influence_head_bytes(file.data), one_record = (file.len - first) / 2, n;
    for (size_t len = 0; len <= file.len; len++) {
        ps_status st = read_all(file.data, len, &n);
        ck_assert_int_eq(st, len < first ? PS_CORRUPT : PS_END);
        ck_assert_uint_eq(n, len < first ? 0 : (len - first) / one_record);
    }
    for (size_t i = 0; i < file.len; i++) { /* a byte that is another is never read as good */
        file.data[i] ^= 0x10;
        ps_status st = read_all(file.data, file.len, &n);
        ck_assert_int_eq(st, i < first ? PS_CORRUPT : PS_END);
        file.data[i] ^= 0x10;
    }
    ps_buf_free(&file);
}
END_TEST

static const ps_check_case cases[] = {
    {&what_is_written_is_read},
    {&a_file_is_good_up_to_where_it_is_whole},
    {0},
};

int main(void)
{
    return ps_check_main("record/influence", cases);
}
