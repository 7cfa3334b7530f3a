/* kind_compress: windows and turns, what is lost on the way, restarts, limits, and workers that do
 * not tell the truth. The parameters' side is a ledger alone. */
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

static void book_begin(void *user, uint64_t job, const ps_booked_task *task)
{
    ps_ledger_lease_begin(ledger, task->lease_id, task->epoch, task->rows);
    ps_ledger_lease_limit(ledger, task->lease_id, task->worker, task->sets);
}

static bool book_end(void *user, uint64_t job, uint64_t lease, bool done, ps_row_set *left)
{
    return ps_ledger_lease_end(ledger, lease, done, left);
}

static bool book_state(void *user, uint64_t job, ps_ledger_state *out)
{
    ps_ledger_state_get(ledger, out);
    return true;
}

static const ps_sched_book book = {.begin = book_begin, .end = book_end, .state = book_state};

/* What a push of its rows does. */
static ps_status push(const ps_world_task *task)
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
static void store_parent(ps_world *w)
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

static uint64_t submit(ps_world *w, const char *limits)
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
static ps_world *begin(const char *limits, uint64_t *id)
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

static void end(ps_world **w)
{
    ps_world_free(w);
    ps_ledger_free(&ledger);
}

static bool is(const ps_world_task *task, const char *kind)
{
    return task && strcmp(task->kind, kind) == 0;
}

static void says_done(ps_world *w, ps_world_task *task, const char *report)
{
    ps_task_result result = {.lease_id = task->lease, .report = report};
    task->answered = true;
    ck_ok(ps_sched_result(w->sched, task->session, &result));
}

static void calibrates(ps_world *w, ps_world_task *task)
{
    ck_assert(is(task, "calibrate"));
    ck_ok(push(task));
    says_done(w, task, NULL);
}

/* All tasks of a window, which leaves its tensor to be solved. */
static void calibrate_window(ps_world *w, uint32_t window)
{
    for (int i = 0; i < TASKS; i++) {
        ps_world_task *task = ps_world_task_of(w, 1);
        ck_assert(is(task, "calibrate") && task->epoch == window);
        ck_assert_uint_eq(task->end - task->begin, PER_TASK);
        calibrates(w, task);
    }
}

static void solve(ps_world *w, uint64_t tensor)
{
    ps_world_task *task = ps_world_task_of(w, 1);
    ck_assert(is(task, "solve"));
    ck_assert_uint_eq(task->begin, tensor);
    says_done(w, task, "{\"error\":0.5}");
}

static void solve_all(ps_world *w)
{
    for (uint32_t i = 0; i < WINDOWS; i++) {
        calibrate_window(w, i);
        solve(w, 2 * i);
    }
}

/* Of 100, so many right: the loss is the share that is wrong. */
static void evaluates(ps_world *w, ps_world_task *task, uint64_t correct)
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
static void evaluate(ps_world *w, uint64_t parent, uint64_t child)
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
static void restart(ps_world *w, uint64_t id)
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

static size_t count(const ps_world *w, const char *line)
{
    size_t n = 0, len = strlen(line);
    for (const char *at = ps_buf_cstr(&((ps_world *)(uintptr_t)w)->trace); (at = strstr(at, line));
         at += len)
        n++;
    return n;
}

START_TEST(windows_are_calibrated_and_solved_in_turn_and_the_draft_is_published)
{
    uint64_t id;
    ps_world *w = begin("{loss: 100}", &id);
    ck_assert(ps_world_traced(w, "create 1 6")); /* words of three, two sums, and their tokens */
    solve_all(w);
    ck_assert_uint_eq(count(w, "clear 1\n"), WINDOWS - 1);
    ck_assert_uint_eq(count(w, "finish 1\n"), 1);
    ck_assert(w->outcome.drafts);
    char *version = NULL;
    ck_ok(ps_sched_job_model(w->sched, id, "small", &version)); /* for who evaluates it */
    ck_assert_str_eq(version, "models/draft.1");
    ps_free(&version);
    ck_assert_str_eq(ps_world_task_of(w, 1)->model, ""); /* the parent, beside the draft */
    evaluate(w, 90, 89);
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_DONE);
    ck_assert(!w->outcome.drafts && w->outcome.has_test);
    ps_job_record *r = ps_world_job(w, id);
    ck_assert_uint_eq(r->progress.tensors, 3);
    ck_assert_uint_eq(r->progress.tensors_total, 3);
    ck_assert_uint_eq(r->progress.samples, WINDOWS * ROWS);
    ck_assert_ptr_nonnull(strstr(r->result, "\"tensors\":3,"));
    ck_assert_ptr_nonnull(strstr(r->result, "\"test_loss\":0.11,\"parent_test_loss\":0.1"));
    ck_assert_ptr_nonnull(strstr(w->report, "\"compared\":{\"samples\":100,"));
    ps_job_record_free(&r);
    end(&w);
}
END_TEST

/* There may be no worker with room for two; and what one says may be anything. */
START_TEST(two_that_cannot_be_compared_are_evaluated_each_by_itself)
{
    static const char *const says[] = {
        NULL, "{}", "{\"samples\":0,\"model\":{\"loss\":1},\"other\":{\"loss\":1}}",
        "{\"samples\":9,\"model\":{\"loss\":1},\"other\":[1]}"};
    uint64_t id;
    ps_world *w = begin("{loss: 100}", &id);
    solve_all(w);
    ps_world_task *task = ps_world_task_of(w, 1);
    ck_assert(is(task, "compare"));
    if (says[_i])
        says_done(w, task, says[_i]);
    else
        ps_world_failed(w, task, 13, true, "no memory for two models");
    if (_i == 0)
        restart(w, id); /* which knows of it */
    ck_ok(ps_sched_heartbeat(w->sched, 1));
    ps_world_run_ms(w, 3000);
    ck_assert_str_eq(ps_world_task_of(w, 1)->model, ""); /* the parent, */
    evaluates(w, ps_world_task_of(w, 1), 90);
    ck_assert_str_eq(ps_world_task_of(w, 1)->model, "small"); /* and the draft */
    ck_assert(ps_world_traced(w, "version models/draft.1 to session 1"));
    evaluates(w, ps_world_task_of(w, 1), 89);
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_DONE);
    ck_assert_ptr_null(strstr(w->report, "\"compared\""));
    end(&w);
}
END_TEST

START_TEST(what_a_lost_worker_has_pushed_stays_and_the_rest_is_another_workers)
{
    uint64_t id;
    ps_world *w = begin("{loss: 100}", &id);
    ps_world_attach(w, 2, "w2");
    ps_world_task *kept = ps_world_task_of(w, 2), *mine = ps_world_task_of(w, 1);
    ck_assert(is(kept, "calibrate") && is(mine, "calibrate"));
    ck_assert_uint_ne(kept->begin, mine->begin);
    ck_ok(push(kept)); /* and then nothing is heard of it */
    uint64_t begin_of_kept = kept->begin, seen = 0;
    ck_ok(ps_sched_heartbeat(w->sched, 1));
    for (int i = 0; i < 3; i++) {
        ps_world_run_ms(w, PS_WORLD_TIMEOUT_MS / 2);
        ck_ok(ps_sched_heartbeat(w->sched, 1));
    }
    const ps_world_task late = *ps_world_task_of(w, 1);
    while (is(ps_world_task_of(w, 1), "calibrate")) {
        ck_assert_uint_ne(ps_world_task_of(w, 1)->begin, begin_of_kept);
        calibrates(w, ps_world_task_of(w, 1));
        seen++;
    }
    ck_assert_uint_eq(seen, TASKS - 1);
    ck_assert_int_eq(push(&late), PS_PERMISSION_DENIED); /* its lease has ended */
    ck_assert(is(ps_world_task_of(w, 1), "solve"));
    end(&w);
}
END_TEST

/* The same with a tensor: it is solved again. */
START_TEST(a_tensor_whose_worker_fails_is_solved_by_another_but_not_for_ever)
{
    uint64_t id;
    ps_world *w = begin("{loss: 100}", &id);
    calibrate_window(w, 0);
    for (int i = 0; i < 3; i++) {
        ps_world_task *task = ps_world_task_of(w, 1);
        ck_assert(is(task, "solve"));
        ck_assert_uint_eq(task->begin, 0);
        ps_world_failed(w, task, 13, true, "no memory");
        ck_ok(ps_sched_heartbeat(w->sched, 1));
        ps_world_run_ms(w, 3000);
    }
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_FAILED);
    ps_world_assert_reason(w, id, "a solve task failed 3 times, last on worker w1: no memory");
    end(&w);
}
END_TEST

START_TEST(a_worker_that_says_done_and_has_pushed_nothing_is_not_believed)
{
    uint64_t id;
    ps_world *w = begin("{loss: 100}", &id);
    for (int i = 0; i < 12 && ps_world_state(w, id) == PS_JOB_RUNNING; i++) {
        ps_world_task *task = ps_world_task_of(w, 1);
        if (task)
            says_done(w, task, NULL);
        ck_ok(ps_sched_heartbeat(w->sched, 1));
        ps_world_run_ms(w, 3000);
    }
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_FAILED);
    ps_world_assert_reason(w, id, "what it has summed did not come");
    end(&w);
}
END_TEST

START_TEST(a_limit_that_is_missed_says_both_figures_and_publishes_nothing)
{
    static const struct {
        const char *limits;
        const char *says[2];
    } cases[] = {
        {"{loss: 0.01}", {"compress.limits.loss allows 0.01", "nothing is published"}},
        {"{accuracy: 0.01}", {"0.5, of model big 0.9: -0.4", "compress.limits.accuracy allows"}},
    };
    uint64_t id;
    ps_world *w = begin(cases[_i].limits, &id);
    solve_all(w);
    evaluate(w, 90, 50);
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_FAILED);
    ck_assert_ptr_null(w->outcome.draft);
    ck_assert_uint_eq(count(w, "finish 1\n"), 2); /* the report stays */
    for (size_t i = 0; i < 2; i++)
        ps_world_assert_reason(w, id, cases[_i].says[i]);
    end(&w);
}
END_TEST

START_TEST(after_a_restart_it_goes_on_where_the_parameters_are)
{
    uint64_t id;
    ps_world *w = begin("{loss: 100}", &id);
    calibrate_window(w, 0);
    solve(w, 0);
    calibrates(w, ps_world_task_of(w, 1));
    ck_ok(push(ps_world_task_of(w, 1))); /* nobody has heard of it but the parameters */
    restart(w, id);
    for (int i = 0; i < TASKS - 2; i++)
        calibrates(w, ps_world_task_of(w, 1));
    restart(w, id); /* window 1 is summed, its tensor is not solved */
    ck_assert(!ps_world_traced(w, "clear 1"));
    solve(w, 2);
    calibrate_window(w, 2);
    w->on_finish = PS_WORLD_LATER; /* while the draft is written */
    solve(w, 4);
    ck_assert_uint_eq(count(w, "finish 1\n"), 1);
    w->on_finish = PS_WORLD_YES;
    restart(w, id);
    ck_assert_uint_eq(count(w, "finish 1\n"), 1); /* it is written anew */
    evaluate(w, 90, 90);
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_DONE);
    end(&w);
}
END_TEST

/* It is of a moment before the sums were cleared, whatever was done of it. */
START_TEST(a_restart_while_sums_are_cleared_clears_them_again)
{
    uint64_t id;
    ps_world *w = begin("{loss: 100}", &id);
    calibrate_window(w, 0);
    w->on_create = PS_WORLD_LATER;
    solve(w, 0);
    ck_assert_uint_eq(count(w, "clear 1\n"), 1);
    ck_assert_ptr_null(ps_world_task_of(w, 1));
    w->on_create = PS_WORLD_YES;
    restart(w, id);
    ck_assert_uint_eq(count(w, "clear 1\n"), 1);
    calibrate_window(w, 1);
    end(&w);
}
END_TEST

/* Between the two halves of a checkpoint: how far the job is, and its parameters. */
START_TEST(a_first_window_may_be_summed_before_its_checkpoint_has_the_parameters)
{
    uint64_t id;
    scheme = BLOCKS;
    ps_world *w = begin("{loss: 100}", &id);
    ck_ok(ps_sched_progress_save(w->sched, id, &w->blob));
    solve(w, 4);
    calibrate_window(w, 0);
    ps_world_task *task = ps_world_task_of(w, 1);
    ck_assert(is(task, "solve") && task->begin == 0);
    ps_row_set left = {0};
    (void)ps_ledger_lease_end(ledger, task->lease, false, &left);
    ps_row_set_free(&left);
    ps_world_restart(w);
    ps_world_attach(w, 1, "w1");
    ps_world_run_ms(w, 250);
    solve(w, 4); /* again */
    solve(w, 0);
    calibrate_window(w, 1);
    solve(w, 2);
    evaluate(w, 90, 90);
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_DONE);
    end(&w);
    scheme = "int4, group: row";
}
END_TEST

START_TEST(a_checkpoint_that_is_cut_is_none)
{
    uint64_t id;
    ps_world *w = begin("{loss: 100}", &id);
    calibrate_window(w, 0);
    solve(w, 0);
    ps_buf whole = PS_BUF_EMPTY;
    ck_ok(ps_sched_progress_save(w->sched, id, &whole));
    w->n_tasks = 0;
    ps_buf_clear(&w->blob);
    size_t len = 1 + 3 * (size_t)_i;
    ps_buf_append(&w->blob, whole.data, len < whole.len ? len : whole.len - 1);
    ps_world_restart(w);
    ps_world_run_ms(w, 250);
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_FAILED);
    ps_world_assert_reason(w, id, "progress");
    ps_buf_free(&whole);
    end(&w);
}
END_TEST

START_TEST(one_that_is_cancelled_while_it_is_drafted_ends_with_the_answer)
{
    uint64_t id;
    ps_world *w = begin("{loss: 100}", &id);
    w->on_finish = PS_WORLD_LATER;
    solve_all(w);
    ck_ok(ps_sched_cancel(w->sched, id, "anna", "", NULL));
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_CANCELLING);
    ps_sched_drafted(w->sched, id, NULL,
                     &(ps_draft){.version = "models/draft.1",
                                 .sha256 = PS_WORLD_DIGEST,
                                 .parent_sha256 = PS_WORLD_DIGEST});
    ps_world_run_ms(w, 250);
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_CANCELLED);
    ck_assert(ps_world_traced(w, "ended 1 cancelled"));
    end(&w);
}
END_TEST

static const ps_check_case tests[] = {
    {&windows_are_calibrated_and_solved_in_turn_and_the_draft_is_published},
    {&two_that_cannot_be_compared_are_evaluated_each_by_itself, 0, 4},
    {&what_a_lost_worker_has_pushed_stays_and_the_rest_is_another_workers},
    {&a_tensor_whose_worker_fails_is_solved_by_another_but_not_for_ever},
    {&a_worker_that_says_done_and_has_pushed_nothing_is_not_believed},
    {&a_limit_that_is_missed_says_both_figures_and_publishes_nothing, 0, 2},
    {&after_a_restart_it_goes_on_where_the_parameters_are},
    {&a_restart_while_sums_are_cleared_clears_them_again},
    {&a_first_window_may_be_summed_before_its_checkpoint_has_the_parameters},
    {&a_checkpoint_that_is_cut_is_none, 0, 50},
    {&one_that_is_cancelled_while_it_is_drafted_ends_with_the_answer},
    {0},
};

int main(void)
{
    return ps_check_main("server/sched/kinds/kind_compress", tests);
}
