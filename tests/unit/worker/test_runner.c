/* runner: the runner and the kinds of tasks, over the real transport. psd is the fakes; what tasks
 * say is collected here, and what they compute is compared with plain arithmetic. */
#include "tests/lib/check_main.h"
#include "tests/lib/lazy_backend.h"
#include "tests/unit/worker/task_rig.h"

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

START_TEST(a_plan_names_the_classes_that_the_data_have)
{
    begin();
    char *words = ps_test_file(ps_slice_str("1,2,yes\n3,4,no\n5,6,yes\n"), false);
    const Psd__V1__TaskResult *r = run(train_task(1, "plan", words));
    is_done(r);
    ck_assert_str_eq(r->plan->model, "{architecture: mlp, layers: [2, 2], activation: relu, loss: "
                                     "cross_entropy, classes: [\"no\",\"yes\"]}");
    ck_assert_uint_eq(r->plan->train_rows, 3);
    ps_test_file_drop(&words);
    r = run(train_task(2, "plan", t.labelled)); /* numbers */
    is_done(r);
    ck_assert_str_eq(r->plan->model, "");
    words = ps_test_file(ps_slice_str("1,2,yes\n3,4,no\n5,6,perhaps\n"), false);
    failed(run(train_task(3, "plan", words)), 3, false,
           " has 3 names of classes ('no', 'perhaps', 'yes'), but model.layers ends with 2");
    ps_test_file_drop(&words);
    end();
}
END_TEST

START_TEST(what_a_model_keeps_of_its_data_is_bounded)
{
    enum { CLASSES = 1100 };
    begin();
    ps_buf text = PS_BUF_EMPTY;
    for (int i = 0; i < CLASSES; i++)
        ps_buf_printf(&text, "1,2,n%0254d\n", i);
    char *words = ps_test_file(ps_buf_slice(&text), false);
    Psd__V1__Task *task = task_new(
        1, "plan",
        ps_asprintf("kind: train\nname: many\nmodel: {architecture: mlp, layers: [2, %d]}\n"
                    "data:\n  format: csv\n  train: {features: %s}\n"
                    "train: {epochs: 1, optimizer: {name: sgd, learning_rate: 0.1}}\n",
                    CLASSES, words),
        "");
    failed(run(task), 3, false,
           " bytes, at most 262144 are kept; give the classes shorter names, or "
           "numbers");
    ps_test_file_drop(&words);
    ps_buf_free(&text);
    end();
}
END_TEST

START_TEST(predictions_are_lines_of_probabilities)
{
    begin();
    Psd__V1__Task *task = stored_task(1, "predict", classes, t.labelled);
    const Psd__V1__TaskResult *r = run(task);
    is_done(r);
    ck_assert_uint_eq(r->n_artifacts, 1);
    ck_assert_str_eq(r->artifacts[0], "predictions.jsonl");
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

START_TEST(some_rows_are_predicted_and_none_that_the_data_does_not_have)
{
    begin();
    Psd__V1__Task *task = stored_task(1, "predict", numbers, t.targets);
    task->row_begin = 2;
    task->row_end = 4;
    const Psd__V1__TaskResult *r = run(task);
    is_done(r);
    ck_assert_uint_eq(r->n_artifacts, 1);
    ck_assert_str_eq(r->artifacts[0], "predictions.jsonl");
    ck_assert_str_eq(t.models.artifact_name, "predictions.jsonl");
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
    task->row_begin = ROWS - 1;
    task->row_end = ROWS + 1;
    is_done(run(task));
    ck_assert_ptr_nonnull(strstr(ps_buf_cstr(&t.models.artifact), "{\"row\":5,"));
    ck_assert_ptr_eq(strchr(ps_buf_cstr(&t.models.artifact), '\n') + 1,
                     ps_buf_cstr(&t.models.artifact) + t.models.artifact.len);
    task = stored_task(3, "predict", numbers, t.targets);
    task->row_begin = ROWS;
    failed(run(task), 11, false, "rows begin with 6, but there are 6 rows");
    end();
}
END_TEST

static void metric(const Psd__V1__TaskResult *r, const char *name, double value, double tolerance)
{
    size_t i = 0;
    while (i < r->n_metrics && strcmp(r->metrics[i]->name, name) != 0)
        i++;
    ck_assert_msg(i < r->n_metrics, "%s", name);
    ck_assert_msg(fabs(r->metrics[i]->value - value) <= tolerance, "%s: %g", name,
                  r->metrics[i]->value);
}

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
    metric(r, "samples", ROWS, 0);
    metric(r, "loss", loss, 1e-6);
    metric(r, "accuracy", right / ROWS, 1e-12);
    ck_assert_uint_eq(r->n_metrics, 3);
    ck_assert_uint_eq(r->evaluate->samples, ROWS); /* an older psd reads this */
    ck_assert_uint_eq(t.samples, ROWS);            /* how far it is, for who waits */
    ck_assert_uint_eq(t.rows_total, ROWS);
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
    metric(r, "loss", squares / (2 * ROWS), 1e-5);
    ck_assert_uint_eq(r->n_metrics, 2);
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
        t.samples = ROWS; /* what they reported is not of the training */
    }
    ck_assert_double_gt(t.loss_sum, 0);
    ck_assert(t.right_sum >= 0 && t.right_sum <= 2 * ROWS);
    ck_assert_uint_eq(t.parameters.applied_count, ROWS);
    for (uint64_t i = 0; i < ROWS; i++)
        ck_assert_uint_eq(t.parameters.applied[i], i + 1); /* one used twice would be dropped */
    end();
}
END_TEST

START_TEST(a_task_of_a_bsp_job_waits_for_its_clock_before_it_pulls)
{
    begin();
    t.parameters.open_clock = 4;
    Psd__V1__Task *task = train_task_of(9, "train", t.labelled, "bsp");
    task->row_end = ROWS;
    task->first_clock = 4;
    is_done(run(task));
    ck_assert_uint_eq(t.parameters.early_clocks, 1);
    ck_assert_uint_eq(t.parameters.clocks, 1 + ROWS / 2);
    ck_assert_uint_eq(t.parameters.open_clock, 4 + ROWS / 2);
    ck_assert_uint_eq(t.parameters.lease, 9);
    end();
}
END_TEST

START_TEST(a_gradient_of_another_clock_is_computed_again_for_the_one_that_is_open)
{
    begin();
    t.parameters.open_clock = 4;
    fault_at(&t.parameters.jump, 2);
    Psd__V1__Task *task = train_task_of(1, "train", t.labelled, "bsp");
    task->row_end = ROWS;
    task->first_clock = 4;
    is_done(run(task));
    ck_assert_uint_eq(t.parameters.applied_count, ROWS / 2); /* each once, the second at its */
    ck_assert_uint_eq(t.parameters.pushes, ROWS / 2 + 1);    /* second try */
    ck_assert_uint_eq(t.parameters.open_clock, 4 + 5 + ROWS / 2);
    ck_assert_uint_eq(t.samples, ROWS);
    ck_assert_uint_eq(t.position, ROWS);
    end();
}
END_TEST

START_TEST(a_refusal_that_no_clock_explains_gives_the_task_back)
{
    begin();
    t.parameters.open_clock = 4;
    Psd__V1__Task *task = train_task_of(1, "train", t.labelled, "asp");
    task->row_end = ROWS;
    task->first_clock = 5;
    failed(run(task), 9, true, "a gradient of another clock");
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

static void begin_slots(unsigned slots)
{
    rig_slots = slots;
    begin();
}

static Psd__V1__Task *inference(uint64_t lease)
{
    Psd__V1__Task *task = stored_task(lease, "predict", classes, t.labelled);
    task->inference = true;
    return task;
}

START_TEST(a_slot_of_each_sort_runs_its_own_beside_the_other)
{
    begin_slots(2);
    t.models.silent = true;
    on_loop(start, inference(1)); /* waits for psd */
    wait_export();
    on_loop(start, inference(2)); /* for that slot */
    is_done(run(train_task(3, "plan", t.labelled)));
    ck_assert_uint_eq(t.count, 1);
    ck_assert_uint_eq(fake_models_count(&t.models, &t.models.exports), 1);
    for (uint64_t lease = 1; lease <= 2; lease++) {
        on_loop(cancel, &lease);
        failed(wait_result(lease), 1, true, "you said so");
    }
    end();
}
END_TEST

static Psd__V1__Task *too_large(uint64_t lease)
{
    char *spec = ps_asprintf("kind: train\nname: line\n"
                             "model: {architecture: mlp, layers: [2, 1048576, 1048576, 2]}\n"
                             "data:\n  format: csv\n  train: {features: %s}\n"
                             "train: {epochs: 1, optimizer: {name: sgd, learning_rate: 1}}\n",
                             t.labelled);
    Psd__V1__Task *task = task_new(lease, "train", spec, "");
    task->row_end = ROWS;
    return task;
}

START_TEST(who_finds_no_memory_waits_for_the_others_and_tries_alone)
{
    begin_slots(2);
    t.models.silent = true;
    on_loop(start, inference(1));
    wait_export();
    on_loop(start, too_large(2));
    on_loop(start, train_task(3, "plan", t.labelled)); /* behind it */
    uint64_t lease = 1;
    on_loop(cancel, &lease);
    failed(wait_result(2), 8, true, "model line has 1099"); /* and no more than once again */
    is_done(wait_result(3));
    for (uint64_t i = 0; i < 3; i++)
        ck_assert_uint_eq(t.results[i]->lease_id, i + 1);
    lease = 5; /* cancelled while it waits to be alone */
    on_loop(start, inference(4));
    on_loop(start, too_large(5));
    on_loop(cancel, &lease);
    failed(wait_result(5), 1, true, "you said so");
    lease = 4;
    on_loop(cancel, &lease);
    failed(wait_result(4), 1, true, "you said so");
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

static Psd__V1__Task *train_all(uint64_t lease)
{
    Psd__V1__Task *task = train_task(lease, "train", t.labelled);
    task->row_end = ROWS;
    return task;
}

START_TEST(a_device_that_is_lost_is_said_and_what_was_on_it_made_anew)
{
    begin_on(PS_TEST_LAZY);
    is_done(run(train_all(1)));
    ps_test_lazy_lose_after(t.rig.backend, 5);
    failed(run(train_all(2)), 13, true, "the device was lost");
    pthread_mutex_lock(&t.lock);
    while (!*t.lost)
        pthread_cond_wait(&t.more, &t.lock);
    pthread_mutex_unlock(&t.lock);
    ck_assert_str_eq(t.lost, "the device was lost");
    ps_test_lazy_lose_after(t.rig.backend, 0); /* a device that came back */
    is_done(run(train_all(3)));
    end();
}
END_TEST

static Psd__V1__Task *train_step(uint64_t lease)
{
    Psd__V1__Task *task = train_task(lease, "train", t.labelled);
    task->row_end = 2;
    return task;
}

/* What a step has pushed is pushed: psd has booked its rows for the task, which is another's next.
 * Before, it may begin anew here, with what has failed made anew, too. */
START_TEST(a_task_that_has_pushed_does_not_begin_anew_for_want_of_memory)
{
    rig_slots = 2;
    begin_on(PS_TEST_LAZY);
    is_done(run(train_step(1)));
    unsigned before = ps_test_lazy_done(t.rig.backend);
    is_done(run(train_step(2)));
    unsigned step = ps_test_lazy_done(t.rig.backend) - before;
    ps_test_lazy_fill_after(t.rig.backend, 2);
    is_done(run(train_step(3)));
    ck_assert_uint_eq(fake_parameters_applied(&t.parameters), 3);
    ps_test_lazy_fill_after(t.rig.backend, step); /* the loss, which is asked for last */
    failed(run(train_step(4)), 8, true, "the device is full");
    ck_assert_uint_le(fake_parameters_applied(&t.parameters), 4);
    ck_assert_str_eq(t.lost, "");
    end();
    rig_slots = 1;
}
END_TEST

START_TEST(an_internal_error_of_psd_is_not_the_devices)
{
    begin_on(PS_TEST_LAZY);
    t.models.refuse = PS_INTERNAL;
    failed(run(stored_task(1, "evaluate", classes, t.labelled)), 13, false, "no");
    is_done(run(train_all(2)));
    ck_assert_str_eq(t.lost, "");
    end();
}
END_TEST

static const ps_check_case tests[] = {
    {&a_plan_says_rows_and_tensors},
    {&a_plan_names_the_classes_that_the_data_have},
    {&what_a_model_keeps_of_its_data_is_bounded},
    {&predictions_are_lines_of_probabilities},
    {&some_rows_are_predicted_and_none_that_the_data_does_not_have},
    {&an_evaluation_counts_right_answers_only_where_there_are_some},
    {&training_reports_all_it_did_and_numbers_its_pushes_on},
    {&a_task_of_a_bsp_job_waits_for_its_clock_before_it_pulls},
    {&a_gradient_of_another_clock_is_computed_again_for_the_one_that_is_open},
    {&a_refusal_that_no_clock_explains_gives_the_task_back},
    {&a_kind_that_is_not_known_may_be_known_elsewhere},
    {&cancelling_ends_the_task_of_the_lease_and_no_other},
    {&a_slot_of_each_sort_runs_its_own_beside_the_other},
    {&who_finds_no_memory_waits_for_the_others_and_tries_alone},
    {&stopping_gives_back_what_waits_at_once},
    {&a_stopping_worker_ends_training_between_steps_and_says_where},
    {&a_device_that_is_lost_is_said_and_what_was_on_it_made_anew},
    {&a_task_that_has_pushed_does_not_begin_anew_for_want_of_memory},
    {&an_internal_error_of_psd_is_not_the_devices},
    {0}};

int main(void)
{
    return ps_check_main("worker/task", tests);
}
