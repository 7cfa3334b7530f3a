/* clock_members: which members there are, and the clock each has ended: a table by name, with the
 * least of these clocks. Not thread-safe (not asserted: a controller has a lock, and asks for
 * it). */
#ifndef PS_CONSISTENCY_CLOCK_MEMBERS_H
#define PS_CONSISTENCY_CLOCK_MEMBERS_H

#include "server/params/controller.h"

typedef struct ps_clock_members ps_clock_members;

typedef struct ps_clock_member {
    char *name;
    uint64_t lease;  /* under which it takes part; 0: none */
    uint64_t pushed; /* the last clock it has pushed to */
    uint64_t ended;  /* clocks up to this one; the next is the one it is at */
    ps_clock_waiter waiter;
} ps_clock_member;

enum { PS_CLOCK_MEMBERS_MAX = 65536, PS_CLOCK_NAME_MAX = 512 };

void ps_clock_members_create(ps_clock_members **out);
/* Nobody may be waiting. */
void ps_clock_members_free(ps_clock_members **members);
/* NULL when there is none. Valid until a member is added or removed. */
ps_clock_member *ps_clock_members_find(ps_clock_members *members, const char *name);
/* PS_RESOURCE_EXHAUSTED, PS_INVALID_ARGUMENT (the name). */
PS_MUST_CHECK ps_status ps_clock_members_add(ps_clock_members *members, const char *name,
                                             uint64_t ended, ps_clock_member **out);
/* The member, if the call comes from the task it takes part with: one of a task that has ended is
 * never taken for one of the task that came after it. lease 0: whichever. PS_FAILED_PRECONDITION:
 * not a member; PS_PERMISSION_DENIED: another task's. */
PS_MUST_CHECK ps_status ps_clock_members_enter(ps_clock_members *members, const char *name,
                                               uint64_t lease, ps_clock_member **out);
void ps_clock_members_remove(ps_clock_members *members, const char *name); /* unknown: nothing */
/* The least clock any member has ended; `none` when there are no members. */
uint64_t ps_clock_members_slowest(const ps_clock_members *members, uint64_t none);
size_t ps_clock_members_count(const ps_clock_members *members);
ps_clock_member *ps_clock_members_at(ps_clock_members *members, size_t i); /* in no order */

#endif
