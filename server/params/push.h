/* push: one update, as a whole or not at all.
 *
 *     begin (header) → chunk × n → commit        or abort at any time
 *
 * Chunks are checked as they come and kept where they were received: nothing is copied and nothing
 * applied before commit. Each push belongs to (client, incarnation, sequence) and is applied once:
 * of a window of the last PS_PUSH_WINDOW sequences the replies are kept, and a repeated push gets
 * the reply of the first. One push is used by one thread at a time; different ones in parallel.
 */
#ifndef PS_PARAMS_PUSH_H
#define PS_PARAMS_PUSH_H

#include "common/base/slice.h"
#include "server/params/param_store.h"
#include "server/params/row_set.h"

enum { PS_PUSH_WINDOW = 256 };

/* Of a push's weight: sums of weighted gradients stay what a float can hold. */
#define PS_PUSH_WEIGHT_MIN 1e-12
#define PS_PUSH_WEIGHT_MAX 1e12

typedef struct ps_push ps_push;

typedef struct ps_push_header {
    uint64_t incarnation;
    uint64_t sequence; /* from 1 */
    uint64_t clock;    /* 0: not said */
    uint64_t pulled_version;
    double weight; /* 0 means 1 */
    /* of which rows it is the gradient, under which task (ledger.h); 0 and empty: not said */
    uint64_t lease;
    ps_row_span rows;
    uint32_t parts; /* pushes that this gradient comes in; 0: 1 */
} ps_push_header;

typedef struct ps_push_reply {
    uint64_t version; /* bsp: that of the parameters now; the update comes when the clock ends */
    uint64_t staleness;
    bool duplicate;
    uint64_t position; /* the committer's; 0: there is nothing to wait for */
} ps_push_reply;

/* That a push lasts, or (this thread's message says why) does not, though it is applied. */
typedef void (*ps_commit_cb)(void *user, ps_status status);
/* Who is told. */
typedef struct ps_push_waiter {
    ps_commit_cb cb;
    void *user;
    bool later; /* set by ps_push_commit */
} ps_push_waiter;

/* Who owns a payload: release is called exactly once for every chunk call, whatever it returns, on
 * the thread of the chunk, commit or abort call. NULL: nobody. */
typedef struct ps_push_owner {
    void (*release)(void *user);
    void *user;
} ps_push_owner;

typedef struct ps_push_chunk_header {
    uint32_t tensor, shard;
    uint64_t offset; /* elements, within the shard */
    uint32_t count;
    uint32_t codec; /* psd.v1.Codec */
} ps_push_chunk_header;

/* client: the identity. A push that was applied before is begun all the same: its chunks are
 * dropped unread and commit answers with the stored reply.
 * PS_INVALID_ARGUMENT: sequence 0, or a weight that is out of range. PS_PERMISSION_DENIED: its
 * lease has ended, or is another client's. PS_FAILED_PRECONDITION: an incarnation older than one
 * seen (a new one fences the old), a stopped job, or the wrong clock (bsp). PS_OUT_OF_RANGE: a
 * sequence older than the window: it may have been applied and will not be again. PS_ABORTED: the
 * same push is under way at this moment (try again and get its reply), or PS_PUSH_WINDOW are. */
PS_MUST_CHECK ps_status ps_push_begin(ps_param_store *store, const char *client,
                                      const ps_push_header *header, ps_push **out);
/* Checks one chunk and keeps a reference to payload until the push ends. After a failure the push
 * can only be aborted. PS_PERMISSION_DENIED: a tensor that is not the lease's to change (block.h);
 * PS_NOT_FOUND: no such tensor, shard; PS_INVALID_ARGUMENT: a chunk of no
 * elements, outside its shard, across a block border, of an unknown codec, of another size than its
 * count says, or with NaN or infinity in it (all with the tensor's name);
 * PS_RESOURCE_EXHAUSTED: more than push_bytes; PS_UNAVAILABLE: a shard of another server. */
PS_MUST_CHECK ps_status ps_push_chunk(ps_push *push, const ps_push_chunk_header *chunk,
                                      ps_slice payload, ps_push_owner owner);
/* Applies (asp) or adds to its clock's mean (bsp), and frees. Takes as long as the memory needs for
 * all of it, and may wait for the update of others: off the loop unless ps_push_is_quick. May wait
 * for a checkpoint to take its snapshot. *reply is the answer, to be given when this returns, or,
 * where waiter->later is true, when its cb is called: once, on any thread, perhaps before this
 * returns but never from inside it (committer.h). waiter NULL: the answer is not waited for.
 * PS_INVALID_ARGUMENT: chunks that overlap, or none at all, rows that are not its task's, or are in
 * the parameters already; PS_PERMISSION_DENIED: its lease has ended; PS_FAILED_PRECONDITION: fenced
 * meanwhile, its clock has ended, or the store was stopped. What the committer fails with: it is
 * applied, and does not last; the same push again asks the committer again.
 */
PS_MUST_CHECK ps_status ps_push_commit(ps_push **push, ps_push_reply *reply,
                                       ps_push_waiter *waiter);
/* Drops it; the same sequence may come again. */
void ps_push_abort(ps_push **push);
/* Who has contributed to the parameters: how many pushes of this client were applied, and how many
 * refused for what they are (ps_push_refused). Survives with checkpoints, as the updates do. */
typedef void (*ps_push_counted)(void *user, const char *client, uint64_t pushes, uint64_t refused);
void ps_push_contributors(ps_param_store *store, ps_push_counted each, void *user);
/* A push of this client failed with st: counts it if that says something of the push (numbers that
 * are none, rows or tensors that are not its own), and nothing of the moment. */
void ps_push_refused(ps_param_store *store, const char *client, ps_status st);
uint64_t ps_push_bytes(const ps_push *push); /* of payload, so far */
/* Is its commit done sooner than another thread is woken? */
bool ps_push_is_quick(const ps_push *push);

#endif
