#include "common/base/sm.h"
#include "server/sched/core.h"
#include "server/sched/kinds/kind_train.h"

#include <inttypes.h>

static const char *const names[] = {"planning", "creating", "training", "finishing"};
static const ps_sm_set next[] = {
    [PS_PLANNING] = PS_SM(PS_CREATING) | PS_SM(PS_TRAINING), /* training: from a checkpoint */
    [PS_CREATING] = PS_SM(PS_TRAINING),
    [PS_TRAINING] = PS_SM(PS_FINISHING),
    [PS_FINISHING] = 0, /* a model that cannot be written is tried again in it */
};
static const ps_sm machine = {
    .tag = "train", .names = names, .next = next, .count = PS_FINISHING + 1};

void ps_train_move(const ps_job *job, ps_train_phase to)
{
    ps_core_require_locked(job->sched);
    PS_REQUIRE(job->work);
    ps_train *w = job->work;
    ps_sm_go(&machine, &w->phase, to, "job=%" PRIu64, job->record->id);
}
