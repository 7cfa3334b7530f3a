/* bench_forms: products with a matrix in a form, beside a loop that only adds up as many bytes, and
 * beside the same products in float32, all in the same rounds.
 *
 *     bench_forms [--json] [--threads N] [--rows ROWS] [--columns COLUMNS] [--exact] [FORM …]
 *
 * One row of x is bound by reading the matrix; 256 rows by the processor. Times are of the
 * processor, over the number of threads: where others have the cores for most of the time, the
 * clock is fair to what ends before they get them, and to nothing else.
 */
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "gpu/op.h"
#include "tests/bench/peak.h"
#include "tests/bench/read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROMPT = 256, ROUNDS = 5, PATTERN = 64, FORMS_MAX = 32 };

typedef struct bench {
    ps_backend *backend;
    ps_stream *stream;
    int threads;
    int64_t rows, columns;
    bool json, exact;
    ps_buffer *x, *y, *plain;
    double read_gbs, one, many; /* float32: GB/s, and seconds of a product; the best round */
} bench;

typedef struct form_bench {
    ps_form_matrix w;
    double one, many;
} form_bench;

static void least(double *best, double seconds)
{
    *best = *best == 0 || seconds < *best ? seconds : *best;
}

static ps_tensor matrix(ps_buffer *buffer, int64_t rows, int64_t columns)
{
    return ps_tensor_2d(buffer, 0, PS_DTYPE_F32, rows, columns);
}

static double seconds_since(const bench *b, double start)
{
    return (ps_bench_cpu_s() - start) / b->threads;
}

static double plain_product(const bench *b, int64_t rows)
{
    double start = ps_bench_cpu_s();
    ps_op_matmul(b->stream, matrix(b->y, rows, b->rows), matrix(b->x, rows, b->columns), false,
                 matrix(b->plain, b->rows, b->columns), true, 0);
    return seconds_since(b, start);
}

static double form_product(const bench *b, const form_bench *f, int64_t rows)
{
    double start = ps_bench_cpu_s();
    ps_op_form_product(b->stream, &(ps_form_product){.y = matrix(b->y, rows, b->rows),
                                                     .x = matrix(b->x, rows, b->columns),
                                                     .w = &f->w,
                                                     .rows = rows,
                                                     .ld_y = b->rows,
                                                     .ld_x = b->columns,
                                                     .exact = b->exact});
    return seconds_since(b, start);
}

static void fill(const bench *b, ps_buffer *buffer, int64_t n)
{
    ps_rng rng;
    ps_rng_seed(&rng, 1);
    float *x = ps_tensor_host(b->backend, ps_tensor_1d(buffer, 0, PS_DTYPE_F32, n));
    for (int64_t i = 0; i < n; i++)
        x[i] = i < PATTERN * b->columns ? (float)ps_rng_uniform(&rng) - 0.5f
                                        : x[i - PATTERN * b->columns];
}

static ps_status open_bench(bench *b)
{
    ps_status st =
        ps_backend_open("cpu", &(ps_backend_options){.threads = b->threads}, &b->backend);
    if (!st)
        st = ps_stream_new(b->backend, &b->stream);
    if (!st)
        st = ps_buffer_new(b->backend, (size_t)(PROMPT * b->columns) * sizeof(float), &b->x);
    if (!st)
        st = ps_buffer_new(b->backend, (size_t)(PROMPT * b->rows) * sizeof(float), &b->y);
    if (!st)
        st = ps_buffer_new(b->backend, (size_t)(b->rows * b->columns) * sizeof(float), &b->plain);
    if (st)
        return st;
    fill(b, b->x, PROMPT * b->columns);
    fill(b, b->plain, b->rows * b->columns);
    return PS_OK;
}

/* The first rows are encoded, and stand for the others. */
static ps_status open_form(bench *b, ps_form form, form_bench *f)
{
    int64_t bytes = (int64_t)ps_form_row_bytes(form, (uint64_t)b->columns);
    ps_buffer *buffer = NULL;
    ps_status st = ps_buffer_new(b->backend, (size_t)(b->rows * bytes), &buffer);
    if (st)
        return st;
    *f = (form_bench){.w = {.bytes = ps_tensor_2d(buffer, 0, PS_DTYPE_U8, b->rows, bytes),
                            .form = form,
                            .columns = b->columns}};
    uint8_t *out = ps_tensor_host(b->backend, f->w.bytes);
    const float *x = ps_tensor_host(b->backend, matrix(b->plain, b->rows, b->columns));
    ps_form_encode(form, x, NULL, PATTERN, (uint64_t)b->columns, out);
    for (int64_t r = PATTERN; r < b->rows; r++)
        memcpy(out + r * bytes, out + (r - PATTERN) * bytes, (size_t)bytes);
    double start = ps_bench_cpu_s();
    ps_op_form_arrange(b->stream, &f->w);
    if (!b->json)
        printf("%s: arranged in %.2f s a GB\n", form.row->name,
               seconds_since(b, start) * 1e9 / (double)ps_tensor_bytes(f->w.bytes));
    return PS_OK;
}

static void run_form(bench *b, form_bench *f)
{
    ps_tensor plain = matrix(b->plain, b->rows, b->columns);
    for (int round = 0; round < ROUNDS; round++) {
        double start = ps_bench_cpu_s();
        (void)ps_bench_read_gbs(ps_tensor_host(b->backend, plain), ps_tensor_count(plain),
                                b->threads);
        double gbs = (double)ps_tensor_bytes(plain) / seconds_since(b, start) / 1e9;
        b->read_gbs = gbs > b->read_gbs ? gbs : b->read_gbs;
        least(&b->one, plain_product(b, 1));
        least(&f->one, form_product(b, f, 1));
        least(&b->many, plain_product(b, PROMPT));
        least(&f->many, form_product(b, f, PROMPT));
    }
}

static void report(const bench *b, const form_bench *f)
{
    char text[PS_FORM_TEXT];
    double gbs = (double)ps_tensor_bytes(f->w.bytes) / f->one / 1e9;
    double weights = (double)b->rows * (double)b->columns;
    printf(b->json ? "{\"bench\": \"forms\", \"form\": \"%s\", \"threads\": %d, \"gbs\": %.2f, "
                     "\"read_gbs\": %.2f, \"ratio\": %.3f, \"per_s\": %.3g, \"float32\": %.2f, "
                     "\"prompt_gops\": %.0f, \"prompt_float32\": %.2f}\n"
                   : "%-10s %d threads: one row %.1f of %.1f GB/s, ratio %.2f; %.2g weights/s, "
                     "%.2f x float32; 256 rows %.0f GOP/s, %.2f x float32\n",
           ps_form_text(f->w.form, text), b->threads, gbs, b->read_gbs, gbs / b->read_gbs,
           weights / f->one, b->one / f->one, 2 * PROMPT * weights / f->many / 1e9,
           b->many / f->many);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    static const char *usual[] = {"int8/row",  "int8/128",  "q8_0",    "fp8/row",  "int4/128",
                                  "uint4/128", "q4_0",      "q4_1",    "iq4_nl",   "mxfp4",
                                  "q4_k",      "q5_0",      "q5_1",    "q5_k",     "q6_k",
                                  "int3/128",  "uint3/128", "q3_k",    "int2/128", "uint2/128",
                                  "q2_k",      "float16",   "bfloat16"};
    const char *names[FORMS_MAX];
    size_t n = 0;
    bench b = {.threads = 2, .rows = 65536, .columns = 2048};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            b.json = true;
        else if (strcmp(argv[i], "--exact") == 0)
            b.exact = true;
        else if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc)
            b.threads = atoi(argv[++i]);
        else if (strcmp(argv[i], "--rows") == 0 && i + 1 < argc)
            b.rows = atoll(argv[++i]);
        else if (strcmp(argv[i], "--columns") == 0 && i + 1 < argc)
            b.columns = atoll(argv[++i]);
        else if (n < FORMS_MAX)
            names[n++] = argv[i];
    }
    for (; n < sizeof usual / sizeof *usual && argc >= 1 && (n == 0 || names[0] == usual[0]); n++)
        names[n] = usual[n];
    ps_status st = b.rows < PATTERN ? ps_fail(PS_INVALID_ARGUMENT, "--rows is %d or more", PATTERN)
                                    : open_bench(&b);
    for (size_t i = 0; !st && i < n; i++) {
        ps_form form;
        form_bench f = {0};
        if (!ps_form_parse(names[i], &form) || !ps_form_divides(form, (uint64_t)b.columns)) {
            st = ps_fail(PS_INVALID_ARGUMENT, "%s is no form of rows of %lld", names[i],
                         (long long)b.columns);
            break;
        }
        st = open_form(&b, form, &f);
        if (st)
            break;
        run_form(&b, &f);
        report(&b, &f);
        ps_buffer_free(b.backend, &f.w.bytes.buffer);
    }
    if (st)
        (void)fprintf(stderr, "bench_forms: %s\n", ps_error_message());
    ps_buffer_free(b.backend, &b.x);
    ps_buffer_free(b.backend, &b.y);
    ps_buffer_free(b.backend, &b.plain);
    ps_stream_free(&b.stream);
    ps_backend_close(&b.backend);
    return st ? 1 : 0;
}
