/* push_window: which pushes of which client were applied, and what was answered: exactly once.
 *
 * For each client the last PS_PUSH_WINDOW sequences of its newest incarnation, as a ring. A slot:
 *
 *     empty → begun (begin) → committing (confirm) → done (finish) → begun (begin, of one that is
 *               └→ empty (drop)      └→ empty (drop)                        a window further on)
 *
 * Any thread; one lock held for nanoseconds.
 */
#ifndef PS_PARAMS_PUSH_WINDOW_H
#define PS_PARAMS_PUSH_WINDOW_H

#include "common/base/buf.h"
#include "server/params/push.h"

enum { PS_PUSH_CLIENTS_MAX = 65536, PS_PUSH_CLIENT_NAME_MAX = 512 };

typedef struct ps_push_windows ps_push_windows;
typedef struct ps_push_peer ps_push_peer;

/* A place in the window, held from begin to finish or drop. */
typedef struct ps_push_ticket {
    ps_push_peer *client; /* lives as long as the windows */
    uint64_t incarnation;
    uint64_t sequence;
} ps_push_ticket;

void ps_push_windows_create(ps_push_windows **out);
void ps_push_windows_free(ps_push_windows **windows);
/* Errors as ps_push_begin. *duplicate: *reply is the stored one and there is no ticket to end. */
PS_MUST_CHECK ps_status ps_push_windows_begin(ps_push_windows *windows, const char *client,
                                              uint64_t incarnation, uint64_t sequence,
                                              ps_push_ticket *ticket, bool *duplicate,
                                              ps_push_reply *reply);
/* PS_FAILED_PRECONDITION when a newer incarnation came meanwhile; the ticket is then still to be
 * dropped. */
PS_MUST_CHECK ps_status ps_push_windows_confirm(ps_push_windows *windows,
                                                const ps_push_ticket *ticket);
/* held_clock: see ps_verdict (controller.h). */
void ps_push_windows_finish(ps_push_windows *windows, const ps_push_ticket *ticket,
                            const ps_push_reply *reply, uint64_t held_clock);
void ps_push_windows_drop(ps_push_windows *windows, const ps_push_ticket *ticket);
const char *ps_push_peer_name(const ps_push_peer *client);

/* A push of this client was refused for what it is. One that is not known yet is from now on,
 * unless there are too many. */
void ps_push_windows_reject(ps_push_windows *windows, const char *client);
/* Calls each for every client, in no order, with the lock held: how many of its pushes are in the
 * parameters, and how many were refused. */
void ps_push_windows_count(ps_push_windows *windows, ps_push_counted each, void *user);

/* Without what is begun or committing, or waits for the end of unfinished_clock (0: none). */
void ps_push_windows_save(ps_push_windows *windows, uint64_t unfinished_clock, ps_buf *out);
/* Into an empty one. PS_CORRUPT. */
PS_MUST_CHECK ps_status ps_push_windows_load(ps_push_windows *windows, ps_slice bytes);

#endif
