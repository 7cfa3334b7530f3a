/* Happy path: the thread takes a free slot, fills it and puts it in the ring; the consumer takes
 * the oldest and gives it back. Slots move under one lock:
 *
 *     free ──▶ filling ──▶ ready ──next──▶ held
 *      ▲                                    │
 *      ╰───────────── give back ────────────╯
 *
 * It fails when not even one batch fits the budget, when memory is out, or when a read fails: the
 * consumer gets that failure after the batches before it. */
#include "worker/data/prefetch.h"

#include "common/base/mem.h"
#include "common/base/mutex.h"
#include "common/base/one_thread.h"
#include "common/base/require.h"
#include "common/base/sm.h"
#include "common/base/thread.h"

#include <string.h>

enum { SLOT_FREE, SLOT_FILLING, SLOT_READY, SLOT_HELD };
static const char *const slot_names[] = {"free", "filling", "ready", "held"};
static const ps_sm_set slot_next[] = {
    [SLOT_FREE] = PS_SM(SLOT_FILLING),
    [SLOT_FILLING] = PS_SM(SLOT_READY),
    [SLOT_READY] = PS_SM(SLOT_HELD),
    [SLOT_HELD] = PS_SM(SLOT_FREE),
};
static const ps_sm slots = {
    .tag = "prefetch", .names = slot_names, .next = slot_next, .count = 4, .level = PS_LOG_TRACE};

typedef struct slot {
    ps_batch batch;
    unsigned state;
    void *features;
    void *labels;
    int32_t *starts;
} slot;

struct ps_prefetch {
    ps_one_thread consumer;
    const ps_dataset *dataset;
    ps_shuffle shuffle;
    bool shuffled;
    uint64_t at, end; /* the thread's next position */
    size_t batch_size;
    uint64_t *rows; /* [batch_size], the thread's */

    pthread_t thread;
    ps_mutex lock;
    pthread_cond_t changed;
    slot slots[PS_PREFETCH_SLOTS];
    unsigned n_slots;
    unsigned fill, take; /* slots are filled and taken in turn */
    bool stop;           /* the consumer wants no more */
    bool done;           /* the thread has ended */
    ps_error error;      /* why, when not at the end */
};

/* With the lock held. */
static void move(ps_prefetch *p, slot *s, unsigned to)
{
    ps_mutex_require_held(&p->lock);
    ps_sm_go(&slots, &s->state, to, "slot=%d", (int)(s - p->slots));
}

static ps_status fill(ps_prefetch *p, slot *s)
{
    uint64_t left = p->end - p->at;
    size_t n = left < p->batch_size ? (size_t)left : p->batch_size;
    PS_REQUIRE(p->at < p->end && s->state == SLOT_FILLING);
    for (size_t i = 0; i < n; i++)
        p->rows[i] = p->shuffled ? ps_shuffle_at(&p->shuffle, p->at + i) : p->at + i;
    ps_status st = ps_dataset_read(p->dataset, p->rows, n, s->features, s->labels);
    if (!st && s->starts)
        st = ps_dataset_read_starts(p->dataset, p->rows, n, s->starts);
    if (st)
        return st;
    ps_label_kind kind = ps_dataset_labels(p->dataset);
    bool tokens = ps_dataset_has_tokens(p->dataset);
    s->batch = (ps_batch){
        .rows = n,
        .features = tokens ? NULL : s->features,
        .tokens = tokens ? s->features : NULL,
        .next = kind == PS_LABELS_NEXT ? s->labels : NULL,
        .starts = s->starts,
        .length = tokens ? ps_dataset_features(p->dataset) : 0,
        .classes = kind == PS_LABELS_CLASSES ? s->labels : NULL,
        .targets = kind == PS_LABELS_REALS ? s->labels : NULL,
        .first = p->at,
    };
    p->at += n;
    return PS_OK;
}

/* The next slot in turn once it is free; NULL: stop. */
static slot *wait_free(ps_prefetch *p)
{
    slot *s = &p->slots[p->fill];
    ps_mutex_lock(&p->lock);
    while (!p->stop && s->state != SLOT_FREE)
        ps_mutex_wait(&p->lock, &p->changed);
    s = p->stop ? NULL : s;
    if (s)
        move(p, s, SLOT_FILLING);
    ps_mutex_unlock(&p->lock);
    return s;
}

static void set_ready(ps_prefetch *p, slot *s)
{
    ps_mutex_lock(&p->lock);
    move(p, s, SLOT_READY);
    p->fill = (p->fill + 1) % p->n_slots;
    pthread_cond_broadcast(&p->changed);
    ps_mutex_unlock(&p->lock);
}

static void set_done(ps_prefetch *p, ps_status st)
{
    ps_mutex_lock(&p->lock);
    ps_error_save(&p->error, st);
    p->done = true;
    pthread_cond_broadcast(&p->changed);
    ps_mutex_unlock(&p->lock);
}

static void *run(void *arg)
{
    ps_prefetch *p = arg;
    ps_status st = PS_OK;
    while (p->at < p->end && !st) {
        slot *s = wait_free(p);
        if (!s)
            break;
        st = fill(p, s);
        if (!st)
            set_ready(p, s);
    }
    set_done(p, st);
    return NULL;
}

static void free_slots(ps_prefetch *p)
{
    for (unsigned i = 0; i < PS_PREFETCH_SLOTS; i++) {
        ps_free(&p->slots[i].features);
        ps_free(&p->slots[i].labels);
        ps_free(&p->slots[i].starts);
    }
    ps_free(&p->rows);
}

static ps_status make_slots(ps_prefetch *p, uint64_t max_bytes)
{
    size_t features = ps_dataset_features(p->dataset) * sizeof(float);
    size_t labels = ps_dataset_label_bytes(p->dataset), bytes = 0;
    size_t starts = ps_dataset_is_apart(p->dataset) ? features : 0,
           row = features + labels + starts;
    if (__builtin_mul_overflow(row, p->batch_size, &bytes) || bytes > max_bytes)
        return ps_fail(PS_RESOURCE_EXHAUSTED,
                       "a batch of %zu rows of %zu bytes does not fit into %llu bytes; use a "
                       "smaller batch_size or a larger memory_bytes",
                       p->batch_size, row, (unsigned long long)max_bytes);
    uint64_t batches = (p->end - p->at + p->batch_size - 1) / p->batch_size;
    uint64_t fit = max_bytes / bytes;
    fit = fit < batches ? fit : batches;
    p->n_slots = fit > PS_PREFETCH_SLOTS ? PS_PREFETCH_SLOTS : fit ? (unsigned)fit : 1;
    p->rows = ps_try_alloc_raw(p->batch_size * sizeof *p->rows);
    bool ok = p->rows != NULL;
    for (unsigned i = 0; i < p->n_slots && ok; i++) {
        p->slots[i].features = ps_try_alloc_raw(features * p->batch_size);
        p->slots[i].labels = ps_try_alloc_raw(labels ? labels * p->batch_size : 1);
        ok = p->slots[i].features && p->slots[i].labels;
        if (starts)
            p->slots[i].starts = ps_try_alloc_raw(starts * p->batch_size);
        ok = ok && (!starts || p->slots[i].starts);
    }
    return ok ? PS_OK : ps_fail(PS_NO_MEMORY, "no memory for batches of %zu bytes", bytes);
}

static ps_status check(const ps_prefetch_options *o)
{
    size_t rows = ps_dataset_rows(o->dataset);
    if (o->begin > o->end || o->end > rows || (o->shuffle && o->shuffle->rows != rows))
        return ps_fail(PS_OUT_OF_RANGE, "rows %llu to %llu of a data set of %zu",
                       (unsigned long long)o->begin, (unsigned long long)o->end, rows);
    if (o->batch_size == 0)
        return ps_fail(PS_INVALID_ARGUMENT, "batch_size is 0");
    return PS_OK;
}

ps_status ps_prefetch_start(const ps_prefetch_options *options, ps_prefetch **out)
{
    PS_REQUIRE(options->dataset);
    ps_status st = check(options);
    if (st)
        return st;
    ps_prefetch *p = ps_new(ps_prefetch);
    p->dataset = options->dataset;
    p->shuffled = options->shuffle != NULL;
    if (p->shuffled)
        p->shuffle = *options->shuffle;
    p->at = options->begin;
    p->end = options->end;
    p->batch_size = options->batch_size;
    st = make_slots(p, options->max_bytes);
    if (st)
        goto free_all;
    ps_mutex_init(&p->lock);
    pthread_cond_init(&p->changed, NULL);
    int error = ps_thread_start(&p->thread, run, p);
    if (error) {
        st = ps_fail_errno(error, "prefetch thread");
        goto destroy_lock;
    }
    *out = p;
    return PS_OK;
destroy_lock:
    pthread_cond_destroy(&p->changed);
    ps_mutex_destroy(&p->lock);
free_all:
    free_slots(p);
    ps_free(&p);
    return st;
}

ps_status ps_prefetch_next(ps_prefetch *prefetch, const ps_batch **out)
{
    ps_one_thread_require(&prefetch->consumer);
    ps_prefetch *p = prefetch;
    ps_status st = PS_OK;
    ps_mutex_lock(&p->lock);
    slot *s = &p->slots[p->take];
    while (s->state != SLOT_READY && s->state != SLOT_HELD && !p->done)
        ps_mutex_wait(&p->lock, &p->changed);
    if (s->state == SLOT_READY) {
        move(p, s, SLOT_HELD);
        p->take = (p->take + 1) % p->n_slots;
        *out = &s->batch;
    } else if (s->state == SLOT_HELD && !p->done) { /* in turn, so all are: nothing could come */
        st = ps_fail(PS_FAILED_PRECONDITION, "all %u batches are held; give one back", p->n_slots);
    } else {
        st = p->error.code ? ps_error_raise(&p->error) : ps_fail(PS_END, "no more batches");
    }
    ps_mutex_unlock(&p->lock);
    return st;
}

void ps_prefetch_give_back(ps_prefetch *prefetch, const ps_batch *batch)
{
    ps_one_thread_require(&prefetch->consumer);
    ps_mutex_lock(&prefetch->lock);
    slot *s = NULL;
    for (unsigned i = 0; i < prefetch->n_slots; i++)
        if (&prefetch->slots[i].batch == batch)
            s = &prefetch->slots[i];
    PS_REQUIRE(s);
    move(prefetch, s, SLOT_FREE);
    pthread_cond_broadcast(&prefetch->changed);
    ps_mutex_unlock(&prefetch->lock);
}

void ps_prefetch_free(ps_prefetch **prefetch)
{
    ps_prefetch *p = *prefetch;
    if (!p)
        return;
    ps_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_broadcast(&p->changed);
    ps_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
    pthread_cond_destroy(&p->changed);
    ps_mutex_destroy(&p->lock);
    free_slots(p);
    ps_free(prefetch);
}
