/* sched: the life of jobs: submitted, cancelled, failed, restarted. A test plays the workers and
 * the rest of psd. */
#include "common/base/log.h"
#include "tests/lib/check_main.h"
#include "tests/lib/world.h"

#include <string.h>

START_TEST(a_job_goes_from_plan_to_done)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = ps_world_submit(w, "a", 2, "asp", true, "workers: 1\n");
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_QUEUED);
    ps_world_assert_reason(w, id, "waits for workers: 0 here, 1 needed");
    ps_world_attach(w, 1, "w1");
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_RUNNING);
    ck_assert(ps_sched_holds_lease(w->sched, "w1", id));
    ck_assert(!ps_sched_holds_lease(w->sched, "w2", id));
    ck_assert(!ps_sched_holds_lease(w->sched, "w1", id + 1));
    ps_world_serve(w, (uint64_t[]){1}, 1, 100, 100);
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

START_TEST(a_failed_job_cancels_what_other_workers_do_for_it)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = ps_world_training(w, "asp", false, "workers: 2\nshards: {rows_per_task: 50}\n");
    ps_world_attach(w, 2, "w2");
    ps_world_failed(w, ps_world_task_of(w, 1), 3, false, "row 3: label 11 of 3 classes");
    ck_assert(ps_world_traced(w, "cancel 2"));
    ck_assert(!ps_sched_holds_lease(w->sched, "w2", id));
    ck_assert(ps_world_traced(w, "leave 1 w2"));
    uint64_t next = ps_world_submit(w, "b", 1, "asp", false, "");
    ck_assert_uint_ne(ps_world_task_of(w, 1)->job, id);
    ps_world_task *old = ps_world_task_of(w, 2);
    ck_assert_uint_eq(old->job, id); /* its slot is taken until it answers */
    ps_world_failed(w, old, 1, false, "cancelled");
    ps_world_plan(w, ps_world_task_of(w, 1), 100, 0, 4);
    ck_assert_int_eq(ps_world_state(w, next), PS_JOB_RUNNING);
    ps_world_free(&w);
}
END_TEST

START_TEST(cancelling_works_in_each_state)
{
    ps_world *w = ps_world_new(NULL, true);
    ps_job_record *r = NULL;
    uint64_t queued = ps_world_submit(w, "q", 1, "asp", false, "");
    ck_ok(ps_sched_cancel(w->sched, queued, "anna", "no need", &r));
    ck_assert_int_eq(r->state, PS_JOB_CANCELLED);
    ck_assert_str_eq(r->reason, "cancelled by anna: no need");
    ps_job_record_free(&r);
    ck_assert_int_eq(ps_sched_cancel(w->sched, queued, "anna", "", NULL), PS_FAILED_PRECONDITION);
    ck_assert_int_eq(ps_sched_cancel(w->sched, 77, "anna", "", NULL), PS_NOT_FOUND);

    uint64_t id = ps_world_training(w, "asp", false, "shards: {rows_per_task: 50}\n");
    ck_ok(ps_sched_cancel(w->sched, id, "anna", "", &r));
    ck_assert_int_eq(r->state, PS_JOB_CANCELLING);
    ps_job_record_free(&r);
    ck_assert(ps_world_traced(w, "cancel 1"));
    ck_ok(ps_sched_cancel(w->sched, id, "anna", "", NULL)); /* once more */
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_CANCELLING);
    ps_world_failed(w, ps_world_task_of(w, 1), 1, false, "cancelled");
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_CANCELLED);
    ck_assert(ps_world_traced(w, "ended 2 cancelled"));
    ps_world_free(&w);
}
END_TEST

START_TEST(a_cancelled_worker_that_never_answers_does_not_hold_the_job)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = ps_world_training(w, "asp", false, "");
    ck_ok(ps_sched_cancel(w->sched, id, "anna", "", NULL));
    for (int i = 0; i < 12; i++) {
        ps_world_run_ms(w, 1000);
        ck_ok(ps_sched_heartbeat(w->sched, 1)); /* alive, but hung */
    }
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_CANCELLED);
    uint64_t next = ps_world_submit(w, "b", 1, "asp", false, "");
    ck_assert_uint_eq(ps_world_task_of(w, 1)->job, id); /* its slot is taken, for a while */
    for (int i = 0; i < 30; i++) {
        ps_world_run_ms(w, 1000);
        ck_ok(ps_sched_heartbeat(w->sched, 1));
    }
    ck_assert_uint_eq(ps_world_task_of(w, 1)->job, next);
    ps_world_free(&w);
}
END_TEST

START_TEST(a_cancelled_job_waits_for_psds_own_work_and_a_written_model_counts)
{
    ps_world *w = ps_world_new(NULL, true);
    w->on_create = w->on_finish = PS_WORLD_LATER;
    uint64_t id = ps_world_training(w, "asp", false, "");
    ck_ok(ps_sched_cancel(w->sched, id, "anna", "", NULL));
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_CANCELLING);
    ck_assert(!ps_world_traced(w, "ended 1 cancelled"));
    ps_sched_store_created(w->sched, id, NULL);
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_CANCELLED);

    w->on_create = PS_WORLD_YES;
    uint64_t late = ps_world_submit(w, "b", 1, "asp", false, "");
    ps_world_serve(w, (uint64_t[]){1}, 1, 50, 0);
    ck_assert(ps_world_traced(w, "finish 2"));
    ck_ok(ps_sched_cancel(w->sched, late, "anna", "", NULL));
    ps_sched_finished(w->sched, late, NULL);
    ck_assert_int_eq(ps_world_state(w, late), PS_JOB_DONE);
    ps_world_free(&w);
}
END_TEST

START_TEST(what_psd_cannot_do_fails_the_job_with_its_reason)
{
    ps_world *w = ps_world_new(NULL, true);
    w->on_create = PS_WORLD_NO;
    uint64_t a = ps_world_training(w, "asp", false, "");
    ck_assert_int_eq(ps_world_state(w, a), PS_JOB_FAILED);
    ps_world_assert_reason(w, a, "the disk is full");
    w->on_create = PS_WORLD_YES;
    uint64_t c = ps_world_submit(w, "c", 1, "asp", false, "");
    ps_error error;
    ps_error_save(&error, ps_fail(PS_IO, "checkpoint /x: torn"));
    ps_sched_fail_job(w->sched, c, &error);
    ps_world_assert_reason(w, c, "checkpoint /x: torn");
    ps_world_free(&w);
}
END_TEST

START_TEST(after_a_restart_the_job_goes_on_exactly_from_its_checkpoint)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = ps_world_training(w, "asp", true, "shards: {rows_per_task: 50}\n");
    ps_world_trained(w, ps_world_task_of(w, 1));
    ps_world_report(w, ps_world_task_of(w, 1), 70, 1);
    ck_ok(ps_sched_progress_save(w->sched, id, &w->blob));
    ps_world_report(w, ps_world_task_of(w, 1), 90, 1); /* not in the checkpoint */
    uint64_t old_lease = ps_world_task_of(w, 1)->lease;
    ps_world_restart(w);
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_RUNNING);
    ck_ok(ps_world_hello(w, 7, "w1", 1, 1, &old_lease, 1));
    ck_assert(ps_world_traced(w, "cancel 7"));
    ck_assert_ptr_null(ps_world_task_of(w, 7)); /* it is still busy with what it held */
    ps_world_task old = {.session = 7, .lease = old_lease};
    ps_world_failed(w, &old, 1, true, "cancelled");
    ps_world_task *task = ps_world_task_of(w, 7);
    ck_assert_str_eq(task->kind, "train");
    ck_assert_uint_ne(task->lease, old_lease);
    ck_assert_uint_eq(task->epoch, 0);
    ck_assert_uint_eq(task->begin, 70);
    ck_assert_uint_eq(task->end, 100);
    ps_world_serve(w, (uint64_t[]){7}, 1, 100, 20);
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_DONE);
    ck_assert_uint_eq(w->outcome.samples, 200);
    ck_assert(!ps_world_traced(w, "create 1 1"));
    ps_world_free(&w);
}
END_TEST

START_TEST(after_a_restart_without_a_checkpoint_the_job_starts_anew)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = ps_world_training(w, "asp", false, "");
    uint64_t queued = ps_world_submit(w, "b", 1, "asp", false, "min_workers: 2\nworkers: 2\n");
    uint64_t cancelling = ps_world_submit(w, "c", 1, "asp", false, "");
    ps_world_attach(w, 2, "w2");
    ck_ok(ps_sched_cancel(w->sched, cancelling, "anna", "", NULL));
    ps_world_restart(w);
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_RUNNING);
    ck_assert_int_eq(ps_world_state(w, cancelling), PS_JOB_CANCELLED);
    ps_world_attach(w, 3, "w1");
    ck_assert_str_eq(ps_world_task_of(w, 3)->kind, "plan");
    ps_world_attach(w, 4, "w2");
    ps_world_serve(w, (uint64_t[]){3, 4}, 2, 100, 0);
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_DONE);
    ck_assert_int_eq(ps_world_state(w, queued), PS_JOB_DONE);
    ps_world_free(&w);
}
END_TEST

START_TEST(a_checkpoint_that_is_damaged_fails_the_job_with_a_reason)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = ps_world_training(w, "asp", false, "");
    ps_buf_puts(&w->blob, "not a checkpoint");
    ps_world_restart(w);
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_FAILED);
    ps_world_assert_reason(
        w, id, "cannot go on after the restart: what it says of the job: progress: version");
    ps_world_free(&w);
}
END_TEST

START_TEST(checkpoints_are_asked_for_at_their_interval_once_there_are_parameters)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = ps_world_submit(w, "a", 1, "asp", false, "checkpoint: {every: 2s}\n");
    ps_buf blob = PS_BUF_EMPTY;
    ps_world_attach(w, 1, "w1");
    ck_assert_int_eq(ps_sched_progress_save(w->sched, id, &blob), PS_FAILED_PRECONDITION);
    ck_assert_int_eq(ps_sched_progress_save(w->sched, 9, &blob), PS_NOT_FOUND);
    ps_world_run_ms(w, 5000);
    ck_assert_uint_eq(w->n_checkpoints, 0);
    ps_world_plan(w, ps_world_task_of(w, 1), 100, 0, 4);
    ps_world_run_ms(w, 5000);
    ck_assert_uint_eq(w->n_checkpoints, 2);
    ps_world_free(&w);
}
END_TEST

START_TEST(a_job_that_says_no_interval_has_the_daemons)
{
    ps_world *w = ps_world_new(NULL, true);
    ps_world_submit(w, "a", 1, "asp", false, "");
    ps_world_attach(w, 1, "w1");
    ps_world_plan(w, ps_world_task_of(w, 1), 100, 0, 4);
    ps_world_run_ms(w, PS_WORLD_CHECKPOINT_MS - 1000);
    ck_assert_uint_eq(w->n_checkpoints, 0);
    ps_world_run_ms(w, 2000);
    ck_assert_uint_eq(w->n_checkpoints, 1);
    ps_world_free(&w);
}
END_TEST

static unsigned in_state(ps_world *w, ps_job_state state)
{
    unsigned n = 0;
    ps_job_record **list = NULL;
    ck_ok(ps_catalog_job_list(w->catalog, state, 0, 0, &list));
    while (list[n])
        n++;
    ps_job_records_free(&list);
    return n;
}

START_TEST(a_cancel_that_was_answered_outlives_a_crash_on_a_full_disk)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t runs = ps_world_training(w, "asp", false, "");
    uint64_t queued = ps_world_submit(w, "q", 1, "asp", false, "workers: 2\nmin_workers: 2\n");
    ps_catalog_limit_writes(w->catalog, 0);
    ck_assert_int_eq(ps_sched_cancel(w->sched, runs, "anna", "", NULL), PS_NO_SPACE);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "job 1 is not cancelled: catalog"));
    ck_assert_int_eq(ps_sched_cancel(w->sched, queued, "anna", "", NULL), PS_NO_SPACE);
    ck_assert_int_eq(ps_world_state(w, runs), PS_JOB_RUNNING);
    ck_assert_int_eq(ps_world_state(w, queued), PS_JOB_QUEUED);
    ck_assert(!ps_world_traced(w, "cancel 1"));

    ps_catalog_limit_writes(w->catalog, 1); /* for the answer, and not for the state */
    ck_ok(ps_sched_cancel(w->sched, runs, "anna", "too slow", NULL));
    ck_assert_int_eq(ps_world_state(w, runs), PS_JOB_CANCELLING);
    ck_assert_uint_eq(in_state(w, PS_JOB_RUNNING), 1);
    ps_catalog_limit_writes(w->catalog, 1);
    ck_ok(ps_sched_cancel(w->sched, queued, "anna", "no need", NULL));
    ck_assert_uint_eq(in_state(w, PS_JOB_QUEUED), 1);

    ps_catalog_limit_writes(w->catalog, PS_CATALOG_ALL);
    ps_world_restart(w);
    ck_assert_uint_eq(in_state(w, PS_JOB_CANCELLED), 2);
    ps_job_record *r = ps_world_job(w, runs);
    ck_assert_str_eq(r->reason, "cancelled by anna: too slow");
    ps_job_record_free(&r);
    ck_assert(ps_world_traced(w, "ended 1 cancelled"));
    ps_world_free(&w);
}
END_TEST

START_TEST(a_draining_psd_takes_no_job_and_keeps_those_that_wait)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t waits = ps_world_submit(w, "a", 1, "asp", false, "");
    ps_job_record *r = ps_world_job(w, waits);
    ps_slice again = ps_slice_str(r->spec);
    uint64_t id = 0;
    ps_sched_drain(w->sched, true);
    ck_assert_int_eq(ps_sched_submit(w->sched, "anna", again, NULL, NULL, &id), PS_UNAVAILABLE);
    ck_assert_str_eq(ps_error_message(),
                     "psd is draining or about to stop and takes no new jobs; submit it later");
    ck_assert_int_eq(ps_world_state(w, waits), PS_JOB_QUEUED);
    ck_assert_uint_eq(in_state(w, PS_JOB_NONE), 1);
    ps_sched_drain(w->sched, false);
    ck_ok(ps_sched_submit(w->sched, "anna", again, NULL, NULL, &id));
    ck_assert_uint_gt(id, waits);
    ps_job_record_free(&r);
    ps_world_free(&w);
}
END_TEST

/* All pages of `limit`; a job is submitted between any two of them. */
static size_t walk(ps_world *w, ps_job_state state, size_t limit, uint64_t *ids)
{
    size_t n = 0;
    uint64_t before = 0;
    do {
        ps_job_record **page = NULL;
        ck_ok(ps_sched_job_list(w->sched, state, before, limit, &page, &before));
        size_t rows = 0;
        for (; page[rows]; rows++) {
            ck_assert_str_eq(page[rows]->spec, "");
            ck_assert(state == PS_JOB_NONE || page[rows]->state == state);
            ids[n++] = page[rows]->id;
        }
        ck_assert_uint_le(rows, limit);
        ps_job_records_free(&page);
        ps_world_submit(w, "late", 1, "asp", false, "");
    } while (before);
    return n;
}

START_TEST(pages_have_every_job_once_newest_first_though_others_come_meanwhile)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t ids[64];
    for (int i = 0; i < 9; i++)
        ps_world_submit(w, "a", 1, "asp", false, "");
    for (uint64_t id = 2; id <= 9; id += 2)
        ck_ok(ps_sched_cancel(w->sched, id, "anna", "", NULL));
    static const size_t limits[] = {50, 7, 3, 1};
    for (size_t l = 0; l < sizeof limits / sizeof *limits; l++) {
        size_t n = walk(w, PS_JOB_NONE, limits[l], ids);
        uint64_t newest = ids[0];
        ck_assert_uint_eq(n, newest);
        for (size_t i = 0; i < n; i++)
            ck_assert_uint_eq(ids[i], newest - i);
        ck_assert_uint_eq(walk(w, PS_JOB_CANCELLED, limits[l], ids), 4);
        for (size_t i = 0; i < 4; i++)
            ck_assert_uint_eq(ids[i], 8 - 2 * i);
    }
    ps_world_free(&w);
}
END_TEST

START_TEST(a_job_that_has_ended_has_no_rates)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = ps_world_training(w, "asp", false, "");
    ps_world_run_ms(w, 1000);
    ps_job_record *r = ps_world_job(w, id);
    ck_assert_double_eq(r->progress.bytes_in_per_second, 7);
    ck_assert_uint_eq(r->progress.workers, 1);
    ps_job_record_free(&r);
    ck_ok(ps_sched_cancel(w->sched, id, "anna", "", NULL));
    ps_sched_leave(w->sched, 1); /* without a word about its task */
    r = ps_world_job(w, id);
    ck_assert_int_eq(r->state, PS_JOB_CANCELLED);
    ck_assert_str_eq(r->reason, "cancelled by anna");
    ck_assert_uint_eq(r->progress.workers, 0);
    ck_assert_double_eq(r->progress.bytes_in_per_second, 0);
    ck_assert_double_eq(r->progress.bytes_out_per_second, 0);
    ck_assert_uint_eq(r->progress.staleness_max, 3);
    ps_job_record_free(&r);
    ps_world_free(&w);
}
END_TEST

static void nothing_cb(void *user)
{
}

/* The last state that the watch tells, and whether that was the end. */
static bool watched_to_the_end(ps_watch *watch, ps_job_state *state)
{
    ps_watch_event event;
    ps_status st;
    while (!(st = ps_watch_next(watch, &event))) {
        if (event.job)
            *state = event.job->state;
        ps_watch_event_clear(&event);
    }
    return st == PS_END;
}

typedef struct said {
    unsigned failures, saved;
} said;

static void count_lines(void *user, ps_log_level level, const char *line)
{
    said *s = user;
    s->failures += strstr(line, "state not saved, trying again") != NULL;
    s->saved += strstr(line, "state saved (after 4 failures)") != NULL;
}

START_TEST(an_end_that_is_not_on_disk_has_not_come)
{
    said lines = {0};
    ps_log_set_sink(count_lines, &lines);
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = ps_world_training(w, "asp", false, "");
    ps_watch *watch = NULL;
    ps_job_state seen = PS_JOB_QUEUED;
    ck_ok(ps_sched_watch(w->sched, id, nothing_cb, NULL, &watch));
    ck_assert(!watched_to_the_end(watch, &seen));
    ck_assert_int_eq(seen, PS_JOB_RUNNING);
    ps_catalog_limit_writes(w->catalog, 0);
    ps_world_serve(w, (uint64_t[]){1}, 1, 100, 0);
    ck_assert(ps_world_traced(w, "finish 1"));
    ps_world_run_ms(w, 3000);
    ck_assert(!ps_world_traced(w, "ended 1 done")); /* its checkpoints are there */
    ck_assert(!watched_to_the_end(watch, &seen));
    ck_assert_int_eq(seen, PS_JOB_RUNNING);
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_RUNNING); /* nor to who only asks */
    ps_world_assert_reason(w, id, "it has ended, which psd could not store yet");
    ps_catalog_limit_writes(w->catalog, PS_CATALOG_ALL);
    ps_world_run_ms(w, 2000);
    ck_assert(ps_world_traced(w, "ended 1 done"));
    ck_assert(watched_to_the_end(watch, &seen));
    ck_assert_int_eq(seen, PS_JOB_DONE);
    ck_assert_uint_eq(lines.failures, 1); /* of a try every second */
    ck_assert_uint_eq(lines.saved, 1);
    ps_log_set_sink(NULL, NULL);
    ps_watch_close(&watch);
    ps_job_record *record = NULL;
    ck_ok(ps_catalog_job_get(w->catalog, id, &record));
    ck_assert_int_eq(record->state, PS_JOB_DONE);
    ps_job_record_free(&record);
    ps_world_free(&w);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_draining_psd_takes_no_job_and_keeps_those_that_wait},
    {&pages_have_every_job_once_newest_first_though_others_come_meanwhile},
    {&a_job_that_has_ended_has_no_rates},
    {&a_cancel_that_was_answered_outlives_a_crash_on_a_full_disk},
    {&a_job_goes_from_plan_to_done},
    {&a_failed_job_cancels_what_other_workers_do_for_it},
    {&cancelling_works_in_each_state},
    {&a_cancelled_worker_that_never_answers_does_not_hold_the_job},
    {&a_cancelled_job_waits_for_psds_own_work_and_a_written_model_counts},
    {&what_psd_cannot_do_fails_the_job_with_its_reason},
    {&after_a_restart_the_job_goes_on_exactly_from_its_checkpoint},
    {&after_a_restart_without_a_checkpoint_the_job_starts_anew},
    {&a_checkpoint_that_is_damaged_fails_the_job_with_a_reason},
    {&checkpoints_are_asked_for_at_their_interval_once_there_are_parameters},
    {&a_job_that_says_no_interval_has_the_daemons},
    {&an_end_that_is_not_on_disk_has_not_come},
    {0},
};

int main(void)
{
    return ps_check_main("server/sched/sched", cases);
}
