/* late_committer: a committer whose answers come when the test says so, in any order, on its
 * thread.
 */
#ifndef PS_TEST_LATE_COMMITTER_H
#define PS_TEST_LATE_COMMITTER_H

#include "server/params/committer.h"

#include <pthread.h>

enum { LATE_POSITIONS = 64 };

typedef struct late_committer {
    ps_committer row; /* for ps_param_config */
    pthread_mutex_t lock;
    struct {
        uint64_t sequence; /* of the push, */
        double sum;        /* and of its gradient */
        bool lasts;
        ps_commit_cb cb[4]; /* who waits for it */
        void *user[4];
        unsigned waiting;
    } at[LATE_POSITIONS];
    uint64_t appended; /* the last position */
} late_committer;

void late_committer_init(late_committer *l);
void late_committer_clear(late_committer *l); /* nobody waits */
/* How many wait for this position. */
unsigned late_committer_waiting(late_committer *l, uint64_t position);
/* Answers all of them. PS_OK: it lasts from now on. */
void late_committer_answer(late_committer *l, uint64_t position, ps_status status);

#endif
