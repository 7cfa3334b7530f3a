/* task: the runner and the kinds of tasks, over the real transport. psd is the fakes; what tasks
 * say is collected here, and what they compute is compared with plain arithmetic. */
#include "worker/task.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/data_file.h"
#include "tests/lib/fake_models.h"
#include "tests/lib/fake_parameters.h"
#include "tests/lib/remote_rig.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { RESULTS = 8, ROWS = 6 };

/* y = W x + b: class 0 or 1 of rows with two features. */
static const float bias[2] = {0.25f, -0.5f}, weight[2][2] = {{1, -2}, {0.5f, 1.5f}};
static const float x[ROWS][2] = {{1, 2}, {-1, 0.5f}, {0, 0}, {3, -1}, {0.5f, 0.25f}, {-2, -2}};
static const int label[ROWS] = {1, 1, 0, 0, 1, 1};
static const char classes[] = "{architecture: mlp, layers: [2, 2]}";
static const char numbers[] = "{architecture: mlp, layers: [2, 2], loss: squared_error}";

static struct {
    ps_test_remote_rig rig;
    fake_models models;
    fake_parameters parameters;
    uint8_t *file;
    char *roots[1];
    ps_worker_conf conf;
    ps_worker_env env;
    ps_runner *runner;
    char *labelled, *targets; /* csv: x and a class; x and two numbers */
    /* what tasks say; under lock */
    pthread_mutex_t lock;
    pthread_cond_t more;
    Psd__V1__TaskResult *results[RESULTS];
    size_t count;
    uint64_t samples, steps, position;
    double loss_sum, right_sum;
    bool stopped;
} t;

static void progress_cb(void *user, const Psd__V1__TaskProgress *p)
{
    (void)user;
    pthread_mutex_lock(&t.lock);
    t.samples += p->samples;
    t.steps += p->steps;
    t.loss_sum += p->loss_sum;
    t.position = p->position;
    for (size_t i = 0; i < p->n_metric_sums; i++)
        t.right_sum += strcmp(p->metric_sums[i]->name, "accuracy") ? 1e9 : p->metric_sums[i]->value;
    pthread_mutex_unlock(&t.lock);
}

static void result_cb(void *user, Psd__V1__TaskResult *result)
{
    (void)user;
    pthread_mutex_lock(&t.lock);
    ck_assert_uint_lt(t.count, RESULTS);
    t.results[t.count++] = result;
    pthread_cond_broadcast(&t.more);
    pthread_mutex_unlock(&t.lock);
}

static void stopped_cb(void *user)
{
    (void)user;
    pthread_mutex_lock(&t.lock);
    t.stopped = true;
    pthread_cond_broadcast(&t.more);
    pthread_mutex_unlock(&t.lock);
}

/* Runs f on the runner's loop, which everything of it wants. */
static void on_loop(void (*f)(void *state), void *state)
{
    ps_remote_run(&t.rig.remote, f, state);
}

static void make_runner(void *state)
{
    (void)state;
    ps_runner_create(
        &t.env, 1,
        &(ps_runner_events){.progress = progress_cb, .result = result_cb, .stopped = stopped_cb},
        &t.runner);
}

static void make_files(void)
{
    ps_buf a = PS_BUF_EMPTY, b = PS_BUF_EMPTY;
    for (int i = 0; i < ROWS; i++) {
        ps_buf_printf(&a, "%g,%g,%d\n", (double)x[i][0], (double)x[i][1], label[i]);
        ps_buf_printf(&b, "%g,%g,1,2\n", (double)x[i][0], (double)x[i][1]);
    }
    t.labelled = ps_test_file(ps_buf_slice(&a), false);
    t.targets = ps_test_file(ps_buf_slice(&b), false);
    ps_buf_free(&a);
    ps_buf_free(&b);
}

static void make_model_file(size_t *len)
{
    float values[6];
    memcpy(values, bias, sizeof(bias));
    memcpy(values + 2, weight, sizeof(weight));
    t.file = ps_test_safetensors(
        "{\"layers.0.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
        "\"layers.0.weight\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[8,24]}}",
        ps_slice_of(values, sizeof(values)), len);
}

static void begin(void)
{
    static char tmp[] = "/tmp", name[] = "w1";
    static const int64_t weight_shape[] = {2, 2}, bias_shape[] = {2};
    memset(&t, 0, sizeof(t));
    pthread_mutex_init(&t.lock, NULL);
    pthread_cond_init(&t.more, NULL);
    size_t len;
    make_model_file(&len);
    make_files();
    fake_models_init(&t.models, ps_slice_of(t.file, len), 64);
    fake_parameters_init(&t.parameters);
    fake_parameters_add(&t.parameters, "layers.0.weight", 2, weight_shape);
    fake_parameters_add(&t.parameters, "layers.0.bias", 1, bias_shape);
    ps_rpc_service services[] = {fake_models_service(&t.models),
                                 fake_parameters_service(&t.parameters)};
    ps_test_remote_rig_open(&t.rig, services, 2);
    t.roots[0] = tmp;
    t.conf = (ps_worker_conf){
        .name = name, .data_roots = t.roots, .n_data_roots = 1, .memory_bytes = 1 << 20};
    t.env = (ps_worker_env){.conf = &t.conf,
                            .backend = t.rig.backend,
                            .loop = t.rig.remote.loop,
                            .channel = t.rig.remote.channel,
                            .clock = &ps_clock_system,
                            .incarnation = 5};
    on_loop(make_runner, NULL);
}

static void quit(void *state)
{
    (void)state;
    ps_runner_quit(t.runner);
}

static void end(void)
{
    on_loop(quit, NULL);
    pthread_mutex_lock(&t.lock);
    while (!t.stopped)
        pthread_cond_wait(&t.more, &t.lock);
    pthread_mutex_unlock(&t.lock);
    ps_runner_free(&t.runner);
    for (size_t i = 0; i < t.count; i++)
        psd__v1__task_result__free_unpacked(t.results[i], NULL);
    ps_test_file_drop(&t.labelled);
    ps_test_file_drop(&t.targets);
    ps_test_remote_rig_close(&t.rig);
    fake_models_free(&t.models);
    ps_free(&t.file);
}

/* ---- tasks ---- */

static Psd__V1__Task *task_new(uint64_t lease, const char *kind, char *spec, const char *config)
{
    Psd__V1__Task *task = ps_new(Psd__V1__Task);
    psd__v1__task__init(task);
    task->lease_id = lease;
    task->job_id = 3;
    task->kind = ps_strdup(kind);
    task->spec = spec;
    task->model_config = ps_strdup(config);
    return task;
}

static Psd__V1__Task *stored_task(uint64_t lease, const char *kind, const char *config,
                                  const char *data)
{
    const char *targets = config == numbers ? "  csv: {targets: 2}\n" : "";
    char *spec = ps_asprintf("kind: %s\nname: try\nmodel_name: line\n"
                             "data:\n  format: csv\n%s  test: {features: %s}\n",
                             kind, targets, data);
    return task_new(lease, kind, spec, config);
}

static Psd__V1__Task *train_task(uint64_t lease, const char *kind, const char *data)
{
    char *spec = ps_asprintf("kind: train\nname: line\nmodel: %s\n"
                             "data:\n  format: csv\n  train: {features: %s}\n"
                             "train: {epochs: 1, batch_size: 2, consistency: {mode: asp},\n"
                             "  optimizer: {name: sgd, learning_rate: 0.1}}\n",
                             classes, data);
    return task_new(lease, kind, spec, "");
}

static void start(void *task)
{
    ps_runner_start(t.runner, task);
}

static void cancel(void *lease)
{
    ps_runner_cancel(t.runner, *(uint64_t *)lease, "you said so");
}

static void stop(void *state)
{
    (void)state;
    ps_runner_stop(t.runner);
}

static const Psd__V1__TaskResult *wait_result(uint64_t lease)
{
    const Psd__V1__TaskResult *found = NULL;
    pthread_mutex_lock(&t.lock);
    while (!found) {
        for (size_t i = 0; i < t.count; i++)
            found = t.results[i]->lease_id == lease ? t.results[i] : found;
        if (!found)
            pthread_cond_wait(&t.more, &t.lock);
    }
    pthread_mutex_unlock(&t.lock);
    return found;
}

static const Psd__V1__TaskResult *run(Psd__V1__Task *task)
{
    uint64_t lease = task->lease_id;
    on_loop(start, task);
    return wait_result(lease);
}

static void is_done(const Psd__V1__TaskResult *r)
{
    ck_assert_msg(r->code == 0, "%s", r->message);
}

static void failed(const Psd__V1__TaskResult *r, int code, bool retry, const char *words)
{
    ck_assert_int_eq(r->code, code);
    ck_assert_msg(strstr(r->message, words) != NULL, "%s", r->message);
    ck_assert_int_eq(r->retry, retry);
    ck_assert_ptr_null(r->plan);
    ck_assert_ptr_null(r->evaluate);
}

/* Output j of row i. */
static double output(int i, int j)
{
    return (double)bias[j] + (double)weight[j][0] * (double)x[i][0] +
           (double)weight[j][1] * (double)x[i][1];
}

static double probability(int i, int j)
{
    return 1 / (1 + exp(output(i, 1 - j) - output(i, j)));
}

/* ---- what the kinds do ---- */

START_TEST(a_plan_says_rows_and_tensors)
{
    begin();
    const Psd__V1__TaskResult *r = run(train_task(1, "plan", t.labelled));
    is_done(r);
    ck_assert_uint_eq(r->plan->train_rows, ROWS);
    ck_assert_uint_eq(r->plan->test_rows, 0);
    ck_assert_uint_eq(r->plan->features, 2);
    ck_assert_uint_eq(r->plan->classes, 2);
    ck_assert_uint_eq(r->plan->n_tensors, 2);
    const Psd__V1__TensorPlan *w = r->plan->tensors[0];
    ck_assert_str_eq(w->name, "layers.0.weight");
    ck_assert_uint_eq(w->n_shape, 2);
    ck_assert_uint_eq(w->shape[1], 2);
    ck_assert_int_eq(w->initializer, PSD__V1__INITIALIZER__INITIALIZER_UNIFORM);
    ck_assert_double_eq_tol(w->scale, 1 / sqrt(2), 1e-6);
    ck_assert_uint_eq(r->plan->tensors[1]->n_shape, 1);
    /* what is wrong with a plan is wrong everywhere: another worker need not try */
    failed(run(train_task(2, "plan", "/tmp/psd-no-such-file")), 5, false,
           "training data: /tmp/psd-no-such-file");
    end();
}
END_TEST

START_TEST(predictions_are_lines_of_probabilities)
{
    begin();
    Psd__V1__Task *task = stored_task(1, "predict", classes, t.labelled);
    is_done(run(task));
    ck_assert_str_eq(t.models.artifact_name, "predictions.jsonl");
    ck_assert_uint_eq(t.models.job_id, 3);
    char *line = (char *)(uintptr_t)ps_buf_cstr(&t.models.artifact);
    for (int i = 0; i < ROWS; i++, line = strchr(line, '\n') + 1) {
        int row, best;
        double p[2];
        ck_assert_int_eq(sscanf(line, "{\"row\":%d,\"class\":%d,\"probabilities\":[%lf,%lf]}\n",
                                &row, &best, &p[0], &p[1]),
                         4);
        ck_assert_int_eq(row, i);
        ck_assert_int_eq(best, output(i, 1) > output(i, 0));
        ck_assert_double_eq_tol(p[0], probability(i, 0), 1e-6);
        ck_assert_double_eq_tol(p[1], probability(i, 1), 1e-6);
    }
    ck_assert_int_eq(*line, 0);
    end();
}
END_TEST

START_TEST(some_rows_of_predicted_numbers_have_their_own_name)
{
    begin();
    Psd__V1__Task *task = stored_task(1, "predict", numbers, t.targets);
    task->row_begin = 2;
    task->row_end = 4;
    is_done(run(task));
    ck_assert_str_eq(t.models.artifact_name, "predictions-2.jsonl");
    char *line = (char *)(uintptr_t)ps_buf_cstr(&t.models.artifact);
    for (int i = 2; i < 4; i++, line = strchr(line, '\n') + 1) {
        int row;
        double y[2];
        ck_assert_int_eq(sscanf(line, "{\"row\":%d,\"outputs\":[%lf,%lf]}\n", &row, &y[0], &y[1]),
                         3);
        ck_assert_int_eq(row, i);
        ck_assert_double_eq_tol(y[0], output(i, 0), 1e-6);
        ck_assert_double_eq_tol(y[1], output(i, 1), 1e-6);
    }
    ck_assert_int_eq(*line, 0);
    task = stored_task(2, "predict", numbers, t.targets);
    task->row_end = ROWS + 1;
    failed(run(task), 3, false, "rows 0 to 7 of data that has 6 here");
    end();
}
END_TEST

START_TEST(an_evaluation_counts_right_answers_only_where_there_are_some)
{
    begin();
    const Psd__V1__TaskResult *r = run(stored_task(1, "evaluate", classes, t.labelled));
    is_done(r);
    double loss = 0, right = 0;
    for (int i = 0; i < ROWS; i++) {
        loss -= log(probability(i, label[i])) / ROWS;
        right += (output(i, 1) > output(i, 0)) == label[i];
    }
    ck_assert_uint_eq(r->evaluate->samples, ROWS);
    ck_assert_double_eq_tol(r->evaluate->loss, loss, 1e-6);
    ck_assert_uint_eq(r->evaluate->n_metrics, 1);
    ck_assert_str_eq(r->evaluate->metrics[0]->name, "accuracy");
    ck_assert_double_eq_tol(r->evaluate->metrics[0]->value, right / ROWS, 1e-12);
    ck_assert(right > 0 && right < ROWS); /* or it would say little */
    r = run(stored_task(2, "evaluate", numbers, t.targets));
    is_done(r);
    double squares = 0;
    for (int i = 0; i < ROWS; i++)
        squares += pow(output(i, 0) - 1, 2) + pow(output(i, 1) - 2, 2);
    ck_assert_double_eq_tol(r->evaluate->loss, squares / (2 * ROWS), 1e-5);
    ck_assert_uint_eq(r->evaluate->n_metrics, 0);
    end();
}
END_TEST

START_TEST(training_reports_all_it_did_and_numbers_its_pushes_on)
{
    begin();
    for (uint64_t lease = 1; lease <= 2; lease++) {
        Psd__V1__Task *task = train_task(lease, "train", t.labelled);
        task->row_end = ROWS;
        is_done(run(task));
        ck_assert_uint_eq(t.position, ROWS);
        ck_assert_uint_eq(t.samples, lease * ROWS);
        ck_assert_uint_eq(t.steps, lease * ROWS / 2);
        if (lease == 2)
            break;
        /* two other jobs take the places of this one's data and exchange */
        for (uint64_t other = 0; other < 2; other++) {
            task = stored_task(10 + other, "evaluate", classes, t.labelled);
            task->job_id = 10 + other;
            is_done(run(task));
        }
    }
    ck_assert_double_gt(t.loss_sum, 0);
    ck_assert(t.right_sum >= 0 && t.right_sum <= 2 * ROWS);
    ck_assert_uint_eq(t.parameters.applied_count, ROWS);
    for (uint64_t i = 0; i < ROWS; i++)
        ck_assert_uint_eq(t.parameters.applied[i], i + 1); /* one used twice would be dropped */
    end();
}
END_TEST

START_TEST(a_kind_that_is_not_known_may_be_known_elsewhere)
{
    begin();
    failed(run(stored_task(1, "dream", classes, t.labelled)), 12, true, "no task of kind 'dream'");
    end();
}
END_TEST

/* ---- the runner ---- */

static void wait_export(void)
{
    while (!fake_models_count(&t.models, &t.models.exports))
        ;
}

START_TEST(cancelling_ends_the_task_of_the_lease_and_no_other)
{
    begin();
    t.models.silent = true;
    on_loop(start, stored_task(1, "predict", classes, t.labelled)); /* waits for psd */
    on_loop(start, stored_task(2, "predict", classes, t.labelled)); /* and this one for it */
    on_loop(start, train_task(3, "plan", t.labelled));
    wait_export();
    uint64_t lease = 2;
    on_loop(cancel, &lease);
    failed(wait_result(2), 1, true, "you said so");
    ck_assert_uint_eq(t.count, 1);
    lease = 99;
    on_loop(cancel, &lease); /* nobody's */
    lease = 1;
    on_loop(cancel, &lease);
    failed(wait_result(1), 1, true, "you said so");
    is_done(wait_result(3)); /* the cancellation was not its */
    end();
}
END_TEST

START_TEST(stopping_gives_back_what_waits_at_once)
{
    begin();
    t.models.silent = true;
    on_loop(start, stored_task(1, "predict", classes, t.labelled));
    on_loop(start, train_task(2, "plan", t.labelled));
    on_loop(start, train_task(3, "plan", t.labelled));
    wait_export();
    on_loop(stop, NULL);
    failed(wait_result(2), 1, true, "the worker is stopping");
    failed(wait_result(3), 1, true, "the worker is stopping");
    uint64_t lease = 1;
    on_loop(cancel, &lease);
    failed(wait_result(1), 1, true, "you said so");
    ck_assert_uint_eq(t.count, 3); /* one result each */
    end();
}
END_TEST

START_TEST(a_stopping_worker_ends_training_between_steps_and_says_where)
{
    begin();
    Psd__V1__Task *task = train_task(1, "train", t.labelled);
    task->row_end = ROWS;
    is_done(run(task));
    ck_assert_uint_eq(t.position, ROWS);
    on_loop(stop, NULL);
    task = train_task(2, "train", t.labelled); /* the next epoch's, not begun */
    task->row_end = ROWS;
    task->row_begin = 2;
    failed(run(task), 1, true, "the worker is stopping");
    ck_assert_uint_eq(t.parameters.applied_count, ROWS / 2);
    ck_assert_uint_eq(t.samples, ROWS);
    ck_assert_uint_eq(t.position,
                      2); /* all of it goes back; where the last one ended says nothing */
    end();
}
END_TEST

static const ps_check_case tests[] = {
    {&a_plan_says_rows_and_tensors},
    {&predictions_are_lines_of_probabilities},
    {&some_rows_of_predicted_numbers_have_their_own_name},
    {&an_evaluation_counts_right_answers_only_where_there_are_some},
    {&training_reports_all_it_did_and_numbers_its_pushes_on},
    {&a_kind_that_is_not_known_may_be_known_elsewhere},
    {&cancelling_ends_the_task_of_the_lease_and_no_other},
    {&stopping_gives_back_what_waits_at_once},
    {&a_stopping_worker_ends_training_between_steps_and_says_where},
    {0}};

int main(void)
{
    return ps_check_main("worker/task", tests);
}
