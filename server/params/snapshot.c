/* The happy path is in the header. Only memory can fail: for a block that the reader asks for
 * (reported), and for one an update puts aside (the update waits for the reader instead). */
#include "server/params/snapshot.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/base/sm.h"
#include "server/params/store_private.h"

#include <string.h>

enum { STEPS_BYTES = 16 };              /* u64 steps, u64 elements beyond them */
#define VERSION_MAX (UINT64_C(1) << 62) /* more updates no job makes */

struct ps_snapshot {
    ps_param_store *store;
    ps_snapshot_small small;
    uint64_t next;         /* block */
    ps_block *given;       /* last; NULL: none */
    ps_block_frozen block; /* its state */
    void *room;            /* for a block's state */
};

static const char *const phase_names[] = {"none", "begun", "reading"};
static const ps_sm_set phase_next[] = {
    [PS_SNAPSHOT_NONE] = PS_SM(PS_SNAPSHOT_BEGUN),
    [PS_SNAPSHOT_BEGUN] = PS_SM(PS_SNAPSHOT_READING),
    [PS_SNAPSHOT_READING] = PS_SM(PS_SNAPSHOT_NONE),
};
static const ps_sm machine = {.tag = "snapshot",
                              .names = phase_names,
                              .next = phase_next,
                              .count = PS_SNAPSHOT_PHASES,
                              .level = PS_LOG_TRACE};

/* With the snapshot's lock held. */
static void move(ps_param_store *store, ps_snapshot_phase to)
{
    ps_snapshot_state *s = &store->snapshot;
    ps_mutex_require_held(&s->lock);
    ps_sm_go(&machine, &s->phase, to, "epoch=%llu", (unsigned long long)s->epoch);
}

/* ---- beside updates ---- */

uint64_t ps_snapshot_epoch(const ps_param_store *store)
{
    return store->snapshot.epoch;
}

bool ps_snapshot_budget_take(ps_param_store *store, uint64_t bytes)
{
    ps_snapshot_state *s = &store->snapshot;
    ps_mutex_lock(&s->lock);
    bool fits = s->saved_bytes + bytes <= s->budget;
    if (fits)
        s->saved_bytes += bytes;
    ps_mutex_unlock(&s->lock);
    return fits;
}

void ps_snapshot_budget_give(ps_param_store *store, uint64_t bytes)
{
    ps_snapshot_state *s = &store->snapshot;
    ps_mutex_lock(&s->lock);
    PS_REQUIRE(s->saved_bytes >= bytes);
    s->saved_bytes -= bytes;
    ps_mutex_unlock(&s->lock);
}

void ps_snapshot_wait(ps_param_store *store, uint64_t index)
{
    ps_snapshot_state *s = &store->snapshot;
    ps_mutex_lock(&s->lock);
    while (s->phase == PS_SNAPSHOT_READING && s->passed <= index)
        ps_mutex_wait(&s->lock, &s->moved);
    ps_mutex_unlock(&s->lock);
}

/* ---- the instant ---- */

/* u64 warm_rows, then the ledger. */
static void save_rows(ps_param_store *store, uint64_t unfinished, ps_buf *out)
{
    uint8_t warm[8];
    ps_put_u64le(warm, store->updates.warm_rows);
    ps_buf_append(out, warm, sizeof warm);
    ps_ledger_save(store->ledger, unfinished, out);
}

/* The controller's, and where updates are parts of steps how far the schedule is. */
static uint64_t save_controller(ps_param_store *store, ps_buf *out)
{
    uint8_t steps[STEPS_BYTES];
    uint64_t unfinished = store->ops->save(store->controller, out);
    ps_put_u64le(steps, store->updates.steps);
    ps_put_u64le(steps + 8, store->updates.part);
    if (!store->ops->holds)
        ps_buf_append(out, steps, sizeof steps);
    return unfinished;
}

/* The instant itself, with the gate closed. */
static void take_small(ps_param_store *store, void (*progress)(void *, ps_buf *), void *user,
                       ps_snapshot_small *small)
{
    ps_update_require_entered(store);
    small->version = store->updates.issued;
    ps_buf_clear(&small->controller);
    uint64_t unfinished = save_controller(store, &small->controller);
    ps_push_windows_save(store->windows, unfinished, &small->windows);
    save_rows(store, unfinished, &small->rows);
    if (progress)
        progress(user, &small->progress);
    /* from here on updates compare their blocks with it; whoever still waits for the snapshot
     * before is inside the gate, so nobody is */
    ps_snapshot_state *s = &store->snapshot;
    ps_mutex_lock(&s->lock);
    s->epoch++;
    move(store, PS_SNAPSHOT_READING);
    s->passed = 0;
    ps_mutex_unlock(&s->lock);
}

ps_status ps_snapshot_begin(ps_param_store *store, void (*progress)(void *user, ps_buf *out),
                            void *user, ps_snapshot **out)
{
    PS_REQUIRE(!ps_update_is_entered(store));
    ps_snapshot_state *s = &store->snapshot;
    void *room = ps_try_alloc_raw(store->state_room + 1);
    if (!room)
        return ps_fail(PS_NO_MEMORY, "out of memory for a snapshot");
    ps_mutex_lock(&s->lock);
    bool busy = s->phase != PS_SNAPSHOT_NONE;
    if (!busy)
        move(store, PS_SNAPSHOT_BEGUN);
    ps_mutex_unlock(&s->lock);
    if (busy) {
        free(room);
        return ps_fail(PS_ABORTED, "a checkpoint of this job is being written already");
    }
    ps_snapshot *snapshot = ps_new(ps_snapshot);
    snapshot->store = ps_param_store_ref(store);
    snapshot->room = room;
    uint64_t start = ps_clock_ns(&ps_clock_system);
    ps_update_enter_alone(store);
    take_small(store, progress, user, &snapshot->small);
    ps_update_leave(store);
    snapshot->small.pause_ns = ps_clock_ns(&ps_clock_system) - start;
    *out = snapshot;
    return PS_OK;
}

const ps_snapshot_small *ps_snapshot_small_state(const ps_snapshot *snapshot)
{
    return &snapshot->small;
}

/* ---- its reader ---- */

/* What the last ps_snapshot_block gave. */
static void drop_given(ps_snapshot *snapshot)
{
    if (snapshot->given)
        snapshot->given->kind->snapshot_drop(snapshot->given, &snapshot->block);
    snapshot->given = NULL;
}

static void pass(ps_snapshot_state *s, uint64_t passed)
{
    ps_mutex_lock(&s->lock);
    PS_REQUIRE(passed == s->passed + 1); /* in order, each once */
    s->passed = passed;
    pthread_cond_broadcast(&s->moved);
    ps_mutex_unlock(&s->lock);
}

ps_status ps_snapshot_block(ps_snapshot *snapshot, uint64_t index, ps_block_state *out)
{
    PS_REQUIRE(index == snapshot->next);
    drop_given(snapshot);
    ps_block *block = snapshot->store->blocks[index];
    if (!block->kind->snapshot_next(block, snapshot->room, &snapshot->block))
        return ps_fail(PS_NO_MEMORY, "out of memory for a block of the snapshot");
    snapshot->given = block;
    snapshot->next++;
    pass(&snapshot->store->snapshot, snapshot->next);
    *out = snapshot->block.state;
    return PS_OK;
}

void ps_snapshot_end(ps_snapshot **out)
{
    ps_snapshot *snapshot = *out;
    if (!snapshot)
        return;
    ps_param_store *store = snapshot->store;
    drop_given(snapshot);
    for (uint64_t i = snapshot->next; i < store->placement->blocks; i++) {
        store->blocks[i]->kind->snapshot_skip(store->blocks[i]);
        pass(&store->snapshot, i + 1);
    }
    ps_mutex_lock(&store->snapshot.lock);
    move(store, PS_SNAPSHOT_NONE);
    pthread_cond_broadcast(&store->snapshot.moved);
    ps_mutex_unlock(&store->snapshot.lock);
    ps_buf_free(&snapshot->small.windows);
    ps_buf_free(&snapshot->small.controller);
    ps_buf_free(&snapshot->small.rows);
    ps_buf_free(&snapshot->small.progress);
    free(snapshot->room);
    ps_free(out);
    ps_param_store_unref(&store);
}

/* ---- putting it back ---- */

size_t ps_param_store_block_bytes(const ps_param_store *store, uint64_t index)
{
    PS_REQUIRE(index < store->placement->blocks);
    const ps_block *block = store->blocks[index];
    ps_block_bytes bytes = block->kind->bytes(block->rule, block->elements);
    return bytes.values + bytes.state;
}

ps_block_restore ps_param_store_block_room(const ps_param_store *store, uint64_t index)
{
    PS_REQUIRE(index < store->placement->blocks);
    ps_block *block = store->blocks[index];
    return block->kind->room(block);
}

void ps_param_store_restore_block(ps_param_store *store, uint64_t index, uint64_t version,
                                  uint64_t updates)
{
    PS_REQUIRE(index < store->placement->blocks);
    ps_block *block = store->blocks[index];
    block->kind->restored(block, version, updates);
}

static ps_status restore_rows(ps_param_store *store, ps_slice rows)
{
    if (rows.len == 0)
        return PS_OK;
    ps_cursor c = ps_cursor_of(rows);
    store->updates.warm_rows = ps_read_u64le(&c);
    return ps_ledger_load(store->ledger, ps_read_bytes(&c, ps_cursor_left(&c)));
}

static ps_status restore_controller(ps_param_store *store, ps_slice bytes)
{
    if (!store->ops->holds && bytes.len > STEPS_BYTES) { /* else of a psd that counted updates */
        ps_cursor c = ps_cursor_of(bytes);
        bytes = ps_read_bytes(&c, bytes.len - STEPS_BYTES);
        store->updates.steps = ps_read_u64le(&c);
        store->updates.part = ps_read_u64le(&c);
        if (store->updates.part >= store->placement->elements)
            return ps_fail(PS_CORRUPT, "how far the schedule is: damaged");
    }
    return store->ops->load(store->controller, bytes);
}

ps_status ps_param_store_restore(ps_param_store *store, uint64_t version, ps_slice windows,
                                 ps_slice controller, ps_slice rows)
{
    if (version > VERSION_MAX)
        return ps_fail(PS_CORRUPT, "the number of updates: damaged");
    store->updates.issued = store->updates.steps = version;
    ps_status st = ps_push_windows_load(store->windows, windows);
    if (!st)
        st = restore_controller(store, controller);
    return st ? st : restore_rows(store, rows);
}

/* Where the warm-up ended was not written down: as far as steps and rows tell. */
void ps_param_store_adopt_rows(ps_param_store *store, ps_ledger_state *done)
{
    uint64_t total, warmup = store->config.schedule.warmup_steps;
    ps_ledger_adopt(store->ledger, done);
    double rows = (double)ps_ledger_rows_done(store->ledger, &total);
    if (store->updates.steps >= warmup && store->updates.steps > 0)
        store->updates.warm_rows = (uint64_t)(rows * (double)warmup / (double)store->updates.steps);
}
