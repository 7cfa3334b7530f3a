/* sessions: the streams that stay open until somebody ends them (Attach, Watch), by number: the
 * scheduler knows a worker by it, and a stopping psd ends them all at once.
 *
 * The scheduler speaks from any thread; what it says is queued and sent on the stream's own loop,
 * in order. A session that has ended swallows what is said to it. Any thread, but for _open and
 * _close, which are for the stream's loop.
 */
#ifndef PS_SERVICE_SESSIONS_H
#define PS_SERVICE_SESSIONS_H

#include "common/transport/call/grpc_call.h"
#include "server/sched/sched.h"

typedef struct ps_sessions ps_sessions;

ps_sessions *ps_sessions_create(void);
void ps_sessions_free(ps_sessions **sessions); /* when all are closed */

/* Numbers begin at 1. Holds a reference of the call until closed. */
uint64_t ps_sessions_open(ps_sessions *sessions, ps_call *call);
void ps_sessions_close(ps_sessions *sessions, uint64_t session);

unsigned ps_sessions_count(ps_sessions *sessions);

/* What the scheduler says to workers; the user is the ps_sessions. drop_session ends the stream
 * with PS_UNAVAILABLE and the reason. */
extern const ps_to_workers ps_sessions_to_workers;

/* psd stops: every stream ends so, also one that is opened later, and no worker keeps it waiting.
 */
void ps_sessions_drop_all(ps_sessions *sessions, const char *reason);

#endif
