/* Embeddings and rotary positions of every backend. */
#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/device.h"
#include "tests/lib/ref64.h"
#include "tests/lib/ref64_transformer.h"

#include <math.h>

static ps_test_device device;

static const int widths[] = {1, 7, 16, 33, 64, 768};
#define WIDTHS (int)(sizeof widths / sizeof *widths)
enum { ROWS = 29, ENTRIES = 13 };

/* Numbers in [0, ENTRIES), the first and the last among them, many of them twice. */
static ps_tensor make_ids(int32_t *ids)
{
    for (int i = 0; i < ROWS; i++)
        ids[i] = (i * 5) % ENTRIES;
    return ps_test_i32(&device, ROWS, ids);
}

static void check_forward(ps_dtype type, int n, bool add)
{
    ps_test_device_open(&device, ps_test_backend());
    int32_t ids[ROWS];
    ps_tensor number = make_ids(ids);
    ps_tensor table = ps_test_real(&device, type, ENTRIES, n, NULL);
    ps_tensor y = ps_test_real(&device, type, ROWS, n, NULL);
    double *t64 = ps_test_read64(&device, table), *want = ps_test_read64(&device, y);
    for (int i = 0; i < ROWS * n; i++)
        want[i] = (add ? want[i] : 0) + t64[ids[i / n] * n + i % n];
    ps_op_embedding(device.stream, y, table, number, add);
    double e = ps_test_error(&device, y, want);
    ck_assert_double_le(e, add ? ps_test_tolerance(type, 1e-6) : 0);
    ps_free(&t64);
    ps_free(&want);
    ps_test_device_close(&device);
}

START_TEST(rows_of_the_table_are_found_and_added)
{
    for (int i = 0; i < 4; i++)
        check_forward(ps_test_types[i & 1], widths[_i], i & 2);
}
END_TEST

START_TEST(what_is_not_added_to_is_not_read)
{
    ps_test_device_open(&device, ps_test_backend());
    int32_t ids[ROWS];
    ps_tensor number = make_ids(ids), table = ps_test_f32(&device, ENTRIES, 5, NULL);
    ps_tensor y = ps_test_f32(&device, ROWS, 5, NULL), ok = ps_test_i32(&device, 1, NULL);
    ps_op_fill(device.stream, y, NAN);
    ps_op_embedding(device.stream, y, table, number, false);
    ps_op_all_finite(device.stream, ok, y);
    int32_t *finite = ps_test_read(&device, ok);
    ck_assert_int_eq(*finite, 1);
    ps_free(&finite);
    ps_test_device_close(&device);
}
END_TEST

START_TEST(gradients_of_equal_numbers_add_up)
{
    for (int t = 0; t < PS_TEST_TYPES; t++) {
        ps_test_device_open(&device, ps_test_backend());
        int32_t ids[ROWS];
        int n = widths[_i];
        ps_tensor number = make_ids(ids), dtable = ps_test_f32(&device, ENTRIES, n, NULL);
        ps_tensor dy = ps_test_real(&device, ps_test_types[t], ROWS, n, NULL);
        double *d = ps_test_read64(&device, dy), *want = ps_test_read64(&device, dtable);
        for (int i = 0; i < ROWS * n; i++)
            want[ids[i / n] * n + i % n] += d[i];
        ps_op_embedding_backward(device.stream, dtable, dy, number);
        ck_assert_double_lt(ps_test_error(&device, dtable, want), 2e-6);
        ps_free(&d);
        ps_free(&want);
        ps_test_device_close(&device);
    }
}
END_TEST

typedef struct rope_case {
    int heads, head_dim, pad; /* elements behind each row's heads */
    int rotary_dim;           /* 0: all of head_dim */
} rope_case;
static const rope_case ropes[] = {{1, 2, 0, 0},   {3, 6, 1, 0}, {4, 64, 0, 0},  {12, 64, 64, 0},
                                  {2, 128, 5, 0}, {3, 7, 2, 4}, {4, 64, 0, 16}, {2, 80, 3, 20}};
#define ROPES (int)(sizeof ropes / sizeof *ropes)
#define BASE  10000.0
enum { POSITIONS = 2048 };

/* [POSITIONS, head_dim/2, 2]: cos, sin of position · base^(-2i/head_dim) */
static ps_tensor make_table(int head_dim)
{
    float *values = ps_alloc_array((size_t)(POSITIONS * head_dim), sizeof *values);
    for (int i = 0; i < POSITIONS * head_dim / 2; i++) {
        double angle = i / (head_dim / 2) * pow(BASE, -2.0 * (i % (head_dim / 2)) / head_dim);
        values[2 * i] = (float)cos(angle);
        values[2 * i + 1] = (float)sin(angle);
    }
    ps_tensor t = ps_test_f32(&device, POSITIONS, head_dim, values);
    ps_free(&values);
    t.rank = 3;
    t.shape[1] = head_dim / 2;
    t.shape[2] = 2;
    return t;
}

static void check_rope(ps_dtype type, const rope_case *c, bool inverse)
{
    ps_test_device_open(&device, ps_test_backend());
    int n = c->heads * c->head_dim, ld = n + c->pad;
    int turned = c->rotary_dim ? c->rotary_dim : c->head_dim;
    int32_t positions[ROWS];
    for (int i = 0; i < ROWS; i++)
        positions[i] = i * 73 % POSITIONS;
    positions[ROWS - 1] = POSITIONS - 1;
    ps_tensor x = ps_test_real(&device, type, ROWS, ld, NULL);
    double *want = ps_test_read64(&device, x);
    for (int r = 0; r < ROWS; r++)
        for (int h = 0; h < c->heads; h++)
            ps_ref64_rope(want + r * ld + h * c->head_dim, 1, 1, turned, positions + r, BASE,
                          inverse);
    ps_op_rope(device.stream, &(ps_rope){.x = x,
                                         .positions = ps_test_i32(&device, ROWS, positions),
                                         .table = make_table(turned),
                                         .rows = ROWS,
                                         .heads = c->heads,
                                         .head_dim = c->head_dim,
                                         .ld = ld,
                                         .rotary_dim = c->rotary_dim,
                                         .inverse = inverse});
    /* want holds what was between the rows, too: it must not have changed */
    ck_assert_double_lt(ps_test_error(&device, x, want), ps_test_tolerance(type, 1e-6));
    ps_free(&want);
    ps_test_device_close(&device);
}

START_TEST(pairs_are_turned_by_their_position)
{
    for (int i = 0; i < 4; i++)
        check_rope(ps_test_types[i & 1], &ropes[_i], i & 2);
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &rows_of_the_table_are_found_and_added, .repeat = WIDTHS},
    {.test = &what_is_not_added_to_is_not_read},
    {.test = &gradients_of_equal_numbers_add_up, .repeat = WIDTHS},
    {.test = &pairs_are_turned_by_their_position, .repeat = ROPES},
    {0},
};

int main(void)
{
    return ps_check_main("gpu/op_embedding", tests);
}
