/* bench_ops: each operation of a training step of GPT-2 124M, beside what bounds it in the same
 * run: products beside the processor's peak (peak.h), all others beside y += a·x over as many bytes
 * ("axpy"), which are in the caches or not as theirs are. Then the step that they add up to, and
 * the share of it that is not products. Times are processor time divided by threads, which
 * neighbours change less than the clock.
 *
 *     bench_ops [--json] [--threads N] [--long] [--type bf16] [--only TEXT]
 *
 * A batch is 4 × 64 tokens, --long 8 × 1024. Each figure is the best of several rounds: on a shared
 * machine the others show the neighbours.
 */
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "gpu/op.h"
#include "tests/bench/peak.h"

#include <stdio.h>
#include <string.h>

enum { WIDTH = 768, HEADS = 12, LAYERS = 12, WORDS = 50257, PARTS = 8 };
#define ROUND_NS 10000000
#define ROUNDS   10

typedef struct bench {
    ps_backend *backend;
    ps_stream *stream;
    ps_buffer *memory;
    int64_t batch, length, rows;
    ps_dtype type;
    double gemm_ms, other_ms, peak; /* of a step; GFLOP/s */
} bench;

typedef struct row {
    const char *name;
    int calls;       /* a step */
    int64_t m, n, k; /* a product's; else m rows of n */
    double streams;  /* m·n elements of T that are read or written at least */
    bool transpose_a, transpose_b;
    void (*run)(bench *b, const struct row *r); /* NULL: a product */
} row;

/* Part i of the memory, [m,n]: parts do not overlap, the same part is always at the same place. */
static ps_tensor part(const bench *b, int i, ps_dtype type, int64_t m, int64_t n)
{
    size_t step = b->memory->bytes / PARTS / 256 * 256;
    return ps_tensor_2d(b->memory, (size_t)i * step, type, m, n);
}

static ps_tensor line(const bench *b, int i, ps_dtype type, int64_t n)
{
    ps_tensor t = part(b, i, type, 1, n);
    return ps_tensor_1d(t.buffer, t.offset, type, n);
}

static void run_product(bench *b, const row *r)
{
    ps_tensor a =
        r->transpose_a ? part(b, 0, b->type, r->k, r->m) : part(b, 0, b->type, r->m, r->k);
    ps_tensor w =
        r->transpose_b ? part(b, 2, b->type, r->n, r->k) : part(b, 2, b->type, r->k, r->n);
    ps_op_matmul(b->stream, part(b, 5, r->transpose_a ? PS_DTYPE_F32 : b->type, r->m, r->n), a,
                 r->transpose_a, w, r->transpose_b, 0);
}

static void run_bias_add(bench *b, const row *r)
{
    ps_op_bias_add(b->stream, part(b, 0, b->type, r->m, r->n), line(b, 1, b->type, r->n));
}

static void run_bias_backward(bench *b, const row *r)
{
    ps_op_bias_backward(b->stream, line(b, 1, PS_DTYPE_F32, r->n), part(b, 0, b->type, r->m, r->n),
                        0);
}

static void run_gelu(bench *b, const row *r)
{
    ps_op_activation(b->stream, PS_ACTIVATION_GELU_TANH, part(b, 0, b->type, r->m, r->n),
                     part(b, 1, b->type, r->m, r->n));
}

static void run_gelu_backward(bench *b, const row *r)
{
    ps_tensor x = part(b, 1, b->type, r->m, r->n), dy = part(b, 2, b->type, r->m, r->n);
    ps_op_activation_backward(b->stream, PS_ACTIVATION_GELU_TANH, part(b, 0, b->type, r->m, r->n),
                              dy, x, part(b, 3, b->type, r->m, r->n));
}

static void run_add(bench *b, const row *r)
{
    ps_op_add(b->stream, part(b, 0, b->type, r->m, r->n), part(b, 1, b->type, r->m, r->n),
              part(b, 2, b->type, r->m, r->n));
}

static void run_dropout(bench *b, const row *r)
{
    ps_op_dropout(b->stream, &(ps_dropout){.y = part(b, 0, b->type, r->m, r->n),
                                           .x = part(b, 1, b->type, r->m, r->n),
                                           .rate = 0.1f,
                                           .seed = 1});
}

static ps_norm norm_of(const bench *b, const row *r)
{
    ps_tensor mean = line(b, 6, PS_DTYPE_F32, r->m), rstd = mean;
    rstd.offset += ps_tensor_bytes(mean);
    return (ps_norm){.y = part(b, 0, b->type, r->m, r->n),
                     .x = part(b, 1, b->type, r->m, r->n),
                     .gain = line(b, 2, b->type, r->n),
                     .bias = line(b, 3, b->type, r->n),
                     .mean = mean,
                     .rstd = rstd,
                     .epsilon = 1e-5f};
}

static void run_norm(bench *b, const row *r)
{
    ps_norm n = norm_of(b, r);
    ps_op_layernorm(b->stream, &n);
}

static void run_norm_backward(bench *b, const row *r)
{
    ps_norm n = norm_of(b, r);
    ps_norm_backward back = {.dx = part(b, 4, b->type, r->m, r->n),
                             .dgain = line(b, 5, PS_DTYPE_F32, r->n),
                             .dbias = line(b, 3, PS_DTYPE_F32, r->n),
                             .dy = n.y,
                             .x = n.x,
                             .gain = n.gain,
                             .mean = n.mean,
                             .rstd = n.rstd,
                             .add_dx = true};
    ps_op_layernorm_backward(b->stream, &back);
}

/* Numbers below 50257, from whatever part 7 holds since the start. */
static void run_embedding(bench *b, const row *r)
{
    ps_op_embedding(b->stream, part(b, 0, b->type, r->m, r->n), part(b, 2, b->type, WORDS, r->n),
                    line(b, 7, PS_DTYPE_I32, r->m), false);
}

static void run_embedding_backward(bench *b, const row *r)
{
    ps_op_embedding_backward(b->stream, part(b, 2, PS_DTYPE_F32, WORDS, r->n),
                             part(b, 0, b->type, r->m, r->n), line(b, 7, PS_DTYPE_I32, r->m));
}

static void run_cross_entropy(bench *b, const row *r)
{
    ps_op_cross_entropy(b->stream,
                        &(ps_cross_entropy){.loss = line(b, 4, PS_DTYPE_F32, 1),
                                            .correct = line(b, 5, PS_DTYPE_I32, 1),
                                            .dlogits = part(b, 0, b->type, r->m, r->n),
                                            .logits = part(b, 2, PS_DTYPE_F32, r->m, r->n),
                                            .labels = line(b, 7, PS_DTYPE_I32, r->m),
                                            .scale = 0.01f});
}

static ps_attention attention_of(const bench *b)
{
    /* as many rows as the cached one needs, too */
    ps_tensor qkv = part(b, 1, b->type, b->batch * 1024, 3 * WIDTH), k = qkv, v = qkv;
    k.offset += WIDTH * ps_dtype_bytes(b->type);
    v.offset += 2 * WIDTH * ps_dtype_bytes(b->type);
    return (ps_attention){.batch = b->batch,
                          .queries = b->length,
                          .keys = b->length,
                          .key_rows = b->length,
                          .heads = HEADS,
                          .kv_heads = HEADS,
                          .head_dim = WIDTH / HEADS,
                          .ld_q = qkv.shape[1],
                          .ld_k = qkv.shape[1],
                          .ld_v = qkv.shape[1],
                          .ld_y = WIDTH,
                          .y = part(b, 0, b->type, b->rows, WIDTH),
                          .q = qkv,
                          .k = k,
                          .v = v,
                          .lse = line(b, 6, PS_DTYPE_F32, b->rows * HEADS),
                          .scale = 0.125f,
                          .causal = true};
}

static void run_attention(bench *b, const row *r)
{
    (void)r;
    ps_attention a = attention_of(b);
    ps_op_attention(b->stream, &a);
}

/* One more token of each sequence, after r->m / batch in a cache. */
static void run_attention_cached(bench *b, const row *r)
{
    ps_attention a = attention_of(b);
    a.queries = 1;
    a.keys = a.key_rows = r->m / b->batch;
    a.lse = (ps_tensor){0};
    ps_op_attention(b->stream, &a);
}

/* An eighth of the keys that it sees without a window. */
static void run_attention_window(bench *b, const row *r)
{
    (void)r;
    ps_attention a = attention_of(b);
    a.window = b->length / 8;
    ps_op_attention(b->stream, &a);
}

static void attention_backward(bench *b, int64_t window)
{
    ps_attention a = attention_of(b);
    a.window = window;
    ps_attention_backward back = {.forward = &a,
                                  .dq = part(b, 4, b->type, b->rows, 3 * WIDTH),
                                  .dy = part(b, 3, b->type, b->rows, WIDTH),
                                  .delta = line(b, 5, PS_DTYPE_F32, b->rows * HEADS)};
    back.dk = back.dv = back.dq;
    back.dk.offset += WIDTH * ps_dtype_bytes(b->type);
    back.dv.offset += 2 * WIDTH * ps_dtype_bytes(b->type);
    ps_op_attention_backward(b->stream, &back);
}

static void run_attention_backward(bench *b, const row *r)
{
    (void)r;
    attention_backward(b, 0);
}

static void run_attention_window_backward(bench *b, const row *r)
{
    (void)r;
    attention_backward(b, b->length / 8);
}

static void run_axpy(bench *b, const row *r)
{
    ps_op_axpy(b->stream, line(b, 0, PS_DTYPE_F32, r->m * r->n), 1e-9f,
               line(b, 1, PS_DTYPE_F32, r->m * r->n));
}

/* Milliseconds of a call, the best of ROUNDS. */
static double measure(bench *b, const row *r)
{
    void (*run)(bench *, const row *) = r->run ? r->run : run_product;
    double best = 0;
    run(b, r);
    for (int round = 0; round < ROUNDS; round++) {
        double cpu = ps_bench_cpu_s();
        uint64_t start = ps_clock_ns(&ps_clock_system), now = start;
        int calls = 0;
        for (; now - start < ROUND_NS; now = ps_clock_ns(&ps_clock_system), calls++)
            run(b, r);
        double ms = (ps_bench_cpu_s() - cpu) * 1e3 / calls / b->backend->info.threads;
        best = best == 0 || ms < best ? ms : best;
        if (ms > 100 && round >= 2)
            break;
    }
    return best;
}

/* The least time that the same bytes can take. */
static double axpy_ms(bench *b, const row *r)
{
    double bytes = r->streams * (double)(r->m * r->n) * (double)ps_dtype_bytes(b->type);
    row same = {.m = 1, .n = (int64_t)(bytes / 3 / sizeof(float)), .run = run_axpy};
    return measure(b, &same);
}

/* GFLOP/s; taken anew beside every product, as the machine's speed changes from second to second.
 */
static void measure_peak(bench *b)
{
    int threads = b->backend->info.threads;
    b->peak = ps_bench_peak_take(threads).gflops_cpu * threads;
}

static void report(bench *b, const row *r, bool json)
{
    if (!r->run)
        measure_peak(b);
    double ms = measure(b, r), flops = 2.0 * (double)r->m * (double)r->n * (double)r->k;
    double limit = r->run ? axpy_ms(b, r) : flops / b->peak / 1e6;
    *(r->run ? &b->other_ms : &b->gemm_ms) += ms * r->calls;
    if (json)
        printf("{\"bench\": \"ops\", \"op\": \"%s\", \"m\": %lld, \"n\": %lld, \"k\": %lld, "
               "\"calls\": %d, \"ms\": %.4f, \"limit_ms\": %.4f, \"ratio\": %.3f}\n",
               r->name, (long long)r->m, (long long)r->n, (long long)r->k, r->calls, ms, limit,
               limit / ms);
    else
        printf("%-20s %6lld %6lld %6lld %5d %9.3f %9.3f %6.2f %9.1f\n", r->name, (long long)r->m,
               (long long)r->n, (long long)r->k, r->calls, ms, limit, limit / ms, ms * r->calls);
    (void)fflush(stdout);
}

static const char *only;

static bool wanted(const row *r)
{
    return !only || strstr(r->name, only);
}

/* y = x·wᵀ, dx = dy·w, dw = dyᵀ·x */
static void report_linear(bench *b, int calls, int64_t rows, int64_t in, int64_t out, bool json)
{
    const row rows_of[] = {
        {.name = "linear", .m = rows, .n = out, .k = in, .transpose_b = true, .calls = calls},
        {.name = "linear dx", .m = rows, .n = in, .k = out, .calls = calls},
        {.name = "linear dw", .m = out, .n = in, .k = rows, .transpose_a = true, .calls = calls}};
    for (int i = 0; i < 3; i++) {
        if (wanted(&rows_of[i]))
            report(b, &rows_of[i], json);
    }
}

static void report_others(bench *b, int64_t part_rows, int parts, bool json)
{
    int64_t n = b->rows;
    const row others[] = {
        {"embedding", 2, n, WIDTH, 0, 2, .run = run_embedding},
        {"embedding backward", 2, n, WIDTH, 0, 3, .run = run_embedding_backward},
        {"layernorm", 2 * LAYERS + 1, n, WIDTH, 0, 2, .run = run_norm},
        {"layernorm backward", 2 * LAYERS + 1, n, WIDTH, 0, 4, .run = run_norm_backward},
        {"bias", LAYERS, n, 3 * WIDTH, 0, 2, .run = run_bias_add},
        {"bias", 2 * LAYERS, n, WIDTH, 0, 2, .run = run_bias_add},
        {"bias", LAYERS, n, 4 * WIDTH, 0, 2, .run = run_bias_add},
        {"bias backward", LAYERS, n, 3 * WIDTH, 0, 1, .run = run_bias_backward},
        {"bias backward", 2 * LAYERS, n, WIDTH, 0, 1, .run = run_bias_backward},
        {"bias backward", LAYERS, n, 4 * WIDTH, 0, 1, .run = run_bias_backward},
        {"attention", LAYERS, n, WIDTH, 0, 4, .run = run_attention},
        {"attention backward", LAYERS, n, WIDTH, 0, 8, .run = run_attention_backward},
        {"attention cached", 0, b->batch * 1024, WIDTH, 0, 2, .run = run_attention_cached},
        {"attention window", 0, n, WIDTH, 0, 4, .run = run_attention_window},
        {"attention window backward", 0, n, WIDTH, 0, 8, .run = run_attention_window_backward},
        {"gelu_tanh", LAYERS, n, 4 * WIDTH, 0, 2, .run = run_gelu},
        {"gelu_tanh backward", LAYERS, n, 4 * WIDTH, 0, 3, .run = run_gelu_backward},
        {"add", 2 * LAYERS, n, WIDTH, 0, 3, .run = run_add},
        {"cross entropy", parts, part_rows, WORDS, 0, 2, .run = run_cross_entropy},
        {"dropout", 0, n, WIDTH, 0, 2, .run = run_dropout},
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (wanted(&others[i]))
            report(b, &others[i], json);
    }
}

static ps_status open_bench(bench *b, int threads)
{
    ps_status st = ps_backend_open("cpu", &(ps_backend_options){.threads = threads}, &b->backend);
    if (!st)
        st = ps_stream_new(b->backend, &b->stream);
    /* the largest matrices, words × width and rows × words, get more than one part each */
    int64_t most = b->rows > 1024 ? 1024 * WORDS : WORDS * WIDTH;
    if (!st)
        st = ps_buffer_new(b->backend, (size_t)most * 4 * PARTS / 2, &b->memory);
    if (st)
        return st;
    ps_op_fill(b->stream, line(b, 0, PS_DTYPE_F32, (int64_t)(b->memory->bytes / 4)), 0.01f);
    int32_t *numbers = ps_tensor_host(b->backend, line(b, 7, PS_DTYPE_I32, b->rows));
    for (int64_t i = 0; i < b->rows; i++)
        numbers[i] = (int32_t)(i * 7919 % WORDS);
    return PS_OK;
}

static void close_bench(bench *b)
{
    ps_buffer_free(b->backend, &b->memory);
    ps_stream_free(&b->stream);
    ps_backend_close(&b->backend);
}

static void report_step(bench *b, bool json)
{
    int64_t logits = b->rows < 1024 ? b->rows : 1024;
    int parts = (int)(b->rows / logits);
    measure_peak(b);
    if (!json)
        printf("GPT-2 124M, %lld × %lld tokens, %s, %d threads; peak %.1f GFLOP/s\n"
               "%-20s %6s %6s %6s %5s %9s %9s %6s %9s\n",
               (long long)b->batch, (long long)b->length, ps_dtype_name(b->type),
               b->backend->info.threads, b->peak, "operation", "m", "n", "k", "calls", "ms",
               "limit ms", "ratio", "a step");
    report_others(b, logits, parts, json);
    report_linear(b, LAYERS, b->rows, WIDTH, 3 * WIDTH, json);
    report_linear(b, LAYERS, b->rows, WIDTH, WIDTH, json);
    report_linear(b, LAYERS, b->rows, WIDTH, 4 * WIDTH, json);
    report_linear(b, LAYERS, b->rows, 4 * WIDTH, WIDTH, json);
    report_linear(b, parts, logits, WIDTH, WORDS, json);
    static const int64_t few[] = {1, 4, 8, 16};
    for (int i = 0; i < 4; i++) {
        row one = {.name = "linear few", .m = few[i], .n = WORDS, .k = WIDTH, .transpose_b = true};
        if (wanted(&one))
            report(b, &one, json);
    }
    double all = b->gemm_ms + b->other_ms;
    if (json)
        printf("{\"bench\": \"ops\", \"step_ms\": %.1f, \"products_ms\": %.1f, \"other_ms\": %.1f, "
               "\"other_share\": %.3f, \"peak_gflops\": %.1f}\n",
               all, b->gemm_ms, b->other_ms, b->other_ms / all, b->peak);
    else
        printf("a step: %.0f ms, products %.0f, others %.0f: %.1f%%\n", all, b->gemm_ms,
               b->other_ms, 100 * b->other_ms / all);
}

int main(int argc, char **argv)
{
    bench b = {.batch = 4, .length = 64, .type = PS_DTYPE_F32};
    bool json = false;
    int threads = 2;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (strcmp(argv[i], "--long") == 0)
            b = (bench){.batch = 8, .length = 1024, .type = b.type};
        else if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc)
            threads = atoi(argv[++i]);
        else if (strcmp(argv[i], "--type") == 0 && i + 1 < argc)
            b.type = strcmp(argv[++i], "bf16") == 0 ? PS_DTYPE_BF16 : PS_DTYPE_F32;
        else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc)
            only = argv[++i];
    }
    b.rows = b.batch * b.length;
    if (open_bench(&b, threads)) {
        (void)fprintf(stderr, "bench_ops: %s\n", ps_error_message());
        return 1;
    }
    report_step(&b, json);
    close_bench(&b);
    return 0;
}
