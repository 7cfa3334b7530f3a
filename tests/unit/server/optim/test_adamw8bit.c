/* Every update against adamw's definition in float64, made from what the state says before it: the
 * parameters to a float's precision, the moments after it to half a cell of their code, found by a
 * search through all codes. Then a run beside adamw with all its bits. */
#include "server/optim/optimizer.h"

#include "tests/lib/check_main.h"
#include "tests/unit/server/optim/dynamic8_golden.h"

#include "common/base/rng.h"

#include <math.h>

enum { N = 1037, STEPS = 40, GROUP = 256, GROUPS = (N + GROUP - 1) / GROUP };

static const ps_optimizer_config config = {.name = "adamw8bit",
                                           .learning_rate = 0.003,
                                           .beta1 = 0.9,
                                           .beta2 = 0.999,
                                           .epsilon = 1e-8,
                                           .weight_decay = 0.1};

/* The layout that adamw8bit.c documents, read here without its help. */
typedef struct state {
    float m_scale[GROUPS], v_scale[GROUPS];
    uint8_t m[N], v[N];
} state;

static double m_of(const state *s, int i)
{
    return (double)s->m_scale[i / GROUP] * golden_signed[s->m[i]];
}

static double v_of(const state *s, int i)
{
    return (double)s->v_scale[i / GROUP] * golden_unsigned[s->v[i]];
}

static double nearest(const float table[256], double scale, double x)
{
    double best = table[0] * scale;
    for (int k = 1; k < 256; k++)
        if (fabs(table[k] * scale - x) < fabs(best - x))
            best = table[k] * scale;
    return best;
}

/* x was put as got: as near as the nearest code, or the least above 0. */
static void assert_packed(const float table[256], double scale, double x, double got, bool positive)
{
    double best = nearest(table, scale, x);
    if (positive && x > 0 && best == 0)
        best = table[1] * scale;
    ck_assert_double_le(fabs(got - x), fabs(best - x) + 1e-6 * fabs(x) + 1e-37);
}

static void fill_gradient(ps_rng *rng, float g[N])
{
    for (int i = 0; i < N; i++)
        g[i] = i % 10 == 0 ? 0.0f : (float)(ps_rng_normal(rng) * pow(10, -(i % 5)));
}

static void update(const ps_optimizer *rule, const ps_optimizer_step *step, size_t begin,
                   size_t end, float *theta, const float *g, state *s)
{
    rule->step(&config, step,
               &(ps_optimizer_part){.elements = N,
                                    .begin = begin,
                                    .count = end - begin,
                                    .in = theta + begin,
                                    .out = theta + begin,
                                    .g = (const ps_wire_float *)(const void *)(g + begin),
                                    .state = s});
}

static void check_update(const ps_optimizer_step *step, size_t begin, size_t end,
                         const float *before, const float *after, const float *g, const state *was,
                         const state *is)
{
    double t = (double)step->count, m[N], v[N], m_top[GROUPS] = {0}, v_top[GROUPS] = {0};
    for (int i = 0; i < N; i++) {
        bool touched = (size_t)i >= begin && (size_t)i < end;
        double slope = step->gradient_scale * g[i], theta = before[i];
        m[i] = m_of(was, i);
        v[i] = v_of(was, i);
        if (touched) {
            m[i] = config.beta1 * m[i] + (1 - config.beta1) * slope;
            v[i] = config.beta2 * v[i] + (1 - config.beta2) * slope * slope;
            double root = sqrt(v[i] / (1 - pow(config.beta2, t)));
            theta -= step->rate * config.weight_decay * theta;
            theta -= step->rate * m[i] / (1 - pow(config.beta1, t)) / (root + config.epsilon);
        }
        ck_assert_double_eq_tol(after[i], theta, 1e-5 * (step->rate + fabs(theta)));
        m_top[i / GROUP] = fmax(m_top[i / GROUP], fabs(m[i]));
        v_top[i / GROUP] = fmax(v_top[i / GROUP], v[i]);
    }
    for (int i = 0; i < N; i++) {
        int group = i / GROUP;
        if ((group + 1) * GROUP <= (int)begin || group * GROUP >= (int)end) {
            ck_assert(m_of(is, i) == m_of(was, i) && v_of(is, i) == v_of(was, i));
            continue;
        }
        ck_assert_double_eq_tol(is->m_scale[group], m_top[group], 1e-5 * m_top[group] + 1e-37);
        ck_assert_double_eq_tol(is->v_scale[group], v_top[group], 1e-5 * v_top[group] + 1e-37);
        assert_packed(golden_signed, is->m_scale[group], m[i], m_of(is, i), false);
        assert_packed(golden_unsigned, is->v_scale[group], v[i], v_of(is, i), true);
    }
}

START_TEST(every_update_is_adamw_and_its_moments_the_nearest_codes)
{
    const ps_optimizer *rule;
    ck_ok(ps_optimizer_find(&config, &rule));
    ck_assert_uint_eq(ps_optimizer_state_bytes(rule, N), 2 * N + 8 * GROUPS);
    static state now, was;
    static float theta[N], before[N], g[N];
    ps_optimizer_state_init(rule, &config, &now, N);
    ps_rng rng;
    ps_rng_seed(&rng, 3);
    for (int i = 0; i < N; i++)
        theta[i] = (float)ps_rng_normal(&rng);
    for (int t = 1; t <= STEPS; t++) {
        fill_gradient(&rng, g);
        ps_optimizer_step step = {.rate = 0.003 * (1 + 0.5 * sin(t)),
                                  .gradient_scale = t % 3 ? 1 : 0.25,
                                  .count = (uint64_t)t};
        /* the whole block, or a piece that begins and ends within groups, or in one */
        size_t begin = t % 4 == 0 ? 100 : 0, end = t % 4 == 0 ? 900 : t % 4 == 1 ? 77 : N;
        was = now;
        memcpy(before, theta, sizeof theta);
        update(rule, &step, begin, end, theta, g, &now);
        check_update(&step, begin, end, before, theta, g, &was, &now);
    }
}
END_TEST

/* Of the loss Σ curvature (θ − 1)²/2 with noisy gradients: where it ends, summed over all. */
static double train(const char *name)
{
    ps_optimizer_config c = config;
    c.name = name;
    c.weight_decay = 0;
    const ps_optimizer *rule;
    ck_ok(ps_optimizer_find(&c, &rule));
    static float theta[N], g[N], room[2 * N];
    memset(theta, 0, sizeof theta);
    ps_optimizer_state_init(rule, &c, room, N);
    ps_rng rng;
    ps_rng_seed(&rng, 11);
    double loss = 0;
    for (int t = 1; t <= 2000; t++) {
        loss = 0;
        for (int i = 0; i < N; i++) {
            double curvature = pow(10, -(i % 4)), off = theta[i] - 1.0;
            g[i] = (float)(curvature * (off + 0.1 * ps_rng_normal(&rng)));
            loss += off * off;
        }
        ps_optimizer_step step = {.rate = 0.003, .gradient_scale = 1, .count = (uint64_t)t};
        rule->step(&c, &step,
                   &(ps_optimizer_part){.elements = N,
                                        .count = N,
                                        .in = theta,
                                        .out = theta,
                                        .g = (const ps_wire_float *)(const void *)g,
                                        .state = room});
    }
    return loss;
}

START_TEST(a_run_ends_where_adamw_ends)
{
    double full = train("adamw"), eight = train("adamw8bit");
    ck_assert_double_le(full, 2e-3 * N); /* from N: both have arrived */
    ck_assert_double_le(eight, 1.5 * full);
}
END_TEST

/* A moment that rounds to nothing must not make a step that its divisor held back. */
START_TEST(an_element_far_below_its_neighbours_makes_no_great_step)
{
    const ps_optimizer *rule;
    ck_ok(ps_optimizer_find(&config, &rule));
    static state s;
    static float theta[N], before[N], g[N];
    ps_optimizer_state_init(rule, &config, &s, N);
    for (int t = 1; t <= 50; t++) {
        for (int i = 0; i < N; i++)
            g[i] = i % GROUP == 0 ? 1.0f : t % 2 ? 1e-4f : 0.0f;
        ps_optimizer_step step = {.rate = 0.003, .gradient_scale = 1, .count = (uint64_t)t};
        memcpy(before, theta, sizeof theta);
        update(rule, &step, 0, N, theta, g, &s);
        float most = 0;
        for (int i = 0; i < N; i++)
            most = fmaxf(most, fabsf(theta[i] - before[i]));
        ck_assert_float_le(most, 0.003f * 1.01f);
    }
}
END_TEST

static const ps_check_case cases[] = {
    {&every_update_is_adamw_and_its_moments_the_nearest_codes, 60},
    {&a_run_ends_where_adamw_ends, 60},
    {&an_element_far_below_its_neighbours_makes_no_great_step},
    {0},
};

int main(void)
{
    return ps_check_main("optim/adamw8bit", cases);
}
