/* off_loop: work of any thread, done on the thread pool. The pool belongs to one loop (psd's main
 * one), to which every piece of work hops first. */
#ifndef PS_LOOP_OFF_LOOP_H
#define PS_LOOP_OFF_LOOP_H

#include "common/loop/loop.h"

#include <stdatomic.h>

/* Embedded first in the caller's struct; run is called once on a pool thread and frees it. */
typedef struct ps_off_loop ps_off_loop;
struct ps_off_loop {
    void (*run)(ps_off_loop *self);
    ps_loop *loop; /* private from here */
    ps_loop_task task;
};

/* Any thread. The loop must run until it has been done (ps_off_loop_pending() == 0). */
void ps_off_loop_submit(ps_loop *loop, ps_off_loop *self, void (*run)(ps_off_loop *self));
/* For what is done again and again, one at a time. Zeroed at first; it must stay until the last one
 * has been done. */
typedef struct ps_off_loop_turn {
    ps_off_loop off; /* all private */
    void (*run)(void *user);
    void *user;
    atomic_bool busy;
} ps_off_loop_turn;
/* run(user) on the pool; false, and nothing, while the last one is at work or waits for a thread.
 */
bool ps_off_loop_turn_submit(ps_loop *loop, ps_off_loop_turn *turn, void (*run)(void *user),
                             void *user);
/* Submitted and not yet finished, of all loops. */
unsigned ps_off_loop_pending(void);

#endif
