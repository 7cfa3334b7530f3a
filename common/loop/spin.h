/* spin: whether a loop that has nothing to do looks again at once instead of sleeping.
 *
 * Waking a sleeping thread on another core costs tens of microseconds in a virtual machine, more
 * than all the rest of a small call. A loop whose last waits were short therefore looks again and
 * again for a while before it sleeps. It learns from what comes of it: see spin.c.
 *
 * No locks and no clock of its own (not asserted: it knows no loop): the loop's thread tells the
 * time. For common/loop only. */
#ifndef PS_LOOP_SPIN_H
#define PS_LOOP_SPIN_H

#include <stdbool.h>
#include <stdint.h>

typedef struct ps_spin {
    uint64_t limit_ns;  /* the longest time to look without sleeping; 0: never */
    uint64_t begun_ns;  /* of the wait under way */
    uint64_t woken_ns;  /* when the one before ended */
    uint64_t looked_ns; /* last, in this wait */
    uint64_t mean_ns;   /* of how long looking took, the last ones most */
    bool waiting;
    bool looking;         /* this wait began with looking */
    unsigned streak;      /* short waits in a row */
    unsigned needed;      /* as many make the next wait one of looking */
    unsigned away_needed; /* as many will be, when the core is found to have been away */
    unsigned well;        /* waits of looking since it last was */
} ps_spin;

void ps_spin_init(ps_spin *spin, uint64_t limit_ns);
/* Before each round of a loop: true when the round shall look without sleeping. */
bool ps_spin_looks(ps_spin *spin, uint64_t now_ns);
/* Something has come; only the first call of a wait counts. */
void ps_spin_woken(ps_spin *spin, uint64_t now_ns);
/* The loop has not waited, it was away. */
void ps_spin_forget(ps_spin *spin);

#endif
