/* Numbers for updates, and the store's statistics. Nothing can fail. */
#include "server/params/update.h"

#include "common/base/log.h"
#include "common/base/require.h"
#include "common/loop/loop.h"
#include "server/params/block_kinds.h"
#include "server/params/store_private.h"

#include <inttypes.h>

/* The store in whose gate this thread is: one at a time. */
static _Thread_local const ps_param_store *entered;

bool ps_update_is_entered(const ps_param_store *store)
{
    return entered == store;
}

void ps_update_enter(ps_param_store *store)
{
    PS_REQUIRE(!entered);
    pthread_rwlock_rdlock(&store->gate);
    entered = store;
}

void ps_update_enter_alone(ps_param_store *store)
{
    PS_REQUIRE(!entered);
    pthread_rwlock_wrlock(&store->gate);
    entered = store;
}

void ps_update_leave(ps_param_store *store)
{
    ps_update_require_entered(store);
    entered = NULL;
    pthread_rwlock_unlock(&store->gate);
}

/* With the counter's lock. The decay begins where the warm-up has ended. */
static ps_schedule_point point_of(ps_param_store *store, uint64_t step, uint64_t rows)
{
    ps_mutex_require_held(&store->updates.lock);
    ps_update_counter *counter = &store->updates;
    if (counter->warm_rows == PS_WARM_UNKNOWN && step >= store->config.schedule.warmup_steps)
        counter->warm_rows = rows;
    ps_schedule_point point = {.step = step, .rows = rows, .rows_warm = counter->warm_rows};
    (void)ps_ledger_rows_done(store->ledger, &point.rows_total);
    return point;
}

void ps_update_begin(ps_param_store *store, uint64_t elements, uint64_t rows_before, ps_update *out)
{
    ps_update_require_entered(store);
    PS_REQUIRE(elements <= store->placement->elements);
    ps_update_counter *counter = &store->updates;
    out->store = store;
    out->record = NULL;
    ps_mutex_lock(&counter->lock);
    out->version = ++counter->issued;
    uint64_t step = counter->steps, all = store->placement->elements;
    counter->part += elements;
    counter->steps += counter->part / all;
    counter->part %= all;
    PS_REQUIRE(ps_list_empty(&counter->under_way) ||
               ps_container(counter->under_way.prev, ps_update, link)->version < out->version);
    ps_list_append(&counter->under_way, &out->link);
    ps_schedule_point point = point_of(store, step, rows_before);
    ps_mutex_unlock(&counter->lock);
    out->rate =
        store->config.optimizer.learning_rate * ps_schedule_factor(&store->config.schedule, &point);
}

uint64_t ps_update_rows(ps_param_store *store)
{
    uint64_t total;
    return ps_ledger_rows_done(store->ledger, &total);
}

double ps_update_clip_norm(const ps_param_store *store)
{
    return store->config.clip_norm;
}

uint64_t ps_update_elements(const ps_param_store *store)
{
    return store->placement->elements;
}

void ps_update_end(ps_update *update)
{
    ps_update_require_entered(update->store);
    ps_update_counter *counter = &update->store->updates;
    ps_mutex_lock(&counter->lock);
    ps_list_remove(&update->link);
    ps_mutex_unlock(&counter->lock);
}

uint64_t ps_update_count(ps_param_store *store)
{
    ps_mutex_lock(&store->updates.lock);
    uint64_t issued = store->updates.issued;
    ps_mutex_unlock(&store->updates.lock);
    return issued;
}

uint64_t ps_param_store_version(ps_param_store *store)
{
    ps_update_counter *counter = &store->updates;
    ps_mutex_lock(&counter->lock);
    uint64_t complete = counter->issued;
    if (!ps_list_empty(&counter->under_way))
        complete = ps_container(counter->under_way.next, ps_update, link)->version - 1;
    PS_REQUIRE(complete <= counter->issued);
    ps_mutex_unlock(&counter->lock);
    return complete;
}

void ps_update_block(const ps_update *update, uint64_t block, const ps_block_piece *pieces,
                     size_t n, double scale)
{
    ps_param_store *store = update->store;
    PS_REQUIRE(block < store->placement->blocks);
    const ps_block_change change = {
        .version = update->version,
        .rate = update->rate,
        .gradient_scale = scale,
        .record = update->record,
    };
    ps_trace("update", "block=%" PRIu64 " version=%" PRIu64 " optimizer=%s rate=%g pieces=%zu",
             block, update->version, store->rule->name, update->rate, n);
    ps_block *b = store->blocks[block];
    b->kind->apply(b, &change, pieces, n);
}

void ps_param_store_clear(ps_param_store *store, uint32_t tensor)
{
    ps_loop_require_off();
    PS_REQUIRE(tensor < store->placement->n_tensors);
    const ps_param_tensor *t = &store->placement->tensors[tensor];
    ps_update update;
    ps_update_enter(store);
    ps_update_begin(store, t->rows * t->columns, ps_update_rows(store), &update);
    for (uint32_t s = 0; s < t->n_shards; s++)
        for (uint64_t i = 0; i < t->shards[s].blocks; i++) {
            ps_block *block = store->blocks[t->shards[s].first_block + i];
            PS_REQUIRE(block->kind->clear);
            block->kind->clear(block, update.version);
        }
    ps_update_end(&update);
    ps_update_leave(store);
}

void ps_param_store_clear_sums(ps_param_store *store)
{
    for (uint32_t i = 0; i < store->placement->n_tensors; i++)
        if (store->config.plans[i].kind == &ps_block_sum)
            ps_param_store_clear(store, i);
}

uint64_t ps_update_blocks(const ps_param_store *store)
{
    return store->placement->blocks;
}

uint32_t ps_update_block_elements(const ps_param_store *store, uint64_t block)
{
    return store->blocks[block]->elements;
}

void ps_param_store_stats(ps_param_store *store, ps_param_stats *out)
{
    *out = (ps_param_stats){.version = ps_param_store_version(store)};
    ps_mutex_lock(&store->updates.lock);
    out->steps = store->updates.steps;
    ps_mutex_unlock(&store->updates.lock);
    ps_mutex_lock(&store->stats_lock);
    out->pushes = store->stats.pushes;
    out->duplicates = store->stats.duplicates;
    out->refused = store->stats.refused;
    out->push_bytes = store->stats.push_bytes;
    out->staleness_max = store->stats.staleness_max;
    if (store->stats.pushes)
        out->staleness_mean = store->stats.staleness_sum / (double)store->stats.pushes;
    ps_mutex_unlock(&store->stats_lock);
    store->ops->stats(store->controller, out);
}
