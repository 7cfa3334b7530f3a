/* Happy path: a model with random parameters, the limit, then steps until the rounds are over. */
#include "tests/bench/step.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "gpu/op.h"
#include "tests/bench/peak.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUND_NS 100000000

typedef struct run {
    const ps_bench_step *bench;
    ps_backend *backend;
    ps_model *model;
    ps_buffer **moments; /* [parameters]: m, then v */
    int64_t steps;
} run;

static void draw_parameters(run *r)
{
    ps_rng rng;
    ps_rng_seed(&rng, 1);
    for (size_t i = 0; i < ps_model_parameters(r->model)->count; i++) {
        ps_tensor t = ps_model_parameter(r->model, i);
        float *values = ps_tensor_host(r->backend, t);
        for (int64_t j = 0; j < ps_tensor_count(t); j++)
            values[j] = (float)(r->bench->weight * ps_rng_normal(&rng));
    }
}

static ps_status make_moments(run *r)
{
    size_t count = ps_model_parameters(r->model)->count;
    r->moments = ps_alloc_array(count, sizeof(*r->moments));
    ps_status st = PS_OK;
    for (size_t i = 0; i < count && r->bench->adamw && !st; i++) {
        int64_t n = 2 * ps_tensor_count(ps_model_parameter(r->model, i));
        st = ps_buffer_new(r->backend, (size_t)n * sizeof(float), &r->moments[i]);
        if (!st)
            ps_op_fill(ps_model_stream(r->model), ps_tensor_1d(r->moments[i], 0, PS_DTYPE_F32, n),
                       0);
    }
    return st;
}

static ps_status open_run(run *r, int threads)
{
    ps_status st = ps_backend_open("cpu", &(ps_backend_options){.threads = threads}, &r->backend);
    if (!st)
        st = ps_model_create(r->backend, &r->bench->config, &r->bench->options, &r->model);
    if (st)
        return st;
    draw_parameters(r);
    return make_moments(r);
}

static void close_run(run *r)
{
    for (size_t i = 0; r->moments && i < ps_model_parameters(r->model)->count; i++)
        ps_buffer_free(r->backend, &r->moments[i]);
    ps_free(&r->moments);
    ps_model_free(&r->model);
    ps_backend_close(&r->backend);
}

static void adamw(run *r)
{
    for (size_t i = 0; i < ps_model_parameters(r->model)->count; i++) {
        ps_tensor parameter = ps_model_parameter(r->model, i);
        int64_t n = ps_tensor_count(parameter);
        ps_op_adamw(ps_model_stream(r->model),
                    &(ps_adamw){.parameter = parameter,
                                .gradient = ps_model_gradient(r->model, i),
                                .m = ps_tensor_1d(r->moments[i], 0, PS_DTYPE_F32, n),
                                .v = ps_tensor_1d(r->moments[i], (size_t)n * sizeof(float),
                                                  PS_DTYPE_F32, n),
                                .rate = 1e-4f,
                                .beta1 = 0.9f,
                                .beta2 = 0.999f,
                                .epsilon = 1e-8f,
                                .step = r->steps});
    }
    ps_model_refresh(r->model);
}

static ps_status run_step(run *r)
{
    ps_model_result result;
    r->steps++;
    ps_status st = ps_model_forward(r->model, &r->bench->batch, NULL);
    if (!st)
        st = ps_model_loss(r->model, &r->bench->batch);
    if (!st)
        st = ps_model_backward(r->model, NULL);
    if (!st && r->bench->adamw)
        adamw(r);
    return st ? st : ps_model_result_get(r->model, &result);
}

typedef struct figures {
    double steps;       /* a second */
    double cpu_s;       /* of processor time a step, the least of a round */
    ps_bench_peak peak; /* the most */
} figures;

/* One round. */
static ps_status measure(run *r, figures *f)
{
    double cpu = ps_bench_cpu_s();
    uint64_t start = ps_clock_ns(&ps_clock_system), now = start;
    int calls = 0;
    for (; now - start < ROUND_NS; now = ps_clock_ns(&ps_clock_system), calls++) {
        ps_status st = run_step(r);
        if (st)
            return st;
    }
    double steps = calls / ((double)(now - start) / 1e9);
    cpu = (ps_bench_cpu_s() - cpu) / calls;
    f->steps = steps > f->steps ? steps : f->steps;
    f->cpu_s = f->cpu_s == 0 || cpu < f->cpu_s ? cpu : f->cpu_s;
    return PS_OK;
}

static void measure_peak(figures *f, int threads)
{
    ps_bench_peak p = ps_bench_peak_take(threads);
    f->peak.gflops = p.gflops > f->peak.gflops ? p.gflops : f->peak.gflops;
    f->peak.gflops_cpu = p.gflops_cpu > f->peak.gflops_cpu ? p.gflops_cpu : f->peak.gflops_cpu;
}

static void report(const ps_bench_step *b, int threads, const figures *f, bool json)
{
    double got = f->steps * b->flops / 1e9, got_cpu = b->flops / f->cpu_s / 1e9;
    double ratio = got / f->peak.gflops, ratio_cpu = got_cpu / f->peak.gflops_cpu;
    if (json)
        printf("{\"bench\": \"%s\", \"threads\": %d, \"steps_per_s\": %.3f, \"ms\": %.2f, "
               "\"cpu_ms\": %.2f, \"gflops\": %.2f, \"peak_gflops\": %.2f, \"ratio\": %.3f, "
               "\"cpu_ratio\": %.3f}\n",
               b->name, threads, f->steps, 1e3 / f->steps, 1e3 * f->cpu_s, got, f->peak.gflops,
               ratio, ratio_cpu);
    else
        printf("%7d %11.2f %11.2f %11.2f %10.1f %13.1f %6.2f %9.2f\n", threads, f->steps,
               1e3 / f->steps, 1e3 * f->cpu_s, got, f->peak.gflops, ratio, ratio_cpu);
    (void)fflush(stdout);
}

/* Limit and step in turns, so that both see the same neighbours. */
static ps_status run_threads(const ps_bench_step *bench, int threads, bool json)
{
    run r = {.bench = bench};
    figures f = {0};
    ps_status st = open_run(&r, threads);
    for (int round = 0; round < bench->rounds && !st; round++) {
        measure_peak(&f, threads);
        st = measure(&r, &f);
    }
    if (!st)
        report(bench, threads, &f, json);
    if (r.backend)
        close_run(&r);
    return st;
}

int ps_bench_step_main(const ps_bench_step *bench, int argc, char **argv)
{
    bool json = false;
    int first = 1, last = 2;
    ps_bench_step b = *bench;
    for (int i = 1; i < argc; i++) {
        json |= strcmp(argv[i], "--json") == 0;
        if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc)
            first = last = atoi(argv[i + 1]);
        if (strcmp(argv[i], "--type") == 0 && i + 1 < argc)
            b.options.bf16 = strcmp(argv[i + 1], "bf16") == 0;
    }
    if (!json)
        printf("%s\nthreads     steps/s          ms      cpu ms    GFLOP/s  peak GFLOP/s  ratio  "
               "cpu ratio\n",
               bench->title);
    for (int threads = first; threads <= last; threads++) {
        if (run_threads(&b, threads, json)) {
            (void)fprintf(stderr, "%s: %s\n", bench->name, ps_error_message());
            return 1;
        }
    }
    return 0;
}
