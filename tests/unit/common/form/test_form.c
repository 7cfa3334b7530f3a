#include "common/form/form.h"

#include "tests/lib/check_main.h"

#include "common/base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { COLUMNS = 512, ROWS = 8 };

static const char *const forms[] = {
    "float32", "bfloat16",  "float16",   "int8/row", "int8/32",  "int4/128",  "int3/64",
    "int2/32", "uint8/row", "uint4/128", "uint3/64", "uint2/32", "uint8/256", "q8_0",
    "q4_0",    "q4_1",      "q5_0",      "q5_1",     "q2_k",     "q3_k",      "q4_k",
    "q5_k",    "q6_k",      "iq4_nl",    "mxfp4",    "fp8/row",  "fp8/128"};
enum { FORMS = sizeof forms / sizeof *forms };

static ps_form form_of(const char *text)
{
    ps_form form;
    ck_assert_msg(ps_form_parse(text, &form), "%s", text);
    return form;
}

static void draw(float *out, size_t n)
{
    ps_rng rng;
    ps_rng_seed(&rng, 7);
    for (size_t i = 0; i < n; i++)
        out[i] = (float)ps_rng_normal(&rng);
}

START_TEST(a_form_is_read_as_it_is_written)
{
    char text[PS_FORM_TEXT];
    for (size_t i = 0; i < FORMS; i++)
        ck_assert_str_eq(ps_form_text(form_of(forms[i]), text), forms[i]);
    ps_form form;
    static const char *const wrong[] = {
        "",
        "int4",
        "int4/",
        "int4/31",
        "int4/row/",
        "q8_0/32",
        "float33",
        "float32/1",
        "int4/128 ",
        "INT4/row",
        "a name that is longer than any form's, and longer than what is made ready for one"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_msg(!ps_form_parse(wrong[i], &form), "%s", wrong[i]);
}
END_TEST

START_TEST(rows_are_whole_blocks_of_whole_bytes)
{
    ck_assert(ps_form_divides(form_of("int4/128"), 256));
    ck_assert(!ps_form_divides(form_of("int4/128"), 192));
    ck_assert(!ps_form_divides(form_of("int4/row"), 7));
    ck_assert(ps_form_divides(form_of("int8/row"), 7));
    ck_assert(!ps_form_divides(form_of("int3/row"), 12));
    ck_assert(ps_form_divides(form_of("float16"), 7));
    ck_assert(!ps_form_divides(form_of("float16"), 0));
    ck_assert(!ps_form_divides(form_of("int8/row"), UINT64_C(1) << 32));
    ck_assert_uint_eq(ps_form_row_bytes(form_of("int4/128"), 256), 2 * (2 + 64));
    ck_assert_uint_eq(ps_form_row_bytes(form_of("uint8/row"), 784), 4 + 784);
    ck_assert_uint_eq(ps_form_row_bytes(form_of("q8_0"), 64), 2 * 34);
    ck_assert_uint_eq(ps_form_row_bytes(form_of("float32"), 3), 12);
}
END_TEST

/* Half a step of the block's scale, and what the scale loses as a float16. Blocks of ggml's, whose
 * very bytes test_ggml.c has: two steps. */
static double allowed(ps_form form, const float *block, size_t n)
{
    double least = 0, most = 0;
    for (size_t i = 0; i < n; i++) {
        least = fmin(least, (double)block[i]);
        most = fmax(most, (double)block[i]);
    }
    double steps = ldexp(1, (int)form.row->bits) - 1;
    double range = form.row->zero ? most - least : 2 * fmax(-least, most);
    if (form.row->limit == INFINITY && !form.row->plain)
        return range / (form.row->bits == 4 ? 8 : 56); /* half of their widest step */
    if (form.row->ggml > 1 && !form.row->plain)
        return range / steps * 2;
    return form.row->plain ? fmax(-least, most) * ldexp(1, -8)
                           : range / (steps - 1) * 0.5 + range * ldexp(1, -11);
}

START_TEST(a_number_is_as_near_as_its_bits_allow)
{
    static float x[ROWS * COLUMNS], y[ROWS * COLUMNS];
    static uint8_t bytes[ROWS * COLUMNS * 4];
    ps_form form = form_of(forms[_i]);
    uint32_t block = ps_form_block_numbers(form, COLUMNS);
    draw(x, ROWS * COLUMNS);
    ps_form_encode(form, x, NULL, ROWS, COLUMNS, bytes);
    ps_form_decode(form, bytes, ROWS, COLUMNS, y);
    for (size_t b = 0; b < ROWS * COLUMNS; b += block)
        for (size_t i = b; i < b + block; i++)
            ck_assert_msg(fabs((double)(x[i] - y[i])) <= allowed(form, x + b, block),
                          "%s: %g is read as %g", forms[_i], (double)x[i], (double)y[i]);
}
END_TEST

/* What is read is written again in the same bytes, number by number, too. */
START_TEST(settling_each_number_is_encoding)
{
    static float x[COLUMNS], y[COLUMNS];
    static uint8_t bytes[COLUMNS * 4], again[COLUMNS * 4];
    ps_form form = form_of(forms[_i]);
    size_t len = ps_form_row_bytes(form, COLUMNS);
    draw(x, COLUMNS);
    ps_form_encode(form, x, NULL, 1, COLUMNS, bytes);
    ps_form_decode(form, bytes, 1, COLUMNS, y);
    memcpy(again, bytes, len);
    for (size_t i = 0; !form.row->plain && i < COLUMNS; i++) {
        (void)ps_form_settle(form, again, COLUMNS, i, -2 * (double)y[i]); /* another code first */
        ck_assert_float_eq(ps_form_settle(form, again, COLUMNS, i, (double)y[i]), y[i]);
    }
    ck_assert_mem_eq(again, bytes, len);
}
END_TEST

/* One number that is far from the others, and counts for nothing, is given up for them. */
START_TEST(importance_says_what_counts)
{
    float x[32], y[32], importance[32];
    uint8_t bytes[64];
    double error[2] = {0, 0};
    for (int i = 0; i < 32; i++) {
        x[i] = 0.1F * sinf((float)i);
        importance[i] = i == 5 ? 0 : 1;
    }
    x[5] = 0.19F;
    ps_form form = form_of("int3/32");
    for (int heeded = 0; heeded < 2; heeded++) {
        ps_form_encode(form, x, heeded ? importance : NULL, 1, 32, bytes);
        ps_form_decode(form, bytes, 1, 32, y);
        for (int i = 0; i < 32; i++)
            error[heeded] += (double)importance[i] * pow((double)(x[i] - y[i]), 2);
    }
    ck_assert_double_lt(error[1], error[0] / 2);
}
END_TEST

START_TEST(zeros_and_what_is_next_to_nothing_are_zeros)
{
    float x[COLUMNS] = {0}, y[COLUMNS];
    uint8_t bytes[COLUMNS * 4];
    ps_form form = form_of(forms[_i]);
    int sizes = form.row->plain ? 0 : form.row->limit < INFINITY ? 2 : 1;
    for (int tiny = 0; tiny < sizes; tiny++) {
        x[3] = tiny ? 1e-30F : 0;
        ps_form_encode(form, x, NULL, 1, COLUMNS, bytes);
        ps_form_decode(form, bytes, 1, COLUMNS, y);
        for (int i = 0; i < COLUMNS; i++)
            ck_assert_float_eq(y[i], 0);
    }
}
END_TEST

/* A row of which code i begins past 2^32 bits; memory that nothing touches costs nothing. */
START_TEST(codes_of_long_rows_are_where_they_belong)
{
    const uint64_t columns = (1ull << 29) + 32, far = 1ull << 29;
    ps_form form = form_of("int8/row");
    size_t len = ps_form_row_bytes(form, columns);
    uint8_t *row =
        mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ck_assert(row != MAP_FAILED);
    const uint8_t one[] = {0x00, 0x3C}; /* as a float16 */
    memcpy(row, one, sizeof one);
    ck_assert_float_eq(ps_form_settle(form, row, columns, far, 5), 5);
    ck_assert_int_eq(row[2], 0);
    ck_assert_int_eq(row[2 + far], 128 + 5);
    ck_assert_int_eq(munmap(row, len), 0);
}
END_TEST

/* As it is read: 2^126 times 0, 1, 2, 3, then infinities. */
START_TEST(a_step_of_mxfp4_that_is_no_float32_is_not_the_nearest)
{
    uint8_t bytes[17] = {254};
    const ps_form form = form_of("mxfp4");
    ck_assert_float_eq(ps_form_settle(form, bytes, 32, 0, 0x1.fp127), 0x1.8p127F);
    ck_assert_float_eq(ps_form_settle(form, bytes, 32, 1, -0x1p126), -0x1p126F);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_form_is_read_as_it_is_written},
    {&rows_are_whole_blocks_of_whole_bytes},
    {.test = &a_number_is_as_near_as_its_bits_allow, .repeat = FORMS},
    {.test = &settling_each_number_is_encoding, .repeat = FORMS},
    {&importance_says_what_counts},
    {.test = &zeros_and_what_is_next_to_nothing_are_zeros, .repeat = FORMS},
    {&codes_of_long_rows_are_where_they_belong},
    {&a_step_of_mxfp4_that_is_no_float32_is_not_the_nearest},
    {0},
};

int main(void)
{
    return ps_check_main("form/form", cases);
}
