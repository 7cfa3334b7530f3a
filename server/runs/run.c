/* Happy path: a job begins and its run is added; pushes and pulls take references; the job ends and
 * the run is ended and removed; the last reference frees it. */
#include "server/runs/run.h"

#include "common/base/list.h"
#include "common/base/mem.h"
#include "common/base/mutex.h"
#include "common/base/require.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct ps_run {
    ps_list link;
    atomic_uint refs;
    uint64_t job_id;
    ps_param_store *store;
    bool durable;
    ps_mutex checkpoint; /* held while one is written */
    bool ended;          /* under it */
    atomic_bool final;
    atomic_int_fast64_t saved_ms;
    atomic_uint_fast64_t saved_number;
    atomic_uint_fast64_t bytes_in, bytes_out;

    ps_clock clock;
    ps_mutex lock; /* the last sample of the rates, and how often checkpoints failed */
    ps_repeat trouble;
    uint64_t sampled_ns, sampled_in, sampled_out;
    double in_per_second, out_per_second;
};

struct ps_runs {
    pthread_rwlock_t lock;
    ps_list all;
    ps_clock clock;
};

ps_runs *ps_runs_create(ps_clock clock)
{
    ps_runs *runs = ps_new(ps_runs);
    pthread_rwlock_init(&runs->lock, NULL);
    ps_list_init(&runs->all);
    runs->clock = clock;
    return runs;
}

void ps_runs_free(ps_runs **runs)
{
    if (!*runs)
        return;
    ps_list_each_safe(node, &(*runs)->all)
    {
        ps_run *run = ps_container(node, ps_run, link);
        ps_list_remove(node);
        ps_run_unref(&run);
    }
    pthread_rwlock_destroy(&(*runs)->lock);
    ps_free(runs);
}

static ps_run *lookup(const ps_runs *runs, uint64_t job_id)
{
    ps_list_each(node, &runs->all)
    {
        ps_run *run = ps_container(node, ps_run, link);
        if (run->job_id == job_id)
            return run;
    }
    return NULL;
}

void ps_runs_add(ps_runs *runs, uint64_t job_id, ps_param_store *store, bool durable)
{
    PS_REQUIRE(store);
    ps_run *run = ps_new(ps_run);
    atomic_init(&run->refs, 1);
    run->job_id = job_id;
    run->store = store;
    run->durable = durable;
    run->clock = runs->clock;
    run->sampled_ns = ps_clock_ns(&runs->clock);
    ps_mutex_init(&run->lock);
    ps_mutex_init(&run->checkpoint);
    pthread_rwlock_wrlock(&runs->lock);
    ps_run *before = lookup(runs, job_id);
    if (before)
        ps_list_remove(&before->link);
    ps_list_append(&runs->all, &run->link);
    pthread_rwlock_unlock(&runs->lock);
    ps_run_unref(&before);
}

void ps_runs_remove(ps_runs *runs, uint64_t job_id)
{
    pthread_rwlock_wrlock(&runs->lock);
    ps_run *run = lookup(runs, job_id);
    if (run)
        ps_list_remove(&run->link);
    pthread_rwlock_unlock(&runs->lock);
    ps_run_unref(&run);
}

ps_run *ps_runs_get(ps_runs *runs, uint64_t job_id)
{
    pthread_rwlock_rdlock(&runs->lock);
    ps_run *run = lookup(runs, job_id);
    if (run)
        atomic_fetch_add_explicit(&run->refs, 1, memory_order_relaxed);
    pthread_rwlock_unlock(&runs->lock);
    return run;
}

ps_status ps_runs_find(ps_runs *runs, uint64_t job_id, ps_run **out)
{
    ps_run *run = ps_runs_get(runs, job_id);
    if (!run)
        return ps_fail(PS_NOT_FOUND, "job %llu has no parameters here: it is not running",
                       (unsigned long long)job_id);
    *out = run;
    return PS_OK;
}

uint64_t *ps_runs_list(ps_runs *runs, size_t *n)
{
    *n = 0;
    pthread_rwlock_rdlock(&runs->lock);
    size_t count = 0;
    ps_list_each(node, &runs->all)
    {
        count++;
    }
    uint64_t *out = ps_alloc_array(count, sizeof *out);
    ps_list_each(node, &runs->all)
    {
        out[(*n)++] = ps_container(node, ps_run, link)->job_id;
    }
    pthread_rwlock_unlock(&runs->lock);
    return out;
}

/* Without the table's lock: those of a store come before it. */
void ps_runs_close(ps_runs *runs)
{
    size_t n;
    uint64_t *ids = ps_runs_list(runs, &n);
    for (size_t i = 0; i < n; i++) {
        ps_run *run = ps_runs_get(runs, ids[i]);
        if (run)
            ps_param_store_close(run->store);
        ps_run_unref(&run);
    }
    free(ids);
}

void ps_run_unref(ps_run **run)
{
    ps_run *mine = *run;
    *run = NULL;
    if (!mine)
        return;
    unsigned before = atomic_fetch_sub_explicit(&mine->refs, 1, memory_order_acq_rel);
    PS_REQUIRE(before > 0);
    if (before > 1)
        return;
    PS_REQUIRE(ps_list_empty(&mine->link)); /* the table has a reference */
    ps_param_store_unref(&mine->store);
    ps_mutex_destroy(&mine->lock);
    ps_mutex_destroy(&mine->checkpoint);
    ps_free(&mine);
}

uint64_t ps_run_job(const ps_run *run)
{
    return run->job_id;
}

ps_param_store *ps_run_store(const ps_run *run)
{
    return run->store;
}

bool ps_run_durable(const ps_run *run)
{
    return run->durable;
}

ps_status ps_run_checkpoint_begin(ps_run *run, bool wait)
{
    if (wait)
        ps_mutex_lock(&run->checkpoint);
    else if (!ps_mutex_try_lock(&run->checkpoint))
        return ps_fail(PS_AGAIN, "job %llu: a checkpoint is being written",
                       (unsigned long long)run->job_id);
    ps_mutex_require_held(&run->checkpoint); /* until it is done, on this thread */
    if (!run->ended)
        return PS_OK;
    ps_mutex_unlock(&run->checkpoint);
    return ps_fail(PS_FAILED_PRECONDITION, "job %llu has ended", (unsigned long long)run->job_id);
}

void ps_run_checkpoint_done(ps_run *run)
{
    PS_REQUIRE(!run->ended); /* its end waits for what is being written */
    ps_mutex_unlock(&run->checkpoint);
}

void ps_run_end(ps_run *run)
{
    ps_mutex_lock(&run->checkpoint);
    run->ended = true;
    ps_mutex_unlock(&run->checkpoint);
}

void ps_run_set_final(ps_run *run)
{
    PS_REQUIRE(run->durable);
    atomic_store(&run->final, true);
}

void ps_run_set_saved(ps_run *run, uint64_t number)
{
    PS_REQUIRE(run->durable);
    atomic_store(&run->saved_number, number);
    atomic_store(&run->saved_ms, ps_clock_wall_ms(&run->clock));
}

int64_t ps_run_saved_ms(const ps_run *run)
{
    return atomic_load(&run->saved_ms);
}

uint64_t ps_run_saved_number(const ps_run *run)
{
    return atomic_load(&run->saved_number);
}

bool ps_run_is_final(const ps_run *run)
{
    return atomic_load(&run->final);
}

void ps_run_count(ps_run *run, uint64_t bytes_in, uint64_t bytes_out)
{
    atomic_fetch_add_explicit(&run->bytes_in, bytes_in, memory_order_relaxed);
    atomic_fetch_add_explicit(&run->bytes_out, bytes_out, memory_order_relaxed);
}

void ps_run_bytes(ps_run *run, uint64_t *bytes_in, uint64_t *bytes_out)
{
    *bytes_in = atomic_load_explicit(&run->bytes_in, memory_order_relaxed);
    *bytes_out = atomic_load_explicit(&run->bytes_out, memory_order_relaxed);
}

void ps_run_gauges(ps_run *run, ps_job_gauges *out)
{
    uint64_t in, sent;
    ps_mutex_lock(&run->lock);
    ps_run_bytes(run, &in, &sent);
    PS_REQUIRE(in >= run->sampled_in && sent >= run->sampled_out); /* read in the same order */
    uint64_t now = ps_clock_ns(&run->clock);
    double seconds = (double)(now - run->sampled_ns) * 1e-9;
    if (seconds >= 1) {
        run->in_per_second = (double)(in - run->sampled_in) / seconds;
        run->out_per_second = (double)(sent - run->sampled_out) / seconds;
        run->sampled_ns = now;
        run->sampled_in = in;
        run->sampled_out = sent;
    }
    out->bytes_in_per_second = run->in_per_second;
    out->bytes_out_per_second = run->out_per_second;
    ps_mutex_unlock(&run->lock);
    ps_param_stats stats;
    ps_param_store_stats(run->store, &stats);
    out->steps = stats.steps;
    out->staleness_mean = stats.staleness_mean;
    out->staleness_max = stats.staleness_max;
}

const char *ps_run_trouble(ps_run *run, bool failed, char text[PS_REPEAT_TEXT])
{
    ps_mutex_lock(&run->lock);
    bool due = failed ? ps_repeat_due(&run->trouble, ps_clock_ms(&run->clock), NULL)
                      : ps_repeat_over(&run->trouble);
    const char *times = due ? ps_repeat_text(&run->trouble, text) : NULL;
    ps_mutex_unlock(&run->lock);
    return times;
}
