/* agent: keeps this worker attached to psd, and knows which leases it has.
 *
 *                  start                 welcome
 *        IDLE ─────────────▶ DIALLING ──────────────▶ ATTACHED
 *                             ▲    │ ended              │    │ stopping, and nothing left to say
 *                        tick │    ▼                    │    ▼
 *                            WAITING ◀──────── ended ───╯  CLOSING ── ended, or time over ─▶ GONE
 *          stopping, and nothing left to say, or no stream in time: DIALLING, WAITING ─────▶ GONE
 *
 * What tasks report while there is no stream is kept and sent after the next welcome: numbers of
 * one lease are added up into one report, log lines are kept up to PS_LEASE_LOGS, and a result is
 * sent again after a reconnect if it may have been lost with the old stream (psd ignores one it
 * has), and so is all that a task generated. Only the last few results can be lost: psd gives a
 * slot its next task when it has the last one's result. So few are kept, however short tasks are,
 * as psd takes only so many leases in a hello, and so many messages at once.
 *
 * A psworker is its certificate's name, so of two with one certificate the later has psd's ear. The
 * earlier, which psd refuses (PS_FAILED_PRECONDITION), gives up its tasks and tries again with
 * growing waits. Once the later is gone, psd says so (PS_ABORTED); what this one has said may then
 * be behind what the later did, so it goes, superseded, and its process begins anew; not at once
 * when psd has never taken it: its machine's clock, which makes incarnations, is behind.
 *
 * A worker that is stopping waits for a stream only PS_AGENT_RECONNECT_MS: without psd nobody takes
 * its results, and psd gives the rows out again.
 *
 * It touches nothing but its port, a table of functions; so a test can be psd, the tasks and the
 * clock. One thread (the loop's). The port's functions must not call back into the agent.
 */
#ifndef PS_LINK_AGENT_H
#define PS_LINK_AGENT_H

#include "common/base/clock.h"
#include "common/base/status.h"
#include "psd/v1/workers.pb-c.h"

enum {
    PS_AGENT_RESULT_MS = 30000,   /* a sent result may be sent again for so long, */
    PS_AGENT_RESULTS = 32,        /* if it is one of so many last ones */
    PS_AGENT_CLOSING_MS = 2000,   /* for psd to end the stream */
    PS_AGENT_RECONNECT_MS = 1500, /* stopping: for the stream that is being made */
    PS_AGENT_RETRY_MIN_MS = 200,  /* between attempts that psd itself refused; doubled */
    PS_AGENT_RETRY_MAX_MS = 10000,
};

typedef struct ps_agent ps_agent;

typedef struct ps_agent_port {
    void (*open)(void *user); /* a new Attach stream; its end comes as ps_agent_ended */
    void (*send)(void *user, const Psd__V1__WorkerMessage *message);
    void (*close)(void *user);                      /* no more from us */
    void (*leave)(void *user);                      /* nothing of this stream comes any more */
    void (*start)(void *user, Psd__V1__Task *task); /* owns the task; ps_agent_result follows */
    void (*cancel)(void *user, uint64_t lease_id, const char *reason);
    void (*stop_tasks)(void *user);              /* end them where that loses nothing */
    void (*wake)(void *user, uint64_t delay_ms); /* call ps_agent_tick then; replaces the last */
    void (*gone)(void *user);                    /* the agent has reached GONE */
} ps_agent_port;

typedef struct ps_agent_options {
    const ps_agent_port *port;
    void *user;
    const ps_clock *clock;
    const Psd__V1__Hello *hello; /* without leases; must outlive the agent */
    uint64_t stop_ms; /* how long running tasks may take to stop; then they are cancelled */
} ps_agent_options;

void ps_agent_create(const ps_agent_options *options, ps_agent **out);
void ps_agent_free(ps_agent **agent);
void ps_agent_start(ps_agent *agent);
void ps_agent_tick(ps_agent *agent); /* time has passed */

/* From the stream. A task is taken out of the message. */
void ps_agent_message(ps_agent *agent, Psd__V1__ServerMessage *message);
void ps_agent_ended(ps_agent *agent, ps_status status, const char *message);

/* From tasks. Progress and output are copied; the result is owned
 * (psd__v1__task_result__free_unpacked). */
void ps_agent_progress(ps_agent *agent, const Psd__V1__TaskProgress *progress);
void ps_agent_output(ps_agent *agent, const Psd__V1__TaskOutput *output);
void ps_agent_result(ps_agent *agent, Psd__V1__TaskResult *result);

/* The stream makes way for one over a new connection, at once; leases and tasks stay. */
void ps_agent_move_over(ps_agent *agent);

/* No new tasks; those that run are stopped, their results sent, the stream closed; then gone. */
void ps_agent_stop(ps_agent *agent);

/* After gone: it did not stop for its own process's sake; a new incarnation would be welcome. */
bool ps_agent_superseded(const ps_agent *agent);

const char *ps_agent_state(const ps_agent *agent); /* "attached", for the log */
unsigned ps_agent_running(const ps_agent *agent);  /* leases without a result */

#endif
