/* core: the agent, its stream and the threads that run tasks, wired to each other. All on the loop.
 *
 *     psd ◀── attach ──▶ agent ──start, cancel, stop──▶ runner
 *                          ◀──── progress, results ─────╯
 */
#ifndef PS_WORKER_CORE_H
#define PS_WORKER_CORE_H

#include "common/transport/channel/channel.h"
#include "gpu/backend.h"
#include "worker/conf/worker_options.h"

typedef struct ps_worker_core ps_worker_core;

typedef struct ps_worker_core_options {
    const ps_worker_conf *conf; /* must outlive the core, as all of these */
    ps_backend *backend;
    ps_loop *loop;
    ps_channel *control; /* of the agent's stream, */
    ps_channel *data;    /* and for what tasks send and get */
    const char *version;
    void (*lost)(void *user, const char *why); /* the device; what runs fails, and what comes */
    /* No stream and no task is left: after ps_worker_core_stop, or because psd had another psworker
     * of this name after this one and that has left (ps_worker_core_superseded). */
    void (*stopped)(void *user);
    void *user;
} ps_worker_core_options;

void ps_worker_core_create(const ps_worker_core_options *options, ps_worker_core **out);
void ps_worker_core_start(ps_worker_core *core); /* dials */
void ps_worker_core_stop(ps_worker_core *core);  /* see ps_agent_stop */
/* What `control` says of its state. The agent's stream moves to its connection from one that was
 * left; and, when none can be made, the old one makes room for it. */
void ps_worker_core_connected(ps_worker_core *core);
void ps_worker_core_not_connected(ps_worker_core *core);
bool ps_worker_core_superseded(const ps_worker_core *core);
unsigned ps_worker_core_running(const ps_worker_core *core); /* tasks */
/* In stopped(): what lives on the loop goes, before the channels do. */
void ps_worker_core_close(ps_worker_core *core);
/* Closed, and channels and loop are gone: calls that nobody waits for end with them, and tell it.
 */
void ps_worker_core_free(ps_worker_core **core);

#endif
