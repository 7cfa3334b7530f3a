/* list: the rows of many pages in one reply. */
#include "client/call/list.h"

#include "common/base/mem.h"
#include "psd/v1/jobs.pb-c.h"
#include "tests/lib/check_main.h"

#include <stdlib.h>

static Psd__V1__ListJobsResponse *page(uint64_t first, size_t n)
{
    Psd__V1__ListJobsResponse *out = ps_new(Psd__V1__ListJobsResponse);
    psd__v1__list_jobs_response__init(out);
    out->jobs = n ? ps_alloc_array(n, sizeof *out->jobs) : NULL;
    for (; out->n_jobs < n; out->n_jobs++) {
        Psd__V1__Job *job = ps_new(Psd__V1__Job);
        psd__v1__job__init(job);
        job->id = first - out->n_jobs;
        out->jobs[out->n_jobs] = job;
    }
    return out;
}

START_TEST(rows_move_behind_those_that_are_there)
{
    static const size_t sizes[] = {0, 3, 0, 1, 2, 0};
    uint64_t next = 6;
    Psd__V1__ListJobsResponse *all = page(0, 0);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        Psd__V1__ListJobsResponse *more = page(next, sizes[i]);
        ps_list_append_rows(&all->base, &more->base);
        ck_assert_uint_eq(more->n_jobs, 0);
        psd__v1__list_jobs_response__free_unpacked(more, NULL); /* takes no row with it */
        next -= sizes[i];
    }
    ck_assert_uint_eq(all->n_jobs, 6);
    for (size_t i = 0; i < 6; i++)
        ck_assert_uint_eq(all->jobs[i]->id, 6 - i);
    psd__v1__list_jobs_response__free_unpacked(all, NULL);
}
END_TEST

static const ps_check_case cases[] = {
    {&rows_move_behind_those_that_are_there},
    {0},
};

int main(void)
{
    return ps_check_main("client/call/list", cases);
}
