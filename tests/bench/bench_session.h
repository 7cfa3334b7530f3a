/* bench_session: a loop and a channel to psd with a client's certificate, for a program's main. */
#ifndef PS_BENCH_SESSION_H
#define PS_BENCH_SESSION_H

#include "common/transport/channel/channel.h"

typedef struct bench_target {
    const char *address, *ca, *cert, *key;
} bench_target;

typedef ps_status (*bench_work)(ps_loop *loop, ps_channel *channel, void *user);

/* Opens, works, closes; what failed first. */
PS_MUST_CHECK ps_status bench_session_run(const bench_target *target, bench_work work, void *user);

#endif
