/* store_private: what a param_store is made of, for this folder only. */
#ifndef PS_PARAMS_STORE_PRIVATE_H
#define PS_PARAMS_STORE_PRIVATE_H

#include "common/base/list.h"
#include "common/base/mutex.h"
#include "server/params/accumulator.h"
#include "server/params/block.h"
#include "server/params/block_pool.h"
#include "server/params/controller.h"
#include "server/params/push_window.h"
#include "server/record/record.h"

#include <stdatomic.h>

/* Counts updates. `complete` follows `issued` when updates end out of order. */
typedef struct ps_update_counter {
    ps_mutex lock;
    uint64_t issued;
    /* elements that were updated, in whole models and what is left: a worker's step may come as
     * several pushes, and the schedule counts steps */
    uint64_t steps, part;
    uint64_t warm_rows; /* that were done when the schedule's warm-up had ended */
    ps_list under_way;  /* ps_update.link, in order of version */
} ps_update_counter;

#define PS_WARM_UNKNOWN UINT64_MAX /* it has not ended */

/*     none --begin--> begun --the instant, gate closed--> reading --end--> none
 * Legal moves: snapshot.c. */
typedef enum ps_snapshot_phase {
    PS_SNAPSHOT_NONE,
    PS_SNAPSHOT_BEGUN,
    PS_SNAPSHOT_READING, /* the blocks of `epoch` */
    PS_SNAPSHOT_PHASES,
} ps_snapshot_phase;

/* One snapshot's traffic with the updates beside it. */
typedef struct ps_snapshot_state {
    ps_mutex lock;
    pthread_cond_t moved; /* `passed` grew, or the snapshot ended */
    unsigned phase;       /* ps_snapshot_phase */
    uint64_t passed;      /* blocks the reader has been at */
    uint64_t saved_bytes; /* put aside now */
    uint64_t budget;      /* for them */
    uint64_t epoch;       /* written under the closed gate only */
} ps_snapshot_state;

struct ps_param_store {
    atomic_uint refs;
    atomic_bool stopped;
    ps_param_config config; /* plans and texts are the store's own */
    ps_placement *placement;
    const ps_optimizer *rule;
    ps_optimizer_config undecayed; /* config.optimizer without weight decay */
    ps_block_pool *pool;
    ps_block **blocks;     /* [placement->blocks] */
    ps_block_bytes bytes;  /* of all blocks together */
    uint64_t state_room;   /* of the largest state of a block */
    uint64_t pool_base;    /* what the pool has while nobody reads */
    pthread_rwlock_t gate; /* shared: an update; exclusive: a snapshot's instant */
    ps_update_counter updates;
    ps_snapshot_state snapshot;
    ps_push_windows *windows;
    ps_ledger *ledger;
    const ps_controller_ops *ops;
    ps_controller *controller;
    ps_accumulator *held; /* pushes that wait for a clock's end; NULL: the controller holds none */
    struct ps_waypoints *waypoints;     /* waypoints.h; NULL: none are kept */
    struct ps_losses *losses;           /* what was measured between them; NULL: none are kept */
    struct ps_noise *noise;             /* of the gradients; NULL: it is not measured */
    ps_record *record;                  /* of its pushes (recording.h); NULL: there is none */
    struct ps_recorded_block *recorded; /* [placement->blocks] */
    ps_mutex stats_lock;
    struct {
        uint64_t pushes, duplicates, refused, push_bytes, staleness_max;
        double staleness_sum;
    } stats;
};

/* The block by its place; asserts that it is there. */
ps_block *ps_store_block(ps_param_store *store, uint32_t tensor, uint32_t shard, uint32_t block);
/* (gate) What a hook of the controller left to do. */
void ps_store_turn(ps_param_store *store, ps_turn turn);
/* As ps_param_import, of values that are known to be good and to fit. */
void ps_param_put_values(ps_param_store *store, uint32_t tensor, uint64_t offset,
                         const ps_wire_float *values, uint64_t count);
/* Fills the store with what the plans say. */
PS_MUST_CHECK ps_status ps_param_store_initialise(ps_param_store *store);

#endif
