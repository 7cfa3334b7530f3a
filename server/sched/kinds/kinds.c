#include "server/sched/kinds/kinds.h"

#include "common/base/require.h"
#include "server/sched/stage_past.h"

#include <stddef.h>

#define ROW(name) &ps_job_kind_##name,

const ps_job_kind *const ps_job_kinds[] = {PS_JOB_KINDS(ROW) NULL};

/* A job in stages: behind what the stages before have left stands the progress of that stage's
 * kind. */
static ps_status check_stage(ps_cursor *c, const ps_job_kind **kind)
{
    unsigned stage = 0;
    ps_stage_past *past = NULL;
    ps_status st = ps_stage_past_take(c, &stage, &past);
    ps_stage_past_free(&past);
    if (!st && stage == PS_STAGE_DISTIL)
        *kind = &ps_job_kind_train;
    return st;
}

ps_status ps_progress_check(const char *name, ps_slice blob)
{
    const ps_job_kind *kind = ps_job_kind_find(ps_job_kinds, name);
    ps_cursor c = ps_cursor_of(blob), first = c;
    PS_REQUIRE(kind);
    if (ps_read_u32le(&first) == 0) {
        ps_status st = check_stage(&c, &kind);
        if (st)
            return st == PS_UNIMPLEMENTED ? st : PS_OK;
    }
    uint32_t version = ps_read_u32le(&c);
    return version > kind->saves
               ? ps_fail(PS_UNIMPLEMENTED,
                         "a newer psd wrote it (progress of version %u, this one knows %u)",
                         version, kind->saves)
               : PS_OK;
}
