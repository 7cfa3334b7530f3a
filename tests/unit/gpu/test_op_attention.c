/* Attention of every backend against a float64 one that makes the whole matrix of scores. */
#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/device.h"
#include "tests/lib/ref64.h"
#include "tests/lib/ref64_transformer.h"
#include "tests/lib/ref64_update.h"

#include <math.h>

static ps_test_device device;

typedef struct shape {
    int batch, queries, keys, key_rows, heads, kv_heads, head_dim;
    bool causal;
    int window;
    float softcap;
    int documents; /* cut at these many places: a query sees its own one; 0: there are no starts */
    float dropout;
    bool padded; /* the last third of keys and queries is padding, in the last sequence more */
} shape;

/* keys > queries: a cache, which holds more than is new; key_rows > keys: with room to grow */
static const shape shapes[] = {
    {1, 1, 1, 1, 1, 1, 1, true},
    {2, 5, 5, 5, 3, 3, 7, true},
    {2, 5, 5, 5, 3, 3, 7, false},
    {1, 64, 64, 64, 2, 2, 64, true},
    {3, 65, 65, 65, 4, 2, 16, true},
    {1, 129, 129, 129, 6, 1, 80, true},
    {2, 200, 200, 200, 2, 2, 64, false},
    {2, 1, 77, 90, 4, 4, 64, true},
    {2, 3, 300, 301, 8, 2, 32, true},
    {1, 70, 333, 400, 2, 1, 128, true},
    {1, 70, 333, 333, 2, 1, 128, false},
    {1, 1040, 1040, 1040, 1, 1, 64, true},
    {1, 40, 40, 40, 2, 1, 256, true},
    {1, 21, 33, 36, 2, 2, 200, true},
    {1, 66, 66, 66, 1, 1, 100, true},
    /* few queries: keys in several pieces, some of which the first query does not see; a second
     * round of keys in a piece; all keys seen */
    {2, 4, 66, 70, 6, 3, 40, true},
    {1, 1, 2062, 2100, 3, 1, 64, true},
    {2, 2, 193, 200, 4, 2, 33, false},
    /* windows: within a tile, of whole tiles and more, over a cache, of one key */
    {2, 5, 5, 5, 3, 3, 7, true, .window = 2},
    {1, 64, 64, 64, 2, 1, 64, true, .window = 1},
    {1, 300, 300, 300, 2, 1, 64, true, .window = 37},
    {1, 513, 513, 513, 1, 1, 16, true, .window = 128},
    {1, 40, 40, 40, 1, 1, 256, true, .window = 11},
    {1, 90, 90, 90, 1, 1, 128, true, .window = 33},
    {1, 70, 333, 400, 2, 1, 128, true, .window = 100},
    {2, 1, 777, 790, 4, 4, 64, true, .window = 129},
    {2, 3, 300, 301, 8, 2, 32, true, .window = 10},
    {1, 33, 33, 33, 2, 2, 16, true, .window = 1000},
    /* softcaps, alone and with a window */
    {2, 65, 65, 65, 4, 2, 16, true, .softcap = 1.5f},
    {1, 129, 129, 129, 2, 1, 80, true, .window = 50, .softcap = 2},
    {1, 2, 193, 200, 4, 2, 33, false, .softcap = 0.5f},
    /* documents in a row, some of one token; padding that sees nothing */
    {2, 150, 150, 150, 2, 1, 16, true, .documents = 7},
    {1, 200, 200, 200, 1, 1, 64, true, .documents = 5, .window = 20, .softcap = 3},
    {3, 47, 47, 47, 2, 2, 32, false, .padded = true},
    {2, 140, 140, 140, 2, 2, 64, false, .padded = true},
    {2, 3, 300, 301, 4, 2, 32, true, .documents = 3},
    {2, 4, 66, 70, 6, 3, 40, false, .padded = true},
    /* dropout, also of what starts in the middle of a tile */
    {2, 150, 150, 150, 4, 2, 16, true, .dropout = 0.1f},
    {1, 140, 140, 140, 2, 1, 64, true, .window = 37, .documents = 3, .dropout = 0.5f},
    {2, 3, 3, 3, 3, 3, 7, true, .softcap = 1, .dropout = 0.25f},
};
#define SHAPES (int)(sizeof shapes / sizeof *shapes)

/* q, k and v are parts of one packed row where they may be, and there is room behind it. */
typedef struct attention_case {
    shape s;
    ps_attention a;
    ps_ref64_attention ref;
    ps_tensor q, k, v, y; /* as they were made, with all of their rows */
    int32_t *starts, *ends;
    double *kept; /* of dropout */
} attention_case;

static double *doubles(int64_t n)
{
    return ps_alloc_array((size_t)n, sizeof(double));
}

/* The heads of rows ld apart, one after the other. */
static double *gather(ps_tensor t, int batch, int rows, int all_rows, int64_t ld, int n)
{
    double *all = ps_test_read64(&device, t), *out = doubles((int64_t)batch * rows * n);
    for (int64_t i = 0; i < (int64_t)batch * rows * n; i++)
        out[i] = all[(i / n / rows * all_rows + i / n % rows) * ld + i % n];
    ps_free(&all);
    return out;
}

static double *gather_q(const attention_case *c, ps_tensor t, int64_t ld)
{
    return gather(t, c->s.batch, c->s.queries, c->s.queries, ld, c->s.heads * c->s.head_dim);
}

static double *gather_k(const attention_case *c, ps_tensor t, int64_t ld)
{
    return gather(t, c->s.batch, c->s.keys, c->s.key_rows, ld, c->s.kv_heads * c->s.head_dim);
}

/* What each query sees of documents, and of a padded row; of documents each sequence has its own
 * cuts. */
static void make_bounds(attention_case *c)
{
    const shape *s = &c->s;
    int n = s->batch * s->queries;
    c->starts = ps_alloc_array((size_t)n, sizeof *c->starts);
    c->ends = ps_alloc_array((size_t)n, sizeof *c->ends);
    for (int i = 0; i < n; i++) {
        int b = i / s->queries, t = i % s->queries, position = s->keys - s->queries + t;
        int length = s->padded ? s->keys - (b + 1) * s->keys / (s->batch + 2) : s->keys;
        bool padding = position >= length;
        for (int k = 1; k < s->documents; k++) {
            int cut = (k * k + b) * s->keys / (s->documents * s->documents + 1);
            c->starts[i] = cut <= position ? cut : c->starts[i];
        }
        c->ends[i] = padding ? 0 : length;
    }
    if (s->documents)
        c->a.starts = ps_test_i32(&device, n, c->starts);
    if (s->padded)
        c->a.ends = ps_test_i32(&device, n, c->ends);
    c->ref.starts = s->documents ? c->starts : NULL;
    c->ref.ends = s->padded ? c->ends : NULL;
}

static void make_dropout(attention_case *c)
{
    const shape *s = &c->s;
    if (s->dropout == 0)
        return;
    c->a.dropout = s->dropout;
    c->a.dropout_seed = 0x123456789ABCDEF0;
    c->a.dropout_offset = 5;
    int n = s->batch * s->heads * s->queries * s->keys;
    c->ref.kept = c->kept = doubles(n);
    ps_ref64_dropout(c->kept, n, s->dropout, c->a.dropout_seed, c->a.dropout_offset);
}

static void open_case(attention_case *c, ps_dtype type, const shape *s)
{
    ps_test_device_open(&device, ps_test_backend());
    int64_t ld_q = s->heads * s->head_dim + 3, ld_k = s->kv_heads * s->head_dim + 5;
    int64_t ld_v = s->kv_heads * s->head_dim, ld_y = s->heads * s->head_dim + 1;
    *c = (attention_case){.s = *s};
    c->q = ps_test_real(&device, type, s->batch * s->queries, ld_q, NULL);
    c->k = ps_test_real(&device, type, s->batch * s->key_rows, ld_k, NULL);
    c->v = ps_test_real(&device, type, s->batch * s->key_rows, ld_v, NULL);
    c->y = ps_test_real(&device, type, s->batch * s->queries, ld_y, NULL);
    c->a = (ps_attention){.batch = s->batch,
                          .queries = s->queries,
                          .keys = s->keys,
                          .key_rows = s->key_rows,
                          .heads = s->heads,
                          .kv_heads = s->kv_heads,
                          .head_dim = s->head_dim,
                          .ld_q = ld_q,
                          .ld_k = ld_k,
                          .ld_v = ld_v,
                          .ld_y = ld_y,
                          .q = c->q,
                          .k = c->k,
                          .v = c->v,
                          .y = c->y,
                          .lse = ps_test_f32(&device, 0, s->batch * s->heads * s->queries, NULL),
                          .scale = 1.0f / sqrtf((float)s->head_dim),
                          .causal = s->causal,
                          .window = s->window,
                          .softcap = s->softcap};
    c->ref =
        (ps_ref64_attention){.batch = s->batch,
                             .queries = s->queries,
                             .keys = s->keys,
                             .heads = s->heads,
                             .kv_heads = s->kv_heads,
                             .head_dim = s->head_dim,
                             .causal = s->causal,
                             .scale = (double)c->a.scale,
                             .q = gather_q(c, c->q, ld_q),
                             .k = gather_k(c, c->k, ld_k),
                             .v = gather_k(c, c->v, ld_v),
                             .y = doubles((int64_t)s->batch * s->queries * s->heads * s->head_dim),
                             .lse = doubles((int64_t)s->batch * s->heads * s->queries),
                             .window = s->window,
                             .softcap = (double)s->softcap};
    make_bounds(c);
    make_dropout(c);
}

static void close_case(attention_case *c)
{
    free((void *)(uintptr_t)c->ref.q);
    free((void *)(uintptr_t)c->ref.k);
    free((void *)(uintptr_t)c->ref.v);
    ps_free(&c->ref.y);
    ps_free(&c->ref.lse);
    ps_free(&c->kept);
    ps_free(&c->starts);
    ps_free(&c->ends);
    ps_test_device_close(&device);
}

/* As a part of the largest number, or of `least`. */
static double error_beside(double least, const double *got, const double *want, int64_t n)
{
    double worst = 0, largest = least;
    for (int64_t i = 0; i < n; i++) {
        double e = fabs(got[i] - want[i]);
        if (isnan(e))
            return INFINITY;
        worst = fmax(worst, e);
        largest = fmax(largest, fabs(want[i]));
    }
    return worst / largest;
}

static double error(const double *got, const double *want, int64_t n)
{
    return error_beside(1e-30, got, want, n);
}

static int64_t query_count(const shape *s)
{
    return (int64_t)s->batch * s->queries * s->heads * s->head_dim;
}

static int64_t key_count(const shape *s)
{
    return (int64_t)s->batch * s->keys * s->kv_heads * s->head_dim;
}

/* Elements behind each row's heads, which nobody may write to. */
static void check_between(ps_tensor t, const double *before, int64_t ld, int n)
{
    double *after = ps_test_read64(&device, t);
    for (int64_t i = 0; i < ps_tensor_count(t); i++) {
        if (i % ld >= n)
            ck_assert_msg(after[i] == before[i], "written between the rows, at %lld", (long long)i);
    }
    ps_free(&after);
}

/* Of a query that sees nothing it is -infinity. */
static void check_lse(const attention_case *c)
{
    int64_t n = ps_tensor_count(c->a.lse);
    float *got = ps_test_read(&device, c->a.lse);
    for (int64_t i = 0; i < n; i++) {
        if (isinf(c->ref.lse[i])) {
            ck_assert_float_eq(got[i], -INFINITY);
            got[i] = 0;
            c->ref.lse[i] = 0;
        }
    }
    ck_assert_double_lt(ps_ref64_error(got, c->ref.lse, (size_t)n), 2e-6);
    ps_free(&got);
}

static void check_forward(ps_dtype type, const shape *s)
{
    attention_case c;
    open_case(&c, type, s);
    ps_ref64_attention_forward(&c.ref);
    double *before = ps_test_read64(&device, c.y);
    ps_op_attention(device.stream, &c.a);
    double *got = gather_q(&c, c.y, c.a.ld_y), e = error(got, c.ref.y, query_count(s));
    ck_assert_msg(e < ps_test_tolerance(type, 3e-6), "y off by %g", e);
    check_lse(&c);
    check_between(c.y, before, c.a.ld_y, s->heads * s->head_dim);

    c.a.lse = (ps_tensor){0};
    ps_op_attention(device.stream, &c.a);
    double *again = gather_q(&c, c.y, c.a.ld_y);
    ck_assert_double_lt(error(again, c.ref.y, query_count(s)), ps_test_tolerance(type, 3e-6));
    ps_free(&before);
    ps_free(&got);
    ps_free(&again);
    close_case(&c);
}

/* For ps_test_leave_out: products of queries, with which a block is no quicker for one, and keys.
 */
static int64_t work(const shape *s)
{
    return s->batch * s->heads * (s->queries < 16 ? 16 : s->queries) * s->keys * s->head_dim / 64;
}

START_TEST(attention_agrees_with_float64)
{
    if (ps_test_leave_out(work(&shapes[_i])))
        return;
    for (int t = 0; t < PS_TEST_TYPES; t++)
        check_forward(ps_test_types[t], &shapes[_i]);
}
END_TEST

static void check_weights(ps_dtype type, const shape *s)
{
    attention_case c;
    open_case(&c, type, s);
    int columns = s->keys + 3, rows = s->batch * s->heads * s->queries;
    ps_tensor p = ps_test_f32(&device, rows, columns, NULL);
    double *want = doubles((int64_t)rows * columns), *sums = doubles(rows);
    for (int i = 0; i < rows; i++) {
        int unit = i / s->queries;
        double *row = want + (int64_t)i * columns;
        sums[i] = !isinf(ps_ref64_attention_weights(&c.ref, unit / s->heads, i % s->queries,
                                                    unit % s->heads, row));
    }
    ps_op_attention(device.stream, &c.a);
    c.a.y = c.a.v = (ps_tensor){0};
    ps_op_attention_weights(device.stream, &(ps_attention_weights){.forward = &c.a, .p = p});
    double e = ps_test_error(&device, p, want);
    ck_assert_msg(e < 1e-5, "weights off by %g", e);
    float *got = ps_test_read(&device, p);
    for (int i = 0; i < rows; i++) {
        double sum = 0;
        for (int j = 0; j < columns; j++)
            sum += (double)got[(int64_t)i * columns + j];
        ck_assert_double_eq_tol(sum, sums[i], 1e-5);
    }
    ps_free(&got);
    ps_free(&want);
    ps_free(&sums);
    close_case(&c);
}

START_TEST(weights_agree_with_float64_and_add_up_to_1)
{
    const shape *s = &shapes[_i];
    if (ps_test_leave_out(10 * work(s)) || work(s) > 1 << 21)
        return; /* a thread a weight is slow where threads are not real */
    for (int t = 0; t < PS_TEST_TYPES; t++)
        check_weights(ps_test_types[t], s);
}
END_TEST

typedef struct gradients {
    ps_attention_backward b;
    double *dy64, *dq64, *dk64, *dv64;
} gradients;

static void open_gradients(gradients *g, const attention_case *c)
{
    ps_dtype type = c->q.dtype;
    g->b = (ps_attention_backward){
        .forward = &c->a,
        .dq = ps_test_real(&device, type, c->q.shape[0], c->q.shape[1], NULL),
        .dk = ps_test_real(&device, type, c->k.shape[0], c->k.shape[1], NULL),
        .dv = ps_test_real(&device, type, c->v.shape[0], c->v.shape[1], NULL),
        .dy = ps_test_real(&device, type, c->y.shape[0], c->y.shape[1], NULL),
        .delta = ps_test_f32(&device, 0, ps_tensor_count(c->a.lse), NULL)};
    g->dy64 = gather_q(c, g->b.dy, c->a.ld_y);
    g->dq64 = doubles(query_count(&c->s));
    g->dk64 = doubles(key_count(&c->s));
    g->dv64 = doubles(key_count(&c->s));
    ps_ref64_attention_backward(&c->ref, g->dy64, g->dq64, g->dk64, g->dv64);
}

static void close_gradients(gradients *g)
{
    ps_free(&g->dy64);
    ps_free(&g->dq64);
    ps_free(&g->dk64);
    ps_free(&g->dv64);
}

static void check_gradients(ps_dtype type, const shape *s)
{
    attention_case c;
    gradients g;
    open_case(&c, type, s);
    open_gradients(&g, &c);
    double *before = ps_test_read64(&device, g.b.dq);
    ps_op_attention(device.stream, &c.a);
    ps_op_attention_backward(device.stream, &g.b);
    double *dq = gather_q(&c, g.b.dq, c.a.ld_q), *dk = gather_k(&c, g.b.dk, c.a.ld_k);
    double *dv = gather_k(&c, g.b.dv, c.a.ld_v);
    /* y is rounded to 8 bits before delta is made of it: BF16 is off by a part of a step more */
    double tolerance = type == PS_DTYPE_BF16 ? 1.5 / 256 : 1e-5;
    /* one key: a softmax of 1 has no gradient, only rounding of numbers of about 1 */
    double least = s->keys == 1 || s->window == 1 ? 1 : 1e-30;
    double errors[] = {error_beside(least, dq, g.dq64, query_count(s)),
                       error_beside(least, dk, g.dk64, key_count(s)),
                       error(dv, g.dv64, key_count(s))};
    static const char *const names[] = {"dq", "dk", "dv"};
    for (int i = 0; i < 3; i++)
        ck_assert_msg(errors[i] < tolerance, "%s off by %g", names[i], errors[i]);
    check_between(g.b.dq, before, c.a.ld_q, s->heads * s->head_dim);
    ps_free(&before);
    ps_free(&dq);
    ps_free(&dk);
    ps_free(&dv);
    close_gradients(&g);
    close_case(&c);
}

START_TEST(gradients_agree_with_float64)
{
    const shape *s = &shapes[_i];
    if (ps_test_leave_out(work(s)))
        return;
    if (s->keys != s->queries || s->key_rows != s->keys)
        return; /* a cache has no backward pass */
    for (int t = 0; t < PS_TEST_TYPES; t++)
        check_gradients(ps_test_types[t], s);
}
END_TEST

/* One packed row of q, k and v, as GPT-2 has it, and gradients in one of the same form. */
START_TEST(parts_of_one_packed_row_are_used_from_where_they_are)
{
    enum { ROWS = 70, HEADS = 3, DIM = 16, N = HEADS * DIM };
    attention_case c;
    open_case(&c, PS_DTYPE_F32, &(shape){1, ROWS, ROWS, ROWS, HEADS, HEADS, DIM, true});
    gradients g;
    open_gradients(&g, &c);
    ps_ref64_attention_forward(&c.ref);
    float *packed = ps_alloc_array(ROWS * 3 * N, sizeof *packed);
    double *want = doubles(ROWS * 3 * N);
    for (int i = 0; i < ROWS * N; i++) {
        int to = i / N * 3 * N + i % N;
        packed[to] = (float)c.ref.q[i];
        packed[to + N] = (float)c.ref.k[i];
        packed[to + 2 * N] = (float)c.ref.v[i];
        want[to] = g.dq64[i];
        want[to + N] = g.dk64[i];
        want[to + 2 * N] = g.dv64[i];
    }
    ps_tensor qkv = ps_test_f32(&device, ROWS, 3 * N, packed);
    ps_tensor dqkv = ps_test_f32(&device, ROWS, 3 * N, NULL);
    c.a.q = c.a.k = c.a.v = qkv;
    g.b.dq = g.b.dk = g.b.dv = dqkv;
    c.a.k.offset = g.b.dk.offset = N * sizeof(float);
    c.a.v.offset = g.b.dv.offset = 2 * N * sizeof(float);
    c.a.ld_q = c.a.ld_k = c.a.ld_v = 3 * N;
    ps_op_attention(device.stream, &c.a);
    ps_op_attention_backward(device.stream, &g.b);
    double *got = gather_q(&c, c.y, c.a.ld_y);
    ck_assert_double_lt(error(got, c.ref.y, ROWS * N), 3e-6);
    double *d = ps_test_read64(&device, dqkv);
    ck_assert_double_lt(error(d, want, ROWS * 3 * N), 1e-5);
    ps_free(&packed);
    ps_free(&got);
    ps_free(&d);
    ps_free(&want);
    close_gradients(&g);
    close_case(&c);
}
END_TEST

/* Scores of ±300 in rising order: each tile of keys has a new largest one. */
START_TEST(large_scores_that_rise_from_tile_to_tile_do_not_overflow)
{
    enum { MANY = 30 };
    shape s = {1, _i ? MANY : 3, 400, 400, 1, 1, 1, false};
    attention_case c;
    open_case(&c, PS_DTYPE_F32, &s);
    float q[MANY * 4], k[400 * 6];
    for (int i = 0; i < s.queries * 4; i++)
        q[i] = i / 4 == 1 ? -1 : 1;
    for (int i = 0; i < 2400; i++)
        k[i] = 1.5f * (float)(i / 6) - 300;
    ps_copy_to_device(device.stream, c.q, q, (size_t)s.queries * 4 * sizeof *q);
    ps_copy_to_device(device.stream, c.k, k, sizeof k);
    free((void *)(uintptr_t)c.ref.q);
    free((void *)(uintptr_t)c.ref.k);
    c.ref.q = gather_q(&c, c.q, c.a.ld_q);
    c.ref.k = gather_k(&c, c.k, c.a.ld_k);
    ps_ref64_attention_forward(&c.ref);
    ps_op_attention(device.stream, &c.a);
    double *got = gather_q(&c, c.y, c.a.ld_y);
    ck_assert_double_lt(error(got, c.ref.y, s.queries), 1e-6);
    ck_assert_double_lt(ps_test_error(&device, c.a.lse, c.ref.lse), 1e-6);
    ps_free(&got);
    close_case(&c);
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &attention_agrees_with_float64, .timeout_s = 60, .repeat = SHAPES},
    {.test = &weights_agree_with_float64_and_add_up_to_1, .repeat = SHAPES},
    {.test = &gradients_agree_with_float64, .timeout_s = 60, .repeat = SHAPES},
    {.test = &parts_of_one_packed_row_are_used_from_where_they_are},
    {.test = &large_scores_that_rise_from_tile_to_tile_do_not_overflow, .repeat = 2},
    {0},
};

int main(void)
{
    return ps_check_main("gpu/op_attention", tests);
}
