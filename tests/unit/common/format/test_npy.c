/* npy: the header is that of numpy.save, 2.x, and nothing but such a file is taken. */
#include "common/format/npy.h"
#include "tests/lib/check_main.h"

#include <string.h>

/* What numpy.save(f, numpy.zeros((3, 4), "<f4")) begins with: 128 bytes. */
static void put_numpys(ps_buf *out)
{
    static const char text[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }";
    ps_buf_append(out, "\x93NUMPY\x01\x00v\x00", 10);
    ps_buf_puts(out, text);
    while (out->len < 127)
        ps_buf_putc(out, ' ');
    ps_buf_putc(out, '\n');
}

START_TEST(the_header_is_numpys)
{
    ps_buf ours = PS_BUF_EMPTY, numpys = PS_BUF_EMPTY;
    put_numpys(&numpys);
    ps_npy_header(&ours, 3, 4);
    ck_assert_uint_eq(ours.len, 128);
    ck_assert_mem_eq(ours.data, numpys.data, 128);
    ps_buf_clear(&ours);
    ps_npy_header(&ours, UINT64_MAX, UINT64_MAX);
    ck_assert_uint_eq(ours.len, 128);
    ps_buf_free(&ours);
    ps_buf_free(&numpys);
}
END_TEST

START_TEST(another_array_is_refused)
{
    ps_buf file = PS_BUF_EMPTY;
    ps_slice numbers;
    put_numpys(&file);
    float values[12] = {1.5f};
    ps_buf_append(&file, values, sizeof values);
    ck_ok(ps_npy_numbers(ps_buf_slice(&file), 3, 4, &numbers));
    ck_assert_uint_eq(numbers.len, sizeof values);
    ck_assert_mem_eq(numbers.data, values, sizeof values);
    /* of another shape, and cut at each byte */
    ck_assert_int_eq(ps_npy_numbers(ps_buf_slice(&file), 4, 3, &numbers), PS_CORRUPT);
    for (size_t n = 0; n < file.len; n++)
        ck_assert_int_eq(ps_npy_numbers(ps_slice_of(file.data, n), 3, 4, &numbers), PS_CORRUPT);
    /* its header longer than the file, or ending within what it says */
    file.data[9] = 1;
    ck_assert_int_eq(ps_npy_numbers(ps_buf_slice(&file), 3, 4, &numbers), PS_CORRUPT);
    file.data[9] = 0;
    file.data[8] = 20;
    ck_assert_int_eq(ps_npy_numbers(ps_buf_slice(&file), 3, 4, &numbers), PS_CORRUPT);
    file.data[8] = 'v';
    file.data[6] = 2; /* another version, whose length has four bytes */
    ck_assert_int_eq(ps_npy_numbers(ps_buf_slice(&file), 3, 4, &numbers), PS_CORRUPT);
    ps_buf_free(&file);
}
END_TEST

static const ps_check_case cases[] = {
    {&the_header_is_numpys},
    {&another_array_is_refused},
    {0},
};

int main(void)
{
    return ps_check_main("format/npy", cases);
}
