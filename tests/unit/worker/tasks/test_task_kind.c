/* task_kind: psworker does what a job file can ask for. */
#include "worker/tasks/task_kind.h"

#include "common/conf/kind_rows.h"
#include "tests/lib/check_main.h"

START_TEST(each_kind_of_job_is_a_kind_of_task)
{
    for (const ps_kind_row *row = ps_kind_rows; row->name; row++) {
        bool compresses =
            row->sections[PS_SECTION_COMPRESS] == PS_SECTION_NEEDED; /* in two steps */
        const char *name = compresses ? "solve" : row->name;
        const ps_worker_kind *kind = ps_worker_kind_find(name);
        ck_assert_msg(kind && kind->run, "%s", name);
        ck_assert_str_eq(kind->name, name);
    }
    ck_assert_ptr_nonnull(ps_worker_kind_find("calibrate"));
    ck_assert_ptr_nonnull(ps_worker_kind_find("measure"));
    ck_assert_ptr_nonnull(ps_worker_kind_find("plan"));
    ck_assert_ptr_null(ps_worker_kind_find("plans"));
    ck_assert_ptr_null(ps_worker_kind_find(""));
}
END_TEST

static const ps_check_case cases[] = {
    {&each_kind_of_job_is_a_kind_of_task},
    {0},
};

int main(void)
{
    return ps_check_main("worker/tasks/task_kind", cases);
}
