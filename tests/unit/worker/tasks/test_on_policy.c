/* on_policy: what the student goes on with is distributed as its own answers are, follows the
 * data's prompt, and is the same whenever it is drawn again. */
#include "worker/tasks/on_policy.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/device.h"
#include "worker/job/job_model.h"

#include <math.h>
#include <string.h>

enum { WORDS = 9, KNOWN = 7, ROWS = 64, LENGTH = 6, PROMPT = LENGTH / 2, CALLS = 40 };
#define MODEL                                                                                 \
    "{architecture: gpt2, vocab_size: 9, context_length: 8, hidden_size: 16, num_layers: 1, " \
    "num_heads: 2, intermediate_size: 32}"

typedef struct fixture {
    ps_test_device device;
    ps_spec_model *spec;
    ps_model_config config;
    ps_model *student;
    int32_t tokens[ROWS * LENGTH], labels[ROWS * LENGTH];
} fixture;

static void set_up(fixture *f)
{
    *f = (fixture){0};
    ck_ok(ps_spec_model_parse(ps_slice_str(MODEL), "model", &f->spec));
    ps_test_device_open(&f->device, "cpu");
    f->config = ps_job_model_config(f->spec);
    ck_ok(ps_model_create(f->device.backend, &f->config, &(ps_model_options){.max_batch = ROWS},
                          &f->student));
    const ps_model_layout *layout = ps_model_parameters(f->student);
    for (size_t i = 0; i < layout->count; i++) {
        ps_tensor t = ps_model_parameter(f->student, i);
        size_t n = ps_tensor_bytes(t) / sizeof(float);
        float *x = ps_alloc_array(n, sizeof *x);
        for (size_t k = 0; k < n; k++)
            x[k] = (layout->parameters[i].init == PS_INIT_ONES ? 1 : 0) +
                   0.5F * (float)ps_rng_normal(&f->device.rng);
        ps_copy_to_device(ps_model_stream(f->student), t, x, n * sizeof *x);
        ck_ok(ps_stream_sync(ps_model_stream(f->student)));
        ps_free(&x);
    }
    for (int r = 0; r < ROWS; r++) /* all rows the same */
        for (int i = 0; i < LENGTH; i++) {
            f->tokens[r * LENGTH + i] = (i * 5 + 2) % KNOWN;
            f->labels[r * LENGTH + i] = ((i + 1) * 5 + 2) % KNOWN;
        }
}

static void tear_down(fixture *f)
{
    ps_model_free(&f->student);
    ps_test_device_close(&f->device);
    ps_spec_model_free(&f->spec);
}

static ps_on_policy *policy(const fixture *f, double share, uint64_t seed, uint32_t epoch)
{
    ps_on_policy *p;
    ck_ok(ps_on_policy_create(&(ps_on_policy_options){.backend = f->device.backend,
                                                      .config = &f->config,
                                                      .rows = ROWS,
                                                      .length = LENGTH,
                                                      .words = KNOWN,
                                                      .share = share,
                                                      .seed = seed,
                                                      .epoch = epoch},
                              &p));
    return p;
}

static ps_model_batch batch_of(const fixture *f)
{
    return (ps_model_batch){
        .rows = ROWS, .length = LENGTH, .tokens = f->tokens, .labels = f->labels};
}

/* What a forward pass over the whole prompt says of the token after it, of those that are known. */
static void expected(fixture *f, double p[KNOWN])
{
    float said[WORDS];
    double sum = 0;
    ps_model_batch prompt = {.rows = 1, .length = PROMPT, .tokens = f->tokens};
    ck_ok(ps_model_predict(f->student, &prompt, NULL, said));
    for (int i = 0; i < KNOWN; i++)
        sum += (double)said[i];
    for (int i = 0; i < KNOWN; i++)
        p[i] = (double)said[i] / sum;
}

START_TEST(rows_go_on_as_the_student_says)
{
    fixture f;
    double p[KNOWN], n[KNOWN] = {0};
    set_up(&f);
    expected(&f, p);
    ps_on_policy *own = policy(&f, 1, 3, 0);
    for (uint64_t call = 0; call < CALLS; call++) {
        ps_model_batch b = batch_of(&f);
        ck_ok(ps_on_policy_write(own, f.student, call * ROWS, &b));
        for (int r = 0; r < ROWS; r++) {
            const int32_t *tokens = b.tokens + r * LENGTH, *next = b.labels + r * LENGTH;
            ck_assert_mem_eq(tokens, f.tokens, PROMPT * sizeof *tokens);
            ck_assert_mem_eq(next, f.labels, (PROMPT - 1) * sizeof *next);
            for (int i = PROMPT; i < LENGTH; i++)
                ck_assert_int_eq(next[i - 1], tokens[i]);
            for (int i = PROMPT - 1; i < LENGTH; i++)
                ck_assert(next[i] >= 0 && next[i] < KNOWN);
            n[tokens[PROMPT]]++;
        }
    }
    double draws = CALLS * ROWS;
    for (int i = 0; i < KNOWN; i++) /* within five standard deviations */
        ck_assert_double_lt(fabs(n[i] - draws * p[i]), 5 * sqrt(draws * p[i] * (1 - p[i])) + 1e-9);
    ps_on_policy_free(&own);
    tear_down(&f);
}
END_TEST

static bool same(const ps_model_batch *a, const int32_t *tokens)
{
    return memcmp(a->tokens, tokens, ROWS * LENGTH * sizeof *tokens) == 0;
}

START_TEST(what_is_drawn_again_is_the_same)
{
    fixture f;
    int32_t first[ROWS * LENGTH];
    set_up(&f);
    static const struct {
        uint64_t seed, row;
        uint32_t epoch;
    } of[] = {{3, 64, 1}, {3, 64, 1}, {4, 64, 1}, {3, 128, 1}, {3, 64, 2}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        ps_on_policy *own = policy(&f, 1, of[i].seed, of[i].epoch);
        ps_model_batch b = batch_of(&f);
        ck_ok(ps_on_policy_write(own, f.student, of[i].row, &b));
        if (i == 0)
            memcpy(first, b.tokens, sizeof first);
        ck_assert_msg(same(&b, first) == (i < 2), "%zu", i);
        ps_on_policy_free(&own);
    }
    tear_down(&f);
}
END_TEST

START_TEST(so_many_batches_are_chosen)
{
    enum { BATCHES = 4000 };
    fixture f;
    set_up(&f);
    ps_on_policy *own = policy(&f, 0.3, 5, 0), *again = policy(&f, 0.3, 5, 0);
    int n = 0;
    for (uint64_t i = 0; i < BATCHES; i++) {
        n += ps_on_policy_chosen(own, i * ROWS);
        ck_assert(ps_on_policy_chosen(own, i * ROWS) == ps_on_policy_chosen(again, i * ROWS));
    }
    ck_assert_double_eq_tol((double)n, 0.3 * BATCHES, 5 * sqrt(BATCHES * 0.3 * 0.7));
    ps_on_policy_free(&own);
    ps_on_policy_free(&again);
    tear_down(&f);
}
END_TEST

static const ps_check_case tests[] = {
    {&rows_go_on_as_the_student_says},
    {&what_is_drawn_again_is_the_same},
    {&so_many_batches_are_chosen},
    {0},
};

int main(void)
{
    return ps_check_main("tasks/on_policy", tests);
}
