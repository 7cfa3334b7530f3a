/* A heap gives the likeliest tokens one after the other, so a vocabulary is never sorted: of fifty
 * thousand tokens top_p needs a few. All sums are in double. */
#include "worker/tasks/sample.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/base/rng.h"

#include <math.h>

struct ps_sampler {
    ps_sampling how;
    size_t n;
    double *weight; /* [n], exp of the logit less the largest */
    int32_t *heap;  /* tokens, likeliest first */
    int32_t *kept;  /* tokens, in the order in which they left the heap */
};

void ps_sampler_create(const ps_sampling *how, size_t vocabulary, ps_sampler **out)
{
    PS_REQUIRE(vocabulary > 0 && how);
    ps_sampler *s = ps_new(ps_sampler);
    s->how = *how;
    s->n = vocabulary;
    s->weight = ps_alloc_array(vocabulary, sizeof *s->weight);
    s->heap = ps_alloc_array(vocabulary, sizeof *s->heap);
    s->kept = ps_alloc_array(vocabulary, sizeof *s->kept);
    *out = s;
}

void ps_sampler_free(ps_sampler **sampler)
{
    ps_sampler *s = *sampler;
    if (!s)
        return;
    ps_free(&s->weight);
    ps_free(&s->heap);
    ps_free(&s->kept);
    ps_free(sampler);
}

static ps_status find_largest(const float *logits, size_t n, size_t *out)
{
    size_t best = n;
    for (size_t i = 0; i < n; i++) {
        if (isnan(logits[i]))
            return ps_fail(PS_CORRUPT, "the model's answer for token %zu is not a number", i);
        if (best == n || logits[i] > logits[best])
            best = i;
    }
    if (best == n || !isfinite(logits[best]))
        return ps_fail(PS_CORRUPT, "the model's answer is not finite");
    *out = best;
    return PS_OK;
}

/* ---- the heap ---- */

static bool likelier(const ps_sampler *s, int32_t a, int32_t b)
{
    return s->weight[a] > s->weight[b] || (s->weight[a] == s->weight[b] && a < b);
}

static void sink(ps_sampler *s, size_t at, size_t n)
{
    PS_REQUIRE(at < n && n <= s->n);
    int32_t token = s->heap[at];
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && likelier(s, s->heap[child + 1], s->heap[child]))
            child++;
        if (!likelier(s, s->heap[child], token))
            break;
        s->heap[at] = s->heap[child];
    }
    s->heap[at] = token;
}

static void make_heap(ps_sampler *s)
{
    for (size_t i = 0; i < s->n; i++)
        s->heap[i] = (int32_t)i;
    for (size_t i = s->n / 2; i-- > 0;)
        sink(s, i, s->n);
}

static int32_t pop(ps_sampler *s, size_t *n)
{
    PS_REQUIRE(*n > 0);
    int32_t token = s->heap[0];
    s->heap[0] = s->heap[--*n];
    if (*n)
        sink(s, 0, *n);
    return token;
}

/* ---- what may be drawn ---- */

static double take(ps_sampler *s, size_t *in_heap, size_t *kept)
{
    int32_t token = pop(s, in_heap);
    s->kept[(*kept)++] = token;
    return s->weight[token];
}

/* The likeliest k, whose weights add up to *total. */
static size_t keep_top_k(ps_sampler *s, size_t *in_heap, double *total)
{
    size_t kept = 0;
    *total = 0;
    while (kept < s->how.top_k && *in_heap)
        *total += take(s, in_heap, &kept);
    return kept;
}

/* As many of the likeliest as make up the share; the one that crosses it is in. */
static size_t keep_top_p(ps_sampler *s, size_t *in_heap, size_t kept, double *total)
{
    double goal = s->how.top_p * *total, sum = 0;
    size_t n = 0;
    while (sum < goal && (n < kept || (!kept && *in_heap)))
        sum += kept ? s->weight[s->kept[n++]] : take(s, in_heap, &n);
    *total = sum;
    return n;
}

/* The first token at which the sum of weights is beyond `goal`; rounding leaves the last. */
static int32_t at_sum(const ps_sampler *s, const int32_t *tokens, size_t n, double goal)
{
    int32_t token = 0;
    double sum = 0;
    for (size_t i = 0; i < n && sum <= goal; i++) {
        int32_t candidate = tokens ? tokens[i] : (int32_t)i;
        if (s->weight[candidate] > 0)
            token = candidate;
        sum += s->weight[candidate];
    }
    return token;
}

static double uniform(const ps_sampler *s, uint64_t index)
{
    ps_rng rng;
    ps_rng_seed(&rng, s->how.seed);
    ps_rng_seed(&rng, ps_rng_next(&rng) + index);
    return ps_rng_uniform(&rng);
}

ps_status ps_sampler_draw(ps_sampler *s, const float *logits, uint64_t index, int32_t *token)
{
    size_t largest = 0;
    ps_status st = find_largest(logits, s->n, &largest);
    if (st)
        return st;
    *token = (int32_t)largest;
    if (s->how.temperature == 0)
        return PS_OK;
    double total = 0;
    for (size_t i = 0; i < s->n; i++) {
        double above = (double)logits[i] - (double)logits[largest];
        total += s->weight[i] = exp(above / s->how.temperature);
    }
    bool some_k = s->how.top_k > 0 && s->how.top_k < s->n, some_p = s->how.top_p < 1;
    size_t in_heap = s->n, kept = 0;
    if (some_k || some_p)
        make_heap(s);
    if (some_k)
        kept = keep_top_k(s, &in_heap, &total);
    if (some_p)
        kept = keep_top_p(s, &in_heap, kept, &total);
    bool all = !some_k && !some_p;
    PS_REQUIRE(total > 0 && (all || kept > 0)); /* the likeliest token weighs 1, and is kept */
    *token = at_sum(s, all ? NULL : s->kept, all ? s->n : kept, uniform(s, index) * total);
    PS_REQUIRE(*token >= 0 && (size_t)*token < s->n);
    return PS_OK;
}
