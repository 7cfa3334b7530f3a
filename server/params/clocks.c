/* What the store does for its controller: the gate around what may change parameters, and the turn
 * from one clock to the next. Fails only as the controller does. */
#include "common/base/log.h"
#include "common/loop/loop.h"
#include "server/params/store_private.h"
#include "server/params/waypoints.h"

#include <inttypes.h>

/* In the gate. *reply: the answer to whoever ended the clock. */
static void make_turn(ps_param_store *store, ps_turn turn, ps_clock_reply *reply)
{
    ps_update_require_entered(store);
    if (turn == PS_TURN_NONE)
        return;
    PS_REQUIRE(store->ops->turned && (turn == PS_TURN_NEXT || store->held));
    if (turn == PS_TURN_APPLY)
        ps_accumulator_apply(store->held);
    uint64_t version = ps_param_store_version(store);
    ps_trace("clock", "turned mode=%s applied=%d version=%" PRIu64, store->ops->name,
             turn == PS_TURN_APPLY, version);
    store->ops->turned(store->controller, version, reply);
}

void ps_store_turn(ps_param_store *store, ps_turn turn)
{
    ps_clock_reply nobody;
    make_turn(store, turn, &nobody);
}

ps_status ps_param_store_join(ps_param_store *store, const char *member, uint64_t lease,
                              uint64_t *first_clock)
{
    ps_turn turn = PS_TURN_NONE;
    ps_update_enter(store);
    ps_status st = store->ops->join(store->controller, member, lease, first_clock, &turn);
    ps_store_turn(store, turn);
    ps_update_leave(store);
    ps_waypoints_look(store);
    return st;
}

void ps_param_store_leave(ps_param_store *store, const char *member)
{
    ps_update_enter(store);
    ps_store_turn(store, store->ops->leave(store->controller, member));
    ps_update_leave(store);
    ps_waypoints_look(store);
}

static ps_status end_clock(ps_param_store *store, const ps_clock_end *end, ps_clock_waiter waiter,
                           ps_clock_reply *reply, bool *parked)
{
    ps_turn turn = PS_TURN_NONE;
    uint64_t slowest = 0;
    ps_status st = store->ops->clock(store->controller, end, waiter, parked, &slowest, &turn);
    PS_REQUIRE(st || !*parked || (!store->ops->clock_is_quick && turn == PS_TURN_NONE));
    if (st || *parked)
        return st;
    if (turn)
        make_turn(store, turn, reply);
    else
        *reply = (ps_clock_reply){ps_param_store_version(store), slowest};
    return PS_OK;
}

ps_status ps_param_store_clock(ps_param_store *store, const ps_clock_end *end,
                               ps_clock_reply *reply, bool *parked, ps_clock_cb cb, void *user)
{
    const ps_clock_waiter waiter = {cb, user};
    if (atomic_load(&store->stopped))
        return ps_fail(PS_FAILED_PRECONDITION, "the job has ended");
    PS_REQUIRE(store->ops->clock_is_quick || !ps_loop_runs_here());
    if (store->ops->clock_is_quick) /* a loop does not wait for the gate */
        return end_clock(store, end, waiter, reply, parked);
    ps_update_enter(store);
    ps_status st = end_clock(store, end, waiter, reply, parked);
    ps_update_leave(store);
    ps_waypoints_look(store);
    return st;
}

bool ps_param_store_clock_is_quick(const ps_param_store *store)
{
    return store->ops->clock_is_quick;
}

bool ps_param_store_clock_cancel(ps_param_store *store, const char *member, void *user)
{
    return store->ops->clock_cancel(store->controller, member, user);
}

void ps_param_store_close(ps_param_store *store)
{
    store->ops->close(store->controller);
}

void ps_param_store_stop(ps_param_store *store)
{
    atomic_store(&store->stopped, true);
    ps_update_enter_alone(store); /* pushes that did not see it are over */
    ps_update_leave(store);
    ps_update_enter(store);
    ps_store_turn(store, store->ops->stop(store->controller));
    ps_update_leave(store);
    ps_waypoints_look(store);
}
