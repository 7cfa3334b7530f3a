/* lease_index: against a plain table of counts, over random additions and removals; and asked by
 * several threads while it changes. */
#include "server/sched/lease_index.h"
#include "tests/lib/check_main.h"

#include "common/base/rng.h"

#include <stdatomic.h>
#include <stdio.h>

enum { NAMES = 40, JOBS = 20 };

static void name_of(unsigned i, char out[PS_WORKER_MAX])
{
    (void)snprintf(out, PS_WORKER_MAX, "worker-%u", i);
}

START_TEST(it_answers_like_a_table_of_counts)
{
    ps_lease_index index;
    ps_rng rng;
    unsigned counts[NAMES][JOBS] = {{0}};
    char name[PS_WORKER_MAX];
    ps_lease_index_init(&index);
    ps_rng_seed(&rng, 3);
    for (int i = 0; i < 20000; i++) {
        unsigned n = (unsigned)ps_rng_below(&rng, NAMES), job = (unsigned)ps_rng_below(&rng, JOBS);
        name_of(n, name);
        bool add = ps_rng_below(&rng, 100) < (i < 10000 ? 60u : 40u); /* grows, then shrinks */
        if (add) {
            ps_lease_index_add(&index, name, job);
            counts[n][job]++;
        } else if (counts[n][job] > 0) {
            ps_lease_index_remove(&index, name, job);
            counts[n][job]--;
        }
        n = (unsigned)ps_rng_below(&rng, NAMES);
        name_of(n, name);
        ck_assert_int_eq(ps_lease_index_has(&index, name, job), counts[n][job] > 0);
    }
    for (unsigned n = 0; n < NAMES; n++)
        for (unsigned job = 0; job < JOBS; job++) {
            name_of(n, name);
            ck_assert_int_eq(ps_lease_index_has(&index, name, job), counts[n][job] > 0);
        }
    ps_lease_index_free(&index);
}
END_TEST

typedef struct shared {
    ps_lease_index index;
    atomic_bool stop;
    atomic_uint asked, missing;
} shared;

static void *ask(void *of)
{
    shared *s = of;
    while (!atomic_load(&s->stop)) {
        atomic_fetch_add(&s->asked, 1);
        if (!ps_lease_index_has(&s->index, "always", 1))
            atomic_fetch_add(&s->missing, 1);
    }
    return NULL;
}

START_TEST(askers_always_find_what_stays_while_the_rest_comes_and_goes)
{
    shared s = {0};
    pthread_t threads[3];
    char name[PS_WORKER_MAX];
    ps_lease_index_init(&s.index);
    ps_lease_index_add(&s.index, "always", 1);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, ask, &s), 0);
    for (unsigned round = 0; round < 20 || atomic_load(&s.asked) < 1000; round++) {
        for (unsigned i = 0; i < 200; i++) {
            name_of(i, name);
            ps_lease_index_add(&s.index, name, i);
        }
        for (unsigned i = 0; i < 200; i++) {
            name_of(i, name);
            ps_lease_index_remove(&s.index, name, i);
        }
    }
    atomic_store(&s.stop, true);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(atomic_load(&s.missing), 0);
    ps_lease_index_free(&s.index);
}
END_TEST

static const ps_check_case cases[] = {
    {&it_answers_like_a_table_of_counts},
    {&askers_always_find_what_stays_while_the_rest_comes_and_goes, 60},
    {0},
};

int main(void)
{
    return ps_check_main("server/sched/lease_index", cases);
}
