/* sched: the whole life of jobs, with a test that plays workers and the rest of psd. */
#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/world.h"

#include <string.h>

/* Answers everything that is asked until nothing is; returns how many tasks there were. */
static size_t serve(ps_world *w, const uint64_t *sessions, size_t n, uint64_t train_rows,
                    uint64_t test_rows)
{
    size_t served = 0;
    for (bool any = true; any;) {
        any = false;
        for (size_t i = 0; i < n; i++) {
            ps_world_task *task = ps_world_task_of(w, sessions[i]);
            if (!task)
                continue;
            ps_world_do(w, task, train_rows, test_rows);
            any = true;
            served++;
        }
    }
    return served;
}

static void assert_reason(ps_world *w, uint64_t id, const char *part)
{
    ps_job_record *record = ps_world_job(w, id);
    ck_assert_msg(strstr(record->reason, part), "reason: %s", record->reason);
    ps_job_record_free(&record);
}

START_TEST(a_job_goes_from_plan_to_done)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = ps_world_submit(w, "a", 2, "asp", true, "workers: 1\n");
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_QUEUED);
    assert_reason(w, id, "waits for workers: 0 here, 1 needed");
    ps_world_attach(w, 1, "w1");
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_RUNNING);
    ck_assert(ps_sched_holds_lease(w->sched, "w1", id));
    ck_assert(!ps_sched_holds_lease(w->sched, "w2", id));
    ck_assert(!ps_sched_holds_lease(w->sched, "w1", id + 1));
    serve(w, (uint64_t[]){1}, 1, 100, 100);
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_DONE);
    ck_assert(ps_world_traced(w, "create 1 1"));
    ck_assert(ps_world_traced(w, "finish 1"));
    ck_assert(ps_world_traced(w, "ended 1 done"));
    ck_assert(!ps_sched_holds_lease(w->sched, "w1", id));
    ps_job_record *record = ps_world_job(w, id);
    ck_assert_ptr_eq(
        strstr(record->result,
               "{\"test_accuracy\":0.8,\"test_loss\":0.5,\"epochs\":2,\"samples\":200"),
        record->result);
    ck_assert_uint_eq(record->progress.samples, 200);
    ps_job_record_free(&record);
    ps_world_free(&w);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_job_goes_from_plan_to_done},
    {0},
};

int main(void)
{
    return ps_check_main("server/sched", cases);
}
