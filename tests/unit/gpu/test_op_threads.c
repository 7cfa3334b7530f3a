/* What operations give does not depend on the number of threads, to the last bit: a job that is run
 * again on another machine learns the same. Larger products of F32 are not promised to. */
#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/device.h"

#include <string.h>

static ps_test_device device;

enum { ROWS = 300, COLUMNS = 200, RESULTS = 4 };

/* Enqueues on `device`, whose random numbers are the same each time; names what is compared. */
typedef void (*run_cb)(ps_dtype type, ps_tensor results[RESULTS]);

static ps_tensor matrix(ps_dtype type)
{
    return ps_test_real(&device, type, ROWS, COLUMNS, NULL);
}

static ps_tensor row(ps_dtype type)
{
    return ps_test_real(&device, type, 0, COLUMNS, NULL);
}

static ps_tensor column(void)
{
    return ps_test_f32(&device, 0, ROWS, NULL);
}

static ps_tensor numbers(int32_t limit)
{
    int32_t n[ROWS];
    for (int i = 0; i < ROWS; i++)
        n[i] = i * 7 % limit;
    return ps_test_i32(&device, ROWS, n);
}

static void norm_cb(ps_dtype type, ps_tensor results[RESULTS])
{
    ps_norm n = {matrix(type), matrix(type), row(type), row(type), column(), column(), 1e-5f};
    ps_op_layernorm(device.stream, &n);
    ps_norm_backward b = {.dx = matrix(type),
                          .dgain = row(PS_DTYPE_F32),
                          .dbias = row(PS_DTYPE_F32),
                          .dy = matrix(type),
                          .x = n.x,
                          .gain = n.gain,
                          .mean = n.mean,
                          .rstd = n.rstd};
    ps_op_layernorm_backward(device.stream, &b);
    results[0] = n.y;
    results[1] = b.dx;
    results[2] = b.dgain;
    results[3] = b.dbias;
}

static void rows_cb(ps_dtype type, ps_tensor results[RESULTS])
{
    ps_tensor dbias = row(PS_DTYPE_F32), y = matrix(type);
    ps_op_bias_backward(device.stream, dbias, y, 1);
    ps_op_bias_add(device.stream, y, row(type));
    ps_tensor dtable = ps_test_f32(&device, 9, COLUMNS, NULL), ids = numbers(9);
    ps_op_embedding_backward(device.stream, dtable, y, ids);
    results[0] = dbias;
    results[1] = y;
    results[2] = dtable;
}

static void loss_cb(ps_dtype type, ps_tensor results[RESULTS])
{
    ps_cross_entropy c = {.loss = ps_test_f32(&device, 0, 1, NULL),
                          .correct = ps_test_i32(&device, 1, NULL),
                          .dlogits = matrix(type),
                          .logits = matrix(PS_DTYPE_F32),
                          .labels = numbers(COLUMNS),
                          .scale = 0.01f};
    ps_op_cross_entropy(device.stream, &c);
    results[0] = c.loss;
    results[1] = c.dlogits;
    results[2] = ps_test_f32(&device, 0, 1, NULL);
    ps_op_squared_error(device.stream, results[2], (ps_tensor){0}, c.logits, matrix(PS_DTYPE_F32));
}

static void element_cb(ps_dtype type, ps_tensor results[RESULTS])
{
    ps_tensor x = matrix(type), f = matrix(PS_DTYPE_F32);
    ps_op_activation(device.stream, PS_ACTIVATION_GELU_TANH, x, x);
    ps_op_dropout(device.stream, &(ps_dropout){.y = x, .x = x, .rate = 0.2f, .seed = 5});
    results[0] = x;
    results[1] = ps_test_f32(&device, 0, 1, NULL);
    ps_op_squared_norm(device.stream, results[1], f, false);
    results[2] = f;
    ps_op_clip_norm(device.stream, f, results[1], 0.5f);
}

static void attention_cb(ps_dtype type, ps_tensor results[RESULTS])
{
    int64_t n = COLUMNS;
    ps_attention a = {.batch = 1,
                      .queries = ROWS,
                      .keys = ROWS,
                      .key_rows = ROWS,
                      .heads = 5,
                      .kv_heads = 5,
                      .head_dim = COLUMNS / 5,
                      .ld_q = n,
                      .ld_k = n,
                      .ld_v = n,
                      .ld_y = n,
                      .y = matrix(type),
                      .q = matrix(type),
                      .k = matrix(type),
                      .v = matrix(type),
                      .lse = ps_test_f32(&device, 5, ROWS, NULL),
                      .scale = 0.15f,
                      .causal = true};
    ps_attention_backward b = {.forward = &a,
                               .dq = matrix(type),
                               .dk = matrix(type),
                               .dv = matrix(type),
                               .dy = matrix(type),
                               .delta = ps_test_f32(&device, 5, ROWS, NULL)};
    ps_op_attention(device.stream, &a);
    ps_op_attention_backward(device.stream, &b);
    results[0] = a.y;
    results[1] = b.dq;
    results[2] = b.dk;
    results[3] = b.dv;
}

/* What a model does that writes one token after the other: products of few rows and attention of
 * one query, in several pieces; these are promised. */
static void few_cb(ps_dtype type, ps_tensor results[RESULTS])
{
    ps_tensor x = ps_test_real(&device, type, 3, ROWS, NULL);
    results[0] = ps_test_real(&device, type, 3, COLUMNS, NULL);
    results[1] = ps_test_real(&device, type, 3, ROWS, NULL);
    ps_op_matmul(device.stream, results[0], x, false, matrix(type), false, 0);
    ps_op_matmul(device.stream, results[1], results[0], false, matrix(type), true, 0);
    ps_attention a = {.batch = 1,
                      .queries = 1,
                      .keys = ROWS - 1,
                      .key_rows = ROWS,
                      .heads = 5,
                      .kv_heads = 5,
                      .head_dim = COLUMNS / 5,
                      .ld_q = COLUMNS,
                      .ld_k = COLUMNS,
                      .ld_v = COLUMNS,
                      .ld_y = COLUMNS,
                      .y = ps_test_real(&device, type, 1, COLUMNS, NULL),
                      .q = ps_test_real(&device, type, 1, COLUMNS, NULL),
                      .k = matrix(type),
                      .v = matrix(type),
                      .scale = 0.15f,
                      .causal = true};
    ps_op_attention(device.stream, &a);
    results[2] = a.y;
}

static const run_cb runs[] = {norm_cb, rows_cb, loss_cb, element_cb, attention_cb, few_cb};
#define RUNS (int)(sizeof runs / sizeof *runs)

static void run_with(int threads, run_cb run, ps_dtype type, void *bytes[RESULTS],
                     size_t sizes[RESULTS])
{
    ps_tensor results[RESULTS] = {0};
    ps_test_device_open_threads(&device, ps_test_backend(), threads);
    run(type, results);
    for (int i = 0; i < RESULTS && ps_tensor_present(results[i]); i++) {
        bytes[i] = ps_test_read(&device, results[i]);
        sizes[i] = ps_tensor_bytes(results[i]);
    }
    ps_test_device_close(&device);
}

START_TEST(results_are_the_same_for_any_number_of_threads)
{
    static const int counts[] = {2, 5};
    for (int t = 0; t < PS_TEST_TYPES; t++) {
        void *want[RESULTS] = {0};
        size_t sizes[RESULTS] = {0};
        run_with(1, runs[_i], ps_test_types[t], want, sizes);
        for (int c = 0; c < 2; c++) {
            void *got[RESULTS] = {0};
            run_with(counts[c], runs[_i], ps_test_types[t], got, sizes);
            for (int i = 0; i < RESULTS; i++) {
                ck_assert_msg(!want[i] || memcmp(want[i], got[i], sizes[i]) == 0,
                              "%d threads: result %d is another", counts[c], i);
                ps_free(&got[i]);
            }
        }
        for (int i = 0; i < RESULTS; i++)
            ps_free(&want[i]);
    }
}
END_TEST

/* x[rows,COLUMNS] by both kinds of products: what a prompt's last rows go through. */
static float *rows_by_products(const float *x, int64_t rows)
{
    ps_test_device_open_threads(&device, ps_test_backend(), 2);
    ps_tensor w = matrix(PS_DTYPE_F32), up = ps_test_f32(&device, rows, ROWS, NULL);
    ps_tensor down = ps_test_f32(&device, rows, COLUMNS, NULL);
    ps_op_matmul(device.stream, up, ps_test_f32(&device, rows, COLUMNS, x), false, w, true, 0);
    ps_op_matmul(device.stream, down, up, false, w, false, 0);
    float *y = ps_test_read(&device, down);
    ps_test_device_close(&device);
    return y;
}

START_TEST(a_row_among_few_is_what_it_is_alone)
{
    enum { FEW = 8 };
    if (strcmp(ps_test_backend(), "cpu") != 0)
        return; /* cuBLAS promises nothing of the kind */
    float x[FEW * COLUMNS];
    for (int i = 0; i < FEW * COLUMNS; i++)
        x[i] = (float)(i * 37 % 101) / 50 - 1;
    float *together = rows_by_products(x, FEW);
    for (int i = 0; i < FEW; i++) {
        float *alone = rows_by_products(x + (ptrdiff_t)i * COLUMNS, 1);
        ck_assert_mem_eq(alone, together + (ptrdiff_t)i * COLUMNS, COLUMNS * sizeof *alone);
        ps_free(&alone);
    }
    ps_free(&together);
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &results_are_the_same_for_any_number_of_threads, .timeout_s = 60, .repeat = RUNS},
    {.test = &a_row_among_few_is_what_it_is_alone},
    {0},
};

int main(void)
{
    return ps_check_main("gpu/op_threads", tests);
}
