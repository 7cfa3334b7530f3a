/* plan: what a worker found out about data and model, and what becomes of it. */
#include "server/sched/kinds/plan.h"

#include "common/base/mem.h"
#include "common/base/slice.h"
#include "tests/lib/check_main.h"
#include "tests/lib/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

START_TEST(a_plan_that_cannot_be_fails_the_job)
{
    ps_world *w = ps_world_new(NULL, true);
    ps_world_attach(w, 1, "w1");
    uint64_t a = ps_world_submit(w, "a", 1, "asp", false, "");
    ps_world_plan(w, ps_world_task_of(w, 1), 0, 0, 4);
    ps_world_assert_reason(w, a, "plan: 0 rows to train on");
    uint64_t b = ps_world_submit(w, "a", 1, "asp", true, "");
    ps_world_plan(w, ps_world_task_of(w, 1), 10, 0, 4);
    ps_world_assert_reason(w, b, "plan: 0 rows to test on");
    uint64_t c = ps_world_submit(w, "a", 1, "asp", false, "");
    ps_world_plan(w, ps_world_task_of(w, 1), 10, 0, UINT64_MAX / 2);
    ps_world_assert_reason(w, c, "plan: tensor layers.0.weight: dimension 0");
    ps_world_free(&w);
}
END_TEST

#define NAMED                                                                     \
    "{architecture: mlp, layers: [4, 3], activation: relu, loss: cross_entropy, " \
    "classes: [\"a\",\"b\",\"c\"]}"

START_TEST(what_a_plan_settles_goes_with_every_task_and_into_the_model)
{
    ps_world *w = ps_world_new(NULL, true);
    w->plan_model = "{architecture: mlp, layers: [4, 3], classes: [a, b, c]}"; /* not as psd's */
    uint64_t id = ps_world_training(w, "asp", true, "shards: {rows_per_task: 50}\n");
    ck_assert_str_eq(w->tasks[0].settled, "");
    ck_assert_str_eq(ps_world_task_of(w, 1)->kind, "train");
    ck_assert_str_eq(ps_world_task_of(w, 1)->settled, NAMED);
    ps_world_trained(w, ps_world_task_of(w, 1));
    ck_ok(ps_sched_progress_save(w->sched, id, &w->blob));
    ps_world_restart(w);
    ps_world_attach(w, 7, "w1");
    ck_assert_str_eq(ps_world_task_of(w, 7)->kind, "train");
    ck_assert_str_eq(ps_world_task_of(w, 7)->settled, NAMED);
    for (ps_world_task *task; (task = ps_world_task_of(w, 7));) {
        ck_assert_str_eq(task->settled, NAMED);
        ps_world_do(w, task, 100, 20);
    }
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_DONE);
    ck_assert_str_eq(w->settled, NAMED);
    ps_world_free(&w);
}
END_TEST

static ps_status check_shape(const char *train, const char *form, size_t n_shape, bool transposed)
{
    char *yaml = ps_asprintf("kind: train\nname: a\nmodel: {architecture: mlp, layers: [64, 3]}\n"
                             "data: {format: idx, train: {features: /d/x, labels: /d/y}}\n"
                             "train: {epochs: 1, %soptimizer: {name: sgd, learning_rate: 1}}\n",
                             train);
    ps_job_spec *spec = NULL;
    ck_ok(ps_job_spec_parse(ps_slice_str(yaml), "job.yaml", &spec));
    uint64_t shape[] = {3, 64};
    char name[] = "w", model[] = "";
    ps_data_plan_tensor tensor = {.name = name,
                                  .shape = shape,
                                  .n_shape = n_shape,
                                  .form = (char *)(uintptr_t)form,
                                  .transposed = transposed};
    const ps_data_plan plan = {.train_rows = 9, .tensors = &tensor, .n_tensors = 1, .model = model};
    char *settled = NULL;
    ps_status st = ps_plan_check(&plan, spec, &settled);
    ps_free(&settled);
    ps_free(&yaml);
    ps_job_spec_free(&spec);
    return st;
}

static ps_status check_form(const char *train, const char *form)
{
    return check_shape(train, form, 2, false);
}

START_TEST(a_form_is_what_the_job_asks_for)
{
    ck_ok(check_form("weights: int4, ", "int4/32"));
    ck_ok(check_form("weights: int4, ", ""));
    ck_ok(check_form("", NULL)); /* an older worker's */
    static const char *const bad[] = {"int8/32", "int4", "nonsense"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_int_eq(check_form("weights: int4, ", bad[i]), PS_INVALID_ARGUMENT);
        ck_assert_int_eq(check_form("", "int4/32"), PS_INVALID_ARGUMENT);
    }
    ck_assert_str_eq(ps_error_message(),
                     "plan: tensor w: form int4/32 is not what the job asks for");
    ck_ok(check_shape("weights: int4, ", "int4/32", 2, true));
    ck_assert_int_eq(check_shape("weights: int4, ", "int4/32", 1, true), PS_INVALID_ARGUMENT);
    ck_assert_int_eq(check_shape("weights: int4, ", "", 2, true), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(), "plan: tensor w is transposed, and no matrix in a form");
}
END_TEST

typedef struct guesser {
    ps_world *world;
    ps_watch *watch;
    uint64_t lease; /* of the next task; 0: not yet */
} guesser;

static void guess(void *user)
{
    guesser *g = user;
    ps_watch_event e;
    for (; g->watch && ps_watch_next(g->watch, &e) == PS_OK; ps_watch_event_clear(&e))
        ;
    if (g->lease)
        ps_world_plan(g->world, &(ps_world_task){.session = 1, .lease = g->lease, .kind = "plan"},
                      100, 0, 4);
}

/* The numbers of leases can be guessed, and much may happen between a decision and the sending. */
START_TEST(a_plan_before_its_task_was_sent_does_no_harm)
{
    ps_world *w = ps_world_new(NULL, true);
    guesser g = {.world = w};
    w->plan_model = "{architecture: mlp, layers: [4, 3], classes: [a, b, c]}";
    uint64_t id = ps_world_submit(w, "early", 1, "asp", false, "");
    ck_ok(ps_sched_watch(w->sched, id, guess, &g, &g.watch));
    guess(&g);
    const ps_clock clock = ps_clock_virtual_table(&w->time);
    g.lease = ((uint64_t)ps_clock_wall_ms(&clock) << 20) + 1;
    ps_world_attach(w, 1, "w1");
    ck_assert_uint_eq(w->tasks[0].lease, g.lease);
    ck_assert_str_eq(w->tasks[0].kind, "plan");
    ck_assert_str_eq(w->tasks[0].settled, "");
    ck_assert_str_eq(ps_world_task_of(w, 1)->kind, "train");
    ck_assert_str_eq(ps_world_task_of(w, 1)->settled, NAMED);
    ps_watch_close(&g.watch);
    ps_world_free(&w);
}
END_TEST

START_TEST(progress_without_anything_settled_is_that_of_an_older_psd)
{
    for (int settles = 0; settles < 2; settles++) {
        ps_world *w = ps_world_new(NULL, true);
        w->plan_model = settles ? NAMED : NULL;
        uint64_t id = ps_world_training(w, "asp", false, "");
        ck_ok(ps_sched_progress_save(w->sched, id, &w->blob));
        ps_cursor c = ps_cursor_of(ps_buf_slice(&w->blob));
        ck_assert_uint_eq(ps_read_u32le(&c), settles ? 4 : 3);
        ps_world_restart(w);
        ps_world_attach(w, 7, "w1");
        ck_assert_str_eq(ps_world_task_of(w, 7)->kind, "train");
        ck_assert_str_eq(ps_world_task_of(w, 7)->settled, settles ? NAMED : "");
        ps_world_free(&w);
    }
}
END_TEST

/* The bytes of version 3 are those of 4 without the section and its length. */
START_TEST(a_checkpoint_of_before_plans_settled_anything_is_gone_on_from)
{
    ps_world *w = ps_world_new(NULL, true);
    w->plan_model = NAMED;
    uint64_t id = ps_world_training(w, "asp", false, "");
    ck_ok(ps_sched_progress_save(w->sched, id, &w->blob));
    size_t cut = strlen(NAMED) + 4;
    uint8_t *at = memmem(w->blob.data, w->blob.len, NAMED, strlen(NAMED));
    ck_assert_ptr_nonnull(at);
    memmove(at - 4, at - 4 + cut, (size_t)(w->blob.data + w->blob.len - (at - 4 + cut)));
    w->blob.len -= cut;
    ps_put_u32le(w->blob.data, 3);
    ps_world_restart(w);
    ps_world_attach(w, 7, "w1");
    ck_assert_str_eq(ps_world_task_of(w, 7)->kind, "train");
    ck_assert_str_eq(ps_world_task_of(w, 7)->settled, "");
    ps_world_free(&w);
}
END_TEST

START_TEST(a_plan_that_settles_another_model_fails_the_job)
{
    static const struct {
        const char *model, *reason;
    } bad[] = {
        {"{architecture: mlp, layers: [4, 2], classes: [a, b]}",
         "plan: model.layers is [4, 3] in the job, and [4, 2] in its plan"},
        {"{architecture: mlp, layers: [4, 3], loss: squared_error}", "plan: model.loss is"},
        {"{architecture: mlp, layers: [4, 3], classes: [a, b]}",
         "plan: the plan's model:1: classes"},
        {"{architecture: mlp, layers: [4, 3], classes: [a, b, b]}", "'b' is there twice"},
        {"{architecture: mlp", "not valid YAML"},
        {"no", "plan: the plan's model"},
    };
    ps_world *w = ps_world_new(NULL, true);
    ps_world_attach(w, 1, "w1");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        w->plan_model = bad[i].model;
        uint64_t id = ps_world_submit(w, "a", 1, "asp", false, "");
        ps_world_plan(w, ps_world_task_of(w, 1), 10, 0, 4);
        ck_assert_int_eq(ps_world_state(w, id), PS_JOB_FAILED);
        ps_world_assert_reason(w, id, bad[i].reason);
    }
    ps_world_free(&w);
}
END_TEST

START_TEST(a_plan_without_what_the_job_needs_is_refused)
{
    static const char yaml[] =
        "kind: train\nname: a\nmodel: {architecture: mlp, layers: [2, 2]}\n"
        "train: {epochs: 1, optimizer: {name: sgd, learning_rate: 1}}\n"
        "data: {format: csv, train: {features: /x}, normalise: {from: data}}",
                      found[] = "{architecture: mlp, layers: [2, 2], input_mean: [0, 1], "
                                "input_std: [1, 2]}";
    ps_job_spec *spec = NULL;
    char *settled = NULL;
    ck_ok(ps_job_spec_parse(ps_slice_str(yaml), "job", &spec));
    ck_assert_int_eq(ps_plan_settled(spec, ps_slice_str(""), &settled), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "nobody has taken mean and deviation"));
    ck_assert_ptr_null(settled);
    ck_ok(ps_plan_settled(spec, ps_slice_str(found), &settled));
    ck_assert_ptr_nonnull(strstr(settled, "input_mean: [0,1], input_std: [1,2]}"));
    ps_free(&settled);
    ps_job_spec_free(&spec);
}
END_TEST

START_TEST(a_plan_whose_section_nobody_could_read_again_is_refused)
{
    enum { CLASSES = 1020 }; /* as they come they fit, with psd's quotation marks not */
    char *yaml = ps_asprintf("kind: train\nname: a\nmodel: {architecture: mlp, layers: [2, %d]}\n"
                             "train: {epochs: 1, optimizer: {name: sgd, learning_rate: 1}}\n"
                             "data: {format: csv, train: {features: /x}}",
                             CLASSES);
    ps_job_spec *spec = NULL;
    char *settled = NULL;
    ps_buf found = PS_BUF_EMPTY;
    ps_buf_printf(&found, "{architecture: mlp, layers: [2, %d], classes: [", CLASSES);
    for (int i = 0; i < CLASSES; i++)
        ps_buf_printf(&found, "%sn%0254d", i ? "," : "", i);
    ps_buf_puts(&found, "]}");
    ck_ok(ps_job_spec_parse(ps_slice_str(yaml), "job", &spec));
    ck_assert_int_eq(ps_plan_settled(spec, ps_buf_slice(&found), &settled), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "a model section of 263"));
    ck_assert_ptr_null(settled);
    ps_job_spec_free(&spec);
    ps_buf_free(&found);
    free(yaml);
}
END_TEST

START_TEST(a_stored_model_of_other_shapes_fails_the_job_and_one_of_the_same_does_not)
{
    ps_world *w = ps_world_new(NULL, true);
    ps_world_store_model(w, "a", 5);
    uint64_t id = ps_world_training(w, "asp", false, "");
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_FAILED);
    ps_world_assert_reason(
        w, id,
        "model 'a' exists with other shapes: tensor layers.0.weight is [5, 3] there "
        "and [4, 3] in this job");
    ck_assert(!ps_world_traced(w, "create 1 1"));
    ps_world_store_model(w, "a", 4);
    uint64_t again = ps_world_submit(w, "a", 1, "asp", false, "");
    ps_world_serve(w, (uint64_t[]){1}, 1, 50, 0);
    ck_assert_int_eq(ps_world_state(w, again), PS_JOB_DONE);
    ps_world_free(&w);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_plan_that_cannot_be_fails_the_job},
    {&a_form_is_what_the_job_asks_for},
    {&what_a_plan_settles_goes_with_every_task_and_into_the_model},
    {&a_plan_before_its_task_was_sent_does_no_harm},
    {&progress_without_anything_settled_is_that_of_an_older_psd},
    {&a_checkpoint_of_before_plans_settled_anything_is_gone_on_from},
    {&a_plan_that_settles_another_model_fails_the_job},
    {&a_plan_whose_section_nobody_could_read_again_is_refused},
    {&a_plan_without_what_the_job_needs_is_refused},
    {&a_stored_model_of_other_shapes_fails_the_job_and_one_of_the_same_does_not},
    {0},
};

int main(void)
{
    return ps_check_main("server/sched/kinds/plan", cases);
}
