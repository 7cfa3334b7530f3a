/* lease_index: does this worker hold a lease of that job? Asked on every push and pull.
 *
 * A set of (worker, job) pairs with counts behind a reader-writer lock of its own (not asserted:
 * such a lock does not know who has it): askers never meet the scheduler's mutex, and wait only
 * while a lease begins or ends (a few writes a second), for the length of one table access. Any
 * thread. */
#ifndef PS_SCHED_LEASE_INDEX_H
#define PS_SCHED_LEASE_INDEX_H

#include "server/sched/task.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ps_lease_index {
    pthread_rwlock_t lock;
    struct ps_lease_pair *pairs; /* open addressing; capacity is a power of two */
    size_t n, capacity;
} ps_lease_index;

void ps_lease_index_init(ps_lease_index *index);
void ps_lease_index_free(ps_lease_index *index);
void ps_lease_index_add(ps_lease_index *index, const char *worker, uint64_t job_id);
void ps_lease_index_remove(ps_lease_index *index, const char *worker, uint64_t job_id);
bool ps_lease_index_has(ps_lease_index *index, const char *worker, uint64_t job_id);

#endif
