/* loop_internal: the fields of a loop, for the files of this folder. */
#ifndef PS_LOOP_LOOP_INTERNAL_H
#define PS_LOOP_LOOP_INTERNAL_H

#include "common/base/mutex.h"
#include "common/loop/loop.h"
#include "common/loop/spin.h"

#include <stdatomic.h>
#include <uv.h>

struct ps_loop {
    uv_loop_t uv;
    uv_async_t wake;                 /* posts and stop */
    uv_prepare_t prepare;            /* runs deferred tasks before the loop sleeps */
    uv_check_t check;                /* and right after the callbacks of one round of I/O */
    uv_idle_t idle;                  /* active while tasks are left: then the loop does not sleep */
    uv_timer_t pulse;                /* so that an idle loop comes round, too */
    atomic_uint_least64_t turned_ms; /* when it last did; 0: it does not run */
    ps_spin spin;                    /* sleep, or look again */
    ps_list deferred;
    ps_mutex lock; /* posted */
    ps_list posted;
    atomic_bool stop;
    const bool *until;  /* of ps_loop_run_until */
    atomic_ulong owner; /* the thread that runs it; before that, the one that made it */
};

#endif
