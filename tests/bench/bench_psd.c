/* bench_psd: how fast a running psd takes and gives parameters, seen by a worker over mTLS.
 *
 *     bench_psd HOST:PORT CA.pem WORKER.pem WORKER.key [--model-mib M] [--bytes N] [--pid PSD]
 *               [--json]
 *
 * A training job must have been submitted to psd, with as many workers as there are (one). Attaches
 * as a worker, plans M MiB of parameters (default 64), and measures: four segments of N bytes
 * (default 512 MiB) of pushes and of pulls, of which the best counts; the latency of 2000 unary
 * calls of 1 KiB (Parameters.Clock) and of 2000 pushes of 1 KiB. GB are 1e9 bytes of float32. With
 * psd's process id, also what a GB costs either process in CPU time.
 */
#include "common/base/log.h"
#include "common/base/mem.h"
#include "tests/bench/bench_session.h"
#include "tests/bench/bench_worker.h"
#include "tests/bench/traffic.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SEGMENTS = 4, CALLS = 2000, WATCHDOG_S = 240 };

typedef struct options {
    bench_target target;
    unsigned model_mib;
    uint64_t bytes;
    int pid; /* of psd, on this machine; 0: not known */
    bool json;
} options;

typedef struct results {
    double push, pull; /* GB/s */
    /* CPU seconds of each process for a GB; psd's is 0 when its process is not known */
    double push_cpu, push_psd_cpu, pull_cpu, pull_psd_cpu;
    double clock_p50, clock_p99, small_p50, small_p99;
} results;

static double own_cpu(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Of another process, all its threads; 0 where that cannot be read. */
static double cpu_of(int pid)
{
    clockid_t clock;
    struct timespec t = {0};
    if (pid && clock_getcpuclockid(pid, &clock) == 0)
        clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

typedef ps_status (*measurement)(traffic *, uint64_t bytes, double *rate);

static ps_status best(const options *o, measurement run_one, traffic *t, double *out, double *cpu,
                      double *psd_cpu)
{
    double rate = 0;
    ps_status st = run_one(t, traffic_bytes(t), &rate); /* the first touch of all memory */
    double cpu_before = own_cpu(), psd_before = cpu_of(o->pid);
    for (int i = 0; i < SEGMENTS && !st; i++) {
        st = run_one(t, o->bytes, &rate);
        *out = rate > *out ? rate : *out;
    }
    double gb = (double)o->bytes * SEGMENTS / 1e9;
    *cpu = (own_cpu() - cpu_before) / gb;
    *psd_cpu = (cpu_of(o->pid) - psd_before) / gb;
    return st;
}

static ps_status measure(const options *o, traffic *t, results *r)
{
    ps_status st = best(o, traffic_push, t, &r->push, &r->push_cpu, &r->push_psd_cpu);
    if (!st)
        st = best(o, traffic_pull, t, &r->pull, &r->pull_cpu, &r->pull_psd_cpu);
    if (!st)
        st = traffic_latency(t, TRAFFIC_CLOCK, CALLS, &r->clock_p50, &r->clock_p99);
    if (!st)
        st = traffic_latency(t, TRAFFIC_SMALL_PUSH, CALLS, &r->small_p50, &r->small_p99);
    return st;
}

typedef struct bench {
    options o;
    results r;
} bench;

static ps_status as_worker(ps_loop *loop, ps_channel *channel, void *user)
{
    bench *b = user;
    bench_worker *worker = NULL;
    ps_status st =
        bench_worker_open(loop, channel, &(bench_model_size){.mib = b->o.model_mib}, &worker);
    if (st)
        return st;
    traffic *t = NULL;
    st = traffic_open(loop, channel, bench_worker_job(worker), bench_worker_incarnation(worker),
                      bench_worker_first_clock(worker), &t);
    if (!st)
        st = measure(&b->o, t, &b->r);
    ps_error kept;
    ps_error_save(&kept, st);
    bench_worker_close(&worker);
    traffic_close(&t);
    return st ? ps_error_raise(&kept) : PS_OK;
}

static void print(const options *o, const results *r)
{
    printf(o->json ? "{\"bench\": \"psd\", \"model_mib\": %u, \"push_gbps\": %.4f, "
                     "\"pull_gbps\": %.4f, \"p50_us\": %.1f, \"p99_us\": %.1f, "
                     "\"small_push_p50_us\": %.1f, \"small_push_p99_us\": %.1f, "
                     "\"push_cpu_s\": %.3f, \"push_psd_cpu_s\": %.3f, "
                     "\"pull_cpu_s\": %.3f, \"pull_psd_cpu_s\": %.3f}\n"
                   : "psd, %u MiB: push %.3f GB/s, pull %.3f GB/s, unary 1 KiB p50 %.0f us p99 "
                     "%.0f us, push of 1 KiB p50 %.0f us p99 %.0f us; CPU s a GB, worker and psd: "
                     "push %.2f %.2f, pull %.2f %.2f\n",
           o->model_mib, r->push, r->pull, r->clock_p50, r->clock_p99, r->small_p50, r->small_p99,
           r->push_cpu, r->push_psd_cpu, r->pull_cpu, r->pull_psd_cpu);
}

static bool parse(int argc, char **argv, options *o)
{
    if (argc < 5)
        return false;
    *o = (options){
        .target = {argv[1], argv[2], argv[3], argv[4]}, .model_mib = 64, .bytes = 512u << 20};
    for (int i = 5; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            o->json = true;
        else if (strcmp(argv[i], "--bytes") == 0 && i + 1 < argc)
            o->bytes = (uint64_t)atof(argv[++i]);
        else if (strcmp(argv[i], "--pid") == 0 && i + 1 < argc)
            o->pid = atoi(argv[++i]);
        else if (strcmp(argv[i], "--model-mib") == 0 && i + 1 < argc)
            o->model_mib = (unsigned)atoi(argv[++i]);
        else
            return false;
    }
    return o->bytes > 0 && o->model_mib > 0;
}

int main(int argc, char **argv)
{
    bench b = {0};
    if (!parse(argc, argv, &b.o)) {
        (void)fprintf(stderr, "usage: bench_psd HOST:PORT CA.pem WORKER.pem WORKER.key "
                              "[--model-mib M] [--bytes N] [--pid PSD] [--json]\n");
        return 2;
    }
    (void)alarm(WATCHDOG_S);
    if (bench_session_run(&b.o.target, as_worker, &b)) {
        (void)fprintf(stderr, "bench_psd: %s\n", ps_error_message());
        return 1;
    }
    print(&b.o, &b.r);
    return 0;
}
