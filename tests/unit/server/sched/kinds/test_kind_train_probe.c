/* Segments of a training to be measured: what becomes of one that no worker measures. */
#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/world.h"

#include <string.h>

/* One segment, and what was asked of it. */
static struct {
    bool waits, is_out;
    unsigned backs, losses, dones, measured;
} segment;

static void book_begin(void *user, uint64_t job_id, const ps_booked_task *task)
{
}

static uint64_t book_report(void *user, uint64_t job_id, uint64_t lease_id, uint64_t position)
{
    return position;
}

static bool book_end(void *user, uint64_t job_id, uint64_t lease_id, bool done, ps_row_set *left)
{
    return false;
}

static bool book_state(void *user, uint64_t job_id, ps_ledger_state *out)
{
    return false;
}

static bool segment_take(void *user, uint64_t job_id, bool pressing, uint64_t *number)
{
    if (!segment.waits)
        return false;
    segment.waits = false;
    segment.is_out = true;
    *number = 1;
    return true;
}

static void segment_back(void *user, uint64_t job_id, uint64_t number)
{
    ck_assert(segment.is_out);
    segment.is_out = false;
    segment.waits = true;
    segment.backs++;
}

static uint32_t segment_lost(void *user, uint64_t job_id, uint64_t number)
{
    ck_assert(segment.is_out);
    return ++segment.losses;
}

static ps_status segment_done(void *user, uint64_t job_id, uint64_t number, const char *report)
{
    ps_job_record *job = ps_world_job(user, job_id); /* the scheduler is not held up meanwhile */
    ck_assert_int_eq(job->state, PS_JOB_RUNNING);
    ps_job_record_free(&job);
    ck_assert(segment.is_out);
    segment.is_out = false;
    segment.dones++;
    segment.measured += report != NULL;
    return PS_OK;
}

static bool segments_left(void *user, uint64_t job_id)
{
    return segment.waits || segment.is_out;
}

static const ps_sched_book book = {.begin = book_begin,
                                   .report = book_report,
                                   .end = book_end,
                                   .state = book_state,
                                   .segment_take = segment_take,
                                   .segment_back = segment_back,
                                   .segment_lost = segment_lost,
                                   .segment_done = segment_done,
                                   .segments_left = segments_left};

/* A worker has the segment as its task. */
static ps_world *begin(uint64_t *id)
{
    memset(&segment, 0, sizeof segment);
    segment.waits = true;
    ps_world *w = ps_world_new(NULL, false);
    ps_sched_free(&w->sched);
    w->book = &book;
    ps_world_start(w);
    ps_world_recover(w);
    *id = ps_world_training(w, "asp", false, "record: {loss_changes: {}}\n");
    ck_assert_str_eq(ps_world_task_of(w, 1)->kind, "probe");
    return w;
}

static void assert_goes_on_without(ps_world *w, uint64_t id)
{
    const uint64_t session = 1;
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_RUNNING);
    ck_assert_uint_eq(segment.dones, 1);
    ck_assert_uint_eq(segment.measured, 0);
    ck_assert_str_eq(ps_world_task_of(w, 1)->kind, "train");
    ps_world_serve(w, &session, 1, 100, 20);
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_DONE);
}

START_TEST(a_segment_that_cannot_be_measured_fails_no_training)
{
    enum { GRPC_OUT_OF_RANGE = 11 };
    uint64_t id;
    ps_world *w = begin(&id);
    ps_world_failed(w, ps_world_task_of(w, 1), GRPC_OUT_OF_RANGE, false, "the loss is no number");
    assert_goes_on_without(w, id);
    ps_world_free(&w);
}
END_TEST

START_TEST(nor_does_a_report_that_is_too_long)
{
    uint64_t id;
    ps_world *w = begin(&id);
    ps_world_task *task = ps_world_task_of(w, 1);
    char *report = ps_alloc(PS_RESULT_REPORT + 2);
    memset(report, ' ', PS_RESULT_REPORT + 1);
    ps_task_result result = {.lease_id = task->lease, .report = report};
    task->answered = true;
    ck_ok(ps_sched_result(w->sched, 1, &result));
    ps_free(&report);
    assert_goes_on_without(w, id);
    ps_world_free(&w);
}
END_TEST

/* A new psworker of the same name: what the one before had is lost. */
static void start_anew(ps_world *w, uint64_t incarnation)
{
    for (size_t i = 0; i < w->n_tasks; i++)
        w->tasks[i].answered = true;
    ck_ok(ps_world_hello(w, 1, "w1", incarnation, 1, NULL, 0));
}

START_TEST(a_segment_that_its_workers_die_of_is_given_up)
{
    uint64_t id;
    ps_world *w = begin(&id);
    for (uint64_t incarnation = 2; incarnation < 4; incarnation++) {
        start_anew(w, incarnation);
        ck_assert_uint_eq(segment.dones, 0);
        ck_assert_str_eq(ps_world_task_of(w, 1)->kind, "probe");
    }
    start_anew(w, 4);
    assert_goes_on_without(w, id);
    ps_world_free(&w);
}
END_TEST

START_TEST(workers_that_leave_in_order_do_not_count)
{
    uint64_t id;
    ps_world *w = begin(&id);
    for (uint64_t incarnation = 2; incarnation < 9; incarnation++) {
        if (incarnation % 2)
            ps_sched_leave(w->sched, 1);
        else
            ps_world_failed(w, ps_world_task_of(w, 1), 1, true, "stopping");
        ck_assert_uint_eq(segment.losses, 0);
        start_anew(w, incarnation);
        ck_assert_str_eq(ps_world_task_of(w, 1)->kind, "probe");
    }
    ck_assert_uint_eq(segment.backs, 7);
    ps_world_free(&w);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_segment_that_cannot_be_measured_fails_no_training},
    {&nor_does_a_report_that_is_too_long},
    {&a_segment_that_its_workers_die_of_is_given_up},
    {&workers_that_leave_in_order_do_not_count},
    {0},
};

int main(void)
{
    return ps_check_main("server/sched/kinds/kind_train_probe", cases);
}
