/* core: the scheduler used by several threads at once, in real time: workers on threads of their
 * own, a ticking one, watches opened and closed, jobs submitted. Under ThreadSanitizer this is what
 * says that the locking is right. */
#include "common/base/log.h"
#include "common/base/mem.h"
#include "server/sched/kinds/kinds.h"
#include "server/sched/sched.h"
#include "tests/lib/check_main.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { WORKERS = 4, JOBS = 6, QUEUE = 64, ROWS = 200, EPOCHS = 2 };

/* What a worker has been sent: the world's callbacks put in, the worker's thread takes out. */
typedef struct mailbox {
    pthread_mutex_t mutex;
    struct {
        uint64_t lease;
        char kind[16];
    } tasks[QUEUE];
    size_t n;
} mailbox;

typedef struct town {
    ps_catalog *catalog;
    ps_sched *sched;
    mailbox boxes[WORKERS + 1];
    atomic_bool stop;
    atomic_uint inside; /* callbacks running now: never two */
    atomic_uint ended, notified;
    atomic_uint overlapping;
} town;

static void begin(town *t)
{
    if (atomic_fetch_add(&t->inside, 1) != 0)
        atomic_fetch_add(&t->overlapping, 1);
}

static void end(town *t)
{
    atomic_fetch_sub(&t->inside, 1);
}

static void send_task(void *user, uint64_t session, const ps_task *task)
{
    town *t = user;
    begin(t);
    mailbox *box = &t->boxes[session];
    pthread_mutex_lock(&box->mutex);
    if (box->n < QUEUE) {
        box->tasks[box->n].lease = task->lease_id;
        (void)snprintf(box->tasks[box->n].kind, sizeof box->tasks[box->n].kind, "%s", task->kind);
        box->n++;
    }
    pthread_mutex_unlock(&box->mutex);
    end(t);
}

static void send_cancel(void *user, uint64_t session, uint64_t lease_id, const char *reason)
{
}

static void drop_session(void *user, uint64_t session, const char *reason)
{
}

static uint64_t enter(void *user, uint64_t job_id, const char *worker, uint64_t lease_id)
{
    return 1;
}

static void leave(void *user, uint64_t job_id, const char *worker)
{
}

static void create_store(void *user, uint64_t job_id, ps_job_file *file, ps_data_plan *plan)
{
    town *t = user;
    begin(t);
    ps_data_plan_free(&plan);
    ps_sched_store_created(t->sched, job_id, NULL); /* from within */
    end(t);
}

static void checkpoint_due(void *user, uint64_t job_id)
{
}

static void finish(void *user, uint64_t job_id, ps_job_file *file, const char *settled,
                   const ps_job_outcome *outcome)
{
    town *t = user;
    begin(t);
    ps_sched_finished(t->sched, job_id, NULL);
    end(t);
}

static void ended(void *user, uint64_t job_id, ps_job_state state)
{
    atomic_fetch_add(&((town *)user)->ended, 1);
}

static const ps_to_workers to_workers = {
    .send_task = send_task, .send_cancel = send_cancel, .drop_session = drop_session};

static const ps_to_store to_store = {.enter = enter,
                                     .leave = leave,
                                     .create_store = create_store,
                                     .checkpoint_due = checkpoint_due,
                                     .finish = finish,
                                     .ended = ended};

static void nap(void)
{
    struct timespec ms = {.tv_nsec = 1000000};
    nanosleep(&ms, NULL);
}

static void answer(town *t, uint64_t session, uint64_t lease, const char *kind)
{
    char name[] = "w";
    uint64_t shape[] = {4, 3};
    char none[] = "";
    ps_data_plan_tensor tensor = {.name = name, .shape = shape, .n_shape = 2};
    const ps_data_plan plan = {
        .train_rows = ROWS, .tensors = &tensor, .n_tensors = 1, .model = none};
    ps_task_result result = {.lease_id = lease};
    if (strcmp(kind, "plan") == 0)
        result.plan = ps_data_plan_copy(&plan);
    ck_ok(ps_sched_result(t->sched, session, &result));
    ps_data_plan_free(&result.plan); /* when it was not taken */
}

typedef struct worker {
    town *town;
    uint64_t session;
} worker;

static void *work(void *of)
{
    const worker *k = of;
    town *t = k->town;
    mailbox *box = &t->boxes[k->session];
    char name[16];
    (void)snprintf(name, sizeof name, "w%u", (unsigned)k->session);
    ps_hello hello = {0};
    ck_ok(ps_sched_attach(t->sched, k->session, name, "", &hello));
    while (!atomic_load(&t->stop)) {
        uint64_t lease = 0;
        char kind[16] = "";
        pthread_mutex_lock(&box->mutex);
        if (box->n > 0) {
            box->n--;
            lease = box->tasks[box->n].lease;
            memcpy(kind, box->tasks[box->n].kind, sizeof kind);
        }
        pthread_mutex_unlock(&box->mutex);
        if (lease)
            answer(t, k->session, lease, kind);
        else
            nap();
        (void)ps_sched_holds_lease(t->sched, name, 1);
    }
    return NULL;
}

static void notify_cb(void *user)
{
    atomic_fetch_add((atomic_uint *)user, 1);
}

static void *follow(void *of)
{
    town *t = of;
    for (uint64_t id = 1; !atomic_load(&t->stop); id = id % JOBS + 1) {
        ps_watch *watch = NULL;
        if (ps_sched_watch(t->sched, id, notify_cb, &t->notified, &watch))
            continue;
        ps_watch_event event;
        for (int i = 0; i < 20 && ps_watch_next(watch, &event) == PS_OK; i++)
            ps_watch_event_clear(&event);
        nap();
        ps_watch_close(&watch);
    }
    return NULL;
}

static void *ticks(void *of)
{
    town *t = of;
    while (!atomic_load(&t->stop)) {
        ps_sched_tick(t->sched);
        ps_buf blob = PS_BUF_EMPTY;
        ps_status st = ps_sched_progress_save(t->sched, 2, &blob);
        ck_assert(st == PS_OK || st == PS_NOT_FOUND || st == PS_FAILED_PRECONDITION);
        ps_buf_free(&blob);
        nap();
    }
    return NULL;
}

static const char job[] = "kind: train\nname: a\nmodel: {architecture: mlp, layers: [4, 3]}\n"
                          "data:\n  format: idx\n  train: {features: /d/x, labels: /d/y}\n"
                          "train:\n  epochs: 2\n  batch_size: 10\n"
                          "  optimizer: {name: sgd, learning_rate: 0.1}\nworkers: 2\n";

START_TEST(many_threads_bring_all_jobs_to_their_end)
{
    town *t = ps_new(town);
    pthread_t threads[WORKERS + 2];
    worker workers[WORKERS];
    ps_watch *first = NULL;
    uint64_t id = 0;
    ps_log_set_level(PS_LOG_ERROR);
    ck_ok(ps_catalog_open(":memory:", &t->catalog));
    ps_sched_conf conf = {.max_running = 3,
                          .lease_timeout_ms = 60000,
                          .clock = ps_clock_system,
                          .kinds = ps_job_kinds};
    const ps_sched_out out = {
        .workers = &to_workers, .workers_user = t, .store = &to_store, .store_user = t};
    t->sched = ps_sched_create(&conf, t->catalog, &out);
    ck_ok(ps_sched_recover(t->sched, NULL));
    for (size_t i = 0; i <= WORKERS; i++)
        pthread_mutex_init(&t->boxes[i].mutex, NULL);
    ck_ok(ps_sched_submit(t->sched, "anna", ps_slice_str(job), NULL, NULL, &id));
    ck_ok(ps_sched_watch(t->sched, id, notify_cb, &t->notified, &first)); /* before it is begun */
    for (size_t i = 0; i < WORKERS; i++) {
        workers[i] = (worker){.town = t, .session = i + 1};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    ck_assert_int_eq(pthread_create(&threads[WORKERS], NULL, follow, t), 0);
    ck_assert_int_eq(pthread_create(&threads[WORKERS + 1], NULL, ticks, t), 0);
    for (int i = 1; i < JOBS; i++)
        ck_ok(ps_sched_submit(t->sched, "anna", ps_slice_str(job), NULL, NULL, &id));
    for (int i = 0; i < 30000 && atomic_load(&t->ended) < JOBS; i++)
        nap();
    atomic_store(&t->stop, true);
    for (size_t i = 0; i < WORKERS + 2; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(atomic_load(&t->ended), JOBS);
    ck_assert_uint_eq(atomic_load(&t->overlapping), 0);
    ck_assert_uint_gt(atomic_load(&t->notified), 0);
    ps_watch_close(&first);
    ps_sched_free(&t->sched);
    ps_catalog_close(&t->catalog);
    free(t);
}
END_TEST

static const ps_check_case cases[] = {
    {&many_threads_bring_all_jobs_to_their_end, 60},
    {0},
};

int main(void)
{
    return ps_check_main("server/sched/core", cases);
}
