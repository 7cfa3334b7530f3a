/* block: the table of kinds of blocks. A block is what of a shard is locked, versioned and sent at
 * a time, up to 262,144 elements; how it keeps them is its kind's business. The store, pushes,
 * pulls and snapshots know blocks by this row alone, so that other kinds can stand beside the dense
 * one (dense_block.h): a kind is a file, and whoever plans a tensor says which its blocks are of.
 *
 * What all kinds keep to:
 *   - functions take the block's lock; any thread, in parallel.
 *   - what a reader holds (ps_block_buffer) never changes under it, and an update never waits for a
 *     reader, nor wants memory.
 *   - an update to a block that a snapshot under way has not had yet first puts its state of the
 *     snapshot's instant aside, within the store's budget, or waits for the reader to have passed.
 *
 * For this folder, and tests.
 */
#ifndef PS_PARAMS_BLOCK_H
#define PS_PARAMS_BLOCK_H

#include "common/codec/codec.h"
#include "server/optim/optimizer.h"
#include "server/params/snapshot.h"
#include "server/params/update.h"

typedef struct ps_block_kind ps_block_kind;
typedef struct ps_block_buffer ps_block_buffer;

/* The beginning of a kind's own struct; nothing in it changes. */
typedef struct ps_block {
    const ps_block_kind *kind;
    ps_param_store *store;
    uint64_t index; /* among all blocks of the store */
    uint32_t elements;
    const ps_optimizer *rule;
    const ps_optimizer_config *config; /* of the rule, for this block */
} ps_block;

/* What somebody reads; the beginning of a kind's own struct. */
struct ps_block_buffer {
    ps_block *block;
    uint64_t version; /* the update at which it last changed */
};

typedef struct ps_block_seen {
    ps_block_buffer *buffer; /* a reference */
    const float *values;     /* the block's elements */
} ps_block_seen;

/* What a block takes. */
typedef struct ps_block_bytes {
    uint64_t values, state; /* in a checkpoint; state: the optimizer's */
    uint64_t memory;        /* all of it, while nobody reads */
} ps_block_bytes;

/* Part of a push for one block, as it was received: elements [begin, begin + count), which are
 * inside it. */
typedef struct ps_block_chunk {
    uint32_t begin, count;
    const ps_codec *codec;
    ps_slice payload;
} ps_block_chunk;

/* One application of the rule, the same for all blocks of an update. */
typedef struct ps_block_change {
    uint64_t version;
    double rate;
    double gradient_scale;
    ps_record_sketch *record; /* what the change is added to (recording.h); NULL: nothing */
} ps_block_change;

/* A block as it was at a snapshot's instant. */
typedef struct ps_block_frozen {
    ps_block_state state;    /* valid until the drop */
    ps_block_buffer *values; /* these two are the kind's */
    void *saved;
} ps_block_frozen;

/* Who may push to a block. */
typedef enum ps_block_right {
    PS_BLOCK_FREE,   /* whoever works for the job */
    PS_BLOCK_LEASED, /* a lease that is for this tensor (ledger.h) */
    PS_BLOCK_ROWS,   /* one of rows, which the push says, and which are booked with it: each once */
} ps_block_right;

struct ps_block_kind {
    const char *name;
    ps_block_right right;
    /* Of its blocks, whatever the store's is; NULL: the store's. */
    const ps_optimizer *rule;
    /* What is pushed is no gradient that could be averaged: not in a store whose controller holds
     * pushes. */
    bool alone;
    /* Of a block of so many elements. */
    ps_block_bytes (*bytes)(const ps_optimizer *rule, uint32_t elements);
    /* Version 0, values undefined until they are put. NULL: no memory. */
    ps_block *(*create)(const ps_block *head);
    void (*free)(ps_block *block); /* nobody reads it, and no snapshot is under way */

    /* Can the chunk be applied? Payloads are hostile. Adds to sum_sq what its norm needs; NULL: the
     * norm is not wanted. PS_INVALID_ARGUMENT: of another size, NaN or infinity. */
    PS_MUST_CHECK ps_status (*check)(const ps_block *block, const ps_block_chunk *chunk,
                                     double *sum_sq);
    /* pieces: ascending, not overlapping. */
    void (*apply)(ps_block *block, const ps_block_change *change, const ps_block_piece *pieces,
                  size_t n);

    /* Zeros, and the rule's state as at first; an update like any other. NULL: it is never asked.
     */
    void (*clear)(ps_block *block, uint64_t version);

    /* Of each element, its rule's second_moment; 0 before its first update. Only where the rule has
     * one. */
    void (*second_moment)(ps_block *block, float *out);

    uint64_t (*version)(ps_block *block);
    /* false: no memory (for a spare that an update may need meanwhile). */
    bool (*view)(ps_block *block, ps_block_seen *out);
    void (*release)(ps_block_buffer *buffer);
    void (*share)(ps_block_buffer *buffer); /* one reference more, to one that is held */

    /* The block as it was at the instant of the snapshot under way, once; every drop follows one
     * that was true. room: of the largest state of the store, for a copy. false: no memory; it may
     * be asked again. */
    bool (*snapshot_next)(ps_block *block, void *room, ps_block_frozen *out);
    void (*snapshot_drop)(ps_block *block, ps_block_frozen *frozen);
    void (*snapshot_skip)(ps_block *block); /* it will not be asked for */

    /* Before the store is used: */
    void (*put)(ps_block *block, uint32_t begin, const ps_wire_float *values, size_t n);
    ps_block_restore (*room)(ps_block *block); /* where a checkpoint's are put, and then */
    void (*restored)(ps_block *block, uint64_t version, uint64_t updates);
};

/* ---- what a kind asks of the snapshot beside it (snapshot.c) ---- */

/* Of the last one that began; changes only while no update is under way. */
uint64_t ps_snapshot_epoch(const ps_param_store *store);
/* From the store's budget for what is put aside; false: it is used up. */
bool ps_snapshot_budget_take(ps_param_store *store, uint64_t bytes);
void ps_snapshot_budget_give(ps_param_store *store, uint64_t bytes);
/* Until its reader has passed this block, or it ended. Without the block's lock. */
void ps_snapshot_wait(ps_param_store *store, uint64_t index);

#endif
