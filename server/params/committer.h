/* committer: what a push is answered after: that its update lasts. A store without one answers when
 * the update is applied; with one (a log), each push is told to it in the store's gate, so in an
 * order that snapshots agree with, and answered when it says so, which may be later and on another
 * thread. What was applied is seen by pulls at once.
 *
 *     applied ── append: a position ── (gate opens) ── await: it lasts ──────────▶ answered
 *                                                        ╰ later ── ps_commit_cb ──▶ answered
 *
 * A push that comes again awaits the position of the first: no answer overtakes what it promises. A
 * reply of a checkpoint has no position: it lasts with it.
 */
#ifndef PS_PARAMS_COMMITTER_H
#define PS_PARAMS_COMMITTER_H

#include "server/params/push.h"

/* Borrowed for the call. */
typedef struct ps_commit_record {
    const char *client;
    const ps_push_header *header;
    uint64_t version;                    /* as answered */
    uint64_t held_clock;                 /* it is held until this clock's end; 0: applied */
    const struct ps_push_chunks *chunks; /* what it brings, block by block (push_chunks.h) */
} ps_commit_record;

typedef struct ps_committer {
    /* (gate) The push is in: returns its position, from 1. What fails is told by await. In
     * parallel. */
    uint64_t (*append)(void *state, const ps_commit_record *record);
    /* *later false: what is at the position lasts, or, after a failure, will not; asking again is
     * fine. *later true: cb is called once, on any thread, perhaps before await has returned but
     * never from inside it, and never under a lock that append or await take. In parallel. */
    PS_MUST_CHECK ps_status (*await)(void *state, uint64_t position, bool *later, ps_commit_cb cb,
                                     void *user);
    void *state; /* outlives the store. Whoever ends it answers what waits, while loops still run */
} ps_committer;

#endif
