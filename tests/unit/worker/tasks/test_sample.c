/* sample: what is drawn, against the distribution that a plain sort gives in float64. */
#include "worker/tasks/sample.h"

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "tests/lib/check_main.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS = 50, DRAWS = 60000 };

typedef struct word {
    int token;
    double p;
} word;

static int by_likelihood(const void *a, const void *b)
{
    const word *x = a, *y = b;
    if (x->p != y->p)
        return x->p > y->p ? -1 : 1;
    return x->token - y->token;
}

/* p[WORDS]: temperature, then top_k, then top_p of what is left, by the book. */
static void reference(const float *logits, const ps_sampling *how, double *p)
{
    word words[WORDS];
    double total = 0, kept = 0, share = 0;
    for (int i = 0; i < WORDS; i++)
        total += words[i].p = exp((double)logits[i] / how->temperature);
    for (int i = 0; i < WORDS; i++)
        words[i] = (word){i, words[i].p / total};
    qsort(words, WORDS, sizeof *words, by_likelihood);
    int n = how->top_k && how->top_k < WORDS ? (int)how->top_k : WORDS;
    for (int i = 0; i < n; i++)
        kept += words[i].p;
    int last = 0;
    while (last < n && (share < how->top_p || how->top_p == 1))
        share += words[last++].p / kept;
    memset(p, 0, WORDS * sizeof *p);
    for (int i = 0; i < last; i++)
        p[words[i].token] = words[i].p / kept / share;
}

static void random_logits(float *logits, uint64_t seed)
{
    ps_rng rng;
    ps_rng_seed(&rng, seed);
    for (int i = 0; i < WORDS; i++)
        logits[i] = (float)(2 * ps_rng_normal(&rng));
    logits[7] = logits[31]; /* a tie */
}

static void count(const float *logits, const ps_sampling *how, uint64_t *counts)
{
    ps_sampler *sampler;
    memset(counts, 0, WORDS * sizeof *counts);
    ps_sampler_create(how, WORDS, &sampler);
    for (uint64_t i = 0; i < DRAWS; i++) {
        int32_t token;
        ck_ok(ps_sampler_draw(sampler, logits, i, &token));
        ck_assert(token >= 0 && token < WORDS);
        counts[token]++;
    }
    ps_sampler_free(&sampler);
}

static const ps_sampling hows[] = {
    {.temperature = 1, .top_p = 1},
    {.temperature = 0.5, .top_p = 1},
    {.temperature = 3, .top_p = 1},
    {.temperature = 1, .top_k = 1, .top_p = 1},
    {.temperature = 1, .top_k = 5, .top_p = 1},
    {.temperature = 1, .top_k = WORDS + 1, .top_p = 1},
    {.temperature = 1, .top_p = 0.5},
    {.temperature = 2, .top_p = 0.95},
    {.temperature = 1, .top_p = 1e-6},
    {.temperature = 1.5, .top_k = 10, .top_p = 0.7},
};

/* Each count within six deviations of what the distribution says, and none where that is 0. */
START_TEST(tokens_come_as_often_as_the_distribution_says)
{
    ps_sampling how = hows[_i];
    float logits[WORDS];
    double p[WORDS];
    uint64_t counts[WORDS];
    how.seed = 100 + (uint64_t)_i;
    random_logits(logits, 5 + (uint64_t)_i);
    reference(logits, &how, p);
    count(logits, &how, counts);
    for (int i = 0; i < WORDS; i++) {
        double deviation = sqrt(DRAWS * p[i] * (1 - p[i]));
        ck_assert_msg(fabs((double)counts[i] - DRAWS * p[i]) <= 6 * deviation + 1e-6,
                      "token %d: %llu times, and %.1f is right", i, (unsigned long long)counts[i],
                      DRAWS * p[i]);
    }
}
END_TEST

START_TEST(without_a_temperature_the_first_of_the_likeliest_comes)
{
    float logits[WORDS] = {0};
    ps_sampler *sampler;
    int32_t token;
    logits[30] = logits[40] = 1e30F;
    ps_sampler_create(&(ps_sampling){.top_p = 0.5, .top_k = 3}, WORDS, &sampler);
    ck_ok(ps_sampler_draw(sampler, logits, 0, &token));
    ck_assert_int_eq(token, 30);
    logits[3] = NAN;
    ck_assert_int_eq(ps_sampler_draw(sampler, logits, 0, &token), PS_CORRUPT);
    logits[3] = INFINITY;
    ck_assert_int_eq(ps_sampler_draw(sampler, logits, 0, &token), PS_CORRUPT);
    for (int i = 0; i < WORDS; i++)
        logits[i] = -INFINITY;
    ck_assert_int_eq(ps_sampler_draw(sampler, logits, 0, &token), PS_CORRUPT);
    ps_sampler_free(&sampler);
}
END_TEST

/* A worker that takes a job over draws its tenth token as the first worker would have. */
START_TEST(a_draw_depends_on_seed_and_index_alone)
{
    float logits[WORDS];
    int32_t whole[64], token;
    ps_sampler *one, *two, *other;
    unsigned differ = 0;
    random_logits(logits, 1);
    ps_sampler_create(&(ps_sampling){.temperature = 1, .top_p = 1, .seed = 9}, WORDS, &one);
    ps_sampler_create(&(ps_sampling){.temperature = 1, .top_p = 1, .seed = 9}, WORDS, &two);
    ps_sampler_create(&(ps_sampling){.temperature = 1, .top_p = 1, .seed = 10}, WORDS, &other);
    for (uint64_t i = 0; i < 64; i++)
        ck_ok(ps_sampler_draw(one, logits, i, &whole[i]));
    for (uint64_t i = 64; i-- > 0;) {
        ck_ok(ps_sampler_draw(two, logits, i, &token));
        ck_assert_int_eq(token, whole[i]);
        ck_ok(ps_sampler_draw(other, logits, i, &token));
        differ += token != whole[i];
    }
    ck_assert_uint_gt(differ, 20);
    ps_sampler_free(&one);
    ps_sampler_free(&two);
    ps_sampler_free(&other);
}
END_TEST

static const ps_check_case cases[] = {
    {&tokens_come_as_often_as_the_distribution_says, .repeat = sizeof hows / sizeof *hows},
    {&without_a_temperature_the_first_of_the_likeliest_comes},
    {&a_draw_depends_on_seed_and_index_alone},
    {0},
};

int main(void)
{
    return ps_check_main("worker/tasks/sample", cases);
}
