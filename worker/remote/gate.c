/* A mutex, a condition and a flag. Conditions run on the monotonic clock: a wall clock that is set
 * must not stretch a wait. */
#include "worker/remote/gate.h"

#include <stdio.h>

void ps_gate_init(ps_gate *gate)
{
    *gate = (ps_gate){.cancelled = false};
    ps_mutex_init(&gate->lock);
    ps_condition_init(&gate->changed);
}

void ps_gate_destroy(ps_gate *gate)
{
    pthread_cond_destroy(&gate->changed);
    ps_mutex_destroy(&gate->lock);
}

void ps_gate_reset(ps_gate *gate)
{
    ps_gate_lock(gate);
    gate->cancelled = false;
    gate->reason[0] = 0;
    ps_gate_unlock(gate);
}

void ps_gate_cancel(ps_gate *gate, const char *reason)
{
    ps_gate_lock(gate);
    if (!gate->cancelled) {
        gate->cancelled = true;
        snprintf(gate->reason, sizeof(gate->reason), "%s",
                 reason && *reason ? reason : "cancelled");
    }
    ps_gate_notify(gate);
    ps_gate_unlock(gate);
}

static ps_status state_of(const ps_gate *gate)
{
    ps_gate_require_held(gate);
    return gate->cancelled ? ps_fail(PS_CANCELLED, "%s", gate->reason) : PS_OK;
}

ps_status ps_gate_check(ps_gate *gate)
{
    ps_gate_lock(gate);
    ps_status st = state_of(gate);
    ps_gate_unlock(gate);
    return st;
}

void ps_gate_lock(ps_gate *gate)
{
    ps_mutex_lock(&gate->lock);
}

void ps_gate_unlock(ps_gate *gate)
{
    ps_mutex_unlock(&gate->lock);
}

void ps_gate_notify(ps_gate *gate)
{
    ps_gate_require_held(gate);
    pthread_cond_broadcast(&gate->changed);
}

ps_status ps_gate_wait(ps_gate *gate)
{
    ps_gate_require_held(gate);
    if (!gate->cancelled)
        ps_mutex_wait(&gate->lock, &gate->changed);
    return state_of(gate);
}

ps_status ps_gate_wait_ms(ps_gate *gate, uint64_t ms)
{
    const struct timespec until = ps_condition_in_ms(ms);
    if (!gate->cancelled)
        (void)ps_mutex_wait_until(&gate->lock, &gate->changed, &until);
    return state_of(gate);
}

void ps_gate_wait_always(ps_gate *gate)
{
    ps_mutex_wait(&gate->lock, &gate->changed);
}
