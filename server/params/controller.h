/* controller: a consistency model's row (server/consistency has them): when a push is applied, and
 * when a worker whose clock has ended may go on. The store calls it and does what it answers; it
 * changes no parameter itself, and services only see the store. So a gradient's way is
 *
 *     admit ──▶ applied now, or added to what is held ──▶ added ──▶ ps_turn
 *
 * A clock is over when a hook answers so: of the hooks that have a turn, one at a time answers
 * something else than PS_TURN_NONE, and until `turned` is called the others wait inside the
 * controller.
 *
 * Hooks are called with no lock held, in parallel, on any thread. Those marked (gate) are called
 * inside the store's update gate: no snapshot is taken meanwhile (not asserted here: who calls them
 * asks, clocks.c and push.c). / */
#ifndef PS_PARAMS_CONTROLLER_H
#define PS_PARAMS_CONTROLLER_H

#include "common/base/buf.h"
#include "server/params/ledger.h"
#include "server/params/push.h"

typedef struct ps_controller ps_controller;

/* What becomes of a push that may come in. */
typedef struct ps_verdict {
    /* 0: it is applied now. Else it is held, and applied with all others that are when this clock
     * ends, as one update; a snapshot taken before forgets it altogether, rows and reply, so that
     * it is made again after a restart. */
    uint64_t held_clock;
} ps_verdict;

/* What a hook leaves to the store: */
typedef enum ps_turn {
    PS_TURN_NONE,
    PS_TURN_NEXT,  /* the clock is over and nothing is held: `turned` */
    PS_TURN_APPLY, /* it is over: what is held is applied, then `turned` */
} ps_turn;

/* A clock call that waits. */
typedef struct ps_clock_waiter {
    ps_clock_cb cb; /* NULL: nobody waits */
    void *user;
} ps_clock_waiter;

typedef struct ps_controller_ops {
    const char *name;
    bool holds;          /* its verdict may be to hold: 4 bytes a parameter for what is held */
    bool clock_is_quick; /* clock never parks and has no turn: it may be called on a loop */
    /* ledger: of the store's rows; outlives it. Options that it does not have are 0. */
    PS_MUST_CHECK ps_status (*create)(const ps_consistency_options *options, ps_ledger *ledger,
                                      ps_controller **out);
    void (*free)(ps_controller *c); /* whoever still waits is answered PS_CANCELLED */
    /* May this push begin? PS_FAILED_PRECONDITION tells the worker what to do. */
    PS_MUST_CHECK ps_status (*check)(ps_controller *c, const ps_push_header *header);
    /* (gate) May a push that is whole and valid come in, and how? If so exactly one of added and
     * withdraw follows; no clock ends before. */
    PS_MUST_CHECK ps_status (*admit)(ps_controller *c, const ps_push_header *header,
                                     ps_verdict *out);
    PS_MUST_CHECK ps_turn (*withdraw)(ps_controller *c); /* (gate) */
    /* (gate) It is applied, or held. whole: the gradient of its rows has come whole with it. */
    PS_MUST_CHECK ps_turn (*added)(ps_controller *c, const char *client, bool whole);
    /* As ps_param_store_join, _leave, _clock, _clock_cancel, _close, _stop; those that have a turn
     * (gate), but for the clock of a row where it is quick. */
    PS_MUST_CHECK ps_status (*join)(ps_controller *c, const char *member, uint64_t lease,
                                    uint64_t *first_clock, ps_turn *turn);
    PS_MUST_CHECK ps_turn (*leave)(ps_controller *c, const char *member);
    /* *slowest: the least clock any member has ended, if it is not parked and has no turn. With a
     * turn it is not parked. */
    PS_MUST_CHECK ps_status (*clock)(ps_controller *c, const ps_clock_end *end,
                                     ps_clock_waiter waiter, bool *parked, uint64_t *slowest,
                                     ps_turn *turn);
    bool (*clock_cancel)(ps_controller *c, const char *member, void *user);
    void (*close)(ps_controller *c);
    PS_MUST_CHECK ps_turn (*stop)(ps_controller *c);
    /* (gate) The turn was made, and the parameters have this version: the next clock begins, and
     * those that wait for it are answered, as is the caller of `clock` with *reply. NULL: it never
     * has a turn. */
    void (*turned)(ps_controller *c, uint64_t version, ps_clock_reply *reply);
    void (*stats)(ps_controller *c, ps_param_stats *out); /* clock and members */
    /* (gate, exclusive) What a restart needs; members are not part of it: they join again. Returns
     * the clock that is unfinished: pushes held for it are forgotten (0: none). */
    uint64_t (*save)(ps_controller *c, ps_buf *out);
    PS_MUST_CHECK ps_status (*load)(ps_controller *c, ps_slice bytes);
} ps_controller_ops;

#endif
