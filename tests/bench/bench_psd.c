/* bench_psd: how fast a running psd takes and gives parameters, seen by a worker over mTLS.
 *
 *     bench_psd HOST:PORT CA.pem WORKER.pem WORKER.key [--model-mib M] [--bytes N] [--json]
 *
 * A training job must have been submitted to psd, with as many workers as there are (one). Attaches
 * as a worker, plans M MiB of parameters (default 64), and measures: four segments of N bytes
 * (default 512 MiB) of pushes and of pulls, of which the best counts; the latency of 2000 unary
 * calls of 1 KiB (Parameters.Clock) and of 2000 pushes of 1 KiB. GB are 1e9 bytes of float32.
 */
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/transport/tls.h"
#include "tests/bench/bench_worker.h"
#include "tests/bench/traffic.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SEGMENTS = 4, CALLS = 2000, WATCHDOG_S = 240 };

typedef struct options {
    const char *target, *ca, *cert, *key;
    unsigned model_mib;
    uint64_t bytes;
    bool json;
} options;

typedef struct results {
    double push, pull; /* GB/s */
    double clock_p50, clock_p99, small_p50, small_p99;
} results;

static ps_status best(ps_status (*measure)(traffic *, uint64_t, double *), traffic *t,
                      uint64_t bytes, double *out)
{
    double rate = 0;
    ps_status st = measure(t, traffic_bytes(t), &rate); /* the first touch of all memory */
    for (int i = 0; i < SEGMENTS && !st; i++) {
        st = measure(t, bytes, &rate);
        *out = rate > *out ? rate : *out;
    }
    return st;
}

static ps_status measure(traffic *t, uint64_t bytes, results *r)
{
    ps_status st = best(traffic_push, t, bytes, &r->push);
    if (!st)
        st = best(traffic_pull, t, bytes, &r->pull);
    if (!st)
        st = traffic_latency(t, TRAFFIC_CLOCK, CALLS, &r->clock_p50, &r->clock_p99);
    if (!st)
        st = traffic_latency(t, TRAFFIC_SMALL_PUSH, CALLS, &r->small_p50, &r->small_p99);
    return st;
}

static ps_status as_worker(ps_loop *loop, ps_channel *channel, const options *o, results *r)
{
    bench_worker *worker = NULL;
    ps_status st = bench_worker_open(loop, channel, o->model_mib, &worker);
    if (st)
        return st;
    traffic *t = NULL;
    st = traffic_open(loop, channel, bench_worker_job(worker), bench_worker_incarnation(worker),
                      bench_worker_first_clock(worker), &t);
    if (!st)
        st = measure(t, o->bytes, r);
    ps_error kept;
    ps_error_save(&kept, st);
    bench_worker_close(&worker);
    traffic_close(&t);
    return st ? ps_error_raise(&kept) : PS_OK;
}

static ps_status run(const options *o, results *r)
{
    ps_loop *loop = NULL;
    ps_tls_context *tls = NULL;
    ps_channel *channel = NULL;
    ps_status st = ps_loop_create(&loop);
    if (!st)
        st = ps_tls_context_new(&(ps_tls_options){.side = PS_TLS_CLIENT,
                                                  .ca_file = o->ca,
                                                  .cert_file = o->cert,
                                                  .key_file = o->key,
                                                  .read_ahead = true,
                                                  .read_buffer = PS_TLS_READ_BUFFER},
                                &tls);
    if (!st)
        st = ps_channel_create(loop, &(ps_channel_options){.target = o->target, .tls = tls},
                               &channel);
    if (!st)
        st = as_worker(loop, channel, o, r);
    ps_error kept;
    ps_error_save(&kept, st);
    ps_channel_free(&channel);
    ps_tls_context_unref(&tls);
    ps_loop_free(&loop);
    return st ? ps_error_raise(&kept) : PS_OK;
}

static void print(const options *o, const results *r)
{
    printf(o->json ? "{\"bench\": \"psd\", \"model_mib\": %u, \"push_gbps\": %.4f, "
                     "\"pull_gbps\": %.4f, \"p50_us\": %.1f, \"p99_us\": %.1f, "
                     "\"small_push_p50_us\": %.1f, \"small_push_p99_us\": %.1f}\n"
                   : "psd, %u MiB: push %.3f GB/s, pull %.3f GB/s, unary 1 KiB p50 %.0f us p99 "
                     "%.0f us, push of 1 KiB p50 %.0f us p99 %.0f us\n",
           o->model_mib, r->push, r->pull, r->clock_p50, r->clock_p99, r->small_p50, r->small_p99);
}

static bool parse(int argc, char **argv, options *o)
{
    if (argc < 5)
        return false;
    *o = (options){.target = argv[1],
                   .ca = argv[2],
                   .cert = argv[3],
                   .key = argv[4],
                   .model_mib = 64,
                   .bytes = 512u << 20};
    for (int i = 5; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            o->json = true;
        else if (strcmp(argv[i], "--bytes") == 0 && i + 1 < argc)
            o->bytes = (uint64_t)atof(argv[++i]);
        else if (strcmp(argv[i], "--model-mib") == 0 && i + 1 < argc)
            o->model_mib = (unsigned)atoi(argv[++i]);
        else
            return false;
    }
    return o->bytes > 0 && o->model_mib > 0;
}

int main(int argc, char **argv)
{
    options o;
    if (!parse(argc, argv, &o)) {
        (void)fprintf(stderr, "usage: bench_psd HOST:PORT CA.pem WORKER.pem WORKER.key "
                              "[--model-mib M] [--bytes N] [--json]\n");
        return 2;
    }
    (void)alarm(WATCHDOG_S);
    results r = {0};
    if (run(&o, &r)) {
        (void)fprintf(stderr, "bench_psd: %s\n", ps_error_message());
        return 1;
    }
    print(&o, &r);
    return 0;
}
