#include "tests/lib/late_committer.h"

#include "server/params/push_chunks.h"

#include <stdlib.h>
#include <string.h>

static void add_block(void *user, uint64_t block, const ps_block_piece *pieces, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < pieces[i].count; k++)
            *(double *)user += pieces[i].values[k];
}

static uint64_t append(void *state, const ps_commit_record *record)
{
    late_committer *l = state;
    pthread_mutex_lock(&l->lock);
    uint64_t position = ++l->appended;
    if (position >= LATE_POSITIONS)
        abort();
    l->at[position].sequence = record->header->sequence;
    ps_push_chunks_each(record->chunks, add_block, &l->at[position].sum);
    pthread_mutex_unlock(&l->lock);
    return position;
}

static ps_status await(void *state, uint64_t position, bool *later, ps_commit_cb cb, void *user)
{
    late_committer *l = state;
    pthread_mutex_lock(&l->lock);
    *later = !l->at[position].lasts;
    if (*later) {
        unsigned n = l->at[position].waiting++;
        if (n >= 4)
            abort();
        l->at[position].cb[n] = cb;
        l->at[position].user[n] = user;
    }
    pthread_mutex_unlock(&l->lock);
    return PS_OK;
}

void late_committer_init(late_committer *l)
{
    memset(l, 0, sizeof *l);
    pthread_mutex_init(&l->lock, NULL);
    l->row = (ps_committer){.append = append, .await = await, .state = l};
}

void late_committer_clear(late_committer *l)
{
    for (unsigned i = 0; i < LATE_POSITIONS; i++)
        if (l->at[i].waiting)
            abort();
    pthread_mutex_destroy(&l->lock);
}

unsigned late_committer_waiting(late_committer *l, uint64_t position)
{
    pthread_mutex_lock(&l->lock);
    unsigned n = l->at[position].waiting;
    pthread_mutex_unlock(&l->lock);
    return n;
}

void late_committer_answer(late_committer *l, uint64_t position, ps_status status)
{
    ps_commit_cb cb[4];
    void *user[4];
    pthread_mutex_lock(&l->lock);
    unsigned n = l->at[position].waiting;
    memcpy(cb, l->at[position].cb, sizeof cb);
    memcpy(user, l->at[position].user, sizeof user);
    l->at[position].waiting = 0;
    l->at[position].lasts = status == PS_OK;
    pthread_mutex_unlock(&l->lock);
    if (status)
        (void)ps_fail(status, "the log is full");
    for (unsigned i = 0; i < n; i++)
        cb[i](user[i], status);
}
