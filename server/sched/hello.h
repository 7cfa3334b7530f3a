/* hello: what a worker says of itself when it attaches. A plain struct; what comes from outside is
 * hostile until checked. */
#ifndef PS_SCHED_HELLO_H
#define PS_SCHED_HELLO_H

#include "common/base/status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct ps_hello {
    /* texts; NULL is "" */
    char *version;       /* of psworker */
    char *device;        /* "cpu", "cuda:0 NVIDIA H200" */
    char *device_reason; /* why that one */
    char *shown_name;    /* as its owner calls it */
    uint64_t memory_bytes;
    uint32_t slots;       /* tasks it runs at the same time; 0: one */
    uint32_t train_slots; /* of them, for jobs that train; 0, or as many: each takes any */
    uint64_t incarnation; /* greater each time that the daemon starts */
    char **kinds;         /* of tasks that it does, n_kinds; none: all */
    size_t n_kinds;
    uint64_t *leases; /* that it still holds, n_leases */
    size_t n_leases;
} ps_hello;

/* PS_INVALID_ARGUMENT: more than there may be. name: the worker's. */
PS_MUST_CHECK ps_status ps_hello_check(const ps_hello *hello, const char *name);
/* A copy that owns all, its texts fit to be shown and never NULL; of one that was checked, so it is
 * small. */
void ps_hello_copy(const ps_hello *hello, ps_hello *out);
void ps_hello_clear(ps_hello *copy); /* {0} is nothing */

#endif
