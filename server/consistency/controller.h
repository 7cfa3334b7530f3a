/* controller: the table of consistency models (rows: asp, bsp): when a push is applied, and when a
 * worker whose clock has ended may go on. A row is one file. The store calls it; services only see
 * the store.
 *
 * Hooks are called with no lock held. Those marked (gate) run inside the store's update gate: no
 * snapshot is taken meanwhile. Hooks of one controller run in parallel on any thread.
 */
#ifndef PS_CONSISTENCY_CONTROLLER_H
#define PS_CONSISTENCY_CONTROLLER_H

#include "common/base/buf.h"
#include "server/params/push.h"

typedef struct ps_controller ps_controller;

typedef struct ps_controller_ops {
    const char *name;
    bool never_waits; /* on_push does not wait for another's update to be applied */
    PS_MUST_CHECK ps_status (*create)(ps_param_store *store, ps_controller **out);
    void (*free)(ps_controller *c);
    /* May this push begin? PS_FAILED_PRECONDITION tells the worker what to do. */
    PS_MUST_CHECK ps_status (*check)(ps_controller *c, const ps_push_header *header);
    /* (gate) The verdict on a push that is whole and valid: may it come in, now? Exactly one of
     * on_push and withdraw follows. *pending_clock, if it is set: the push's effect waits for the
     * end of this clock. A snapshot taken before forgets it altogether, rows and reply, so that it
     * is made again after a restart. */
    PS_MUST_CHECK ps_status (*admit)(ps_controller *c, const ps_push_header *header,
                                     uint64_t *pending_clock);
    void (*withdraw)(ps_controller *c);
    void (*on_push)(ps_controller *c, const ps_push *push, ps_push_reply *out);
    /* As ps_param_store_join, _leave, _clock, _clock_cancel, _close, _stop. They enter the gate
     * themselves where they apply something. */
    PS_MUST_CHECK ps_status (*join)(ps_controller *c, const char *member, uint64_t lease,
                                    uint64_t *first_clock);
    void (*leave)(ps_controller *c, const char *member);
    PS_MUST_CHECK ps_status (*clock)(ps_controller *c, const ps_clock_end *end,
                                     ps_clock_reply *reply, bool *parked, ps_clock_cb cb,
                                     void *user);
    bool clock_is_quick; /* clock never parks and applies nothing: it may be called on a loop */
    bool (*clock_cancel)(ps_controller *c, const char *member, void *user);
    void (*close)(ps_controller *c);
    void (*stop)(ps_controller *c);
    void (*stats)(ps_controller *c, ps_param_stats *out); /* clock and members */
    /* (gate, exclusive) What a restart needs; members are not part of it: they join again. Returns
     * the clock that is unfinished: pushes pending for it are forgotten (0: none). */
    uint64_t (*save)(ps_controller *c, ps_buf *out);
    PS_MUST_CHECK ps_status (*load)(ps_controller *c, ps_slice bytes);
    uint64_t (*bytes)(ps_controller *c); /* of memory held that grows with the model */
} ps_controller_ops;

/* PS_INVALID_ARGUMENT lists the names there are. */
PS_MUST_CHECK ps_status ps_controller_find(const char *name, const ps_controller_ops **out);

#endif
