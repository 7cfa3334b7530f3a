/* bench_merge: merging a gradient with adamw on one core, beside the bandwidth of the memory, and
 * with adamw8bit, and with what record.influence costs, beside adamw.
 *
 * The limit is a plain kernel with the streams of adamw (reads θ, m, v and g; writes θ, m and v)
 * over arrays of the same size and layout, in the same run. `commit` goes through the store, as a
 * push does once its chunks are there; `push` counts their checks (sizes, NaN and infinity), too.
 * GB are those of adamw's streams for both rules, so that they compare in time.
 *
 *     bench_merge [--json] [millions of parameters, default 16]
 */
#include "common/base/mem.h"
#include "common/base/vector.h"
#include "server/consistency/consistency.h"
#include "server/params/recording.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 15, STREAMS = 7, RULES = 3 };

static const char record_path[] = "bench_merge.record"; /* gone at the end */

PS_VECTOR_CLONES
static void plain(float *theta, float *m, float *v, const float *g, size_t n)
{
    PS_VECTOR_LOOP
    for (size_t i = 0; i < n; i++) {
        m[i] += g[i];
        v[i] += g[i];
        theta[i] += g[i];
    }
}

typedef struct bench {
    size_t n;       /* parameters */
    float **arrays; /* [4][blocks] for the plain kernel: as blocks lie in a store */
    float *g;
    double plain_s; /* best, as those below */
    struct merge {
        const char *rule;
        bool recorded;
        ps_param_store *store;
        double commit_s, push_s;
        uint64_t sequence;
    } rules[RULES];
} bench;

/* Of processor time: on a shared machine the thread may have to wait for its core. */
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double seconds_since(double start)
{
    return now() - start;
}

static void keep_best(double *best, double s)
{
    if (*best == 0 || s < *best)
        *best = s;
}

static void run_plain(bench *b)
{
    double start = now();
    size_t blocks = b->n / PS_PARAM_BLOCK_MAX;
    for (size_t i = 0; i < blocks; i++)
        plain(b->arrays[3 * i], b->arrays[3 * i + 1], b->arrays[3 * i + 2],
              b->g + i * PS_PARAM_BLOCK_MAX, PS_PARAM_BLOCK_MAX);
    keep_best(&b->plain_s, seconds_since(start));
}

static ps_status run_push(const bench *b, struct merge *m)
{
    ps_push *push;
    ps_push_header header = {.incarnation = 1, .sequence = ++m->sequence};
    double start = now();
    ps_status st = ps_push_begin(m->store, "bench", &header, &push);
    if (st)
        return st;
    for (size_t at = 0; at < b->n; at += PS_PARAM_BLOCK_MAX) {
        ps_push_chunk_header chunk = {.offset = at, .count = PS_PARAM_BLOCK_MAX};
        st = ps_push_chunk(push, &chunk, ps_slice_of(b->g + at, PS_PARAM_BLOCK_MAX * sizeof(float)),
                           (ps_push_owner){NULL, NULL});
        if (st)
            break;
    }
    double commit_start = now();
    ps_push_reply reply;
    if (st) {
        ps_push_abort(&push);
        return st;
    }
    st = ps_push_commit(&push, &reply, NULL);
    keep_best(&m->commit_s, seconds_since(commit_start));
    keep_best(&m->push_s, seconds_since(start));
    return st;
}

static ps_status make_store(const bench *b, struct merge *m)
{
    ps_param_plan plan = {.name = "w", .rank = 1, .shape = {b->n}, .init = PS_PARAM_ZEROS};
    ps_param_config config = {
        .plans = &plan,
        .n_plans = 1,
        .optimizer = {.name = m->rule,
                      .learning_rate = 1e-3,
                      .beta1 = 0.9,
                      .beta2 = 0.999,
                      .epsilon = 1e-8,
                      .weight_decay = 0.01},
        .host.push_bytes = UINT64_MAX,
    };
    ps_status st = ps_consistency_find("asp", &config.controller);
    if (!st)
        st = ps_param_store_create(&config, &m->store);
    if (!st && m->recorded)
        st = ps_param_store_record(m->store, &(ps_record_options){.disk = &ps_disk_system,
                                                                  .path = record_path,
                                                                  .sketch = 16384,
                                                                  .every = 1,
                                                                  .budget = 1 << 26});
    return st;
}

static ps_status prepare(bench *b)
{
    for (int i = 0; i < RULES; i++) {
        ps_status st = make_store(b, &b->rules[i]);
        if (st)
            return st;
    }
    size_t arrays = 3 * b->n / PS_PARAM_BLOCK_MAX;
    b->arrays = ps_alloc_array(arrays, sizeof *b->arrays);
    b->g = ps_try_alloc(b->n * sizeof *b->g);
    bool got = b->g != NULL;
    for (size_t i = 0; i < arrays; i++) {
        b->arrays[i] = ps_try_alloc(PS_PARAM_BLOCK_MAX * sizeof(float));
        got = got && b->arrays[i];
    }
    if (!got)
        return ps_fail(PS_NO_MEMORY, "out of memory for %zu parameters", b->n);
    for (size_t i = 0; i < b->n; i++)
        b->g[i] = (float)(i % 17) * 1e-3f - 8e-3f;
    return PS_OK;
}

static void report(const bench *b, bool json)
{
    double gigabytes = (double)b->n * STREAMS * sizeof(float) * 1e-9;
    double limit = gigabytes / b->plain_s;
    if (!json)
        printf("merging %zu M parameters, one core\n  memory, same streams    %6.2f GB/s\n",
               b->n / 1000000, limit);
    for (int i = 0; i < RULES; i++) {
        const struct merge *m = &b->rules[i];
        double commit = gigabytes / m->commit_s, push = gigabytes / m->push_s;
        if (json)
            printf("{\"name\": \"merge_%s%s\", \"parameters\": %zu, \"limit_gb_s\": %.3f, "
                   "\"commit_gb_s\": %.3f, \"push_gb_s\": %.3f, \"ratio\": %.3f, "
                   "\"bytes_a_parameter\": %.3f%s}\n",
                   m->rule, m->recorded ? "_recorded" : "", b->n, limit, commit, push,
                   commit / limit, (double)ps_param_store_bytes(m->store) / (double)b->n,
                   i == 0 ? ", \"goal\": 0.8" : "");
        else
            printf("  %-9s%s commit        %6.2f GB/s   ratio %.2f%s   %.2f ns a parameter\n"
                   "            with checks   %6.2f GB/s   ratio %.2f\n",
                   m->rule, m->recorded ? ", recorded," : "", commit, commit / limit,
                   i == 0 ? " (goal 0.80)" : "", m->commit_s * 1e9 / (double)b->n, push,
                   push / limit);
    }
}

int main(int argc, char **argv)
{
    bool json = argc > 1 && strcmp(argv[1], "--json") == 0;
    size_t millions = 16;
    if (argc > 1 + json)
        millions = strtoul(argv[1 + json], NULL, 10);
    bench b = {
        .n = (millions * 1000000 / PS_PARAM_BLOCK_MAX + 1) * PS_PARAM_BLOCK_MAX,
        .rules = {{.rule = "adamw"}, {.rule = "adamw8bit"}, {.rule = "adamw", .recorded = true}}};
    ps_status st = prepare(&b);
    for (int i = 0; i < ROUNDS && !st; i++) {
        run_plain(&b);
        for (int k = 0; k < RULES && !st; k++)
            st = run_push(&b, &b.rules[k]);
    }
    if (st)
        (void)fprintf(stderr, "bench_merge: %s\n", ps_error_message());
    else
        report(&b, json);
    for (size_t i = 0; b.arrays && i < 3 * b.n / PS_PARAM_BLOCK_MAX; i++)
        free(b.arrays[i]);
    free(b.arrays);
    free(b.g);
    for (int i = 0; i < RULES; i++)
        ps_param_store_unref(&b.rules[i].store);
    (void)unlink(record_path);
    return st ? 1 : 0;
}
