/* remote: a task's way to psd: calls that block its thread while the loop's thread makes them.
 *
 * Failing: what is worth repeating (no connection, a server that restarts, one that has no room) is
 * repeated until it succeeds or the task is cancelled; ps_retry says what is. Right after a
 * connection broke, "no lease" and "no such job" are worth repeating as well: psd may have been
 * restarted, and knows of our lease only once the worker has attached again.
 */
#ifndef PS_REMOTE_REMOTE_H
#define PS_REMOTE_REMOTE_H

#include "common/base/clock.h"
#include "common/transport/channel/channel.h"
#include "worker/remote/gate.h"

/* How long after a broken connection a refusal may still be one that passes. */
enum { PS_RETRY_GRACE_MS = 15000 };

typedef struct ps_retry {
    bool broken;           /* a connection has broken, */
    uint64_t broken_at_ms; /* then */
    unsigned attempts;     /* in a row, */
    uint64_t first_ms;     /* the first of them then */
} ps_retry;

/* Is a call that ended so to be made again, and after how long? Counts attempts, and logs the first
 * and then now and again, so that nothing waits silently. "Resource exhausted" may be a limit that
 * will not move: it is given up after PS_RETRY_EXHAUSTED attempts, or, where psd has said when to
 * try again (error->retry_ms), when that has been in vain for PS_RETRY_TOLD_MS; and at once where
 * it has said that trying is of no use. */
enum { PS_RETRY_EXHAUSTED = 20, PS_RETRY_TOLD_MS = 600000 };
bool ps_retry_after(ps_retry *retry, const ps_error *error, uint64_t now_ms, uint64_t *delay_ms);
/* The end of a call as an error: with what ps_call_retry_ms says. */
void ps_retry_error(const ps_call *call, ps_status status, const char *message, ps_error *out);
void ps_retry_succeeded(ps_retry *retry);

typedef struct ps_remote {
    ps_loop *loop;
    ps_channel *channel; /* lives on loop */
    ps_gate *gate;       /* of the task's thread */
    const ps_clock *clock;
    ps_retry retry; /* of the blocking calls; the task's thread's */
} ps_remote;

/* All on the task's thread. The reply is freed with protobuf_c_message_free_unpacked(reply, NULL).
 * Once: as it ends. Retried: as long as it is worth it. PS_CANCELLED when the task is. */
PS_MUST_CHECK ps_status ps_remote_unary_once(ps_remote *remote, const char *path,
                                             const ProtobufCMessage *request,
                                             const ProtobufCMessageDescriptor *reply_type,
                                             ProtobufCMessage **reply);
PS_MUST_CHECK ps_status ps_remote_unary(ps_remote *remote, const char *path,
                                        const ProtobufCMessage *request,
                                        const ProtobufCMessageDescriptor *reply_type,
                                        ProtobufCMessage **reply);

/* A call that may be made again has ended with st. PS_OK without *done: it has waited for as long
 * as the retry, or psd, says, and is to be made again. *done: st was PS_OK. Else why it is not made
 * again: st; or PS_CANCELLED, the task is. */
PS_MUST_CHECK ps_status ps_remote_again(ps_remote *remote, ps_status st, bool *done);
/* Waits; PS_CANCELLED when the task is. */
PS_MUST_CHECK ps_status ps_remote_pause(ps_remote *remote, uint64_t delay_ms);

/* Runs f(state) on the loop's thread and waits for it; not cancelled. The loop must be running. */
void ps_remote_run(ps_remote *remote, void (*f)(void *state), void *state);

#endif
