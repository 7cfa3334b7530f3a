/* lifecycle_rig: a scheduler under virtual time with a real lifecycle behind it, and a disk that
 * can fail: what the tests of the lifecycle share. */
#ifndef PS_TEST_LIFECYCLE_RIG_H
#define PS_TEST_LIFECYCLE_RIG_H

#include "common/base/mem.h"
#include "common/loop/off_loop.h"
#include "server/params/ledger.h"
#include "server/runs/lifecycle.h"
#include "server/sched/kinds/kinds.h"
#include "tests/lib/check_main.h"
#include "tests/lib/params.h"
#include "tests/lib/stored.h"
#include "tests/lib/world.h"

#include <stdio.h>
#include <string.h>

enum { ROWS = 100, SHAPE = 4 };

/* A world (world.h) whose scheduler has a real lifecycle behind it. */
typedef struct rig {
    test_stored stored;
    ps_world *world;
    ps_loop *loop;
    ps_runs *runs;
    ps_lifecycle *lifecycle;
} rig;

static inline void nothing_cb(void *user, uint64_t session, uint64_t lease_id, const char *reason)
{
}

static inline void no_drop_cb(void *user, uint64_t session, const char *reason)
{
}

static inline void start(rig *r)
{
    const ps_lifecycle_conf conf = {
        .files = r->stored.files, .runs = r->runs, .loop = r->loop, .keep_checkpoints = 2};
    const ps_sched_conf sched = {.lease_timeout_ms = PS_WORLD_TIMEOUT_MS,
                                 .clock = ps_clock_virtual_table(&r->world->time),
                                 .kinds = ps_job_kinds};
    ck_ok(ps_lifecycle_create(&conf, &r->lifecycle));
    static const ps_to_workers to_workers = {
        .send_task = ps_world_send_task, .send_cancel = nothing_cb, .drop_session = no_drop_cb};
    const ps_sched_out out = {.workers = &to_workers,
                              .workers_user = r->world,
                              .store = &ps_lifecycle_to_store,
                              .store_user = r->lifecycle};
    r->world->sched = ps_sched_create(&sched, r->stored.catalog, &out);
    ps_lifecycle_set_sched(r->lifecycle, r->world->sched);
    ck_ok(ps_sched_recover(r->world->sched, ps_lifecycle_restore));
    ps_lifecycle_sweep(r->lifecycle);
}

static inline void open_rig(rig *r)
{
    test_stored_open(&r->stored);
    r->world = ps_new(ps_world);
    r->world->time.now_ns = UINT64_C(1000000000000);
    r->world->catalog = r->stored.catalog;
    r->runs = ps_runs_create(ps_clock_virtual_table(&r->world->time));
    ck_ok(ps_loop_create(&r->loop));
    start(r);
}

static inline void stop_when_idle(void *user)
{
    if (!ps_off_loop_pending())
        ps_loop_stop(user);
}

/* What was given to the pool is done, and what that gave to the pool, too. */
static inline void settle(rig *r)
{
    ps_timer *timer = NULL;
    ps_timer_create(r->loop, stop_when_idle, r->loop, &timer);
    ps_timer_start(timer, 0, 1);
    ps_loop_run(r->loop);
    ps_timer_free(&timer);
}

static inline void end_process(rig *r)
{
    settle(r);
    ps_sched_free(&r->world->sched);
    ps_lifecycle_free(&r->lifecycle);
    ps_runs_free(&r->runs);
}

static inline void close_rig(rig *r)
{
    end_process(r);
    ps_loop_free(&r->loop);
    ps_buf_free(&r->world->trace);
    free(r->world->tasks);
    ps_free(&r->world);
    test_stored_close(&r->stored);
}

/* psd dies and starts again. */
static inline void restart(rig *r)
{
    end_process(r);
    r->world->n_tasks = 0;
    r->world->time.now_ns += UINT64_C(1000000000);
    r->runs = ps_runs_create(ps_clock_virtual_table(&r->world->time));
    start(r);
    settle(r);
}

static inline void wait_ms(rig *r, uint64_t ms)
{
    ps_world_run_ms(r->world, ms);
    settle(r);
}

/* One epoch, a task of 50 rows at a time. */
static inline uint64_t begin_job(rig *r, const char *more)
{
    char extra[128];
    (void)snprintf(extra, sizeof extra, "shards: {rows_per_task: 50}\n%s", more);
    uint64_t id = ps_world_submit(r->world, "a", 1, "asp", false, extra);
    ps_world_attach(r->world, 1, "w1");
    ps_world_plan(r->world, ps_world_task_of(r->world, 1), ROWS, 0, SHAPE);
    settle(r);
    ck_assert_int_eq(ps_world_state(r->world, id), PS_JOB_RUNNING);
    return id;
}

/* Every parameter (they begin at 0) goes down by 0.1 times `gradient`. */
static inline void push(rig *r, uint64_t job_id, uint64_t sequence, float gradient)
{
    ps_run *run = ps_runs_get(r->runs, job_id);
    ck_assert_ptr_nonnull(run);
    ps_push_header header = {.incarnation = 1, .sequence = sequence};
    ps_push_reply reply;
    ck_ok(test_params_push(ps_run_store(run), "w1", &header, gradient, &reply));
    ps_run_unref(&run);
}

static inline float parameter(rig *r, uint64_t job_id)
{
    ps_run *run = ps_runs_get(r->runs, job_id);
    ck_assert_ptr_nonnull(run);
    float *values = test_params_read(ps_run_store(run), 0);
    float first = values[0];
    free(values);
    ps_run_unref(&run);
    return first;
}

static inline void train(rig *r)
{
    while (ps_world_task_of(r->world, 1))
        ps_world_trained(r->world, ps_world_task_of(r->world, 1));
    settle(r);
}

/* The first parameter in the stored model: the last bytes of the file are its data. */
static inline float stored_parameter(rig *r)
{
    int file;
    char *data;
    float value;
    ck_ok(ps_model_file_open(&r->stored.files, "a", "", &file, NULL));
    size_t len = test_stored_drain(file, &data);
    ck_assert_uint_gt(len, SHAPE * 3 * sizeof value);
    memcpy(&value, data + len - SHAPE * 3 * sizeof value, sizeof value);
    free(data);
    return value;
}

#endif
