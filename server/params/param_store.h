/* param_store: the parameters of one job: created, described, joined, stopped. Pulls are in
 * pull.h, pushes in push.h, row-major reading and writing in export.h, checkpoints in
 * server/durable.
 *
 * Any thread unless said. There is no lock over the whole store on the way of a gradient: blocks
 * have a lock each; an update takes its number, and says it is done, under a lock held for
 * nanoseconds; a checkpoint holds off new updates only while it copies the small state.
 *
 * Memory: 4 bytes a parameter and the optimizer's state (adamw: 12 in all, adamw8bit: 6.04), under
 * bsp 4 more; plus below 1 % for headers, plus what pulls in flight make necessary (a spare block
 * for every block being sent that is pushed to meanwhile).
 */
#ifndef PS_PARAMS_PARAM_STORE_H
#define PS_PARAMS_PARAM_STORE_H

#include "common/base/status.h"
#include "server/optim/optimizer.h"
#include "server/optim/schedule.h"
#include "server/params/placement.h"

typedef struct ps_param_store ps_param_store;
typedef struct ps_ledger ps_ledger;
struct ps_controller_ops;
struct ps_committer;

typedef enum ps_param_init {
    PS_PARAM_ZEROS,
    PS_PARAM_ONES,
    PS_PARAM_UNIFORM, /* in [−scale, scale) */
    PS_PARAM_NORMAL,  /* mean 0, deviation scale */
} ps_param_init;

typedef struct ps_param_plan {
    const char *name;
    unsigned rank;
    uint64_t shape[PS_PARAM_DIMS_MAX];
    ps_param_init init;
    double scale;
    const char
        *drawn_as;   /* another tensor's name: it begins with that one's values; NULL: its own */
    ps_form form;    /* that it is trained in (placement.h); row NULL: none */
    bool transposed; /* likewise: the model has it as [columns, rows] */
    bool undecayed;  /* the optimizer's weight_decay is not for it */
    const struct ps_block_kind *kind; /* of its blocks (block_kinds.h); NULL: dense */
} ps_param_plan;

/* As in the job file; a consistency model ignores what it does not use. */
typedef struct ps_consistency_options {
    uint64_t staleness; /* clocks that a worker may be ahead of the slowest */
} ps_consistency_options;

/* What a store has of its daemon, whatever its job is, and whether it is new or restored. */
typedef struct ps_param_host {
    uint64_t push_bytes; /* what one push may hold, all chunks together; 0: 1 GiB */
    const struct ps_committer *committer; /* what pushes are answered after (committer.h), borrowed
                                             for the store's life; NULL: when they are applied */
} ps_param_host;

/* Borrowed for the call. */
typedef struct ps_param_config {
    const ps_param_plan *plans; /* the index is the tensor's id */
    size_t n_plans;
    uint64_t seed;           /* each tensor draws from a stream of its own name, row-major, so that
                                its values depend on nothing else */
    uint32_t column_blocks;  /* 0: 1 */
    uint32_t block_elements; /* 0: PS_PARAM_BLOCK_MAX */
    ps_optimizer_config optimizer;
    ps_schedule schedule;
    const struct ps_controller_ops *controller; /* the consistency model (controller.h); static */
    ps_consistency_options consistency;
    double clip_norm; /* an update's gradient is scaled down to this L2 norm; 0: not. bsp:
                         the mean of a clock's gradients. asp: each push; what a worker has
                         clipped as a whole is not changed by it, since no part of a gradient
                         has a larger norm than all of it. */
    uint64_t rows;    /* of an epoch, of a job that trains by rows; 0: they are not known */
    uint32_t epochs;
    ps_param_host host;
    bool restored; /* no values are drawn: all are put back (snapshot.h) */
} ps_param_config;

/* PS_INVALID_ARGUMENT says what is wrong with the configuration; PS_NO_MEMORY. One reference. */
PS_MUST_CHECK ps_status ps_param_store_create(const ps_param_config *config, ps_param_store **out);
ps_param_store *ps_param_store_ref(ps_param_store *store);
/* The last one frees. Pulled blocks, and pushes not yet ended, hold references of their own. */
void ps_param_store_unref(ps_param_store **store);

const ps_placement *ps_param_store_placement(const ps_param_store *store);
/* Updates applied and complete: every update up to this one is in every block. */
uint64_t ps_param_store_version(ps_param_store *store);
/* The update at which the block last changed. Tensor, shard and block must exist. */
uint64_t ps_param_store_block_version(ps_param_store *store, uint32_t tensor, uint32_t shard,
                                      uint32_t block);
/* Which rows are in them; the store's. */
ps_ledger *ps_param_store_ledger(ps_param_store *store);
/* Takes over what of the rows is done, from a job whose checkpoint has parameters but no rows (of a
 * psd that did not book them). */
struct ps_ledger_state;
void ps_param_store_adopt_rows(ps_param_store *store, struct ps_ledger_state *done);
/* The tensor, whose blocks are not dense, is zeros again, as if nothing had been pushed to it: an
 * update like any other. Waits as one does; off the loop. */
void ps_param_store_clear(ps_param_store *store, uint32_t tensor);
/* The same of every tensor whose blocks are sums. */
void ps_param_store_clear_sums(ps_param_store *store);
const char *ps_param_store_consistency(const ps_param_store *store);
uint64_t ps_param_store_bytes(ps_param_store *store); /* held now */

typedef struct ps_param_stats {
    uint64_t version;
    uint64_t pushes;     /* accepted */
    uint64_t duplicates; /* answered with a stored reply */
    uint64_t refused;    /* pushes begun and not accepted, aborts included */
    uint64_t push_bytes; /* payload of accepted pushes */
    double staleness_mean;
    uint64_t staleness_max;
    uint64_t steps; /* updates of the whole model: the parts of a gradient are one together */
    uint64_t clock; /* the least clock any member has ended */
    uint32_t members;
} ps_param_stats;
void ps_param_store_stats(ps_param_store *store, ps_param_stats *out);

/* ---- members: those whose clocks the consistency model knows ---- */

/* A worker takes part under its name, with the task of this lease (0: none). *first_clock is the
 * one it enters at; it must not push before that has begun (ps_param_store_clock with the one
 * before it answers then). A member that joins again gets the one it is at; with another lease it
 * begins after whatever it pushed under the one before, and calls of that are refused from now on.
 * May apply updates and answer other members' calls, as _leave. Non-members may push all the same;
 * nobody waits for them. */
PS_MUST_CHECK ps_status ps_param_store_join(ps_param_store *store, const char *member,
                                            uint64_t lease, uint64_t *first_clock);
/* Nobody waits for it any more; a parked clock call of its own answers PS_ABORTED. What it pushed
 * stays. May apply updates and answer other members' calls, on this thread. Unknown: nothing. */
void ps_param_store_leave(ps_param_store *store, const char *member);

typedef struct ps_clock_reply {
    uint64_t version;
    uint64_t slowest_clock;
} ps_clock_reply;
typedef struct ps_clock_end {
    const char *member;
    uint64_t lease; /* the task's; 0: not said */
    uint64_t clock; /* the one that has ended */
} ps_clock_end;
/* status PS_OK, or PS_ABORTED (the member left, or has another task), PS_UNAVAILABLE (the store is
 * closed) or PS_CANCELLED (it is stopped). Never from
 * inside ps_param_store_clock of the same call; on whatever thread let it go on, inside the store's
 * gate: it hands the answer on and calls no function of the store. */
typedef void (*ps_clock_cb)(void *user, ps_status status, const ps_clock_reply *reply);

/* The member's clock has ended. *parked false: *reply is the answer and cb is never called.
 * *parked true: cb is called exactly once, unless cancelled. May apply updates (bsp), so off the
 * loop. Clock 0, or any that the member has ended before: nothing ends; answers when the clock that
 * the member is at has begun. PS_FAILED_PRECONDITION: not a member, or a clock that is not the
 * member's (the message says which it should be). PS_PERMISSION_DENIED: the lease has ended.
 * PS_UNAVAILABLE: closed. */
PS_MUST_CHECK ps_status ps_param_store_clock(ps_param_store *store, const ps_clock_end *end,
                                             ps_clock_reply *reply, bool *parked, ps_clock_cb cb,
                                             void *user);
/* Whether that is done in no time and never parks (asp): then it may be called on a loop. */
bool ps_param_store_clock_is_quick(const ps_param_store *store);
/* The call is no longer waited for. true: cb will not be called; false: it was, or is being. The
 * clock stays ended; the same call may come again. */
bool ps_param_store_clock_cancel(ps_param_store *store, const char *member, void *user);
/* psd is about to stop: parked calls answer PS_UNAVAILABLE, at once, and none is parked any more.
 * The clocks stay ended. */
void ps_param_store_close(ps_param_store *store);
/* The job ends: what waits for a clock's end is applied; parked calls answer PS_CANCELLED; pushes
 * and clocks from now on PS_FAILED_PRECONDITION. Pulls go on. */
void ps_param_store_stop(ps_param_store *store);

#endif
