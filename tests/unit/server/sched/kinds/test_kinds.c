/* kinds: psd runs what a job file can ask for. */
#include "server/sched/kinds/kinds.h"

#include "common/conf/kind_rows.h"
#include "server/sched/stage_past.h"
#include "tests/lib/check_main.h"

#include <string.h>

static size_t count_rows(void)
{
    size_t n = 0;
    while (ps_kind_rows[n].name)
        n++;
    return n;
}

START_TEST(each_kind_of_the_job_file_has_its_row_here)
{
    size_t n = 0;
    for (const ps_kind_row *row = ps_kind_rows; row->name; row++) {
        const ps_job_kind *kind = ps_job_kind_find(ps_job_kinds, row->name);
        ck_assert_msg(kind != NULL, "%s", row->name);
        ck_assert_str_eq(kind->name, row->name);
        ck_assert_ptr_nonnull(kind->task->done);
        ck_assert_ptr_nonnull(kind->task->back);
        ck_assert_ptr_nonnull(strstr(kind->task->phrase, kind->task->name));
        bool compresses = row->sections[PS_SECTION_COMPRESS] == PS_SECTION_NEEDED;
        ck_assert_int_eq(kind->inference, !row->trains && !compresses); /* it may take hours */
    }
    while (ps_job_kinds[n])
        n++;
    ck_assert_uint_eq(n, count_rows());
    ck_assert_ptr_null(ps_job_kind_find(ps_job_kinds, "trains"));
}
END_TEST

/* Each kind counts its own versions: what another's psd knows says nothing. */
START_TEST(progress_of_a_newer_psd_is_known_by_the_kinds_own_version)
{
    uint8_t word[4];
    size_t saving = 0;
    for (const ps_job_kind *const *kind = ps_job_kinds; *kind; kind++) {
        saving += (*kind)->save != NULL;
        ck_assert_int_eq((*kind)->saves != 0, (*kind)->save != NULL);
        ps_put_u32le(word, (*kind)->saves);
        ck_ok(ps_progress_check((*kind)->name, ps_slice_of(word, sizeof word)));
        ps_put_u32le(word, (*kind)->saves + 1);
        ck_assert_int_eq(ps_progress_check((*kind)->name, ps_slice_of(word, sizeof word)),
                         PS_UNIMPLEMENTED);
    }
    ck_assert_uint_ge(saving, 2);
}
END_TEST

/* The kind under way is that of the stage, and the stages count versions of their own. */
START_TEST(progress_of_a_newer_psd_is_known_in_each_stage)
{
    static const char *const kinds[PS_STAGES] = {[PS_STAGE_PRUNE] = "compress",
                                                 [PS_STAGE_DISTIL] = "train",
                                                 [PS_STAGE_QUANTISE] = "compress"};
    char none[] = "";
    ps_stage_past past = {.version = none, .told = {none, none}};
    for (unsigned stage = 0; stage < PS_STAGES; stage++)
        for (uint32_t newer = 0; newer < 2; newer++) {
            const ps_job_kind *kind = ps_job_kind_find(ps_job_kinds, kinds[stage]);
            ps_buf blob = PS_BUF_EMPTY;
            ps_stage_past_put(stage ? &past : NULL, stage, &blob);
            ps_buf_put_u32le(&blob, kind->saves + newer);
            ck_assert_int_eq(ps_progress_check("compress", ps_buf_slice(&blob)),
                             newer ? PS_UNIMPLEMENTED : PS_OK);
            blob.data[4]++; /* the stages' version, whatever is behind it */
            ck_assert_int_eq(ps_progress_check("compress", ps_buf_slice(&blob)), PS_UNIMPLEMENTED);
            ps_buf_free(&blob);
        }
}
END_TEST

static const ps_check_case cases[] = {
    {&each_kind_of_the_job_file_has_its_row_here},
    {&progress_of_a_newer_psd_is_known_by_the_kinds_own_version},
    {&progress_of_a_newer_psd_is_known_in_each_stage},
    {0},
};

int main(void)
{
    return ps_check_main("server/sched/kinds/kinds", cases);
}
