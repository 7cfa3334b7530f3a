/* The scheduler under thousands of random events, in virtual time: workers that join, die, come
 * back, fail and go silent; jobs that are submitted and cancelled; psd that restarts from a
 * checkpoint. Every run can be repeated from its seed:
 *
 *     PSD_SIM_SEED=17 test-server_sched_simulation
 *
 * What must hold: two live leases never have the same rows of an epoch; every row of every epoch of
 * a job that is done was trained, and exactly once in a run without faults; every job ends. */
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "tests/lib/check_main.h"
#include "tests/lib/world.h"

#include <stdio.h>
#include <string.h>

enum { WORKERS = 5, JOBS = 6, ROWS = 120, EPOCHS = 3, EVENTS = 3000 };

/* Sanitizers take ten times as long, and see all code in the first few. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { TWENTIES = 1 }; /* runs */
#else
enum { TWENTIES = 5 };
#endif

typedef struct worker {
    char name[8];
    uint64_t session; /* 0: away */
    uint64_t broken;  /* away, but still at work on what this session got; 0: dead */
    uint64_t incarnation;
    bool frozen; /* attached and says nothing */
} worker;

/* Over all runs of a case: a simulation in which nothing happens proves nothing. */
static struct {
    uint64_t lost, failed, restarts, reconnects, kept, done;
} seen;

typedef struct sim {
    ps_world *w;
    ps_rng rng;
    uint64_t seed;
    bool faults;
    worker workers[WORKERS];
    uint64_t next_session;
    uint64_t jobs[JOBS + 1]; /* ids; 0: not submitted */
    size_t n_jobs;
    uint16_t trained[JOBS + 1][EPOCHS][ROWS]; /* times, by the worker's account */
    uint64_t position[4096];                  /* of task i: rows before it are done */
    /* of the job that was checkpointed last */
    uint64_t saved_job;
    uint16_t saved[EPOCHS][ROWS];
} sim;

static bool chance(sim *s, unsigned percent)
{
    return ps_rng_below(&s->rng, 100) < percent;
}

static void hello(sim *s, worker *k, const uint64_t *leases, size_t n)
{
    k->frozen = false;
    k->broken = 0;
    ck_ok(ps_world_hello(s->w, k->session, k->name, k->incarnation,
                         (uint32_t)(1 + ps_rng_below(&s->rng, 2)), leases, n));
}

/* A new process. */
static void attach(sim *s, worker *k)
{
    k->session = ++s->next_session;
    k->incarnation++;
    hello(s, k, NULL, 0);
}

/* The same process on a new stream; it says what it still holds. */
static void reconnect(sim *s, worker *k)
{
    uint64_t held[16];
    size_t n = 0;
    k->session = ++s->next_session;
    for (size_t i = 0; i < s->w->n_tasks; i++) {
        ps_world_task *t = &s->w->tasks[i];
        if (t->session != k->broken || t->answered)
            continue;
        t->session = k->session;
        held[n++] = t->lease;
    }
    seen.reconnects++;
    seen.kept += n;
    hello(s, k, held, n);
}

/* Which task of the world is this worker's to work on: any that is open, by chance. */
static ps_world_task *open_task(sim *s, const worker *k)
{
    size_t n = s->w->n_tasks;
    size_t from = n ? ps_rng_below(&s->rng, n) : 0;
    for (size_t i = 0; i < n; i++) {
        ps_world_task *t = &s->w->tasks[(from + i) % n];
        if (t->session == k->session && !t->answered)
            return t;
    }
    return NULL;
}

static void mark(sim *s, const ps_world_task *t, uint64_t begin, uint64_t end)
{
    for (uint64_t r = begin; r < end; r++)
        s->trained[t->job][t->epoch][r]++;
}

/* Live train leases of one job never overlap: those sent to sessions that are still there, not
 * answered and not cancelled. Leases of sessions that are gone may have been given to others. */
static bool is_live(sim *s, const ps_world_task *t)
{
    if (t->answered || t->cancelled || strcmp(t->kind, "train") != 0)
        return false;
    for (size_t i = 0; i < WORKERS; i++)
        if (s->workers[i].session == t->session)
            return !s->workers[i].frozen;
    return false;
}

static void check_overlap(sim *s)
{
    for (size_t i = 0; i < s->w->n_tasks; i++) {
        const ps_world_task *a = &s->w->tasks[i];
        if (!is_live(s, a))
            continue;
        for (size_t j = i + 1; j < s->w->n_tasks; j++) {
            const ps_world_task *b = &s->w->tasks[j];
            if (b->job != a->job || b->epoch != a->epoch || !is_live(s, b))
                continue;
            uint64_t from_a = a->begin > s->position[i] ? a->begin : s->position[i];
            uint64_t from_b = b->begin > s->position[j] ? b->begin : s->position[j];
            uint64_t begin = from_a > from_b ? from_a : from_b;
            uint64_t end = a->end < b->end ? a->end : b->end;
            ck_assert_msg(begin >= end,
                          "seed %lu: job %lu epoch %u: rows %lu..%lu are out twice, to sessions "
                          "%lu and %lu",
                          (unsigned long)s->seed, (unsigned long)a->job, a->epoch,
                          (unsigned long)begin, (unsigned long)end, (unsigned long)a->session,
                          (unsigned long)b->session);
        }
    }
}

static void train_some(sim *s, ps_world_task *t)
{
    size_t at = (size_t)(t - s->w->tasks);
    if (s->position[at] < t->begin)
        s->position[at] = t->begin;
    uint64_t left = t->end - s->position[at];
    uint64_t count = ps_rng_below(&s->rng, left + 1);
    mark(s, t, s->position[at], s->position[at] + count);
    s->position[at] += count;
    ps_world_report(s->w, t, s->position[at], 1.0);
}

static void work(sim *s, worker *k)
{
    ps_world_task *t = open_task(s, k);
    ck_assert_uint_lt(s->w->n_tasks, 4096);
    if (!t) {
        ck_ok(ps_sched_heartbeat(s->w->sched, k->session));
        return;
    }
    size_t at = (size_t)(t - s->w->tasks);
    bool is_train = strcmp(t->kind, "train") == 0;
    if (t->cancelled) {
        ps_world_failed(s->w, t, 1, true, "cancelled");
    } else if (s->faults && chance(s, 2)) {
        ps_world_failed(s->w, t, 14, true, "the device is busy");
    } else if (is_train && chance(s, 60)) {
        train_some(s, t);
    } else if (is_train) {
        mark(s, t, s->position[at] > t->begin ? s->position[at] : t->begin, t->end);
        ps_world_trained(s->w, t);
    } else {
        ps_world_do(s->w, t, ROWS, 20);
    }
}

static void submit(sim *s)
{
    if (s->n_jobs == JOBS)
        return;
    char name[16], extra[80];
    (void)snprintf(name, sizeof name, "job%zu", s->n_jobs);
    (void)snprintf(extra, sizeof extra, "workers: %u\nshards: {rows_per_task: %u}\n",
                   (unsigned)(1 + ps_rng_below(&s->rng, 4)),
                   (unsigned)(10 * (1 + ps_rng_below(&s->rng, 5))));
    uint64_t id =
        ps_world_submit(s->w, name, EPOCHS, chance(s, 50) ? "asp" : "bsp", chance(s, 50), extra);
    ck_assert_uint_le(id, JOBS);
    s->jobs[s->n_jobs++] = id;
}

/* A checkpoint of one job, and the rows that are trained at that instant. */
static void save(sim *s)
{
    uint64_t id = s->n_jobs ? s->jobs[ps_rng_below(&s->rng, s->n_jobs)] : 0;
    ps_buf blob = PS_BUF_EMPTY;
    if (!id || ps_sched_progress_save(s->w->sched, id, &blob)) {
        ps_buf_free(&blob);
        return;
    }
    ps_buf_free(&s->w->blob);
    s->w->blob = blob;
    s->saved_job = id;
    memcpy(s->saved, s->trained[id], sizeof s->saved);
}

/* The world has one checkpoint to give: jobs of other ids cannot read it, as their epochs are the
 * same only by chance; so a restart happens only when the saved job is the one that runs. */
static void restart(sim *s)
{
    for (size_t i = 0; i < s->n_jobs; i++)
        if (s->jobs[i] != s->saved_job && ps_world_state(s->w, s->jobs[i]) == PS_JOB_RUNNING)
            return;
    if (!s->saved_job || ps_world_state(s->w, s->saved_job) != PS_JOB_RUNNING)
        return;
    ps_world_restart(s->w);
    memcpy(s->trained[s->saved_job], s->saved, sizeof s->saved);
    memset(s->position, 0, sizeof s->position);
    for (size_t i = 0; i < WORKERS; i++)
        s->workers[i].session = s->workers[i].broken = 0;
    seen.restarts++;
}

/* A worker process dies, its stream with it or only later; or it goes silent; or comes back. */
static void upset(sim *s, worker *k)
{
    uint64_t what = ps_rng_below(&s->rng, 4);
    if (what == 0) {
        ps_sched_detach(s->w->sched, k->session);
        k->broken = chance(s, 70) ? k->session : 0;
        k->session = 0;
    } else if (what == 1) {
        attach(s, k); /* before the old stream was seen to end */
    } else if (what == 2) {
        k->frozen = true;
    } else {
        restart(s);
    }
}

static void event(sim *s)
{
    worker *k = &s->workers[ps_rng_below(&s->rng, WORKERS)];
    if (chance(s, 1))
        submit(s);
    if (s->faults && chance(s, 3))
        save(s);
    if (k->session == 0) {
        if (chance(s, 20) && k->broken)
            reconnect(s, k);
        else if (chance(s, 20))
            attach(s, k);
    } else if (s->faults && chance(s, 3)) {
        upset(s, k);
    } else if (!k->frozen) {
        work(s, k);
    } else if (chance(s, 2)) {
        attach(s, k); /* the operator starts it again */
    }
    if (s->faults && s->n_jobs && ps_rng_below(&s->rng, 1000) == 0) {
        uint64_t id = s->jobs[ps_rng_below(&s->rng, s->n_jobs)];
        ps_status st = ps_sched_cancel(s->w->sched, id, "anna", "", NULL);
        ck_assert(st == PS_OK || st == PS_FAILED_PRECONDITION);
    }
    ps_world_run_ms(s->w, ps_rng_below(&s->rng, 100));
    /* the others are alive meanwhile */
    for (size_t i = 0; i < WORKERS; i++)
        if (s->workers[i].session && !s->workers[i].frozen)
            ck_ok(ps_sched_heartbeat(s->w->sched, s->workers[i].session));
    check_overlap(s);
}

static bool all_ended(sim *s)
{
    for (size_t i = 0; i < s->n_jobs; i++)
        if (ps_world_state(s->w, s->jobs[i]) < PS_JOB_DONE)
            return false;
    return s->n_jobs == JOBS;
}

static void check_rows(sim *s, uint64_t id)
{
    seen.done++;
    for (size_t e = 0; e < EPOCHS; e++)
        for (size_t r = 0; r < ROWS; r++) {
            unsigned n = s->trained[id][e][r];
            ck_assert_msg(s->faults ? n >= 1 : n == 1,
                          "seed %lu job %lu epoch %zu row %zu: trained %u times",
                          (unsigned long)s->seed, (unsigned long)id, e, r, n);
        }
}

static void run(uint64_t seed, bool faults)
{
    sim *s = ps_new(sim);
    s->seed = seed;
    s->faults = faults;
    s->w = ps_world_new(NULL, true);
    ps_rng_seed(&s->rng, seed);
    for (size_t i = 0; i < WORKERS; i++)
        (void)snprintf(s->workers[i].name, sizeof s->workers[i].name, "w%zu", i);
    for (int i = 0; i < EVENTS && !(i > 100 && all_ended(s)); i++)
        event(s);
    s->faults = false; /* the weather clears: everything must end now */
    for (int i = 0; i < 20 * EVENTS && !all_ended(s); i++)
        event(s);
    ck_assert_msg(all_ended(s), "seed %lu: a job never ends", (unsigned long)seed);
    s->faults = faults;
    for (size_t i = 0; i < s->n_jobs; i++)
        if (ps_world_state(s->w, s->jobs[i]) == PS_JOB_DONE)
            check_rows(s, s->jobs[i]);
        else
            ck_assert(faults);
    ps_sched_counts counts;
    ps_sched_count(s->w->sched, &counts);
    ck_assert_uint_eq(counts.queued + counts.running + counts.cancelling, 0);
    seen.lost += counts.leases_lost;
    seen.failed += counts.tasks_failed;
    ps_world_free(&s->w);
    free(s);
}

static uint64_t only_seed(void)
{
    const char *text = getenv("PSD_SIM_SEED");
    return text ? strtoull(text, NULL, 10) : 0;
}

static void run_many(uint64_t from, uint64_t to, bool faults)
{
    ps_log_set_level(only_seed() ? PS_LOG_DEBUG : PS_LOG_ERROR);
    if (only_seed())
        run(only_seed(), faults);
    else
        for (uint64_t seed = from; seed < to; seed++)
            run(seed, faults);
}

START_TEST(without_faults_every_row_is_trained_exactly_once)
{
    run_many(1, 1 + 4 * TWENTIES, false);
    ck_assert_uint_eq(seen.lost + seen.failed, 0);
}
END_TEST

START_TEST(with_faults_every_job_ends_and_no_row_is_left_out)
{
    run_many(1001, 1001 + 20 * TWENTIES, true);
    if (only_seed())
        return;
    ck_assert_uint_gt(seen.lost, 40 * TWENTIES);
    ck_assert_uint_gt(seen.failed, 20 * TWENTIES);
    ck_assert_uint_gt(seen.restarts, 6 * TWENTIES);
    ck_assert_uint_gt(seen.reconnects, 10 * TWENTIES);
    ck_assert_uint_gt(seen.kept, 4 * TWENTIES);
    ck_assert_uint_gt(seen.done, 60 * TWENTIES);
}
END_TEST

static const ps_check_case cases[] = {
    {&without_faults_every_row_is_trained_exactly_once, 60},
    {&with_faults_every_job_ends_and_no_row_is_left_out, 110},
    {0},
};

int main(void)
{
    return ps_check_main("server/sched/simulation", cases);
}
