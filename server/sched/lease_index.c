/* Happy path: hash, probe, compare. Linear probing; removal moves what follows back (Knuth, TAOCP
 * volume 3, 6.4, algorithm R), so that there are no tombstones. */
#include "server/sched/lease_index.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <string.h>

typedef struct ps_lease_pair {
    char worker[PS_WORKER_MAX];
    uint64_t job_id;
    uint32_t count; /* of leases; 0: an empty place */
} ps_lease_pair;

enum { FIRST_CAPACITY = 64 };

/* FNV-1a; the names are those of certificates that psd's own CA signed, so no keyed hash is needed
 */
static size_t hash(const char *worker, uint64_t job_id)
{
    uint64_t h = UINT64_C(14695981039346656037) ^ job_id;
    h *= UINT64_C(1099511628211);
    for (; *worker; worker++)
        h = (h ^ (unsigned char)*worker) * UINT64_C(1099511628211);
    return (size_t)(h ^ (h >> 32));
}

void ps_lease_index_init(ps_lease_index *index)
{
    *index = (ps_lease_index){.capacity = FIRST_CAPACITY};
    pthread_rwlockattr_t fair; /* glibc's default lets busy readers keep a writer out for ever */
    pthread_rwlockattr_init(&fair);
    pthread_rwlockattr_setkind_np(&fair, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&index->lock, &fair);
    pthread_rwlockattr_destroy(&fair);
    index->pairs = ps_alloc_array(FIRST_CAPACITY, sizeof *index->pairs);
}

void ps_lease_index_free(ps_lease_index *index)
{
    pthread_rwlock_destroy(&index->lock);
    ps_free(&index->pairs);
}

/* The pair's place, or the empty one where it would be. */
static size_t find(const ps_lease_index *index, const char *worker, uint64_t job_id)
{
    size_t at = hash(worker, job_id) & (index->capacity - 1);
    while (index->pairs[at].count != 0 &&
           (index->pairs[at].job_id != job_id || strcmp(index->pairs[at].worker, worker) != 0))
        at = (at + 1) & (index->capacity - 1);
    return at;
}

static void grow(ps_lease_index *index)
{
    ps_lease_pair *old = index->pairs;
    size_t n = index->capacity;
    index->capacity = n * 2;
    index->pairs = ps_alloc_array(index->capacity, sizeof *index->pairs);
    for (size_t i = 0; i < n; i++)
        if (old[i].count != 0)
            index->pairs[find(index, old[i].worker, old[i].job_id)] = old[i];
    free(old);
}

void ps_lease_index_add(ps_lease_index *index, const char *worker, uint64_t job_id)
{
    PS_REQUIRE(strlen(worker) < PS_WORKER_MAX);
    pthread_rwlock_wrlock(&index->lock);
    if (index->n * 2 >= index->capacity)
        grow(index);
    ps_lease_pair *pair = &index->pairs[find(index, worker, job_id)];
    if (pair->count++ == 0) {
        memcpy(pair->worker, worker, strlen(worker) + 1);
        pair->job_id = job_id;
        index->n++;
    }
    pthread_rwlock_unlock(&index->lock);
}

static void close_gap(ps_lease_index *index, size_t gap)
{
    size_t mask = index->capacity - 1;
    for (size_t at = (gap + 1) & mask; index->pairs[at].count != 0; at = (at + 1) & mask) {
        size_t home = hash(index->pairs[at].worker, index->pairs[at].job_id) & mask;
        if (((at - home) & mask) < ((at - gap) & mask))
            continue; /* its home lies after the gap: it is reached without it */
        index->pairs[gap] = index->pairs[at];
        index->pairs[at].count = 0;
        gap = at;
    }
}

void ps_lease_index_remove(ps_lease_index *index, const char *worker, uint64_t job_id)
{
    pthread_rwlock_wrlock(&index->lock);
    size_t at = find(index, worker, job_id);
    PS_REQUIRE(index->pairs[at].count > 0);
    if (--index->pairs[at].count == 0) {
        index->n--;
        close_gap(index, at);
    }
    pthread_rwlock_unlock(&index->lock);
}

bool ps_lease_index_has(ps_lease_index *index, const char *worker, uint64_t job_id)
{
    pthread_rwlock_rdlock(&index->lock);
    bool has = index->pairs[find(index, worker, job_id)].count != 0;
    pthread_rwlock_unlock(&index->lock);
    return has;
}
