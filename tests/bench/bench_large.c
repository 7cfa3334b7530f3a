/* bench_large: one worker's part in tests/bench/large: a GPT-2 of any size in a running psd.
 *
 *     bench_large HOST:PORT CA.pem WORKER.pem WORKER.key --layers L --width W [--push]
 *
 * Attaches as a worker, plans the model when asked for it, waits for its task, pulls everything;
 * with --push it then pushes a whole gradient and pulls again. Holds 64 MiB of gradient and what is
 * on its way, never the model. Prints JSON: seconds until the task came, GB (1e9 bytes of float32)
 * a second, and the CRC32C of what was pulled first and last.
 */
#include "common/base/clock.h"
#include "tests/bench/bench_session.h"
#include "tests/bench/bench_worker.h"
#include "tests/bench/traffic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct bench {
    bench_target target;
    bench_model_size size;
    bool push;
    double task_s, first_pull, push_rate, last_pull;
    uint32_t first_crc, last_crc;
    uint64_t bytes;
} bench;

static ps_status measure(bench *b, traffic *t)
{
    b->bytes = traffic_bytes(t);
    ps_status st = traffic_pull_checked(t, &b->first_pull, &b->first_crc);
    b->last_pull = b->first_pull;
    b->last_crc = b->first_crc;
    if (!st && b->push)
        st = traffic_push(t, b->bytes, &b->push_rate);
    if (!st && b->push)
        st = traffic_pull_checked(t, &b->last_pull, &b->last_crc);
    return st;
}

static ps_status as_worker(ps_loop *loop, ps_channel *channel, void *user)
{
    bench *b = user;
    uint64_t begun = ps_clock_ns(&ps_clock_system);
    bench_worker *worker = NULL;
    ps_status st = bench_worker_open(loop, channel, &b->size, &worker);
    if (st)
        return st;
    b->task_s = (double)(ps_clock_ns(&ps_clock_system) - begun) * 1e-9;
    traffic *t = NULL;
    st = traffic_open(loop, channel, bench_worker_job(worker), bench_worker_incarnation(worker),
                      bench_worker_first_clock(worker), &t);
    if (!st)
        st = measure(b, t);
    ps_error kept;
    ps_error_save(&kept, st);
    bench_worker_close(&worker);
    traffic_close(&t);
    return st ? ps_error_raise(&kept) : PS_OK;
}

static bool parse(int argc, char **argv, bench *b)
{
    if (argc < 5)
        return false;
    b->target = (bench_target){argv[1], argv[2], argv[3], argv[4]};
    for (int i = 5; i < argc; i++) {
        if (strcmp(argv[i], "--push") == 0)
            b->push = true;
        else if (strcmp(argv[i], "--layers") == 0 && i + 1 < argc)
            b->size.layers = (unsigned)atoi(argv[++i]);
        else if (strcmp(argv[i], "--width") == 0 && i + 1 < argc)
            b->size.width = (unsigned)atoi(argv[++i]);
        else
            return false;
    }
    return b->size.layers && b->size.width;
}

int main(int argc, char **argv)
{
    bench b = {0};
    if (!parse(argc, argv, &b)) {
        (void)fprintf(stderr, "usage: bench_large HOST:PORT CA.pem WORKER.pem WORKER.key "
                              "--layers L --width W [--push]\n");
        return 2;
    }
    if (bench_session_run(&b.target, as_worker, &b)) {
        (void)fprintf(stderr, "bench_large: %s\n", ps_error_message());
        return 1;
    }
    printf("{\"parameters\": %llu, \"task_s\": %.3f, \"pull_gbps\": %.4f, \"push_gbps\": %.4f, "
           "\"last_pull_gbps\": %.4f, \"first_crc\": %u, \"last_crc\": %u}\n",
           (unsigned long long)(b.bytes / sizeof(float)), b.task_s, b.first_pull, b.push_rate,
           b.last_pull, b.first_crc, b.last_crc);
    return 0;
}
