/* task_rig: a runner over the real transport, psd's parts as fakes, and what tasks say, collected:
 * what the tests of tasks share. One at a time, in `t`. */
#ifndef PS_TEST_TASK_RIG_H
#define PS_TEST_TASK_RIG_H

#include "common/base/mem.h"
#include "tests/lib/data_file.h"
#include "tests/lib/fake_models.h"
#include "tests/lib/fake_parameters.h"
#include "tests/lib/remote_rig.h"
#include "worker/runner.h"

#include <check.h>
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
    uint64_t samples, steps, position, rows_total;
    double loss_sum, right_sum;
    bool stopped;
    char lost[256];
} t;

static inline void progress_cb(void *user, const Psd__V1__TaskProgress *p)
{
    (void)user;
    pthread_mutex_lock(&t.lock);
    t.samples += p->samples;
    t.rows_total = p->rows_total;
    t.steps += p->steps;
    t.loss_sum += p->loss_sum;
    t.position = p->position;
    for (size_t i = 0; i < p->n_metric_sums; i++)
        t.right_sum += strcmp(p->metric_sums[i]->name, "accuracy") ? 1e9 : p->metric_sums[i]->value;
    pthread_mutex_unlock(&t.lock);
}

static inline void result_cb(void *user, Psd__V1__TaskResult *result)
{
    (void)user;
    pthread_mutex_lock(&t.lock);
    ck_assert_uint_lt(t.count, RESULTS);
    t.results[t.count++] = result;
    pthread_cond_broadcast(&t.more);
    pthread_mutex_unlock(&t.lock);
}

static inline void lost_cb(void *user, const char *why)
{
    (void)user;
    pthread_mutex_lock(&t.lock);
    ck_assert_uint_gt(t.count, 0); /* the result leaves before the worker does */
    snprintf(t.lost, sizeof(t.lost), "%s", why);
    pthread_cond_broadcast(&t.more);
    pthread_mutex_unlock(&t.lock);
}

static inline void stopped_cb(void *user)
{
    (void)user;
    pthread_mutex_lock(&t.lock);
    t.stopped = true;
    pthread_cond_broadcast(&t.more);
    pthread_mutex_unlock(&t.lock);
}

/* Runs f on the runner's loop, which everything of it wants. */
static inline void on_loop(void (*f)(void *state), void *state)
{
    ps_remote_run(&t.rig.remote, f, state);
}

static unsigned rig_slots = 1; /* of the runner that begin() makes */

static inline void make_runner(void *state)
{
    (void)state;
    ps_runner_create(
        &t.env, rig_slots,
        &(ps_runner_events){
            .progress = progress_cb, .result = result_cb, .lost = lost_cb, .stopped = stopped_cb},
        &t.runner);
}

static inline void make_files(void)
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

static inline void make_model_file(size_t *len)
{
    float values[6];
    memcpy(values, bias, sizeof(bias));
    memcpy(values + 2, weight, sizeof(weight));
    t.file = ps_test_safetensors(
        "{\"layers.0.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
        "\"layers.0.weight\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[8,24]}}",
        ps_slice_of(values, sizeof(values)), len);
}

static inline void begin_on(ps_test_where where)
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
    ps_test_remote_rig_open_on(&t.rig, where, services, 2);
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

static inline void begin(void)
{
    begin_on(PS_TEST_CPU);
}

static inline void quit(void *state)
{
    (void)state;
    ps_runner_quit(t.runner);
}

static inline void end(void)
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

static inline Psd__V1__Task *task_new(uint64_t lease, const char *kind, char *spec,
                                      const char *config)
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

static inline Psd__V1__Task *stored_task(uint64_t lease, const char *kind, const char *config,
                                         const char *data)
{
    const char *targets = config == numbers ? "  csv: {targets: 2}\n" : "";
    char *spec = ps_asprintf("kind: %s\nname: try\nmodel_name: line\n"
                             "data:\n  format: csv\n%s  test: {features: %s}\n",
                             kind, targets, data);
    return task_new(lease, kind, spec, config);
}

static inline Psd__V1__Task *train_task_of(uint64_t lease, const char *kind, const char *data,
                                           const char *mode)
{
    char *spec = ps_asprintf("kind: train\nname: line\nmodel: %s\n"
                             "data:\n  format: csv\n  train: {features: %s}\n"
                             "train: {epochs: 1, batch_size: 2, consistency: {mode: %s},\n"
                             "  optimizer: {name: sgd, learning_rate: 0.1}}\n",
                             classes, data, mode);
    return task_new(lease, kind, spec, "");
}

static inline Psd__V1__Task *train_task(uint64_t lease, const char *kind, const char *data)
{
    return train_task_of(lease, kind, data, "asp");
}

static inline void start(void *task)
{
    ps_runner_start(t.runner, task);
}

static inline void cancel(void *lease)
{
    ps_runner_cancel(t.runner, *(uint64_t *)lease, "you said so");
}

static inline void stop(void *state)
{
    (void)state;
    ps_runner_stop(t.runner);
}

static inline const Psd__V1__TaskResult *wait_result(uint64_t lease)
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

static inline const Psd__V1__TaskResult *run(Psd__V1__Task *task)
{
    uint64_t lease = task->lease_id;
    on_loop(start, task);
    return wait_result(lease);
}

static inline void is_done(const Psd__V1__TaskResult *r)
{
    ck_assert_msg(r->code == 0, "%s", r->message);
}

static inline void failed(const Psd__V1__TaskResult *r, int code, bool retry, const char *words)
{
    ck_assert_int_eq(r->code, code);
    ck_assert_msg(strstr(r->message, words) != NULL, "%s", r->message);
    ck_assert_int_eq(r->retry, retry);
    ck_assert_ptr_null(r->plan);
    ck_assert_ptr_null(r->evaluate);
}

/* Output j of row i. */
static inline double output(int i, int j)
{
    return (double)bias[j] + (double)weight[j][0] * (double)x[i][0] +
           (double)weight[j][1] * (double)x[i][1];
}

static inline double probability(int i, int j)
{
    return 1 / (1 + exp(output(i, 1 - j) - output(i, j)));
}

#endif
