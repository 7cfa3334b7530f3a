/* compress_rig: a job of kind compress on an mlp of three layers, whose parameters are a ledger
 * alone; what its workers do, step by step. */
#ifndef PS_TESTS_COMPRESS_RIG_H
#define PS_TESTS_COMPRESS_RIG_H

#include "common/base/mem.h"
#include "server/catalog/models.h"
#include "server/params/ledger.h"
#include "tests/lib/check_main.h"
#include "tests/lib/model_row.h"
#include "tests/lib/world.h"

#include <stdio.h>
#include <string.h>

enum { WINDOWS = 3, ROWS = 64, PER_TASK = 16, TASKS = ROWS / PER_TASK };

/* ---- the ledger ---- */

static ps_ledger *ledger;

static inline void book_begin(void *user, uint64_t job, const ps_booked_task *task)
{
    ps_ledger_lease_begin(ledger, task->lease_id, task->epoch, task->rows);
    ps_ledger_lease_limit(ledger, task->lease_id, task->worker, task->sets);
}

static inline bool book_end(void *user, uint64_t job, uint64_t lease, bool done, ps_row_set *left)
{
    return ps_ledger_lease_end(ledger, lease, done, left);
}

static inline bool book_state(void *user, uint64_t job, ps_ledger_state *out)
{
    ps_ledger_state_get(ledger, out);
    return true;
}

static const ps_sched_book book = {.begin = book_begin, .end = book_end, .state = book_state};

/* What a push of its rows does. */
static inline ps_status push(const ps_world_task *task)
{
    uint64_t before, block = 0;
    bool whole, left_out;
    const ps_ledger_push p = {.lease = task->lease,
                              .rows = {task->begin, task->end},
                              .blocks = &block,
                              .left_out = &left_out,
                              .n_blocks = 1};
    return ps_ledger_book(ledger, &p, &before, &whole);
}

/* ---- the job ---- */

/* An mlp of three layers. */
static inline void store_parent(ps_world *w)
{
    static const uint64_t sides[] = {32, 32, 12, 4};
    ps_model_record *m = ps_new(ps_model_record);
    m->name = ps_strdup("big");
    m->config = ps_strdup("{architecture: mlp, layers: [32, 32, 12, 4]}");
    m->tensors = ps_alloc_array(6, sizeof *m->tensors);
    for (size_t i = 0; i < 3; i++) {
        ps_model_tensor *t = &m->tensors[m->n_tensors++];
        *t = (ps_model_tensor){.name = ps_asprintf("layers.%zu.weight", i), .rank = 2};
        t->shape[0] = sides[i + 1];
        t->shape[1] = sides[i];
        t = &m->tensors[m->n_tensors++];
        *t = (ps_model_tensor){.name = ps_asprintf("layers.%zu.bias", i), .rank = 1};
        t->shape[0] = sides[i + 1];
    }
    ck_ok(test_model_put(w->catalog, m));
    ps_model_record_free(&m);
}

/* Rows of 12 numbers are no blocks of this: the last tensor becomes float16, in turn 0. */
#define BLOCKS "q4_0"
static const char *scheme = "int4, group: row";

static inline uint64_t submit(ps_world *w, const char *limits)
{
    char yaml[1024];
    uint64_t id = 0;
    int len = snprintf(yaml, sizeof yaml,
                       "kind: compress\nname: small\nmodel_name: big\n"
                       "data: {format: idx, train: {features: /x, labels: /y}, "
                       "test: {features: /t, labels: /u}}\n"
                       "compress:\n  calibrate: {rows: %d, held_out: 0.25}\n"
                       "  quantise: {scheme: %s, method: gptq}\n"
                       "  limits: %s\nworkers: 2\nshards: {rows_per_task: %d}\n",
                       ROWS, scheme, limits, PER_TASK);
    ps_status st =
        ps_sched_submit(w->sched, "anna", ps_slice_of(yaml, (size_t)len), NULL, NULL, &id);
    ck_assert_msg(st == PS_OK, "%s", ps_error_message());
    return id;
}

/* With a worker that has the job's first task. */
static inline ps_world *begin(const char *limits, uint64_t *id)
{
    ps_ledger_create(ROWS, strcmp(scheme, BLOCKS) ? WINDOWS : WINDOWS - 1, 1, &ledger);
    ps_world *w = ps_world_new(NULL, false);
    ps_sched_free(&w->sched);
    w->book = &book;
    ps_world_start(w);
    ps_world_recover(w);
    store_parent(w);
    ps_world_attach(w, 1, "w1");
    *id = submit(w, limits);
    ps_world_run_ms(w, 250);
    return w;
}

static inline void end(ps_world **w)
{
    ps_world_free(w);
    ps_ledger_free(&ledger);
}

static inline bool is(const ps_world_task *task, const char *kind)
{
    return task && strcmp(task->kind, kind) == 0;
}

static inline void says_done(ps_world *w, ps_world_task *task, const char *report)
{
    ps_task_result result = {.lease_id = task->lease, .report = report};
    task->answered = true;
    ck_ok(ps_sched_result(w->sched, task->session, &result));
}

static inline void calibrates(ps_world *w, ps_world_task *task)
{
    ck_assert(is(task, "calibrate"));
    ck_ok(push(task));
    says_done(w, task, NULL);
}

/* All tasks of a window, which leaves its tensor to be solved. */
static inline void calibrate_window(ps_world *w, uint32_t window)
{
    for (int i = 0; i < TASKS; i++) {
        ps_world_task *task = ps_world_task_of(w, 1);
        ck_assert(is(task, "calibrate") && task->epoch == window);
        ck_assert_uint_eq(task->end - task->begin, PER_TASK);
        calibrates(w, task);
    }
}

static inline void solve(ps_world *w, uint64_t tensor)
{
    ps_world_task *task = ps_world_task_of(w, 1);
    ck_assert(is(task, "solve"));
    ck_assert_uint_eq(task->begin, tensor);
    says_done(w, task, "{\"error\":0.5}");
}

static inline void solve_all(ps_world *w)
{
    for (uint32_t i = 0; i < WINDOWS; i++) {
        calibrate_window(w, i);
        solve(w, 2 * i);
    }
}

/* Of 100, so many right: the loss is the share that is wrong. */
static inline void evaluates(ps_world *w, ps_world_task *task, uint64_t correct)
{
    ps_task_result result = {.lease_id = task->lease};
    ck_assert(is(task, "evaluate"));
    ps_task_result_add(&result, "samples", 100);
    ps_task_result_add(&result, "loss", 1 - (double)correct / 100);
    ps_task_result_add(&result, "accuracy", (double)correct / 100);
    task->answered = true;
    ck_ok(ps_sched_result(w->sched, task->session, &result));
}

/* Both at once. */
static inline void evaluate(ps_world *w, uint64_t parent, uint64_t child)
{
    char report[512];
    ps_world_task *task = ps_world_task_of(w, 1);
    ck_assert(is(task, "compare"));
    (void)snprintf(report, sizeof report,
                   "{\"samples\":100,\"model\":{\"loss\":%g,\"accuracy\":%g},"
                   "\"other\":{\"accuracy\":%g,\"loss\":%g},\"divergence\":0.25}",
                   1 - (double)parent / 100, (double)parent / 100, (double)child / 100,
                   1 - (double)child / 100);
    says_done(w, task, report);
}

/* As psd's death with a checkpoint of this moment; the ledger is the parameters'. */
static inline void restart(ps_world *w, uint64_t id)
{
    ps_buf_clear(&w->blob);
    ck_ok(ps_sched_progress_save(w->sched, id, &w->blob));
    for (size_t i = 0; i < w->n_tasks; i++) { /* leases do not outlive psd */
        ps_row_set left = {0};
        (void)ps_ledger_lease_end(ledger, w->tasks[i].lease, false, &left);
        ps_row_set_free(&left);
    }
    w->n_tasks = 0;
    ps_world_restart(w);
    ps_world_attach(w, 1, "w1");
    ps_world_run_ms(w, 250);
}

static inline size_t count(const ps_world *w, const char *line)
{
    size_t n = 0, len = strlen(line);
    for (const char *at = ps_buf_cstr(&((ps_world *)(uintptr_t)w)->trace); (at = strstr(at, line));
         at += len)
        n++;
    return n;
}

#endif
