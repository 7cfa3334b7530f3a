/* kinds: the table of kinds of jobs, for ps_sched_conf, and what others need to know of a kind. A
 * kind is one file, kind_NAME.c, and one word here. */
#ifndef PS_SCHED_KINDS_KINDS_H
#define PS_SCHED_KINDS_KINDS_H

#include "common/base/slice.h"
#include "common/base/status.h"
#include "server/sched/job_kind.h"

#define PS_JOB_KINDS(row)                                                                        \
    row(compare) row(compress) row(describe) row(embed) row(evaluate) row(explain) row(generate) \
        row(predict) row(train)

#define PS_JOB_KIND_DECLARE(name) extern const ps_job_kind ps_job_kind_##name;
PS_JOB_KINDS(PS_JOB_KIND_DECLARE)

/* A NULL behind the last. */
extern const ps_job_kind *const ps_job_kinds[];

/* Of what ps_sched_progress_save gave for a job of that kind. PS_UNIMPLEMENTED: a newer psd saved
 * it, which this one cannot go on from. Whether it is good shows when the job takes it up. */
PS_MUST_CHECK ps_status ps_progress_check(const char *kind, ps_slice blob);

#endif
