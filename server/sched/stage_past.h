/* stage_past: what the stages of a job that are over have left to the one under way, and how that
 * stands in front of its progress in a checkpoint. Plain; the scheduler's mutex guards it (not
 * asserted: it does not know the scheduler). */
#ifndef PS_SCHED_STAGE_PAST_H
#define PS_SCHED_STAGE_PAST_H

#include "common/base/buf.h"
#include "common/base/slice.h"
#include "common/base/status.h"
#include "common/conf/job_stages.h"
#include "common/security/digest.h"

struct ps_job;

typedef struct ps_stage_past {
    char *version;               /* the draft that the stage under way begins from */
    char *told[PS_STAGES];       /* what each came to: JSON; NULL: it is not over */
    char sha256[PS_DIGEST_TEXT]; /* of the file of the model that the job began with */
    double seconds;              /* of running, in processes before this one */
} ps_stage_past;

void ps_stage_past_free(ps_stage_past **past); /* NULL is nothing */

/* What is needed to begin a stage later that could not begin. */
typedef struct ps_stage_again {
    uint64_t at_ns;
    unsigned stage;
    char *version;
    ps_buf progress;                    /* of the kind; of one that starts: empty */
    void (*failed)(struct ps_job *job); /* of its progress; NULL: it starts */
} ps_stage_again;

void ps_stage_again_free(ps_stage_again **again); /* NULL is nothing */

/* stage u32 behind a u32 0, which no kind's progress begins with, and a version u32; then texts,
 * each u32 and as many bytes: version, hash, told. past NULL: of the first. */
void ps_stage_past_put(const ps_stage_past *past, unsigned stage, ps_buf *out);
/* *past: what put had, NULL of the first. PS_CORRUPT; PS_UNIMPLEMENTED: a newer psd's. */
PS_MUST_CHECK ps_status ps_stage_past_take(ps_cursor *bytes, unsigned *stage, ps_stage_past **past);

#endif
