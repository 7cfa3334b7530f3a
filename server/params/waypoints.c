/* Happy path: taken in the closed gate, read by pulls, freed when the segments on both sides are
 * done. One for which there is no memory is not taken; the next time is a step later. */
#include "server/params/waypoints.h"

#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/loop/loop.h"
#include "server/params/recording.h"
#include "server/params/store_private.h"

#include <inttypes.h>

enum { LAST_ONES = 2 }; /* rows that wait for their clock are booked before its update */

/* Of the segment that begins here. */
typedef enum segment_state { NO_END, WAITS, OUT, DONE } segment_state;

struct ps_waypoint {
    ps_list link;
    uint64_t number, version;
    segment_state segment;
    uint32_t lost;        /* so often, with who had it */
    uint32_t held;        /* by pulls */
    ps_block_seen seen[]; /* [blocks] */
};

struct ps_waypoints {
    ps_mutex lock;
    ps_list list; /* ascending */
    size_t n, most;
    uint64_t last;          /* number */
    unsigned last_ones;     /* taken since all rows are booked */
    uint64_t every, memory; /* as started with */
    uint64_t due;           /* the step from which on the next may be taken */
};

static ps_waypoint *at(ps_list *node)
{
    return ps_container(node, ps_waypoint, link);
}

static void release_blocks(ps_waypoint *p, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        p->seen[i].buffer->block->kind->release(p->seen[i].buffer);
    free(p);
}

/* In the closed gate. NULL: no memory. */
static ps_waypoint *see_all(ps_param_store *store)
{
    uint64_t n = store->placement->blocks;
    ps_waypoint *p = ps_try_alloc(sizeof *p + (size_t)n * sizeof *p->seen);
    for (uint64_t i = 0; p && i < n; i++) {
        ps_block *b = store->blocks[i];
        if (b->kind->view(b, &p->seen[i]))
            continue;
        release_blocks(p, i);
        return NULL;
    }
    return p;
}

/* With the lock, in the closed gate. */
static bool add(ps_param_store *store, ps_waypoints *w)
{
    ps_update_require_entered(store);
    ps_mutex_require_held(&w->lock);
    ps_waypoint *p = see_all(store);
    if (!p)
        return false;
    p->version = ps_update_count(store);
    p->number = ++w->last;
    w->last_ones += ps_ledger_all_booked(store->ledger);
    if (!ps_list_empty(&w->list))
        at(w->list.prev)->segment = WAITS;
    ps_list_append(&w->list, &p->link);
    w->n++;
    ps_trace("waypoint", "taken number=%" PRIu64 " version=%" PRIu64, p->number, p->version);
    return true;
}

static uint64_t steps_of(ps_param_store *store)
{
    ps_mutex_lock(&store->updates.lock);
    uint64_t steps = store->updates.steps;
    ps_mutex_unlock(&store->updates.lock);
    return steps;
}

ps_status ps_waypoints_start(ps_param_store *store, uint64_t steps, uint64_t memory)
{
    ps_loop_require_off();
    PS_REQUIRE(!store->waypoints && steps > 0);
    uint64_t each = store->placement->elements * sizeof(float), most = memory / each;
    ps_waypoints *w = ps_new(ps_waypoints);
    ps_mutex_init(&w->lock);
    ps_list_init(&w->list);
    w->every = steps;
    w->memory = memory;
    w->most = most < 2 ? 2 : most > 4096 ? 4096 : (size_t)most;
    w->due = steps_of(store) + steps;
    ps_update_enter_alone(store);
    ps_mutex_lock(&w->lock);
    bool taken = add(store, w);
    ps_mutex_unlock(&w->lock);
    ps_update_leave(store);
    store->waypoints = w;
    return taken ? PS_OK : ps_fail(PS_NO_MEMORY, "out of memory to keep parameters to measure");
}

void ps_waypoints_settings(const ps_param_store *store, uint64_t *steps, uint64_t *memory)
{
    PS_REQUIRE(store->waypoints);
    *steps = store->waypoints->every;
    *memory = store->waypoints->memory;
}

static bool is_due(ps_param_store *store, ps_waypoints *w)
{
    ps_mutex_lock(&store->updates.lock);
    uint64_t steps = store->updates.steps, issued = store->updates.issued;
    ps_mutex_unlock(&store->updates.lock);
    bool end = ps_ledger_all_booked(store->ledger); /* the last one is taken in any case */
    bool full = store->losses && ps_losses_is_full(store->losses);
    ps_mutex_lock(&w->lock);
    end = end && w->last_ones < LAST_ONES; /* and no other for pushes of no rows */
    bool due =
        !full && at(w->list.prev)->version < issued && (end || (steps >= w->due && w->n < w->most));
    ps_mutex_unlock(&w->lock);
    return due;
}

void ps_waypoints_look(ps_param_store *store)
{
    ps_waypoints *w = store->waypoints;
    if (!w || !is_due(store, w))
        return;
    ps_update_enter_alone(store);
    if (is_due(store, w)) { /* nobody else was sooner */
        uint64_t steps = steps_of(store);
        ps_mutex_lock(&w->lock);
        (void)add(store, w);
        w->due = steps + w->every;
        ps_mutex_unlock(&w->lock);
    }
    ps_update_leave(store);
}

/* With the lock: those that no segment needs any more, into *dropped, to be released without it. */
static void drop_old(ps_waypoints *w, ps_list *dropped)
{
    ps_mutex_require_held(&w->lock);
    ps_list_init(dropped);
    while (w->list.next != &w->list) {
        ps_waypoint *first = at(w->list.next);
        if (first->segment != DONE || first->held)
            break;
        ps_list_remove(&first->link);
        ps_list_append(dropped, &first->link);
        w->n--;
    }
}

static void release_all(ps_param_store *store, ps_list *dropped)
{
    ps_list_each_safe(node, dropped) release_blocks(at(node), store->placement->blocks);
}

void ps_waypoints_free(ps_waypoints **waypoints)
{
    ps_waypoints *w = *waypoints;
    while (w && w->list.next != &w->list) {
        ps_waypoint *first = at(w->list.next);
        PS_REQUIRE(!first->held);
        ps_list_remove(&first->link);
        release_blocks(first, first->seen[0].buffer->block->store->placement->blocks);
    }
    if (w)
        ps_mutex_destroy(&w->lock);
    ps_free(waypoints);
}

/* ---- segments ---- */

static ps_segment segment_of(const ps_waypoint *p)
{
    return (ps_segment){.number = p->number, .begin = p->version, .end = at(p->link.next)->version};
}

static ps_waypoint *find(ps_waypoints *w, uint64_t number)
{
    ps_mutex_require_held(&w->lock);
    ps_list_each(node, &w->list) if (at(node)->number == number) return at(node);
    return NULL;
}

bool ps_waypoints_take(ps_param_store *store, ps_segment *out)
{
    ps_waypoints *w = store->waypoints;
    bool found = false;
    if (!w)
        return false;
    ps_mutex_lock(&w->lock);
    ps_list_each(node, &w->list)
    {
        if (found || at(node)->segment != WAITS)
            continue;
        at(node)->segment = OUT;
        *out = segment_of(at(node));
        found = true;
    }
    ps_mutex_unlock(&w->lock);
    return found;
}

/* With the lock. NULL: it is not out. */
static ps_waypoint *find_out(ps_waypoints *w, uint64_t number)
{
    ps_waypoint *p = find(w, number);
    return p && p->segment == OUT ? p : NULL;
}

bool ps_waypoints_back(ps_param_store *store, uint64_t number)
{
    ps_waypoints *w = store->waypoints;
    if (!w)
        return false;
    ps_mutex_lock(&w->lock);
    ps_waypoint *p = find_out(w, number);
    if (p)
        p->segment = WAITS;
    ps_mutex_unlock(&w->lock);
    return p;
}

bool ps_waypoints_done(ps_param_store *store, uint64_t number, ps_segment *out)
{
    ps_waypoints *w = store->waypoints;
    ps_list dropped;
    if (!w)
        return false;
    ps_mutex_lock(&w->lock);
    ps_waypoint *p = find_out(w, number);
    bool was_out = p;
    if (p) {
        *out = segment_of(p);
        p->segment = DONE;
    }
    drop_old(w, &dropped);
    ps_mutex_unlock(&w->lock);
    release_all(store, &dropped);
    return was_out;
}

uint32_t ps_waypoints_lost(ps_param_store *store, uint64_t number)
{
    ps_waypoints *w = store->waypoints;
    if (!w)
        return 0;
    ps_mutex_lock(&w->lock);
    ps_waypoint *p = find_out(w, number);
    uint32_t times = p ? ++p->lost : 0;
    ps_mutex_unlock(&w->lock);
    return times;
}

void ps_waypoints_count(ps_param_store *store, size_t *left, size_t *most)
{
    ps_waypoints *w = store->waypoints;
    *left = *most = 0;
    if (!w)
        return;
    ps_mutex_lock(&w->lock);
    ps_list_each(node, &w->list) *left += at(node)->segment == WAITS || at(node)->segment == OUT;
    *most = w->most;
    ps_mutex_unlock(&w->lock);
}

/* ---- pulls ---- */

ps_status ps_waypoint_hold(ps_param_store *store, uint64_t number, ps_waypoint **out)
{
    ps_waypoints *w = store->waypoints;
    ps_waypoint *p = NULL;
    if (w) {
        ps_mutex_lock(&w->lock);
        p = find(w, number);
        if (p)
            p->held++;
        ps_mutex_unlock(&w->lock);
    }
    if (!p)
        return ps_fail(PS_NOT_FOUND, "no waypoint %" PRIu64 " of the job is kept", number);
    *out = p;
    return PS_OK;
}

void ps_waypoint_let_go(ps_param_store *store, ps_waypoint **waypoint)
{
    ps_waypoint *p = *waypoint;
    ps_list dropped;
    *waypoint = NULL;
    if (!p)
        return;
    ps_mutex_lock(&store->waypoints->lock);
    PS_REQUIRE(p->held > 0);
    p->held--;
    drop_old(store->waypoints, &dropped);
    ps_mutex_unlock(&store->waypoints->lock);
    release_all(store, &dropped);
}

uint64_t ps_waypoint_version(const ps_waypoint *waypoint)
{
    return waypoint->version;
}

void ps_waypoint_view(ps_param_store *store, const ps_waypoint *waypoint, uint32_t tensor,
                      uint32_t shard, uint32_t index, ps_block_view *out)
{
    ps_block *block = ps_store_block(store, tensor, shard, index);
    const ps_block_seen *seen = &waypoint->seen[block->index];
    block->kind->share(seen->buffer);
    ps_param_store_ref(store);
    *out = (ps_block_view){
        .tensor = tensor,
        .shard = shard,
        .offset = (uint64_t)index * store->placement->block_elements,
        .count = block->elements,
        .version = seen->buffer->version,
        .bytes = ps_slice_of(seen->values, block->elements * sizeof(float)),
        .buffer = seen->buffer,
    };
}
