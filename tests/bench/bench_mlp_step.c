/* bench_mlp_step: how fast one training step (forward, loss, backward) of the Fashion-MNIST mlp is,
 * 784-512-256-10 with batches of 128, beside the matrix limit (a square sgemm of 1024) taken in the
 * same run. One row for one and one for two threads.
 *
 *     bench_mlp_step [--json]
 *
 * Each figure is the best of several rounds: on a shared machine the others show the neighbours.
 */
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "gpu/op.h"
#include "worker/models/model.h"

#include <stdio.h>
#include <string.h>

#define BATCH    128
#define SIDE     1024
#define ROUNDS   12
#define ROUND_NS 100000000

static const int64_t layers[] = {784, 512, 256, 10};

/* forward: 2·rows·in·out a layer; backward the same for weights, and for inputs but the first's */
static double step_flops(void)
{
    double weights = 784.0 * 512 + 512.0 * 256 + 256.0 * 10;
    return 2.0 * BATCH * (3 * weights - 784.0 * 512);
}

typedef struct bench {
    ps_backend *backend;
    ps_model *model;
    ps_model_batch batch;
    float *features;
    int32_t *labels;
    ps_stream *stream;
    ps_buffer *square;
} bench;

static ps_status open_bench(bench *b, int threads)
{
    ps_model_config config = {.architecture = "mlp", .layers = layers, .layer_count = 4};
    ps_status st = ps_backend_open("cpu", &(ps_backend_options){.threads = threads}, &b->backend);
    if (!st)
        st = ps_model_create(b->backend, &config, &(ps_model_options){.max_batch = BATCH},
                             &b->model);
    if (!st)
        st = ps_buffer_new(b->backend, 3 * SIDE * SIDE * sizeof(float), &b->square);
    if (st)
        return st;
    b->stream = ps_model_stream(b->model);
    ps_op_fill(b->stream, ps_tensor_1d(b->square, 0, PS_DTYPE_F32, 3 * SIDE * SIDE), 0.5f);

    ps_rng rng;
    ps_rng_seed(&rng, 1);
    for (size_t i = 0; i < ps_model_parameters(b->model)->count; i++) {
        ps_tensor t = ps_model_parameter(b->model, i);
        float *values = ps_tensor_host(b->backend, t);
        for (int64_t j = 0; j < ps_tensor_count(t); j++)
            values[j] = 0.05f * (float)ps_rng_normal(&rng);
    }
    b->features = ps_alloc_array(BATCH * 784, sizeof(float));
    b->labels = ps_alloc_array(BATCH, sizeof(int32_t));
    for (int i = 0; i < BATCH * 784; i++)
        b->features[i] = (float)ps_rng_uniform(&rng);
    for (int i = 0; i < BATCH; i++)
        b->labels[i] = i % 10;
    b->batch = (ps_model_batch){.rows = BATCH, .features = b->features, .labels = b->labels};
    return PS_OK;
}

static void close_bench(bench *b)
{
    ps_model_free(&b->model);
    ps_buffer_free(b->backend, &b->square);
    ps_backend_close(&b->backend);
    ps_free(&b->features);
    ps_free(&b->labels);
}

static ps_status run_step(bench *b)
{
    ps_model_result result;
    ps_status st = ps_model_forward(b->model, &b->batch, NULL);
    if (!st)
        st = ps_model_loss(b->model, &b->batch);
    if (!st)
        st = ps_model_backward(b->model, NULL);
    return st ? st : ps_model_result_get(b->model, &result);
}

static ps_status run_square(bench *b)
{
    ps_tensor t[3];
    for (size_t i = 0; i < 3; i++)
        t[i] = ps_tensor_2d(b->square, i * SIDE * SIDE * sizeof(float), PS_DTYPE_F32, SIDE, SIDE);
    ps_op_matmul(b->stream, t[2], t[0], false, t[1], false, 0);
    return ps_stream_sync(b->stream);
}

/* Calls a second, the best of ROUNDS. */
static ps_status measure(bench *b, ps_status (*run)(bench *), double *rate)
{
    double best = 0;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start = ps_clock_ns(&ps_clock_system), now = start;
        int calls = 0;
        for (; now - start < ROUND_NS; now = ps_clock_ns(&ps_clock_system), calls++) {
            ps_status st = run(b);
            if (st)
                return st;
        }
        double got = calls / ((double)(now - start) / 1e9);
        best = got > best ? got : best;
    }
    *rate = best;
    return PS_OK;
}

static ps_status run_threads(int threads, bool json)
{
    bench b = {0};
    double steps = 0, squares = 0;
    ps_status st = open_bench(&b, threads);
    if (!st)
        st = measure(&b, run_square, &squares);
    if (!st)
        st = measure(&b, run_step, &steps);
    if (b.backend)
        close_bench(&b);
    if (st)
        return st;
    double peak = squares * 2.0 * SIDE * SIDE * SIDE / 1e9, got = steps * step_flops() / 1e9;
    if (json)
        printf("{\"bench\": \"mlp_step\", \"threads\": %d, \"steps_per_s\": %.1f, "
               "\"gflops\": %.2f, \"sgemm_gflops\": %.2f, \"ratio\": %.3f}\n",
               threads, steps, got, peak, got / peak);
    else
        printf("%7d %11.0f %11.0f %10.1f %14.1f %6.2f\n", threads, steps, steps * BATCH, got, peak,
               got / peak);
    return PS_OK;
}

int main(int argc, char **argv)
{
    bool json = argc > 1 && strcmp(argv[1], "--json") == 0;
    if (!json)
        printf("mlp 784-512-256-10, batch %d, forward and backward, float32\n"
               "threads  steps/s  samples/s  GFLOP/s  sgemm GFLOP/s  ratio\n",
               BATCH);
    for (int threads = 1; threads <= 2; threads++) {
        if (run_threads(threads, json)) {
            (void)fprintf(stderr, "bench_mlp_step: %s\n", ps_error_message());
            return 1;
        }
    }
    return 0;
}
