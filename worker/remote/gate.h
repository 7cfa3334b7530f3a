/* gate: where a task's thread waits, for whatever it waits for, so that one cancellation wakes it.
 *
 * What the loop's thread and the task's thread share about a task is guarded by its gate's lock;
 * who changes it says so with ps_gate_notify. A wait ends at the next change: the caller looks at
 * its own condition again, in a loop. */
#ifndef PS_REMOTE_GATE_H
#define PS_REMOTE_GATE_H

#include "common/base/mutex.h"
#include "common/base/status.h"

#include <stdint.h>

typedef struct ps_gate {
    ps_mutex lock;
    pthread_cond_t changed;
    bool cancelled;
    char reason[256]; /* of the cancellation */
} ps_gate;

void ps_gate_init(ps_gate *gate);
void ps_gate_destroy(ps_gate *gate);
void ps_gate_reset(ps_gate *gate); /* for the next task */
/* Any thread. Every ps_gate_wait fails from now on, with PS_CANCELLED and the reason. */
void ps_gate_cancel(ps_gate *gate, const char *reason);
PS_MUST_CHECK ps_status ps_gate_check(ps_gate *gate); /* PS_CANCELLED, or PS_OK */

void ps_gate_lock(ps_gate *gate);
void ps_gate_unlock(ps_gate *gate);
/* At the entry of what wants the lock held. */
#define ps_gate_require_held(gate) ps_mutex_require_held(&(gate)->lock)
/* All with the lock held. */
void ps_gate_notify(ps_gate *gate);
PS_MUST_CHECK ps_status ps_gate_wait(ps_gate *gate);
PS_MUST_CHECK ps_status ps_gate_wait_ms(ps_gate *gate, uint64_t ms); /* PS_OK when time is over */
void ps_gate_wait_always(ps_gate *gate); /* for clean-up: not cancelled */

#endif
