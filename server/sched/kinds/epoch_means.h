/* epoch_means: the mean loss and measures of an epoch, over all its rows; what a job's loss is when
 * it has ended, as in any training loop. Of what workers report, which is theirs: a sum that is not
 * finite makes a mean that is not. Two epochs may be open at once (epoch_rows.h). Memory is fixed;
 * the scheduler's mutex guards it (not asserted: it does not know the scheduler). */
#ifndef PS_SCHED_KINDS_EPOCH_MEANS_H
#define PS_SCHED_KINDS_EPOCH_MEANS_H

#include "common/base/slice.h"
#include "common/format/metric_list.h"
#include "server/sched/task.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct ps_epoch_sums {
    uint64_t samples; /* 0: nothing is known of it */
    double loss;
    ps_metric_list metrics;
} ps_epoch_sums;

typedef struct ps_epoch_means {
    uint32_t newest;       /* epoch, from 0 */
    ps_epoch_sums sums[2]; /* epoch e is at e % 2 */
} ps_epoch_means;

/* Of rows of that epoch. An epoch before the two newest is passed over. */
void ps_epoch_means_report(ps_epoch_means *means, uint32_t epoch, const ps_task_report *report);
/* Of the epoch: false when nothing was reported of it, or it is too long ago. */
bool ps_epoch_means_of(const ps_epoch_means *means, uint32_t epoch, double *loss,
                       ps_metric_list *metrics);

/* As bytes, for a checkpoint, and back. Reading leaves the cursor behind them; PS_CORRUPT, and
 * nothing is set. */
void ps_epoch_means_save(const ps_epoch_means *means, ps_buf *out);
PS_MUST_CHECK ps_status ps_epoch_means_load(ps_epoch_means *means, ps_cursor *bytes);

#endif
