/* Caches of keys and values that are narrower than float32: what is written into them is rounded as
 * is said, and attention over them is that of the numbers that they hold, in float64. */
#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/device.h"
#include "tests/lib/ref64_transformer.h"

#include <math.h>

static ps_test_device device;

static const ps_dtype types[] = {PS_DTYPE_F32, PS_DTYPE_BF16, PS_DTYPE_I8};
#define TYPES (int)(sizeof types / sizeof *types)

typedef struct shape {
    int batch, queries, keys, key_rows, heads, kv_heads, head_dim;
} shape;

/* few queries, with heads that fill no register and such that do; many */
static const shape shapes[] = {{1, 1, 1, 3, 1, 1, 1},       {1, 1, 200, 256, 12, 12, 64},
                               {2, 3, 77, 90, 6, 2, 33},    {1, 4, 700, 701, 3, 1, 128},
                               {1, 1, 65, 65, 4, 4, 20},    {2, 40, 140, 150, 4, 2, 24},
                               {1, 130, 260, 300, 2, 1, 64}};
#define SHAPES (int)(sizeof shapes / sizeof *shapes)

static ps_tensor new_tensor(ps_dtype type, int64_t rows, int64_t columns)
{
    /* enough of float32 for any type */
    ps_tensor t = ps_test_f32(&device, rows, columns, NULL);
    t.dtype = type;
    return t;
}

typedef struct cache {
    ps_tensor x, scales;
    double *x64; /* what it holds */
} cache;

/* ---- what is written ---- */

static void check_bytes(const double *x, const int8_t *q, double scale, int n)
{
    double largest = 0;
    for (int i = 0; i < n; i++)
        largest = fmax(largest, fabs(x[i]));
    ck_assert_double_le(fabs(scale - largest / 127), 1e-6 * largest / 127);
    for (int i = 0; i < n; i++) {
        double off = fabs(x[i] - q[i] * scale);
        ck_assert_msg(off <= scale * 0.5 * (1 + 1e-4), "%g as %d · %g", x[i], q[i], scale);
    }
}

/* Of x the nearest number with eight bits of fraction, in float64; ties to even, as rint has it. */
static double nearest_bf16(double x)
{
    int exponent;
    (void)frexp(x, &exponent);
    return ldexp(rint(ldexp(x, 8 - exponent)), exponent - 8);
}

/* The cache's rows as they are, beside x64 as they were before. */
static void check_kept(cache *c, int64_t from, int64_t rows, int columns, int block)
{
    void *kept = ps_test_read(&device, c->x);
    float *scales = c->x.dtype == PS_DTYPE_I8 ? ps_test_read(&device, c->scales) : NULL;
    for (int64_t i = from * columns; i < (from + rows) * columns; i++) {
        double x = c->x64[i], y = 0;
        if (c->x.dtype == PS_DTYPE_F32)
            y = (double)((float *)kept)[i];
        if (c->x.dtype == PS_DTYPE_BF16) {
            uint32_t bits = (uint32_t)((uint16_t *)kept)[i] << 16;
            float f;
            memcpy(&f, &bits, sizeof f);
            y = (double)f;
            x = nearest_bf16(x);
        }
        if (c->x.dtype != PS_DTYPE_I8) {
            ck_assert_double_eq(x, y);
        } else {
            if (i % block == 0)
                check_bytes(c->x64 + i, (int8_t *)kept + i, (double)scales[i / block], block);
            y = ((int8_t *)kept)[i] * (double)scales[i / block];
        }
        c->x64[i] = y;
    }
    ps_free(&kept);
    ps_free(&scales);
}

/* Rows [from, from + rows) of a cache from as many of a wider matrix; some are 0, some large. */
static void write_rows(cache *c, int64_t from, int64_t rows, int columns, int block)
{
    int64_t ld = columns + 3;
    float *values = ps_alloc_array((size_t)(rows * ld), sizeof *values);
    for (int64_t i = 0; i < rows * ld; i++) {
        int64_t row = i / ld;
        values[i] =
            row % 5 == 4 ? 0 : (row % 7 == 3 ? 8.0f : 1.0f) * (float)ps_rng_normal(&device.rng);
        if (i % ld < columns)
            c->x64[(from + row) * columns + i % ld] = (double)values[i];
    }
    ps_tensor x = ps_test_f32(&device, rows, ld, values);
    ps_tensor y = c->x, scales = c->scales;
    y.offset += (size_t)(from * columns) * ps_dtype_bytes(y.dtype);
    y.shape[0] = rows;
    if (ps_tensor_present(scales)) {
        scales.offset += (size_t)(from * columns / block) * sizeof(float);
        scales.shape[0] = rows;
    }
    ps_op_cache_rows(device.stream, &(ps_cache_rows){.y = y,
                                                     .scales = scales,
                                                     .x = x,
                                                     .rows = rows,
                                                     .columns = columns,
                                                     .ld_x = ld,
                                                     .block = block});
    check_kept(c, from, rows, columns, block);
    ps_free(&values);
}

/* All rows, in two calls. */
static cache fill_cache(ps_dtype type, const shape *s)
{
    int columns = s->kv_heads * s->head_dim;
    int64_t rows = (int64_t)s->batch * s->key_rows, first = rows / 3;
    cache c = {.x = new_tensor(type, rows, columns),
               .x64 = ps_alloc_array((size_t)(rows * columns), sizeof(double))};
    if (type == PS_DTYPE_I8)
        c.scales = new_tensor(PS_DTYPE_F32, rows, s->kv_heads);
    if (first)
        write_rows(&c, 0, first, columns, s->head_dim);
    write_rows(&c, first, rows - first, columns, s->head_dim);
    return c;
}

/* ---- attention over it ---- */

/* The reference has no rows behind the last key. */
static double *used(const cache *c, const shape *s)
{
    int columns = s->kv_heads * s->head_dim;
    double *out = ps_alloc_array((size_t)(s->batch * s->keys * columns), sizeof *out);
    for (int b = 0; b < s->batch; b++)
        memcpy(out + b * s->keys * columns, c->x64 + (int64_t)b * s->key_rows * columns,
               (size_t)(s->keys * columns) * sizeof *out);
    return out;
}

static void check_attention(const shape *s, const cache *k, const cache *v)
{
    int width = s->heads * s->head_dim, n = s->batch * s->queries * width;
    ps_attention a = {.batch = s->batch,
                      .queries = s->queries,
                      .keys = s->keys,
                      .key_rows = s->key_rows,
                      .heads = s->heads,
                      .kv_heads = s->kv_heads,
                      .head_dim = s->head_dim,
                      .ld_q = width,
                      .ld_y = width,
                      .ld_k = s->kv_heads * s->head_dim,
                      .ld_v = s->kv_heads * s->head_dim,
                      .y = ps_test_f32(&device, s->batch * s->queries, width, NULL),
                      .q = ps_test_f32(&device, s->batch * s->queries, width, NULL),
                      .k = k->x,
                      .v = v->x,
                      .k_scales = k->scales,
                      .v_scales = v->scales,
                      .scale = 1.0f / sqrtf((float)s->head_dim),
                      .causal = true};
    double *q64 = ps_test_read64(&device, a.q), *k64 = used(k, s), *v64 = used(v, s);
    double *want = ps_alloc_array((size_t)n, sizeof *want);
    ps_ref64_attention_forward(&(ps_ref64_attention){.batch = s->batch,
                                                     .queries = s->queries,
                                                     .keys = s->keys,
                                                     .heads = s->heads,
                                                     .kv_heads = s->kv_heads,
                                                     .head_dim = s->head_dim,
                                                     .causal = true,
                                                     .scale = (double)a.scale,
                                                     .q = q64,
                                                     .k = k64,
                                                     .v = v64,
                                                     .y = want});
    ps_op_attention(device.stream, &a);
    ck_assert_double_lt(ps_test_error(&device, a.y, want), 3e-6);
    ps_free(&q64);
    ps_free(&k64);
    ps_free(&v64);
    ps_free(&want);
}

/* For ps_test_leave_out. */
static int64_t work(const shape *s)
{
    int64_t attention = (int64_t)s->queries * s->keys * s->heads * s->head_dim / 64;
    int64_t rows = (int64_t)s->batch * s->key_rows * s->kv_heads * s->head_dim;
    return attention > rows ? attention : rows;
}

START_TEST(attention_is_that_of_the_numbers_the_cache_holds)
{
    const shape *s = &shapes[_i / TYPES];
    if (ps_test_leave_out(work(s)))
        return;
    ps_test_device_open(&device, ps_test_backend());
    cache k = fill_cache(types[_i % TYPES], s), v = fill_cache(types[_i % TYPES], s);
    check_attention(s, &k, &v);
    ps_free(&k.x64);
    ps_free(&v.x64);
    ps_test_device_close(&device);
}
END_TEST

/* A model that computes in bfloat16 has a cache of its own type. */
START_TEST(rows_of_bfloat16_are_copied)
{
    enum { ROWS = 3, COLUMNS = 70, LD = 75 };
    ps_test_device_open(&device, ps_test_backend());
    ps_tensor x = ps_test_real(&device, PS_DTYPE_BF16, ROWS, LD, NULL);
    ps_tensor y = ps_test_real(&device, PS_DTYPE_BF16, ROWS, COLUMNS, NULL);
    ps_op_cache_rows(
        device.stream,
        &(ps_cache_rows){
            .y = y, .x = x, .rows = ROWS, .columns = COLUMNS, .ld_x = LD, .block = COLUMNS / 2});
    double *from = ps_test_read64(&device, x), *got = ps_test_read64(&device, y);
    for (int i = 0; i < ROWS * COLUMNS; i++)
        ck_assert_double_eq(got[i], from[i / COLUMNS * LD + i % COLUMNS]);
    ps_free(&from);
    ps_free(&got);
    ps_test_device_close(&device);
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &attention_is_that_of_the_numbers_the_cache_holds, .repeat = SHAPES * TYPES},
    {.test = &rows_of_bfloat16_are_copied},
    {0},
};

int main(void)
{
    return ps_check_main("gpu/op_cache", tests);
}
