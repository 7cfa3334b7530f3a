/* sm: a tiny state machine: a table of legal transitions, and a trace of those that happen.
 *
 *     static const char *const names[] = {"idle", "busy", "gone"};
 *     static const ps_sm_set next[] = {[IDLE] = PS_SM(BUSY) | PS_SM(GONE), [BUSY] = PS_SM(IDLE)};
 *     static const ps_sm machine = {.tag = "worker", .names = names, .next = next, .count = 3};
 *     st = ps_sm_move(&machine, &w->state, BUSY, "worker=%s", w->name);
 *
 * logs `worker: state=idle -> busy worker=gpu1` at debug level (`level` for another). An illegal
 * move changes nothing, is logged as an error and returned as PS_FAILED_PRECONDITION. Where only a
 * fault of ours could make it illegal:
 *
 *     ps_sm_go(&machine, &w->state, BUSY, "worker=%s", w->name);
 *
 * ends the process instead (require.h), and costs next to nothing where nobody reads the trace.
 * Pure but for the log; the state belongs to the caller, who locks it.
 */
#ifndef PS_BASE_SM_H
#define PS_BASE_SM_H

#include "common/base/log.h"
#include "common/base/require.h"
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
static inline bool ps_sm_may(const ps_sm *machine, unsigned from, unsigned to)
{
    return from < machine->count && to < machine->count && (machine->next[from] & PS_SM(to)) != 0;
}
bool ps_sm_ended(const ps_sm *machine, unsigned state); /* nothing may follow */
const char *ps_sm_name(const ps_sm *machine, unsigned state);

#define ps_sm_go(machine, state, to, ...)                                                      \
    do {                                                                                       \
        unsigned ps_sm_from = *(state);                                                        \
        PS_REQUIRE(ps_sm_may(machine, ps_sm_from, (to)));                                      \
        *(state) = (to);                                                                       \
        if (__atomic_load_n(&ps_log_threshold, __ATOMIC_RELAXED) >= (int)ps_sm_level(machine)) \
            ps_sm_trace(machine, ps_sm_from, to, __VA_ARGS__);                                 \
    } while (0)

/* ps_sm_go's. */
static inline ps_log_level ps_sm_level(const ps_sm *machine)
{
    return machine->level ? machine->level : PS_LOG_DEBUG;
}
void ps_sm_trace(const ps_sm *machine, unsigned from, unsigned to, const char *format, ...)
    PS_PRINTF(4, 5) __attribute__((cold));

#endif
