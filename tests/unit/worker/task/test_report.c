/* worker/task/report.h: when a task that says nothing says where it is. */
#include "worker/task/report.h"

#include "common/base/mem.h"

#include "tests/lib/check_main.h"

static unsigned reports;

static void progress(void *user, Psd__V1__TaskProgress *report)
{
    (void)user;
    reports++;
    psd__v1__task_progress__free_unpacked(report, NULL);
}

static void output(void *user, Psd__V1__TaskOutput *message)
{
    (void)user;
    psd__v1__task_output__free_unpacked(message, NULL);
}

static bool long_at(ps_task_run *run, ps_clock_virtual *time, uint64_t s)
{
    time->now_ns = s * 1000000000;
    return ps_task_quiet_long(run);
}

START_TEST(it_says_where_it_is_rarely)
{
    ps_clock_virtual time = {.now_ns = 0};
    ps_clock clock = ps_clock_virtual_table(&time);
    Psd__V1__Task task = PSD__V1__TASK__INIT;
    const ps_worker_env env = {.clock = &clock};
    ps_task_run run = {
        .env = &env, .task = &task, .sink = {.progress = progress, .output = output}};
    Psd__V1__TaskProgress one = PSD__V1__TASK_PROGRESS__INIT;
    one.samples = 1;
    ps_task_report_begin(&run);
    ck_assert(!long_at(&run, &time, 14));
    ck_assert(long_at(&run, &time, 15));
    ck_assert(!long_at(&run, &time, 15)); /* said */
    ck_assert(!long_at(&run, &time, 44));
    ck_assert(long_at(&run, &time, 45)); /* after 30 more */
    time.now_ns = 100 * UINT64_C(1000000000);
    ps_task_report(&run, 1, &one); /* news */
    ck_assert_uint_eq(reports, 1);
    ck_assert(!long_at(&run, &time, 159));
    ck_assert(long_at(&run, &time, 160)); /* as patient as before */
    ck_assert(long_at(&run, &time, 280));
    ck_assert(long_at(&run, &time, 520));
    ck_assert(!long_at(&run, &time, 819)); /* five minutes at most */
    ck_assert(long_at(&run, &time, 820));
    ck_assert(long_at(&run, &time, 1120));
    ps_task_report_end(&run, false);
    ck_assert_uint_eq(reports, 1);
}
END_TEST

static const ps_check_case tests[] = {{&it_says_where_it_is_rarely}, {0}};

int main(void)
{
    return ps_check_main("worker/task/report", tests);
}
