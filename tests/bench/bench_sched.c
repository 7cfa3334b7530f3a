/* bench_sched: what a worker's messages cost psd while many jobs wait: a heartbeat, a report of
 * progress, and the submission of a job, with queues of several lengths and 250 workers, of which
 * 16 are busy. Processor time of one thread, the scheduler's own: no network, a catalog in memory.
 *
 *     bench_sched [--json]
 */
#include "server/sched/kinds/kinds.h"
#include "server/sched/sched.h"

#include "common/base/log.h"
#include "common/base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { WORKERS = 250, RUNNING = 16, CALLS = 20000, ROUNDS = 5 };
static const unsigned queues[] = {0, 1000, 10000};

typedef struct bench {
    ps_catalog *catalog;
    ps_sched *sched;
    uint64_t leases[WORKERS + 1]; /* by session */
    unsigned queued;
    double submit_us;
} bench;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- the rest of psd, which does nothing ---- */

static void send_task(void *user, uint64_t session, const ps_task *task)
{
    ((bench *)user)->leases[session] = task->lease_id;
}

static void send_cancel(void *user, uint64_t session, uint64_t lease_id, const char *reason)
{
}

static void drop_session(void *user, uint64_t session, const char *reason)
{
}

static uint64_t enter(void *user, uint64_t job_id, const char *worker, uint64_t lease_id)
{
    return 0;
}

static void leave(void *user, uint64_t job_id, const char *worker)
{
}

static void create_store(void *user, uint64_t job_id, ps_job_file *file, ps_data_plan *plan)
{
    ps_data_plan_free(&plan);
}

static void checkpoint_due(void *user, uint64_t job_id)
{
}

static void finish(void *user, uint64_t job_id, ps_job_file *file, const char *settled,
                   const ps_job_outcome *outcome)
{
}

static void ended(void *user, uint64_t job_id, ps_job_state state)
{
}

static const ps_to_workers to_workers = {
    .send_task = send_task, .send_cancel = send_cancel, .drop_session = drop_session};

static const ps_to_store to_store = {.enter = enter,
                                     .leave = leave,
                                     .create_store = create_store,
                                     .checkpoint_due = checkpoint_due,
                                     .finish = finish,
                                     .ended = ended};

static void check(ps_status st)
{
    if (!st)
        return;
    (void)fprintf(stderr, "bench_sched: %s\n", ps_error_message());
    exit(1);
}

/* ---- what is measured ---- */

static void submit(bench *b, unsigned n)
{
    static const char job[] = "kind: train\nname: a\nmodel: {architecture: mlp, layers: [4, 3]}\n"
                              "data: {format: idx, train: {features: /x, labels: /y}}\n"
                              "train: {epochs: 1, optimizer: {name: sgd, learning_rate: 1}}\n";
    double begun = now();
    for (unsigned i = 0; i < n; i++) {
        uint64_t id;
        check(ps_sched_submit(b->sched, "anna", ps_slice_str(job), NULL, NULL, &id));
    }
    b->submit_us = n ? (now() - begun) / n * 1e6 : 0;
}

static void attach(bench *b)
{
    for (uint64_t session = 1; session <= WORKERS; session++) {
        char name[16];
        (void)snprintf(name, sizeof name, "w%" PRIu64, session);
        ps_hello hello = {0};
        hello.slots = 2;
        hello.train_slots = 1;
        hello.incarnation = 1;
        check(ps_sched_attach(b->sched, session, name, "", &hello));
    }
}

static ps_status heartbeat(bench *b, uint64_t session)
{
    return ps_sched_heartbeat(b->sched, session);
}

static ps_status progress(bench *b, uint64_t session)
{
    const ps_task_report report = {.lease_id = b->leases[session]};
    return ps_sched_progress(b->sched, session, &report);
}

/* Microseconds a call, the best of some rounds; of the first n sessions in turn. */
static double measure(bench *b, ps_status (*call)(bench *, uint64_t), unsigned n)
{
    double best = 0;
    for (int round = 0; round < ROUNDS; round++) {
        double begun = now();
        for (unsigned i = 0; i < CALLS; i++)
            check(call(b, 1 + i % n));
        double us = (now() - begun) / CALLS * 1e6;
        if (round == 0 || us < best)
            best = us;
    }
    return best;
}

static void run(unsigned queued, bool json, bool first)
{
    bench b = {0};
    check(ps_catalog_open(":memory:", &b.catalog));
    const ps_sched_conf conf = {.max_running = RUNNING,
                                .lease_timeout_ms = 3600000,
                                .clock = ps_clock_system,
                                .kinds = ps_job_kinds};
    const ps_sched_out out = {
        .workers = &to_workers, .workers_user = &b, .store = &to_store, .store_user = &b};
    b.sched = ps_sched_create(&conf, b.catalog, &out);
    check(ps_sched_recover(b.sched, NULL));
    attach(&b);
    submit(&b, RUNNING);
    submit(&b, queued);
    double beat_us = measure(&b, heartbeat, WORKERS), report_us = measure(&b, progress, WORKERS);
    if (json)
        (void)printf("%s{\"queued\":%u,\"heartbeat_us\":%.2f,\"progress_us\":%.2f,"
                     "\"submit_us\":%.1f}",
                     first ? "" : ",", queued, beat_us, report_us, b.submit_us);
    else
        (void)printf("%6u jobs wait: heartbeat %6.2f us, progress %6.2f us, submit %6.1f us\n",
                     queued, beat_us, report_us, b.submit_us);
    ps_sched_free(&b.sched);
    ps_catalog_close(&b.catalog);
}

int main(int argc, char **argv)
{
    bool json = argc > 1 && strcmp(argv[1], "--json") == 0;
    ps_log_set_level(PS_LOG_ERROR);
    if (json)
        (void)printf("[");
    for (size_t i = 0; i < sizeof queues / sizeof *queues; i++)
        run(queues[i], json, i == 0);
    if (json)
        (void)printf("]\n");
    return 0;
}
