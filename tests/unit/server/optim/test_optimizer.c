/* Each rule against its definition in float64, over many steps, out of place and in place. */
#include "server/optim/optimizer.h"

#include "tests/lib/check_main.h"

#include "common/base/rng.h"

#include <math.h>

enum { N = 1037, STEPS = 200 }; /* odd, so that vector loops have a rest */

typedef struct reference {
    double theta[N], a[N], b[N];
} reference;

typedef void (*rule64)(const ps_optimizer_config *c, double rate, double t, reference *r, int i,
                       double g);

static void sgd64(const ps_optimizer_config *c, double rate, double t, reference *r, int i,
                  double g)
{
    r->theta[i] -= rate * (g + c->weight_decay * r->theta[i]);
}

/* torch.optim.SGD: the first buffer is the gradient, which μ·0 + g is as well */
static void momentum64(const ps_optimizer_config *c, double rate, double t, reference *r, int i,
                       double g)
{
    g += c->weight_decay * r->theta[i];
    r->a[i] = c->momentum * r->a[i] + g;
    r->theta[i] -= rate * (c->nesterov ? g + c->momentum * r->a[i] : r->a[i]);
}

static void adamw64(const ps_optimizer_config *c, double rate, double t, reference *r, int i,
                    double g)
{
    r->theta[i] *= 1 - rate * c->weight_decay;
    r->a[i] = c->beta1 * r->a[i] + (1 - c->beta1) * g;
    r->b[i] = c->beta2 * r->b[i] + (1 - c->beta2) * g * g;
    double m = r->a[i] / (1 - pow(c->beta1, t)), v = r->b[i] / (1 - pow(c->beta2, t));
    r->theta[i] -= rate * m / (sqrt(v) + c->epsilon);
}

static void lion64(const ps_optimizer_config *c, double rate, double t, reference *r, int i,
                   double g)
{
    double mixed = c->beta1 * r->a[i] + (1 - c->beta1) * g;
    r->theta[i] -= rate * ((mixed > 0) - (mixed < 0) + c->weight_decay * r->theta[i]);
    r->a[i] = c->beta2 * r->a[i] + (1 - c->beta2) * g;
}

/* r->a begins at initial_accumulator */
static void adagrad64(const ps_optimizer_config *c, double rate, double t, reference *r, int i,
                      double g)
{
    g += c->weight_decay * r->theta[i];
    r->a[i] += g * g;
    r->theta[i] -= rate * g / (sqrt(r->a[i]) + c->epsilon);
}

static reference want;
static float theta[2][N], state[2 * N];
static uint8_t gradient[N * sizeof(float) + 1];

static void fill_gradient(ps_rng *rng, float *g)
{
    for (int i = 0; i < N; i++)
        g[i] = i % 10 == 0 ? 0.0f : (float)ps_rng_normal(rng);
    memcpy(gradient + 1, g, N * sizeof *g); /* at an odd address, as in a message */
}

static void compare(const ps_optimizer_config *config, rule64 by64)
{
    const ps_optimizer *rule;
    ck_ok(ps_optimizer_find(config, &rule));
    ps_rng rng;
    ps_rng_seed(&rng, 3);
    want = (reference){0};
    ck_assert_uint_le(ps_optimizer_state_bytes(rule, N), sizeof state);
    ps_optimizer_state_init(rule, config, state, N);
    for (int i = 0; i < N; i++) {
        want.theta[i] = theta[0][i] = (float)ps_rng_normal(&rng);
        want.a[i] = config->initial_accumulator;
    }
    int now = 0;
    for (int t = 1; t <= STEPS; t++) {
        static float g[N];
        fill_gradient(&rng, g);
        double rate = config->learning_rate * (1 + 0.5 * sin(t)), scale = t % 3 ? 1 : 0.25;
        ps_optimizer_step step = {.rate = rate, .gradient_scale = scale, .count = (uint64_t)t};
        int out = t % 2 ? 1 - now : now;
        rule->step(config, &step,
                   &(ps_optimizer_part){.elements = N,
                                        .count = N,
                                        .in = theta[now],
                                        .out = theta[out],
                                        .g = (const ps_wire_float *)(const void *)(gradient + 1),
                                        .state = state});
        now = out;
        for (int i = 0; i < N; i++)
            by64(config, rate, t, &want, i, scale * g[i]);
    }
    for (int i = 0; i < N; i++)
        ck_assert_double_eq_tol(theta[now][i], want.theta[i], 2e-5 * (1 + fabs(want.theta[i])));
}

START_TEST(sgd_is_its_definition)
{
    compare(&(ps_optimizer_config){.name = "sgd", .learning_rate = 0.01}, sgd64);
    compare(&(ps_optimizer_config){.name = "sgd", .learning_rate = 0.01, .weight_decay = 0.1},
            sgd64);
}
END_TEST

START_TEST(momentum_is_its_definition_with_nesterov_and_without)
{
    ps_optimizer_config c = {.name = "momentum", .learning_rate = 0.01, .momentum = 0.9};
    compare(&c, momentum64);
    c.weight_decay = 0.05;
    compare(&c, momentum64);
    c.nesterov = true;
    compare(&c, momentum64);
}
END_TEST

START_TEST(adamw_is_its_definition)
{
    ps_optimizer_config c = {
        .name = "adamw", .learning_rate = 0.003, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8};
    compare(&c, adamw64);
    c.weight_decay = 0.1;
    compare(&c, adamw64);
}
END_TEST

START_TEST(the_first_step_of_adamw_is_the_rate_whatever_the_gradient)
{
    /* m/(1-β1) = g and √(v/(1-β2)) = |g|, so that the step is η·sign(g) */
    ps_optimizer_config c = {
        .name = "adamw", .learning_rate = 0.125, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-12};
    const ps_optimizer *rule;
    ck_ok(ps_optimizer_find(&c, &rule));
    const ps_wire_float g[3] = {1e-3f, -7, 1e4f};
    const float in[3] = {1, 1, 1};
    float out[3], moments[6] = {0};
    rule->step(&c, &(ps_optimizer_step){.rate = 0.125, .gradient_scale = 1, .count = 1},
               &(ps_optimizer_part){
                   .elements = 3, .count = 3, .in = in, .out = out, .g = g, .state = moments});
    ck_assert_double_eq_tol(out[0], 0.875, 1e-5);
    ck_assert_double_eq_tol(out[1], 1.125, 1e-5);
    ck_assert_double_eq_tol(out[2], 0.875, 1e-5);
}
END_TEST

START_TEST(lion_is_its_definition)
{
    ps_optimizer_config c = {.name = "lion", .learning_rate = 0.001, .beta1 = 0.9, .beta2 = 0.99};
    compare(&c, lion64);
    c.weight_decay = 0.1;
    compare(&c, lion64);
}
END_TEST

START_TEST(adagrad_is_its_definition)
{
    ps_optimizer_config c = {.name = "adagrad", .learning_rate = 0.05, .epsilon = 1e-10};
    compare(&c, adagrad64);
    c.weight_decay = 0.1;
    compare(&c, adagrad64);
    c.initial_accumulator = 0.5;
    compare(&c, adagrad64);
    c.epsilon = 0.25;
    compare(&c, adagrad64);
}
END_TEST

/* After t equal gradients g the sum is a₀ + t g²: from 0 the t-th step is η/√t whatever g is, from
 * 3g² it is η/√(3 + t). Gradients of nothing leave a parameter where it is. */
START_TEST(steps_of_adagrad_under_one_gradient_fall_with_the_root_of_their_number)
{
    static const struct {
        double first;
        float g[3];
    } of[] = {{0, {1e-3f, -7, 0}}, {3, {1, -1, 0}}};
    for (size_t k = 0; k < 2; k++) {
        ps_optimizer_config c = {.name = "adagrad",
                                 .learning_rate = 0.125,
                                 .epsilon = 1e-10,
                                 .initial_accumulator = of[k].first};
        const ps_optimizer *rule;
        ck_ok(ps_optimizer_find(&c, &rule));
        float w[3] = {1, 1, 1}, sum[3];
        ck_assert_uint_eq(ps_optimizer_state_bytes(rule, 3), sizeof sum);
        ps_optimizer_state_init(rule, &c, sum, 3);
        double way = 0;
        for (int t = 1; t <= 20; t++) {
            rule->step(
                &c, &(ps_optimizer_step){.rate = 0.125, .gradient_scale = 1, .count = (uint64_t)t},
                &(ps_optimizer_part){.elements = 3,
                                     .count = 3,
                                     .in = w,
                                     .out = w,
                                     .g = (const ps_wire_float *)of[k].g,
                                     .state = sum});
            way += 0.125 / sqrt(of[k].first + t);
            ck_assert_double_eq_tol(w[0], 1 - way, 1e-5);
            ck_assert_double_eq_tol(w[1], 1 + way, 1e-5);
            ck_assert(w[2] == 1);
        }
    }
}
END_TEST

START_TEST(values_that_make_no_sense_are_refused_by_name)
{
    const ps_optimizer *rule;
    const struct {
        ps_optimizer_config config;
        const char *says;
    } bad[] = {
        {{.name = "adam"}, "there is no adam; there are sgd, momentum, "},
        {{.name = "sgd", .learning_rate = -1}, "learning_rate"},
        {{.name = "sgd", .learning_rate = NAN}, "learning_rate"},
        {{.name = "sgd", .learning_rate = 1, .weight_decay = INFINITY}, "weight_decay"},
        {{.name = "momentum", .momentum = 1}, "momentum"},
        {{.name = "adamw", .beta1 = 1, .epsilon = 1}, "beta1"},
        {{.name = "adamw", .beta2 = -0.1, .epsilon = 1}, "beta2"},
        {{.name = "adamw", .epsilon = 0}, "epsilon"},
        {{.name = "adamw8bit", .beta1 = 1, .epsilon = 1}, "beta1"},
        {{.name = "adagrad", .epsilon = 0}, "epsilon"},
        {{.name = "adagrad", .epsilon = 1, .initial_accumulator = -1}, "initial_accumulator"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_int_eq(ps_optimizer_find(&bad[i].config, &rule), PS_INVALID_ARGUMENT);
        ck_assert_ptr_nonnull(strstr(ps_error_message(), bad[i].says));
    }
}
END_TEST

/* A checkpoint of one must not be taken for another's. */
START_TEST(no_two_rules_say_the_same_of_their_state)
{
    uint32_t formats[PS_OPTIMIZERS];
    for (size_t i = 0; i < PS_OPTIMIZERS; i++) {
        const ps_optimizer *rule;
        ps_optimizer_config c = {.name = ps_optimizer_names[i], .epsilon = 1};
        ck_ok(ps_optimizer_find(&c, &rule));
        formats[i] = rule->state_format;
        for (size_t j = 0; j < i; j++)
            ck_assert_msg(formats[j] != formats[i], "%s and %s", ps_optimizer_names[j],
                          ps_optimizer_names[i]);
    }
}
END_TEST

static const ps_check_case cases[] = {
    {&sgd_is_its_definition},
    {&momentum_is_its_definition_with_nesterov_and_without},
    {&adamw_is_its_definition},
    {&the_first_step_of_adamw_is_the_rate_whatever_the_gradient},
    {&lion_is_its_definition},
    {&adagrad_is_its_definition},
    {&steps_of_adagrad_under_one_gradient_fall_with_the_root_of_their_number},
    {&no_two_rules_say_the_same_of_their_state},
    {&values_that_make_no_sense_are_refused_by_name},
    {0},
};

int main(void)
{
    return ps_check_main("optim/optimizer", cases);
}
