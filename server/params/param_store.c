/* Creation: check the configuration, place the tensors, take memory block by block, draw initial
 * values, make the controller. Fails on a configuration that cannot be and when memory is out; what
 * was made is then freed by the same function that frees a whole store. */
#include "server/params/param_store.h"

#include "common/base/limits.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "server/params/dense_block.h"
#include "server/params/snapshot.h"
#include "server/params/store_private.h"
#include "server/params/waypoints.h"
#include "server/record/losses.h"
#include "server/record/noise.h"

#include <math.h>
#include <string.h>

#define PUSH_BYTES_DEFAULT (UINT64_C(1) << 30)
#define KEEP_BYTES_MIN     (UINT64_C(4) << 20)
#define SAVE_BYTES_MIN     (UINT64_C(64) << 20)

static ps_status check_config(const ps_param_config *config)
{
    if (!(config->clip_norm >= 0) || isinf(config->clip_norm))
        return ps_fail(PS_INVALID_ARGUMENT, "clip_norm %g, must be 0 or more", config->clip_norm);
    for (size_t i = 0; i < config->n_plans; i++) {
        const ps_param_plan *plan = &config->plans[i];
        if (plan->init > PS_PARAM_NORMAL)
            return ps_fail(PS_INVALID_ARGUMENT, "tensor %s: unknown initializer %d",
                           plan->name ? plan->name : "", (int)plan->init);
        if (!(plan->scale >= 0) || plan->scale > 1e30)
            return ps_fail(PS_INVALID_ARGUMENT, "tensor %s: initial scale %g, must be in 0..1e30",
                           plan->name ? plan->name : "", plan->scale);
        if (plan->kind && plan->kind->alone && config->controller->holds)
            return ps_fail(PS_INVALID_ARGUMENT, "tensor %s: %s are not for consistency %s",
                           plan->name ? plan->name : "", plan->kind->name,
                           config->controller->name);
    }
    return ps_schedule_check(&config->schedule);
}

static ps_status place(ps_param_store *store, const ps_param_config *config)
{
    ps_placement_request *requests = ps_try_alloc(config->n_plans * sizeof *requests);
    if (!requests)
        return ps_fail(PS_NO_MEMORY, "out of memory for the plan of %zu tensors", config->n_plans);
    for (size_t i = 0; i < config->n_plans; i++) {
        requests[i] = (ps_placement_request){
            .name = config->plans[i].name,
            .rank = config->plans[i].rank,
            .shape = config->plans[i].shape,
            .form = config->plans[i].form,
            .transposed = config->plans[i].transposed,
        };
    }
    ps_status st = ps_placement_create(
        requests, config->n_plans, config->column_blocks ? config->column_blocks : 1,
        config->block_elements ? config->block_elements : PS_PARAM_BLOCK_MAX, 1, &store->placement);
    free(requests);
    return st;
}

/* A name of the store's own; one that no tensor has stands for the tensor's own. */
static const char *own_name(const ps_param_store *store, const char *name, const char *fallback)
{
    for (size_t i = 0; name && i < store->placement->n_tensors; i++)
        if (!strcmp(store->placement->tensors[i].name, name))
            return store->placement->tensors[i].name;
    return fallback;
}

/* The store's own configuration: texts point into what lives as long as it does. */
static ps_status copy_config(ps_param_store *store, const ps_param_config *config)
{
    ps_param_plan *plans = ps_try_alloc(config->n_plans * sizeof *plans);
    if (!plans)
        return ps_fail(PS_NO_MEMORY, "out of memory for the plan of %zu tensors", config->n_plans);
    for (size_t i = 0; i < config->n_plans; i++) {
        plans[i] = config->plans[i];
        plans[i].name = store->placement->tensors[i].name;
        plans[i].drawn_as = own_name(store, plans[i].drawn_as, plans[i].name);
    }
    store->config = *config;
    store->config.plans = plans;
    store->config.column_blocks = config->column_blocks ? config->column_blocks : 1;
    store->config.block_elements = store->placement->block_elements;
    store->config.optimizer.name = store->rule->name;
    store->undecayed = store->config.optimizer;
    store->undecayed.weight_decay = 0;
    if (!store->config.host.push_bytes)
        store->config.host.push_bytes = PUSH_BYTES_DEFAULT;
    return PS_OK;
}

static const ps_block_kind *kind_of(const ps_param_plan *plan)
{
    return plan->kind ? plan->kind : &ps_block_dense;
}

static const ps_optimizer *rule_of(const ps_param_store *store, const ps_block_kind *kind)
{
    return kind->rule ? kind->rule : store->rule;
}

static ps_status make_shard_blocks(ps_param_store *store, const ps_param_shard *shard,
                                   const ps_param_plan *plan)
{
    uint64_t left = shard->elements, size = store->placement->block_elements;
    ps_block head = {
        .kind = kind_of(plan),
        .store = store,
        .rule = rule_of(store, kind_of(plan)),
        .config = plan->undecayed ? &store->undecayed : &store->config.optimizer,
    };
    for (uint32_t i = 0; i < shard->blocks; i++, left -= head.elements) {
        head.index = shard->first_block + i;
        head.elements = (uint32_t)(size < left ? size : left);
        store->blocks[head.index] = head.kind->create(&head);
        if (!store->blocks[head.index])
            return PS_NO_MEMORY;
    }
    return PS_OK;
}

static void count_blocks(ps_param_store *store, const ps_block_kind *kind, uint64_t elements,
                         uint64_t times)
{
    if (elements == 0 || times == 0)
        return;
    ps_block_bytes each = kind->bytes(rule_of(store, kind), (uint32_t)elements);
    store->bytes.values += times * each.values;
    store->bytes.state += times * each.state;
    store->bytes.memory += times * (each.memory + sizeof(ps_block *));
    if (each.state > store->state_room)
        store->state_room = each.state;
}

static void count_bytes(ps_param_store *store, const ps_param_plan *plans)
{
    const ps_placement *p = store->placement;
    for (size_t t = 0; t < p->n_tensors; t++) {
        const ps_block_kind *kind = kind_of(&plans[t]);
        for (uint32_t s = 0; s < p->tensors[t].n_shards; s++) {
            uint64_t elements = p->tensors[t].shards[s].elements;
            count_blocks(store, kind, p->block_elements, elements / p->block_elements);
            count_blocks(store, kind, elements % p->block_elements, 1);
        }
    }
}

static uint64_t bytes_needed(const ps_param_store *store)
{
    uint64_t held = store->ops->holds ? store->placement->elements * sizeof(float) : 0;
    return store->bytes.memory + held;
}

/* Before the first byte is taken: a machine that promises memory it has not ends psd instead. */
static ps_status check_memory(const ps_param_store *store)
{
    uint64_t need = bytes_needed(store);
    uint64_t have = ps_limits_memory_left();
    if (need <= have)
        return PS_OK;
    return ps_fail(PS_NO_MEMORY,
                   "%llu parameters need %llu MB, and %llu MB are free: use a machine with more "
                   "memory, or an optimizer with less state",
                   (unsigned long long)store->placement->elements, (unsigned long long)(need >> 20),
                   (unsigned long long)(have >> 20));
}

static ps_status make_blocks(ps_param_store *store)
{
    const ps_placement *p = store->placement;
    store->blocks = ps_try_alloc(p->blocks * sizeof *store->blocks);
    if (!store->blocks)
        goto no_memory;
    for (size_t t = 0; t < p->n_tensors; t++)
        for (uint32_t s = 0; s < p->tensors[t].n_shards; s++)
            if (make_shard_blocks(store, &p->tensors[t].shards[s], &store->config.plans[t]))
                goto no_memory;
    return PS_OK;

no_memory:
    return ps_fail(PS_NO_MEMORY,
                   "out of memory for %llu parameters, which need %llu MB: use a machine with "
                   "more memory, or an optimizer with less state",
                   (unsigned long long)p->elements,
                   (unsigned long long)(bytes_needed(store) >> 20));
}

static void init_locks(ps_param_store *store)
{
    pthread_rwlockattr_t attr;
    pthread_rwlockattr_init(&attr);
    /* a snapshot is not kept waiting by a stream of updates */
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&store->gate, &attr);
    pthread_rwlockattr_destroy(&attr);
    ps_mutex_init(&store->updates.lock);
    ps_mutex_init(&store->snapshot.lock);
    pthread_cond_init(&store->snapshot.moved, NULL);
    ps_mutex_init(&store->stats_lock);
    ps_list_init(&store->updates.under_way);
}

static ps_status build(ps_param_store *store, const ps_param_config *config)
{
    ps_status st = check_config(config);
    if (!st)
        st = ps_optimizer_find(&config->optimizer, &store->rule);
    if (!st)
        st = place(store, config);
    if (st)
        return st;
    count_bytes(store, config->plans);
    st = check_memory(store);
    if (!st)
        st = copy_config(store, config);
    if (st)
        return st;
    uint64_t bytes = store->placement->elements * sizeof(float);
    ps_block_pool_create(KEEP_BYTES_MIN + bytes / 50, &store->pool);
    store->snapshot.budget = SAVE_BYTES_MIN + bytes / 20;
    st = make_blocks(store);
    store->pool_base = ps_block_pool_bytes(store->pool);
    if (!st && !config->restored)
        st = ps_param_store_initialise(store);
    if (st)
        return st;
    ps_ledger_create(config->rows, config->epochs, store->placement->blocks, &store->ledger);
    st = store->ops->create(&config->consistency, store->ledger, &store->controller);
    return st || !store->ops->holds ? st : ps_accumulator_create(store, &store->held);
}

ps_status ps_param_store_create(const ps_param_config *config, ps_param_store **out)
{
    ps_param_store *store = ps_new(ps_param_store);
    atomic_init(&store->refs, 1);
    atomic_init(&store->stopped, false);
    init_locks(store);
    store->ops = config->controller;
    store->updates.warm_rows = PS_WARM_UNKNOWN;
    ps_push_windows_create(&store->windows);
    ps_status st = build(store, config);
    if (st)
        ps_param_store_unref(&store);
    else
        *out = store;
    return st;
}

ps_param_store *ps_param_store_ref(ps_param_store *store)
{
    unsigned before = atomic_fetch_add_explicit(&store->refs, 1, memory_order_relaxed);
    PS_REQUIRE(before > 0);
    return store;
}

static void free_blocks(ps_param_store *store)
{
    for (uint64_t i = 0; store->blocks && i < store->placement->blocks; i++)
        if (store->blocks[i])
            store->blocks[i]->kind->free(store->blocks[i]);
    free(store->blocks);
}

void ps_param_store_unref(ps_param_store **out)
{
    ps_param_store *store = *out;
    *out = NULL;
    if (!store)
        return;
    unsigned before = atomic_fetch_sub_explicit(&store->refs, 1, memory_order_acq_rel);
    PS_REQUIRE(before > 0);
    if (before > 1)
        return;
    PS_REQUIRE(ps_list_empty(&store->updates.under_way));
    if (store->controller)
        store->ops->free(store->controller);
    ps_accumulator_free(&store->held);
    ps_waypoints_free(&store->waypoints);
    ps_losses_free(&store->losses);
    ps_noise_free(&store->noise);
    ps_record_free(&store->record);
    free(store->recorded);
    free_blocks(store);
    ps_block_pool_free(&store->pool);
    ps_push_windows_free(&store->windows);
    ps_ledger_free(&store->ledger);
    ps_placement_free(&store->placement);
    free((void *)(uintptr_t)store->config.plans);
    pthread_rwlock_destroy(&store->gate);
    ps_mutex_destroy(&store->updates.lock);
    ps_mutex_destroy(&store->snapshot.lock);
    pthread_cond_destroy(&store->snapshot.moved);
    ps_mutex_destroy(&store->stats_lock);
    free(store);
}

ps_block *ps_store_block(ps_param_store *store, uint32_t tensor, uint32_t shard, uint32_t block)
{
    PS_REQUIRE(tensor < store->placement->n_tensors);
    const ps_param_tensor *t = &store->placement->tensors[tensor];
    PS_REQUIRE(shard < t->n_shards && block < t->shards[shard].blocks);
    return store->blocks[t->shards[shard].first_block + block];
}

const ps_placement *ps_param_store_placement(const ps_param_store *store)
{
    return store->placement;
}

const ps_param_config *ps_param_store_config(const ps_param_store *store)
{
    return &store->config;
}

ps_ledger *ps_param_store_ledger(ps_param_store *store)
{
    return store->ledger;
}

const char *ps_param_store_optimizer(const ps_param_store *store)
{
    return store->rule->name;
}

uint32_t ps_param_store_state_format(const ps_param_store *store)
{
    return store->rule->state_format;
}

uint64_t ps_param_store_state_bytes(const ps_param_store *store)
{
    return store->bytes.state;
}

uint64_t ps_param_store_blocks(const ps_param_store *store)
{
    return store->placement->blocks;
}

const char *ps_param_store_consistency(const ps_param_store *store)
{
    return store->ops->name;
}

uint64_t ps_param_store_block_version(ps_param_store *store, uint32_t tensor, uint32_t shard,
                                      uint32_t index)
{
    ps_block *block = ps_store_block(store, tensor, shard, index);
    return block->kind->version(block);
}

uint64_t ps_param_store_bytes(ps_param_store *store)
{
    ps_mutex_lock(&store->snapshot.lock);
    uint64_t saved = store->snapshot.saved_bytes;
    ps_mutex_unlock(&store->snapshot.lock);
    uint64_t spare = ps_block_pool_bytes(store->pool) - store->pool_base;
    return store->bytes.memory + spare + saved +
           (store->held ? ps_accumulator_bytes(store->held) : 0);
}
