/* vector_clock: which members there are, and the clock each has ended. A table by name; not
 * thread-safe (a controller has its lock). */
#ifndef PS_CONSISTENCY_VECTOR_CLOCK_H
#define PS_CONSISTENCY_VECTOR_CLOCK_H

#include "server/params/param_store.h"

typedef struct ps_vector_clock ps_vector_clock;

/* A clock call that waits. */
typedef struct ps_clock_waiter {
    ps_clock_cb cb; /* NULL: nobody waits */
    void *user;
} ps_clock_waiter;

typedef struct ps_clock_member {
    char *name;
    uint64_t lease;  /* under which it takes part; 0: none */
    uint64_t pushed; /* the last clock it has pushed to */
    uint64_t ended;  /* clocks up to this one; the next is the one it is at */
    ps_clock_waiter waiter;
} ps_clock_member;

enum { PS_CLOCK_MEMBERS_MAX = 65536, PS_CLOCK_NAME_MAX = 512 };

void ps_vector_clock_create(ps_vector_clock **out);
/* Nobody may be waiting. */
void ps_vector_clock_free(ps_vector_clock **clock);
/* NULL when there is none. Valid until a member is added or removed. */
ps_clock_member *ps_vector_clock_find(ps_vector_clock *clock, const char *name);
/* PS_RESOURCE_EXHAUSTED, PS_INVALID_ARGUMENT (the name). */
PS_MUST_CHECK ps_status ps_vector_clock_add(ps_vector_clock *clock, const char *name,
                                            uint64_t ended, ps_clock_member **out);
/* The member, if the call comes from the task it takes part with: one of a task that has ended is
 * never taken for one of the task that came after it. lease 0: whichever. PS_FAILED_PRECONDITION:
 * not a member; PS_PERMISSION_DENIED: another task's. */
PS_MUST_CHECK ps_status ps_vector_clock_enter(ps_vector_clock *clock, const char *name,
                                              uint64_t lease, ps_clock_member **out);
void ps_vector_clock_remove(ps_vector_clock *clock, const char *name); /* unknown: nothing */
/* The least clock any member has ended; `none` when there are no members. */
uint64_t ps_vector_clock_slowest(const ps_vector_clock *clock, uint64_t none);
size_t ps_vector_clock_count(const ps_vector_clock *clock);
ps_clock_member *ps_vector_clock_at(ps_vector_clock *clock, size_t i); /* in no order */

#endif
