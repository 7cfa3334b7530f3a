/* sm: a tiny state machine: a table of legal transitions, and a trace of those that happen.
 *
 *     static const char *const names[] = {"idle", "busy", "gone"};
 *     static const ps_sm_set next[] = {[IDLE] = PS_SM(BUSY) | PS_SM(GONE), [BUSY] = PS_SM(IDLE)};
 *     static const ps_sm machine = {.tag = "worker", .names = names, .next = next, .count = 3};
 *     st = ps_sm_move(&machine, &w->state, BUSY, "worker=%s", w->name);
 *
 * logs `worker: state=idle -> busy worker=gpu1` at debug level (`level` for another). An illegal
 * move changes nothing, is logged as an error and returned as PS_FAILED_PRECONDITION. Pure but for
 * the log; the state belongs to the caller, who locks it.
 */
#ifndef PS_BASE_SM_H
#define PS_BASE_SM_H

#include "common/base/log.h"
#include "common/base/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef uint32_t ps_sm_set; /* bit s: state s */
#define PS_SM(state) ((ps_sm_set)1 << (state))

typedef struct ps_sm {
    const char *tag;
    const char *const *names;
    const ps_sm_set *next; /* next[s]: where one may go from s; 0 for a state that is an end */
    unsigned count;        /* of states, at most 32 */
    ps_log_level level;    /* of the trace; 0: PS_LOG_DEBUG */
} ps_sm;

/* format (may be NULL) names the object: "job=7". */
PS_MUST_CHECK ps_status ps_sm_move(const ps_sm *machine, unsigned *state, unsigned to,
                                   const char *format, ...) PS_PRINTF(4, 5);
bool ps_sm_may(const ps_sm *machine, unsigned from, unsigned to);
bool ps_sm_ended(const ps_sm *machine, unsigned state); /* nothing may follow */
const char *ps_sm_name(const ps_sm *machine, unsigned state);

#endif
