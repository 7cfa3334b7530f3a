/* kind explain: pieces of a size that the job alone settles, then one task that merges them; what
 * happens when a worker or psd is lost in between. */
#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/world.h"

#include <stdio.h>
#include <string.h>

/* 40 rows: pieces of 16, 16 and 8. */
static uint64_t submit(ps_world *w)
{
    static const char yaml[] =
        "kind: explain\nname: why\nmodel_name: digits\ndata:\n  format: idx\n"
        "  test: {features: /d/x.gz}\nexplain:\n"
        "  rows: {first: 0, count: 40}\n  attributions: [saliency]\n";
    uint64_t id = 0;
    ps_status st = ps_sched_submit(w->sched, "anna", ps_slice_str(yaml), NULL, NULL, &id);
    ck_assert_msg(!st, "%s", ps_error_message());
    return id;
}

static ps_world *begin(uint64_t *id)
{
    ps_world *w = ps_world_new(NULL, true);
    ps_world_store_model(w, "digits", 4);
    ps_world_attach(w, 1, "w1");
    *id = submit(w);
    return w;
}

static void is_task(const ps_world_task *task, const char *kind, uint32_t stage, uint64_t first,
                    uint64_t end)
{
    ck_assert_ptr_nonnull(task);
    ck_assert_str_eq(task->kind, kind);
    ck_assert_uint_eq(task->epoch, stage);
    ck_assert_uint_eq(task->begin, first);
    ck_assert_uint_eq(task->end, end);
}

/* With that file as what it has left; NULL: all that it should. */
static void done_with(ps_world *w, uint64_t session, double samples, const char *left)
{
    ps_world_task *task = ps_world_task_of(w, session);
    char part[64], said[64];
    static char arrays[] = "explain.safetensors", manifest[] = "explain.json";
    char *names[] = {part}, *results[] = {arrays, manifest}, *others[] = {said};
    ps_task_result result = {.lease_id = task->lease, .n_artifacts = 1};
    bool merge = !strcmp(task->kind, "explain_merge");
    (void)snprintf(part, sizeof part, "part-%u-%u.safetensors", (unsigned)task->epoch,
                   (unsigned)task->begin);
    (void)snprintf(said, sizeof said, "%s", left ? left : "");
    result.artifacts = left ? others : merge ? results : names;
    result.n_artifacts = !left && merge ? 2 : 1;
    if (samples > 0)
        ps_task_result_add(&result, "samples", samples);
    task->answered = true;
    ck_ok(ps_sched_result(w->sched, session, &result));
}

static void done(ps_world *w, uint64_t session, double samples)
{
    done_with(w, session, samples, NULL);
}

START_TEST(pieces_are_given_out_and_then_merged)
{
    uint64_t id;
    ps_world *w = begin(&id);
    ps_world_attach(w, 2, "w2");
    is_task(ps_world_task_of(w, 1), "explain", 0, 0, 16);
    is_task(ps_world_task_of(w, 2), "explain", 0, 16, 32);
    done(w, 2, 0);
    is_task(ps_world_task_of(w, 2), "explain", 0, 32, 40);
    done(w, 2, 0);
    ck_assert_ptr_null(ps_world_task_of(w, 2)); /* not before all are there */
    ps_job_record *r = ps_world_job(w, id);
    ck_assert_uint_eq(r->progress.samples, 24);
    ck_assert_uint_eq(r->progress.samples_total, 40);
    ps_job_record_free(&r);
    done(w, 1, 0);
    uint64_t who = ps_world_task_of(w, 1) ? 1 : 2;
    is_task(ps_world_task_of(w, who), "explain_merge", 1, 0, 1);
    done(w, who, 39); /* one was left out */
    char line[32];
    (void)snprintf(line, sizeof line, "finish %u", (unsigned)id);
    ck_assert(ps_world_traced(w, line)); /* its parts go */
    ck_assert(w->outcome.explains && w->outcome.explained);
    r = ps_world_job(w, id);
    ck_assert_int_eq(r->state, PS_JOB_DONE);
    ck_assert_uint_eq(r->progress.samples, 39);
    ck_assert_ptr_nonnull(strstr(r->result, "{\"metrics\":{\"samples\":39}"));
    ps_job_record_free(&r);
    ps_world_free(&w);
}
END_TEST

START_TEST(a_piece_that_fails_is_tried_again_whole)
{
    uint64_t id;
    ps_world *w = begin(&id);
    ps_world_failed(w, ps_world_task_of(w, 1), 14, true, "no memory");
    is_task(ps_world_task_of(w, 1), "explain", 0, 16, 32);
    ps_world_run_ms(w, 2000);
    done(w, 1, 0);
    is_task(ps_world_task_of(w, 1), "explain", 0, 0, 16);
    ps_world_free(&w);
}
END_TEST

START_TEST(a_lost_worker_costs_its_piece)
{
    uint64_t id;
    ps_world *w = begin(&id);
    ps_world_run_ms(w, PS_WORLD_TIMEOUT_MS + 500);
    ps_world_attach(w, 2, "w2");
    is_task(ps_world_task_of(w, 2), "explain", 0, 0, 16);
    ps_world_free(&w);
}
END_TEST

/* A worker that says that it is done. */
START_TEST(what_is_not_left_is_not_done)
{
    uint64_t id;
    ps_world *w = begin(&id);
    done_with(w, 1, 0, "part-0-16.safetensors"); /* of another piece */
    is_task(ps_world_task_of(w, 1), "explain", 0, 16, 32);
    done(w, 1, 0);
    is_task(ps_world_task_of(w, 1), "explain", 0, 32, 40);
    done(w, 1, 0);
    ps_world_run_ms(w, 2000);
    is_task(ps_world_task_of(w, 1), "explain", 0, 0, 16);
    done(w, 1, 0);
    for (int i = 0; i < 3; i++) {
        is_task(ps_world_task_of(w, 1), "explain_merge", 1, 0, 1);
        done_with(w, 1, 40, "explain.safetensors");
        ps_world_run_ms(w, 4000);
    }
    ps_job_record *r = ps_world_job(w, id);
    ck_assert_int_eq(r->state, PS_JOB_FAILED);
    ck_assert_ptr_nonnull(strstr(r->reason, "it has not left explain.json"));
    ps_job_record_free(&r);
    ps_world_free(&w);
}
END_TEST

/* The worker says that its files are there, and the catalog that they are not. */
START_TEST(a_job_without_its_files_is_not_done)
{
    uint64_t id;
    ps_error error;
    ps_world *w = begin(&id);
    w->on_finish = PS_WORLD_LATER;
    for (int i = 0; i < 4; i++)
        done(w, 1, 0);
    ps_error_save(&error, ps_fail(PS_INVALID_ARGUMENT, "no explain.json"));
    ps_sched_finished(w->sched, id, &error);
    ps_job_record *r = ps_world_job(w, id);
    ck_assert_int_eq(r->state, PS_JOB_FAILED);
    ck_assert_str_eq(r->reason, "the explanation is not there: no explain.json");
    ps_job_record_free(&r);
    ps_world_free(&w);
}
END_TEST

static void restarted(const char *artifacts, const char *kind, uint32_t stage, uint64_t first,
                      uint64_t end)
{
    ps_world *w = ps_world_new(NULL, true);
    ps_world_store_model(w, "digits", 4);
    ps_world_attach(w, 1, "w1");
    uint64_t id = submit(w);
    is_task(ps_world_task_of(w, 1), "explain", 0, 0, 16);
    ps_sched_free(&w->sched);
    ps_buf_puts(&w->blob, artifacts);
    ps_world_start(w);
    ps_world_recover(w);
    ps_world_attach(w, 2, "w2");
    is_task(ps_world_task_of(w, 2), kind, stage, first, end);
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_RUNNING);
    ps_world_free(&w);
}

START_TEST(after_a_restart_parts_that_are_there_are_done)
{
    restarted("part-0-0.safetensors\npart-0-32.safetensors\n", "explain", 0, 16, 32);
    restarted("part-0-0.safetensors\npart-0-16.safetensors\npart-0-32.safetensors\n",
              "explain_merge", 1, 0, 1);
    restarted("other.json\npart-0-160.safetensors\n", "explain", 0, 0, 16);
}
END_TEST

static const ps_check_case cases[] = {
    {&pieces_are_given_out_and_then_merged},
    {&a_piece_that_fails_is_tried_again_whole},
    {&a_lost_worker_costs_its_piece},
    {&what_is_not_left_is_not_done},
    {&a_job_without_its_files_is_not_done},
    {&after_a_restart_parts_that_are_there_are_done},
    {0},
};

int main(void)
{
    return ps_check_main("sched/kinds/kind_explain", cases);
}
