#include "tests/lib/world.h"

#include "common/base/mem.h"
#include "server/sched/kinds/kinds.h"
#include "tests/lib/check_main.h"
#include "tests/lib/model_row.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void ps_world_send_task(void *user, uint64_t session, const ps_task *t)
{
    ps_world *w = user;
    w->tasks = ps_realloc(w->tasks, (w->n_tasks + 1) * sizeof *w->tasks);
    ps_world_task *task = &w->tasks[w->n_tasks++];
    *task = (ps_world_task){.session = session,
                            .lease = t->lease_id,
                            .job = t->job_id,
                            .epoch = t->epoch,
                            .begin = t->row_begin,
                            .end = t->row_end,
                            .clock = t->first_clock,
                            .said = w->trace.len};
    (void)snprintf(task->kind, sizeof task->kind, "%s", t->kind);
    (void)snprintf(task->settled, sizeof task->settled, "%s", t->settled);
    (void)snprintf(task->model, sizeof task->model, "%s", t->model_name);
    ck_assert_str_ne(t->spec, "");
    if (t->model_config[0])
        ps_buf_printf(&w->trace, "config %s\nversion %s to session %" PRIu64 "\n", t->model_config,
                      t->model_version, session);
    if (t->n_said)
        ps_buf_printf(&w->trace, "said %zu, last %u\n", t->n_said, t->said[t->n_said - 1]);
}

static void send_cancel(void *user, uint64_t session, uint64_t lease_id, const char *reason)
{
    ps_world *w = user;
    ps_buf_printf(&w->trace, "cancel %" PRIu64 "\n", session);
    for (size_t i = 0; i < w->n_tasks; i++)
        if (w->tasks[i].lease == lease_id)
            w->tasks[i].cancelled = true;
    ck_assert_str_ne(reason, "");
}

static void drop_session(void *user, uint64_t session, const char *reason)
{
    ps_buf_printf(&((ps_world *)user)->trace, "drop %" PRIu64 "\n", session);
}

static uint64_t enter(void *user, uint64_t job_id, const char *worker, uint64_t lease_id)
{
    ps_world *w = user;
    ck_assert_uint_ne(lease_id, 0);
    ps_buf_printf(&w->trace, "enter %" PRIu64 " %s\n", job_id, worker);
    return ++w->clock;
}

static void leave(void *user, uint64_t job_id, const char *worker)
{
    ps_buf_printf(&((ps_world *)user)->trace, "leave %" PRIu64 " %s\n", job_id, worker);
}

static void answer(ps_world *w, ps_world_answer how, uint64_t job_id,
                   void (*to)(ps_sched *, uint64_t, const ps_error *))
{
    ps_error error;
    ps_error_save(&error, ps_fail(PS_NO_SPACE, "the disk is full"));
    if (how != PS_WORLD_LATER)
        to(w->sched, job_id, how == PS_WORLD_NO ? &error : NULL);
}

static void create_store(void *user, uint64_t job_id, ps_job_file *file, ps_data_plan *plan)
{
    ps_world *w = user;
    ps_buf_printf(&w->trace, "create %" PRIu64 " %zu\n", job_id, plan->n_tensors);
    ps_data_plan_free(&plan);
    answer(w, w->on_create, job_id, ps_sched_store_created);
}

static ps_status restore(void *user, uint64_t job_id, const ps_job_spec *spec, ps_restored *out);

static void restore_again(void *user, uint64_t job_id, const char *unusable)
{
    ps_world *w = user;
    ps_restored restored = {0};
    ps_error error;
    ps_job_spec any = {0};
    ps_buf_printf(&w->trace, "restore %" PRIu64 "\n", job_id);
    if (unusable)
        ps_error_save(&error, ps_fail(PS_CORRUPT, "%s: there is none before it", unusable));
    else
        ps_error_save(&error, restore(user, job_id, &any, &restored));
    ps_sched_restored(w->sched, job_id, error.code ? &error : NULL, &restored);
    ps_restored_free(&restored);
}

static void checkpoint_due(void *user, uint64_t job_id)
{
    ((ps_world *)user)->n_checkpoints++;
}

static void not_drafted(ps_sched *sched, uint64_t job_id, const ps_error *error)
{
    ps_sched_drafted(sched, job_id, error, NULL);
}

static void finish(void *user, uint64_t job_id, ps_job_file *file, const char *settled,
                   const ps_job_outcome *outcome)
{
    ps_world *w = user;
    ps_buf_printf(&w->trace, "finish %" PRIu64 "\n", job_id);
    w->outcome = *outcome;
    ps_free(&w->report);
    w->report = outcome->report ? ps_strdup(outcome->report) : NULL;
    (void)snprintf(w->settled, sizeof w->settled, "%s", settled);
    if (outcome->drafts && w->on_finish == PS_WORLD_YES)
        ps_sched_drafted(w->sched, job_id, NULL,
                         &(ps_draft){.version = "models/draft.1",
                                     .bytes = 1000,
                                     .sha256 = PS_WORLD_DIGEST,
                                     .parent_sha256 = PS_WORLD_DIGEST});
    else
        answer(w, w->on_finish, job_id, outcome->drafts ? not_drafted : ps_sched_finished);
}

static void clear_sums(void *user, uint64_t job_id)
{
    ps_world *w = user;
    ps_buf_printf(&w->trace, "clear %" PRIu64 "\n", job_id);
    answer(w, w->on_create, job_id, ps_sched_store_created);
}

static void ended(void *user, uint64_t job_id, ps_job_state state)
{
    static const char *const names[] = {
        [PS_JOB_DONE] = "done", [PS_JOB_FAILED] = "failed", [PS_JOB_CANCELLED] = "cancelled"};
    ck_assert_int_ge(state, PS_JOB_DONE);
    ps_buf_printf(&((ps_world *)user)->trace, "ended %" PRIu64 " %s\n", job_id, names[state]);
}

static void gauges(void *user, uint64_t job_id, ps_job_gauges *out)
{
    *out = (ps_job_gauges){
        .staleness_max = 3, .bytes_in_per_second = 7, .bytes_out_per_second = 9, .steps = 5};
}

static const ps_to_workers to_workers = {
    .send_task = ps_world_send_task,
    .send_cancel = send_cancel,
    .drop_session = drop_session,
};

static const ps_to_store to_store = {
    .enter = enter,
    .leave = leave,
    .create_store = create_store,
    .clear_sums = clear_sums,
    .restore = restore_again,
    .checkpoint_due = checkpoint_due,
    .finish = finish,
    .ended = ended,
    .gauges = gauges,
};

void ps_world_start(ps_world *w)
{
    ps_sched_conf conf = {.max_running = 4,
                          .lease_timeout_ms = PS_WORLD_TIMEOUT_MS,
                          .checkpoint_ms = PS_WORLD_CHECKPOINT_MS,
                          .clock = ps_clock_virtual_table(&w->time),
                          .kinds = ps_job_kinds};
    w->to_store = to_store;
    w->to_store.book = w->book;
    const ps_sched_out out = {
        .workers = &to_workers, .workers_user = w, .store = &w->to_store, .store_user = w};
    w->sched = ps_sched_create(&conf, w->catalog, &out);
}

static ps_status restore(void *user, uint64_t job_id, const ps_job_spec *spec, ps_restored *out)
{
    ps_world *w = user;
    ck_assert_ptr_nonnull(spec);
    if (w->unreadable)
        return ps_fail(PS_IO, "the disk does not answer");
    if (w->blob.len == 0)
        return ps_fail(PS_NOT_FOUND, "no checkpoint");
    ps_buf_append(&out->progress, w->blob.data, w->blob.len);
    return PS_OK;
}

void ps_world_recover(ps_world *w)
{
    ck_ok(ps_sched_recover(w->sched, restore));
}

ps_world *ps_world_new(const char *path, bool recover)
{
    ps_world *w = ps_new(ps_world);
    w->time.now_ns = UINT64_C(1000000000000);
    ps_status st = ps_catalog_open(path ? path : ":memory:", &w->catalog);
    ck_assert_msg(st == PS_OK, "%s", ps_error_message());
    ps_world_start(w);
    if (recover)
        ps_world_recover(w);
    return w;
}

void ps_world_free(ps_world **world)
{
    ps_world *w = *world;
    ps_sched_free(&w->sched);
    ps_catalog_close(&w->catalog);
    ps_buf_free(&w->trace);
    ps_buf_free(&w->blob);
    free(w->tasks);
    ps_free(&w->report);
    ps_free(world);
}

void ps_world_restart(ps_world *w)
{
    ps_sched_free(&w->sched);
    ps_buf_clear(&w->trace);
    w->n_tasks = 0;
    w->time.now_ns += UINT64_C(1000000000);
    ps_world_start(w);
    ps_world_recover(w);
}

void ps_world_run_ms(ps_world *w, uint64_t ms)
{
    enum { STEP_MS = 250 };
    for (uint64_t at = 0; at < ms; at += STEP_MS) {
        w->time.now_ns += (ms - at < STEP_MS ? ms - at : STEP_MS) * UINT64_C(1000000);
        ps_sched_tick(w->sched);
    }
}

uint64_t ps_world_submit(ps_world *w, const char *name, unsigned epochs, const char *mode,
                         bool has_test, const char *extra)
{
    ps_buf yaml = PS_BUF_EMPTY;
    ps_buf_printf(&yaml,
                  "kind: train\nname: %s\nmodel: {architecture: mlp, layers: [4, 3]}\n"
                  "data:\n  format: idx\n  train: {features: /d/x.gz, labels: /d/y.gz}\n%s"
                  "train:\n  epochs: %u\n  batch_size: 10\n  optimizer: {name: sgd, learning_rate: "
                  "0.1}\n  consistency: {mode: %s}\n%s",
                  name, has_test ? "  test: {features: /d/tx.gz, labels: /d/ty.gz}\n" : "", epochs,
                  mode, extra);
    uint64_t id = 0;
    ps_status st = ps_sched_submit(w->sched, "anna", ps_buf_slice(&yaml), NULL, NULL, &id);
    ck_assert_msg(st == PS_OK, "%s", ps_error_message());
    ps_buf_free(&yaml);
    return id;
}

ps_job_record *ps_world_job(ps_world *w, uint64_t id)
{
    ps_job_record *record = NULL;
    ck_ok(ps_sched_job_get(w->sched, id, &record));
    return record;
}

ps_job_state ps_world_state(ps_world *w, uint64_t id)
{
    ps_job_record *record = ps_world_job(w, id);
    ps_job_state state = record->state;
    ps_job_record_free(&record);
    return state;
}

bool ps_world_traced(const ps_world *w, const char *line)
{
    size_t len = strlen(line);
    const char *at = (const char *)w->trace.data;
    const char *end = at + w->trace.len;
    while (at < end) {
        const char *next = memchr(at, '\n', (size_t)(end - at));
        if ((size_t)(next - at) == len && memcmp(at, line, len) == 0)
            return true;
        at = next + 1;
    }
    return false;
}

ps_status ps_world_hello(ps_world *w, uint64_t session, const char *name, uint64_t incarnation,
                         uint32_t slots, const uint64_t *leases, size_t n_leases)
{
    ps_hello hello = {0};
    uint64_t copy[16];
    ck_assert_uint_le(n_leases, 16);
    if (n_leases)
        memcpy(copy, leases, n_leases * sizeof *copy);
    hello.incarnation = incarnation;
    hello.slots = slots;
    hello.train_slots = w->train_slots;
    hello.n_leases = n_leases;
    hello.leases = copy;
    return ps_sched_attach(w->sched, session, name, "127.0.0.1:9", &hello);
}

void ps_world_attach(ps_world *w, uint64_t session, const char *name)
{
    ck_ok(ps_world_hello(w, session, name, 1, 1, NULL, 0));
}

ps_world_task *ps_world_task_of(ps_world *w, uint64_t session)
{
    for (size_t i = w->n_tasks; i-- > 0;)
        if (w->tasks[i].session == session && !w->tasks[i].answered)
            return &w->tasks[i];
    return NULL;
}

/* May move w->tasks: task is not to be used after it. */
static void send_result(ps_world *w, ps_world_task *task, ps_task_result *result)
{
    ck_assert(!task->answered);
    task->answered = true;
    result->lease_id = task->lease;
    ck_ok(ps_sched_result(w->sched, task->session, result));
}

void ps_world_plan(ps_world *w, ps_world_task *task, uint64_t train_rows, uint64_t test_rows,
                   uint64_t shape)
{
    char name[] = "layers.0.weight";
    uint64_t dims[] = {shape, 3};
    char none[] = "";
    ps_data_plan_tensor tensor = {.name = name, .shape = dims, .n_shape = 2};
    const ps_data_plan plan = {.train_rows = train_rows,
                               .test_rows = test_rows,
                               .tensors = &tensor,
                               .n_tensors = 1,
                               .model = w->plan_model ? (char *)(uintptr_t)w->plan_model : none};
    ps_task_result result = {0};
    result.plan = ps_data_plan_copy(&plan);
    ck_assert_str_eq(task->kind, "plan");
    send_result(w, task, &result);
    ps_data_plan_free(&result.plan); /* when it was not taken */
}

void ps_world_trained(ps_world *w, ps_world_task *task)
{
    ps_task_result result = {0};
    ck_assert_str_eq(task->kind, "train");
    send_result(w, task, &result);
}

void ps_world_evaluated(ps_world *w, ps_world_task *task, uint64_t correct)
{
    ps_task_result result = {0};
    ps_task_result_add(&result, "samples", 100);
    ps_task_result_add(&result, "loss", 0.5);
    if (correct != PS_WORLD_NO_ACCURACY)
        ps_task_result_add(&result, "accuracy", (double)correct / 100);
    send_result(w, task, &result);
}

void ps_world_failed(ps_world *w, ps_world_task *task, int code, bool retry, const char *why)
{
    char message[256];
    (void)snprintf(message, sizeof message, "%s", why);
    ps_task_result result = {0};
    result.code = code;
    result.message = message;
    result.retry = retry;
    send_result(w, task, &result);
}

void ps_world_report(ps_world *w, ps_world_task *task, uint64_t position, double loss)
{
    ps_task_report report = {
        .lease_id = task->lease, .position = position, .samples = 10, .loss_sum = 10 * loss};
    ps_metric_list_add(&report.metric_sums, "accuracy", 5);
    ck_ok(ps_sched_progress(w->sched, task->session, &report));
}

void ps_world_do(ps_world *w, ps_world_task *task, uint64_t train_rows, uint64_t test_rows)
{
    if (strcmp(task->kind, "plan") == 0)
        ps_world_plan(w, task, train_rows, test_rows, 4);
    else if (strcmp(task->kind, "train") == 0)
        ps_world_trained(w, task);
    else
        ps_world_evaluated(w, task, 80);
}

size_t ps_world_serve(ps_world *w, const uint64_t *sessions, size_t n, uint64_t train_rows,
                      uint64_t test_rows)
{
    size_t served = 0;
    for (bool any = true; any;) {
        any = false;
        for (size_t i = 0; i < n; i++) {
            ps_world_task *task = ps_world_task_of(w, sessions[i]);
            if (!task)
                continue;
            ps_world_do(w, task, train_rows, test_rows);
            any = true;
            served++;
        }
    }
    return served;
}

void ps_world_assert_reason(ps_world *w, uint64_t id, const char *part)
{
    ps_job_record *record = ps_world_job(w, id);
    ck_assert_msg(strstr(record->reason, part) != NULL, "reason: %s, not: %s", record->reason,
                  part);
    ps_job_record_free(&record);
}

uint64_t ps_world_training(ps_world *w, const char *mode, bool has_test, const char *extra)
{
    uint64_t id = ps_world_submit(w, "a", 2, mode, has_test, extra);
    ps_world_attach(w, 1, "w1");
    ps_world_plan(w, ps_world_task_of(w, 1), 100, 20, 4);
    return id;
}

void ps_world_store_model(ps_world *w, const char *name, uint64_t rows)
{
    ps_model_tensor tensor = {.name = ps_strdup("layers.0.weight"), .rank = 2, .shape = {rows, 3}};
    ps_model_record *model = ps_new(ps_model_record);
    model->name = ps_strdup(name);
    model->config = ps_strdup("{architecture: mlp, layers: [4, 3]}");
    model->tensors = ps_new(ps_model_tensor);
    model->tensors[0] = tensor;
    model->n_tensors = 1;
    ck_ok(test_model_put(w->catalog, model));
    ps_model_record_free(&model);
}
