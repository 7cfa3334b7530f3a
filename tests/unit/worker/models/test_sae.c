/* The sparse autoencoder: its gradients against differences of a float64 objective, and whether it
 * finds a dictionary that was planted. */
#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/device.h"
#include "tests/lib/ref64.h"
#include "worker/models/model.h"

#include <math.h>
#include <string.h>

enum { BIAS, ENCODER, ENCODER_BIAS, DECODER, PARAMETERS };

typedef struct fixture {
    ps_test_device device;
    ps_model *model;
    int64_t n, m, k;
    double l1;
    double *parameters[PARAMETERS];
    int64_t rows;
    float *features;
    /* of the objective, as it is where gradients are taken: what is missing, and who sleeps */
    double *missing; /* [rows,n] */
    bool *sleeps;    /* [m] */
    bool fixed;
} fixture;

static ps_model_config config_of(const int64_t *layers, int64_t k, double l1)
{
    return (ps_model_config){
        .architecture = "sae", .layers = layers, .layer_count = 3, .top_k = k, .l1 = l1};
}

static void set_parameter(fixture *f, size_t i, float *values, int64_t n)
{
    ps_tensor t = ps_model_parameter(f->model, i);
    ps_copy_to_device(ps_model_stream(f->model), t, values, ps_tensor_bytes(t));
    ck_ok(ps_stream_sync(ps_model_stream(f->model)));
    f->parameters[i] = ps_ref64_from_f32(values, (size_t)n);
}

static float *random_floats(ps_rng *rng, int64_t n, double scale)
{
    float *x = ps_alloc_array((size_t)n, sizeof *x);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(scale * ps_rng_normal(rng));
    return x;
}

static void open_fixture(fixture *f, const int64_t *layers, int64_t k, double l1, int64_t rows)
{
    *f = (fixture){.n = layers[0], .m = layers[1], .k = k, .l1 = l1, .rows = rows};
    const ps_model_config config = config_of(layers, k, l1);
    ps_test_device_open(&f->device, ps_test_backend());
    ck_ok(ps_model_create(f->device.backend, &config, &(ps_model_options){.max_batch = rows},
                          &f->model));
    for (size_t i = 0; i < PARAMETERS; i++) {
        int64_t n = ps_tensor_count(ps_model_parameter(f->model, i));
        float *values = random_floats(&f->device.rng, n, 0.5);
        set_parameter(f, i, values, n);
        ps_free(&values);
    }
    f->features = random_floats(&f->device.rng, rows * f->n, 1);
    f->missing = ps_alloc_array((size_t)(rows * f->n), sizeof *f->missing);
    f->sleeps = ps_alloc_array((size_t)f->m, sizeof *f->sleeps);
}

static void close_fixture(fixture *f)
{
    for (size_t i = 0; i < PARAMETERS; i++)
        ps_free(&f->parameters[i]);
    ps_free(&f->features);
    ps_free(&f->missing);
    ps_free(&f->sleeps);
    ps_model_free(&f->model);
    ps_test_device_close(&f->device);
}

/* ---- the objective, in float64 ---- */

/* Leaves the k largest of those that may stay and are above 0. */
static void keep_largest(double *f, const bool *may, int64_t m, int64_t k)
{
    double *kept = ps_alloc_array((size_t)m, sizeof *kept);
    for (int64_t round = 0; round < k; round++) {
        int64_t best = -1;
        for (int64_t i = 0; i < m; i++)
            if ((!may || may[i]) && f[i] > 0 && !(kept[i] > 0) && (best < 0 || f[i] > f[best]))
                best = i;
        if (best >= 0)
            kept[best] = f[best];
    }
    memcpy(f, kept, (size_t)m * sizeof *f);
    ps_free(&kept);
}

static void latents(const fixture *f, int64_t row, double *z)
{
    for (int64_t i = 0; i < f->m; i++) {
        z[i] = f->parameters[ENCODER_BIAS][i];
        for (int64_t c = 0; c < f->n; c++)
            z[i] += f->parameters[ENCODER][i * f->n + c] *
                    ((double)f->features[row * f->n + c] - f->parameters[BIAS][c]);
    }
}

static double decoded(const fixture *f, const double *a, int64_t c)
{
    double y = 0;
    for (int64_t i = 0; i < f->m; i++)
        y += a[i] * f->parameters[DECODER][i * f->n + c];
    return y;
}

static double penalty_of(const fixture *f, const double *a)
{
    double sum = 0;
    for (int64_t i = 0; i < f->m; i++) {
        double square = 0;
        for (int64_t c = 0; c < f->n; c++)
            square += f->parameters[DECODER][i * f->n + c] * f->parameters[DECODER][i * f->n + c];
        sum += a[i] * sqrt(square);
    }
    return sum;
}

/* 1/(rows·n) · Σ ‖x − x̂‖² + l1·Σ f·‖W‖; then what sleeps makes of what is missing. */
static double objective(fixture *f, double *auxiliary)
{
    double *z = ps_alloc_array((size_t)f->m, sizeof *z), *a = ps_alloc_array((size_t)f->m, 8);
    double loss = 0, all = (double)(f->rows * f->n);
    *auxiliary = 0;
    for (int64_t i = 0; i < f->m && !f->fixed; i++)
        f->sleeps[i] = true;
    for (int64_t row = 0; row < f->rows; row++) {
        latents(f, row, z);
        memcpy(a, z, (size_t)f->m * sizeof *a);
        keep_largest(a, NULL, f->m, f->k ? f->k : f->m);
        for (int64_t i = 0; i < f->m && !f->fixed; i++)
            f->sleeps[i] &= !(a[i] > 0);
        for (int64_t c = 0; c < f->n; c++) {
            double e =
                (double)f->features[row * f->n + c] - f->parameters[BIAS][c] - decoded(f, a, c);
            loss += e * e / all;
            if (!f->fixed)
                f->missing[row * f->n + c] = e;
        }
        loss += f->l1 * penalty_of(f, a) / all;
        if (!f->k || !f->fixed)
            continue;
        keep_largest(z, f->sleeps, f->m, f->n / 2);
        for (int64_t c = 0; c < f->n; c++) {
            double e = f->missing[row * f->n + c] - decoded(f, z, c);
            *auxiliary += e * e / all;
        }
    }
    ps_free(&z);
    ps_free(&a);
    return loss;
}

static double objective_cb(void *user)
{
    double auxiliary, loss = objective(user, &auxiliary);
    return loss + auxiliary / 32;
}

/* ---- gradients ---- */

typedef struct shape {
    int64_t layers[3], k;
    double l1;
    int64_t rows;
} shape;
static const shape shapes[] = {
    {{6, 9, 6}, 0, 0.3, 11}, {{8, 40, 8}, 3, 0, 5}, {{5, 5, 5}, 5, 0, 7}, {{7, 64, 7}, 1, 0, 2}};
#define SHAPES (int)(sizeof shapes / sizeof *shapes)

static void run_step(fixture *f, ps_model_batch *batch, ps_model_result *result)
{
    ck_ok(ps_model_forward(f->model, batch, NULL));
    ck_ok(ps_model_loss(f->model, batch));
    ck_ok(ps_model_backward(f->model, NULL));
    ck_ok(ps_model_result_get(f->model, result));
}

static void check_gradients(fixture *f, double tolerance)
{
    for (size_t i = 0; i < PARAMETERS; i++) {
        ps_tensor t = ps_model_gradient(f->model, i);
        size_t n = (size_t)ps_tensor_count(t);
        float *found = ps_alloc_array(n, sizeof *found);
        double *slopes = ps_alloc_array(n, sizeof *slopes);
        ck_ok(ps_copy_to_host(ps_model_stream(f->model), found, t, ps_tensor_bytes(t)));
        ps_ref64_differences(objective_cb, f, f->parameters[i], n, slopes);
        for (size_t j = 0; j < n; j++)
            ck_assert_msg(fabs((double)found[j] - slopes[j]) < tolerance * (1 + fabs(slopes[j])),
                          "%s, element %zu: %g, by differences %g",
                          ps_model_parameters(f->model)->parameters[i].name, j, (double)found[j],
                          slopes[j]);
        ps_free(&found);
        ps_free(&slopes);
    }
}

START_TEST(gradients_are_the_differences_of_the_objective)
{
    const shape *s = &shapes[_i];
    fixture f;
    double auxiliary;
    ps_model_result result;
    open_fixture(&f, s->layers, s->k, s->l1, s->rows);
    double loss = objective(&f, &auxiliary); /* what sleeps, and what is missing, stays */
    f.fixed = true;
    ps_model_batch batch = {.rows = s->rows, .features = f.features, .train = true};
    run_step(&f, &batch, &result);
    ck_assert_double_eq_tol(result.loss, loss, 1e-5 * loss);
    check_gradients(&f, 2e-5);

    /* the same rows in two batches of one step */
    batch.rows = s->rows / 2;
    batch.weight = (double)batch.rows / (double)s->rows;
    if (s->k == 0) { /* else who sleeps is another matter */
        run_step(&f, &batch, &result);
        batch.features = f.features + batch.rows * f.n;
        batch.rows = s->rows - batch.rows;
        batch.weight = (double)batch.rows / (double)s->rows;
        batch.add_gradients = true;
        run_step(&f, &batch, &result);
        check_gradients(&f, 2e-5);
    }
    close_fixture(&f);
}
END_TEST

START_TEST(it_says_how_many_latents_are_active)
{
    fixture f;
    ps_model_result result;
    static const int64_t layers[] = {8, 40, 8};
    open_fixture(&f, layers, 3, 0, 5);
    ps_model_batch batch = {.rows = 5, .features = f.features};
    ck_ok(ps_model_forward(f.model, &batch, NULL));
    ck_ok(ps_model_loss(f.model, &batch));
    ck_ok(ps_model_result_get(f.model, &result));
    ck_assert_str_eq(result.measures[0].name, "mse");
    ck_assert_str_eq(result.measures[2].name, "l0");
    ck_assert_double_eq(result.measures[0].value, result.loss);
    ck_assert_double_eq_tol(result.measures[2].value, 3, 1e-9);
    ck_assert_str_eq(result.measures[3].name, "dead_share");
    ck_assert_double_ge(result.measures[3].value, 1 - 15.0 / 40);
    ck_assert_ptr_null(result.measures[4].name);
    close_fixture(&f);
}
END_TEST

/* ---- a planted dictionary ---- */

enum { INPUTS = 24, ATOMS = 32, LATENTS = 64, ROWS = 512, STEPS = 1500, ACTIVE = 3 };

static void plant(ps_rng *rng, float *atoms)
{
    for (int i = 0; i < ATOMS; i++) {
        double square = 0;
        for (int c = 0; c < INPUTS; c++) {
            atoms[i * INPUTS + c] = (float)ps_rng_normal(rng);
            square += (double)atoms[i * INPUTS + c] * (double)atoms[i * INPUTS + c];
        }
        for (int c = 0; c < INPUTS; c++)
            atoms[i * INPUTS + c] /= (float)sqrt(square);
    }
}

/* Each row is a few atoms, of different strength. */
static void draw_rows(ps_rng *rng, const float *atoms, float *x)
{
    memset(x, 0, (size_t)ROWS * INPUTS * sizeof *x);
    for (int row = 0; row < ROWS; row++)
        for (int k = 0; k < ACTIVE; k++) {
            const float *atom = atoms + ps_rng_below(rng, ATOMS) * INPUTS;
            float strength = (float)(1 + ps_rng_uniform(rng));
            for (int c = 0; c < INPUTS; c++)
                x[row * INPUTS + c] += strength * atom[c];
        }
}

typedef struct adam {
    ps_buffer *memory;
    ps_tensor m[PARAMETERS], v[PARAMETERS];
} adam;

static ps_tensor state_of(adam *a, size_t *at, ps_tensor like)
{
    ps_tensor t = ps_tensor_1d(a->memory, *at, PS_DTYPE_F32, ps_tensor_count(like));
    *at += (ps_tensor_bytes(t) + 255) & ~(size_t)255;
    return t;
}

static void open_adam(fixture *f, adam *a)
{
    size_t at = 0;
    ck_ok(ps_buffer_new(f->device.backend, 1 << 20, &a->memory));
    for (size_t i = 0; i < PARAMETERS; i++) {
        a->m[i] = state_of(a, &at, ps_model_parameter(f->model, i));
        a->v[i] = state_of(a, &at, ps_model_parameter(f->model, i));
        ps_op_fill(ps_model_stream(f->model), a->m[i], 0);
        ps_op_fill(ps_model_stream(f->model), a->v[i], 0);
    }
    ck_assert_uint_le(at, 1 << 20);
}

static ps_tensor flat(ps_tensor t)
{
    return ps_tensor_1d(t.buffer, t.offset, PS_DTYPE_F32, ps_tensor_count(t));
}

static void train(fixture *f, const float *atoms)
{
    adam a;
    ps_model_result result;
    open_adam(f, &a);
    ps_model_batch batch = {.rows = ROWS, .features = f->features, .train = true};
    for (int step = 1; step <= STEPS; step++) {
        draw_rows(&f->device.rng, atoms, f->features);
        run_step(f, &batch, &result);
        for (size_t i = 0; i < PARAMETERS; i++)
            ps_op_adamw(ps_model_stream(f->model),
                        &(ps_adamw){flat(ps_model_parameter(f->model, i)), a.m[i], a.v[i],
                                    flat(ps_model_gradient(f->model, i)),
                                    step < STEPS * 3 / 4 ? 0.005f : 0.001f, 0.9f, 0.999f, 1e-8f, 0,
                                    step});
    }
    ps_buffer_free(f->device.backend, &a.memory);
}

/* Of each atom how near the latent is that points most its way; the mean. */
static double recovered(fixture *f, const float *atoms)
{
    static float w[LATENTS * INPUTS];
    double sum = 0;
    ps_tensor t = ps_model_parameter(f->model, DECODER);
    ck_ok(ps_copy_to_host(ps_model_stream(f->model), w, t, ps_tensor_bytes(t)));
    for (int i = 0; i < ATOMS; i++) {
        double best = -1;
        for (int l = 0; l < LATENTS; l++) {
            double dot = 0, square = 0;
            for (int c = 0; c < INPUTS; c++) {
                dot += (double)w[l * INPUTS + c] * (double)atoms[i * INPUTS + c];
                square += (double)w[l * INPUTS + c] * (double)w[l * INPUTS + c];
            }
            best = fmax(best, square > 0 ? dot / sqrt(square) : -1);
        }
        sum += best / ATOMS;
    }
    return sum;
}

static const struct {
    int64_t k;
    double l1;
} kinds[] = {{0, 0.3}, {ACTIVE, 0}};

/* As psd begins: rows of about length 1, and both matrices the same. */
static void begin(fixture *f)
{
    float *w = random_floats(&f->device.rng, LATENTS * INPUTS, 1 / sqrt(INPUTS)),
          *zeros = ps_alloc_array(LATENTS, sizeof *zeros);
    for (size_t i = 0; i < PARAMETERS; i++)
        ps_free(&f->parameters[i]);
    set_parameter(f, ENCODER, w, LATENTS * INPUTS);
    set_parameter(f, DECODER, w, LATENTS * INPUTS);
    set_parameter(f, BIAS, zeros, INPUTS);
    set_parameter(f, ENCODER_BIAS, zeros, LATENTS);
    ps_free(&w);
    ps_free(&zeros);
}

START_TEST(a_planted_dictionary_is_found)
{
    static const int64_t layers[] = {INPUTS, LATENTS, INPUTS};
    static float atoms[ATOMS * INPUTS];
    fixture f;
    if (ps_test_leave_out((int64_t)STEPS * ROWS * INPUTS))
        return;
    open_fixture(&f, layers, kinds[_i].k, kinds[_i].l1, ROWS);
    begin(&f);
    plant(&f.device.rng, atoms);
    double before = recovered(&f, atoms);
    train(&f, atoms);
    double after = recovered(&f, atoms);
    ck_assert_msg(after >= 0.95, "%g on average, and %g before", after, before);
    ck_assert_double_lt(before, 0.8);
    close_fixture(&f);
}
END_TEST

static const ps_check_case cases[] = {
    {.test = &gradients_are_the_differences_of_the_objective, .repeat = SHAPES},
    {.test = &it_says_how_many_latents_are_active},
    {.test = &a_planted_dictionary_is_found, .timeout_s = 60, .repeat = 2},
    {0},
};

int main(void)
{
    return ps_check_main("worker/models/sae", cases);
}
