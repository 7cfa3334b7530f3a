#include "server/sched/kinds/kinds.h"

#include "common/base/require.h"

#include <stddef.h>

#define ROW(name) &ps_job_kind_##name,

const ps_job_kind *const ps_job_kinds[] = {PS_JOB_KINDS(ROW) NULL};

ps_status ps_progress_check(const char *name, ps_slice blob)
{
    const ps_job_kind *kind = ps_job_kind_find(ps_job_kinds, name);
    ps_cursor c = ps_cursor_of(blob);
    uint32_t version = ps_read_u32le(&c);
    PS_REQUIRE(kind);
    return version > kind->saves
               ? ps_fail(PS_UNIMPLEMENTED,
                         "a newer psd wrote it (progress of version %u, this one knows %u)",
                         version, kind->saves)
               : PS_OK;
}
