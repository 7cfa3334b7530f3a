/* plan_store: the job file and the plan decide what the store is, and how it learns. */
#include "server/runs/plan_store.h"

#include "server/params/ledger.h"
#include "tests/lib/check_main.h"
#include "tests/lib/params.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static ps_job_spec *new_spec(const char *train, const char *more)
{
    char yaml[1024];
    ps_job_spec *spec = NULL;
    (void)snprintf(yaml, sizeof yaml,
                   "kind: train\nname: a\nmodel: {architecture: mlp, layers: [4, 3]}\n"
                   "data: {format: idx, train: {features: /x, labels: /y}}\ntrain:\n%s%s",
                   train, more);
    ck_assert_msg(ps_job_spec_parse(ps_slice_str(yaml), "job", &spec) == PS_OK, "%s",
                  ps_error_message());
    return spec;
}

#define PLAIN                         \
    "  epochs: 1\n  batch_size: 10\n" \
    "  optimizer: {name: sgd, learning_rate: 1}\n"

typedef struct planned {
    ps_data_plan result;
    ps_data_plan_tensor tensors[4];
    uint64_t shapes[4][9];
    char names[4][16];
} planned;

static void tensor(planned *p, const char *name, ps_plan_init initializer, double scale,
                   const uint64_t *shape, size_t rank)
{
    size_t i = p->result.n_tensors++;
    (void)snprintf(p->names[i], sizeof p->names[i], "%s", name);
    memcpy(p->shapes[i], shape, rank * sizeof *shape);
    p->tensors[i].name = p->names[i];
    p->tensors[i].n_shape = rank;
    p->tensors[i].shape = rank ? p->shapes[i] : NULL;
    p->tensors[i].initializer = initializer;
    p->tensors[i].scale = scale;
}

static void begin(planned *p, uint64_t rows)
{
    memset(p, 0, sizeof *p);
    p->result.tensors = p->tensors;
    p->result.train_rows = rows;
}

START_TEST(tensors_have_the_plans_shapes_and_initial_values)
{
    planned p;
    begin(&p, 100);
    tensor(&p, "ones", PS_PLAN_ONES, 0, (uint64_t[]){2, 3, 5}, 3);
    tensor(&p, "zeros", PS_PLAN_ZEROS, 0, (uint64_t[]){7}, 1);
    tensor(&p, "uniform", PS_PLAN_UNIFORM, 0.5, (uint64_t[]){100, 20}, 2);
    tensor(&p, "normal", PS_PLAN_NORMAL, 2, (uint64_t[]){100, 20}, 2);
    ps_job_spec *spec = new_spec(PLAIN, "column_blocks: 2\n");
    ps_param_store *store = NULL;
    ck_ok(ps_store_create(spec, &p.result, NULL, &store));
    const ps_placement *at = ps_param_store_placement(store);
    ck_assert_uint_eq(at->n_tensors, 4);
    ck_assert_str_eq(at->tensors[0].name, "ones");
    ck_assert_uint_eq(at->tensors[0].rank, 3);
    ck_assert_uint_eq(at->tensors[0].shape[2], 5);
    ck_assert_uint_eq(at->tensors[2].n_shards, 2);
    float *ones = test_params_read(store, 0), *zeros = test_params_read(store, 1);
    float *uniform = test_params_read(store, 2), *normal = test_params_read(store, 3);
    for (size_t i = 0; i < 30; i++)
        ck_assert_float_eq(ones[i], 1);
    for (size_t i = 0; i < 7; i++)
        ck_assert_float_eq(zeros[i], 0);
    double squares[2] = {0};
    for (size_t i = 0; i < 2000; i++) {
        ck_assert_float_le(fabsf(uniform[i]), 0.5F);
        squares[0] += (double)uniform[i] * (double)uniform[i] / 2000;
        squares[1] += (double)normal[i] * (double)normal[i] / 2000;
    }
    ck_assert_double_eq_tol(squares[0], 1.0 / 12, 0.01); /* the variance of a uniform [-1/2, 1/2) */
    ck_assert_double_eq_tol(squares[1], 4, 0.6);
    free(ones);
    free(zeros);
    free(uniform);
    free(normal);
    ps_param_store_unref(&store);
    ps_job_spec_free(&spec);
}
END_TEST

START_TEST(a_plan_that_cannot_be_names_the_tensor)
{
    planned p;
    ps_param_store *store = NULL;
    ps_job_spec *spec = new_spec(PLAIN, "");
    const uint64_t nine[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    begin(&p, 100);
    tensor(&p, "deep", PS_PLAN_ZEROS, 0, nine, 9);
    ck_assert_int_eq(ps_store_create(spec, &p.result, NULL, &store), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(), "tensor deep: 9 dimensions, at most 8");
    begin(&p, 100);
    tensor(&p, "w", (ps_plan_init)77, 0, nine, 1);
    ck_assert_int_eq(ps_store_create(spec, &p.result, NULL, &store), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(), "tensor w: initializer 77 is not known");
    begin(&p, 100);
    tensor(&p, "empty", PS_PLAN_ZEROS, 0, (uint64_t[]){0}, 1);
    ck_assert_int_eq(ps_store_create(spec, &p.result, NULL, &store), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "empty"));
    ck_assert_ptr_null(store);
    ps_job_spec_free(&spec);
}
END_TEST

/* One parameter, from 0, gradient 1, rate 1: by what it moves at each update of these rows. */
static double move_rows(ps_param_store *store, uint64_t update, uint64_t lease, ps_row_span rows)
{
    ps_push_header header = {
        .incarnation = 1, .sequence = update, .clock = update, .lease = lease, .rows = rows};
    ps_push_reply reply;
    ps_clock_reply clock;
    bool parked = false;
    float *before = test_params_read(store, 0);
    ck_ok(test_params_push(store, "worker", &header, 1, &reply));
    if (strcmp(ps_param_store_consistency(store), "bsp") == 0)
        ck_ok(ps_param_store_clock(store, &(ps_clock_end){.member = "worker", .clock = update},
                                   &clock, &parked, NULL, NULL));
    ck_assert(!parked);
    float *after = test_params_read(store, 0);
    double moved = (double)before[0] - (double)after[0];
    free(before);
    free(after);
    return moved;
}

static double move(ps_param_store *store, uint64_t update)
{
    return move_rows(store, update, 0, (ps_row_span){0});
}

/* By what the last of all updates moves it, when the rate falls to 0 in a straight line. One worker
 * does it all, however many the job file would have taken. */
static double last_move(const char *mode, int workers, uint64_t rows)
{
    enum { EPOCHS = 3, BATCH = 10 };
    char train[512], more[64];
    planned p;
    ps_param_store *store = NULL;
    uint64_t first, update = 1;
    double moved = 0;
    begin(&p, rows);
    tensor(&p, "x", PS_PLAN_ZEROS, 0, (uint64_t[]){1}, 1);
    (void)snprintf(train, sizeof train,
                   "  epochs: 3\n  batch_size: 10\n  optimizer: {name: sgd, learning_rate: 1}\n"
                   "  schedule: {name: linear, final_factor: 0}\n  consistency: {mode: %s}\n",
                   mode);
    (void)snprintf(more, sizeof more, "workers: %d\n", workers);
    ps_job_spec *spec = new_spec(train, more);
    ck_ok(ps_store_create(spec, &p.result, NULL, &store));
    ck_assert_str_eq(ps_param_store_consistency(store), mode);
    ck_ok(ps_param_store_join(store, "worker", 0, &first));
    for (uint32_t epoch = 0; epoch < EPOCHS; epoch++) {
        ps_ledger_lease_begin(ps_param_store_ledger(store), 1 + epoch, epoch,
                              (ps_row_span){0, rows});
        for (uint64_t row = 0; row < rows; row += BATCH, update++)
            moved = move_rows(store, update, 1 + epoch,
                              (ps_row_span){row, row + BATCH < rows ? row + BATCH : rows});
    }
    ps_param_store_unref(&store);
    ps_job_spec_free(&spec);
    return moved;
}

START_TEST(a_schedule_arrives_with_the_last_row_whoever_did_them)
{
    ck_assert_double_eq_tol(last_move("asp", 1, 100), 10.0 / 300, 1e-6); /* one batch before 0 */
    ck_assert_double_eq_tol(last_move("asp", 4, 101), 1.0 / 303, 1e-6);  /* a short one */
    ck_assert_double_eq_tol(last_move("bsp", 1, 101), 1.0 / 303, 1e-6);
    ck_assert_double_eq_tol(last_move("bsp", 4, 101), 1.0 / 303, 1e-6);
}
END_TEST

START_TEST(the_job_files_optimizer_and_clipping_are_the_stores)
{
    planned p;
    ps_param_store *store = NULL;
    begin(&p, 100);
    tensor(&p, "x", PS_PLAN_ZEROS, 0, (uint64_t[]){1}, 1);
    ps_job_spec *spec = new_spec("  epochs: 1\n  batch_size: 10\n  clip_norm: 0.25\n"
                                 "  optimizer: {name: momentum, learning_rate: 2, momentum: 0.5}\n",
                                 "");
    ck_ok(ps_store_create(spec, &p.result, NULL, &store));
    double velocity = 0;
    for (uint64_t update = 1; update <= 4; update++) {
        velocity = 0.5 * velocity + 0.25; /* the gradient 1 is clipped to 0.25 */
        ck_assert_double_eq_tol(move(store, update), 2 * velocity, 1e-6);
    }
    ps_param_store_unref(&store);
    ps_job_spec_free(&spec);
}
END_TEST

START_TEST(a_state_begins_where_the_job_file_says)
{
    planned p;
    ps_param_store *store = NULL;
    begin(&p, 100);
    tensor(&p, "x", PS_PLAN_ZEROS, 0, (uint64_t[]){1}, 1);
    ps_job_spec *spec = new_spec("  epochs: 1\n  batch_size: 10\n  optimizer: {name: adagrad, "
                                 "learning_rate: 2, initial_accumulator: 3}\n",
                                 "");
    ck_ok(ps_store_create(spec, &p.result, NULL, &store));
    for (uint64_t update = 1; update <= 4; update++)
        ck_assert_double_eq_tol(move(store, update), 2 / sqrt(3 + (double)update), 1e-6);
    ps_param_store_unref(&store);
    ps_job_spec_free(&spec);
}
END_TEST

/* With gradients of zero only weight decay moves a parameter, whatever the rule is; how far is the
 * rule's. */
static void check_decay(const char *optimizer, const char *key, bool of_all)
{
    static const ps_plan_role roles[] = {PS_PLAN_MATRIX, PS_PLAN_EMBEDDING, PS_PLAN_BIAS,
                                         PS_PLAN_NORM};
    planned p;
    begin(&p, 100);
    for (size_t i = 0; i < 4; i++) {
        char name[8];
        (void)snprintf(name, sizeof name, "t%zu", i);
        tensor(&p, name, PS_PLAN_ONES, 0, (uint64_t[]){3, 5}, 2);
        p.tensors[i].role = roles[i];
    }
    char train[200];
    (void)snprintf(train, sizeof train,
                   "  epochs: 1\n  optimizer: {name: %s, learning_rate: 1, weight_decay: 0.25%s}\n",
                   optimizer, key);
    ps_job_spec *spec = new_spec(train, "column_blocks: 2\n");
    ps_param_store *store = NULL;
    ck_ok(ps_store_create(spec, &p.result, NULL, &store));
    ps_push_header header = {.incarnation = 1, .sequence = 1};
    ps_push_reply reply;
    ck_ok(test_params_push(store, "w", &header, 0, &reply));
    for (uint32_t i = 0; i < 4; i++) {
        float *values = test_params_read(store, i);
        for (size_t k = 0; k < 15; k++)
            ck_assert_msg(of_all || i < 2 ? values[k] < 1 : values[k] == 1, "%s%s: t%u is %g",
                          optimizer, key, i, (double)values[k]);
        free(values);
    }
    ps_param_store_unref(&store);
    ps_job_spec_free(&spec);
}

START_TEST(biases_and_norms_decay_unless_the_job_says_otherwise)
{
    for (const char *const *rule = ps_optimizer_names; *rule; rule++) {
        check_decay(*rule, "", true);
        check_decay(*rule, ", decay_bias_and_norm: true", true);
        check_decay(*rule, ", decay_bias_and_norm: false", false);
    }
}
END_TEST

START_TEST(an_optimizer_has_defaults_of_its_own)
{
    static const struct {
        const char *optimizer;
        double beta2, epsilon, sum;
    } of[] = {{"adamw", 0.999, 1e-8, 0},
              {"lion", 0.99, 1e-8, 0},
              {"lion, beta2: 0.5", 0.5, 1e-8, 0},
              {"adagrad", 0.999, 1e-10, 0},
              {"adagrad, epsilon: 1e-4, initial_accumulator: 0.1", 0.999, 1e-4, 0.1}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        ps_buf text = PS_BUF_EMPTY;
        ps_job_spec *spec = NULL;
        ps_buf_printf(&text,
                      "kind: train\nname: a\nmodel: {architecture: mlp, layers: [4, 3]}\n"
                      "data: {format: idx, train: {features: /x, labels: /y}}\n"
                      "train: {epochs: 1, optimizer: {learning_rate: 1, name: %s}}\n",
                      of[i].optimizer);
        ck_ok(ps_job_spec_parse(ps_buf_slice(&text), "job.yaml", &spec));
        ck_assert_double_eq(spec->train->optimizer.beta1, 0.9);
        ck_assert_double_eq(spec->train->optimizer.beta2, of[i].beta2);
        ck_assert_double_eq(spec->train->optimizer.epsilon, of[i].epsilon);
        ck_assert_double_eq(spec->train->optimizer.initial_accumulator, of[i].sum);
        ps_job_spec_free(&spec);
        ps_buf_free(&text);
    }
}
END_TEST

static const ps_check_case cases[] = {
    {&tensors_have_the_plans_shapes_and_initial_values},
    {&a_plan_that_cannot_be_names_the_tensor},
    {&a_schedule_arrives_with_the_last_row_whoever_did_them},
    {&the_job_files_optimizer_and_clipping_are_the_stores},
    {&a_state_begins_where_the_job_file_says},
    {&an_optimizer_has_defaults_of_its_own},
    {&biases_and_norms_decay_unless_the_job_says_otherwise},
    {0},
};

int main(void)
{
    return ps_check_main("server/runs/plan_store", cases);
}
