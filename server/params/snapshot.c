/* The happy path is in the header. Only memory can fail: for a block that the reader asks for
 * (reported), and for one an update puts aside (the update waits for the reader instead). */
#include "server/params/snapshot.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/sm.h"
#include "server/params/store_private.h"

#include <assert.h>
#include <string.h>

enum { STEPS_BYTES = 16 }; /* u64 steps, u64 elements beyond them */

struct ps_block_saved {
    ps_block_buffer *values; /* a reference of its own */
    uint64_t updates;
    uint64_t bytes;               /* counted against the budget */
    _Alignas(64) uint8_t state[]; /* the optimizer's */
};

struct ps_snapshot {
    ps_param_store *store;
    ps_snapshot_small small;
    uint64_t next;           /* block */
    ps_block_buffer *values; /* of the block that was given last */
    ps_block_saved *saved;   /* its optimizer's state, when it was put aside */
    void *state;             /* room for it otherwise */
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

static size_t state_bytes(const ps_dense_block *block)
{
    return ps_optimizer_state_bytes(block->store->rule, block->elements);
}

/* Takes from the budget what one block needs. */
static bool budget_take(ps_snapshot_state *s, uint64_t bytes)
{
    ps_mutex_lock(&s->lock);
    bool fits = s->saved_bytes + bytes <= s->budget;
    if (fits)
        s->saved_bytes += bytes;
    ps_mutex_unlock(&s->lock);
    return fits;
}

static void budget_give(ps_snapshot_state *s, uint64_t bytes)
{
    ps_mutex_lock(&s->lock);
    s->saved_bytes -= bytes;
    ps_mutex_unlock(&s->lock);
}

static bool save_block(ps_dense_block *block)
{
    ps_snapshot_state *s = &block->store->snapshot;
    uint64_t bytes = state_bytes(block) + (uint64_t)block->elements * sizeof(float);
    if (!budget_take(s, bytes))
        return false;
    ps_block_saved *saved = ps_try_alloc_raw(sizeof *saved + state_bytes(block));
    if (!saved)
        goto give_budget;
    saved->values = ps_dense_block_take_locked(block);
    if (!saved->values)
        goto free_saved;
    saved->updates = block->updates;
    saved->bytes = bytes;
    if (block->state)
        memcpy(saved->state, block->state, state_bytes(block));
    block->saved = saved;
    block->epoch = s->epoch;
    return true;

free_saved:
    free(saved);
give_budget:
    budget_give(s, bytes);
    return false;
}

void ps_snapshot_put_aside(ps_dense_block *block)
{
    ps_snapshot_state *s = &block->store->snapshot;
    while (block->epoch != s->epoch && !save_block(block)) {
        uint64_t index = (uint64_t)(block - block->store->blocks);
        ps_mutex_unlock(&block->lock);
        ps_mutex_lock(&s->lock);
        while (s->phase == PS_SNAPSHOT_READING && s->passed <= index)
            ps_mutex_wait(&s->lock, &s->moved);
        ps_mutex_unlock(&s->lock);
        ps_mutex_lock(&block->lock);
    }
}

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
    ps_snapshot_state *s = &store->snapshot;
    void *state =
        ps_try_alloc_raw(ps_optimizer_state_bytes(store->rule, store->placement->block_elements));
    if (!state)
        return ps_fail(PS_NO_MEMORY, "out of memory for a snapshot");
    ps_mutex_lock(&s->lock);
    bool busy = s->phase != PS_SNAPSHOT_NONE;
    if (!busy)
        move(store, PS_SNAPSHOT_BEGUN);
    ps_mutex_unlock(&s->lock);
    if (busy) {
        free(state);
        return ps_fail(PS_ABORTED, "a checkpoint of this job is being written already");
    }
    ps_snapshot *snapshot = ps_new(ps_snapshot);
    snapshot->store = ps_param_store_ref(store);
    snapshot->state = state;
    uint64_t start = ps_clock_ns(&ps_clock_system);
    pthread_rwlock_wrlock(&store->gate);
    take_small(store, progress, user, &snapshot->small);
    pthread_rwlock_unlock(&store->gate);
    snapshot->small.pause_ns = ps_clock_ns(&ps_clock_system) - start;
    *out = snapshot;
    return PS_OK;
}

const ps_snapshot_small *ps_snapshot_small_state(const ps_snapshot *snapshot)
{
    return &snapshot->small;
}

/* What the last ps_snapshot_block gave. */
static void drop_given(ps_snapshot *snapshot)
{
    if (snapshot->values)
        ps_dense_block_release(snapshot->values->block, snapshot->values);
    snapshot->values = NULL;
    if (snapshot->saved)
        budget_give(&snapshot->store->snapshot, snapshot->saved->bytes);
    ps_free(&snapshot->saved);
}

static void pass(ps_snapshot_state *s, uint64_t passed)
{
    ps_mutex_lock(&s->lock);
    s->passed = passed;
    pthread_cond_broadcast(&s->moved);
    ps_mutex_unlock(&s->lock);
}

/* From the block as it is, or from what an update put aside. */
static bool take_block(ps_snapshot *snapshot, ps_dense_block *block, uint64_t *updates)
{
    bool ok = true;
    ps_mutex_lock(&block->lock);
    if (block->saved) {
        snapshot->saved = block->saved;
        snapshot->values = block->saved->values;
        *updates = block->saved->updates;
        block->saved = NULL;
    } else {
        assert(block->epoch != snapshot->store->snapshot.epoch);
        snapshot->values = ps_dense_block_take_locked(block);
        ok = snapshot->values != NULL;
        if (ok && block->state)
            memcpy(snapshot->state, block->state, state_bytes(block));
        if (ok)
            block->epoch = snapshot->store->snapshot.epoch;
        *updates = block->updates;
    }
    ps_mutex_unlock(&block->lock);
    return ok;
}

ps_status ps_snapshot_block(ps_snapshot *snapshot, uint64_t index, ps_block_state *out)
{
    assert(index == snapshot->next);
    drop_given(snapshot);
    ps_dense_block *block = &snapshot->store->blocks[index];
    uint64_t updates;
    if (!take_block(snapshot, block, &updates))
        return ps_fail(PS_NO_MEMORY, "out of memory for a block of the snapshot");
    snapshot->next++;
    pass(&snapshot->store->snapshot, snapshot->next);
    *out = (ps_block_state){
        .version = snapshot->values->version,
        .updates = updates,
        .elements = block->elements,
        .values = snapshot->values->data,
        .state = snapshot->saved ? snapshot->saved->state : snapshot->state,
        .state_bytes = state_bytes(block),
    };
    return PS_OK;
}

/* A block that was not read: nothing of it is needed any more. */
static void skip_block(ps_dense_block *block, ps_snapshot_state *s)
{
    ps_mutex_lock(&block->lock);
    ps_block_saved *saved = block->saved;
    block->saved = NULL;
    block->epoch = s->epoch;
    if (saved)
        ps_dense_block_release_locked(block, saved->values);
    ps_mutex_unlock(&block->lock);
    if (saved)
        budget_give(s, saved->bytes);
    free(saved);
}

void ps_snapshot_end(ps_snapshot **out)
{
    ps_snapshot *snapshot = *out;
    if (!snapshot)
        return;
    ps_param_store *store = snapshot->store;
    drop_given(snapshot);
    for (uint64_t i = snapshot->next; i < store->placement->blocks; i++) {
        skip_block(&store->blocks[i], &store->snapshot);
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
    free(snapshot->state);
    ps_free(out);
    ps_param_store_unref(&store);
}

size_t ps_param_store_block_bytes(const ps_param_store *store, uint64_t index)
{
    const ps_dense_block *block = &store->blocks[index];
    return block->elements * sizeof(float) + state_bytes(block);
}

ps_block_restore ps_param_store_block_room(const ps_param_store *store, uint64_t index)
{
    const ps_dense_block *block = &store->blocks[index];
    return (ps_block_restore){
        .elements = block->elements,
        .values = block->current->data,
        .state = block->state,
        .state_bytes = state_bytes(block),
    };
}

void ps_param_store_restore_block(ps_param_store *store, uint64_t index, uint64_t version,
                                  uint64_t updates)
{
    ps_dense_block *block = &store->blocks[index];
    block->updates = updates;
    block->current->version = version;
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
