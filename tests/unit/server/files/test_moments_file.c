/* moments_file: what is left is the variance of the gradients that came, by its definition. */
#include "server/files/moments_file.h"

#include "common/base/half.h"
#include "common/base/mem.h"
#include "common/format/safetensors.h"
#include "server/catalog/jobs.h"
#include "server/files/artifact_file.h"
#include "tests/lib/check_main.h"
#include "tests/lib/params.h"
#include "tests/lib/stored.h"

#include <math.h>
#include <string.h>

enum { ROWS = 3, COLUMNS = 5, UPDATES = 3 };

static uint64_t add_job(const test_stored *t)
{
    ps_job_record *r = ps_new(ps_job_record);
    uint64_t id;
    char **const texts[] = {&r->name, &r->kind, &r->reason, &r->submitter, &r->spec, &r->result};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        *texts[i] = ps_strdup("x");
    ck_ok(ps_catalog_job_add(t->catalog, r, &id));
    ps_job_record_free(&r);
    return id;
}

static float gradient(uint32_t update, uint64_t i)
{
    return 0.01F * (float)(i + 1) * (update == 1 ? -2.0F : 1.0F);
}

static float of_update(void *user, uint64_t i)
{
    return gradient(*(uint32_t *)user, i);
}

/* w gets UPDATES gradients, b none. */
static ps_param_store *trained(const char *optimizer, bool transposed)
{
    test_params p;
    test_params_init(&p, ROWS, COLUMNS);
    p.config.column_blocks = 2;
    p.config.block_elements = 4;
    p.plans[0].transposed = transposed;
    if (transposed)
        ck_assert(ps_form_parse("bfloat16", &p.plans[0].form));
    p.config.optimizer = (ps_optimizer_config){.name = optimizer,
                                               .learning_rate = 0.1,
                                               .beta1 = 0.9,
                                               .beta2 = 0.9,
                                               .epsilon = 1e-8,
                                               .initial_accumulator = 0.5};
    ps_param_store *store;
    ck_ok(ps_param_store_create(&p.config, &store));
    for (uint32_t update = 0; update < UPDATES; update++) {
        ps_push *push;
        ps_push_reply reply;
        ck_ok(test_params_begin(store, update + 1, &push));
        ck_ok(test_params_add(store, push, 0, of_update, &update));
        ck_ok(ps_push_commit(&push, &reply, NULL));
    }
    return store;
}

/* adagrad's mean square; of Adam's the variance: the gradients' weighted mean square less the
 * square of their weighted mean, which has a share of the variance itself. */
static double expected(const char *optimizer, uint64_t i)
{
    double sum = 0, weights = 0, mean = 0, squares = 0, share = 0;
    for (uint32_t update = 0; update < UPDATES; update++)
        weights += pow(0.9, UPDATES - 1 - update);
    for (uint32_t update = 0; update < UPDATES; update++) {
        double g = (double)gradient(update, i), w = pow(0.9, UPDATES - 1 - update) / weights;
        sum += g * g;
        mean += w * g;
        squares += w * g * g;
        share += w * w;
    }
    return strcmp(optimizer, "adagrad") == 0 ? sum / UPDATES
                                             : (squares - mean * mean) / (1 - share);
}

enum { RULES = 3 };
static const struct {
    const char *name;
    double tolerance; /* a bfloat16 is off by 2^-8 at most; eight bits of adamw8bit by more */
} rules[RULES] = {{"adamw", 0.004}, {"adamw8bit", 0.2}, {"adagrad", 0.004}};

static ps_safetensors *stored(test_stored *t, uint64_t job, char **data)
{
    int file;
    ps_safetensors *out = NULL;
    ck_ok(ps_artifact_file_open(&t->files, job, PS_MOMENTS_FILE, &file));
    size_t len = test_stored_drain(file, data);
    ck_ok(ps_safetensors_parse(ps_slice_of((uint8_t *)*data, len), len, &out));
    return out;
}

static void assert_moments(const ps_safetensors *file, const char *data, size_t rule,
                           bool transposed)
{
    const ps_safetensors_tensor *w = ps_safetensors_find(file, "w"),
                                *b = ps_safetensors_find(file, "b");
    ck_assert(w->dtype == PS_SAFETENSORS_BF16 && w->n_dims == 2);
    ck_assert_uint_eq(w->shape[1], transposed ? ROWS : COLUMNS);
    for (uint64_t i = 0; i < ROWS * COLUMNS; i++) {
        uint16_t half;
        uint64_t at = transposed ? i % COLUMNS * ROWS + i / COLUMNS : i;
        memcpy(&half, data + file->data_start + w->begin + 2 * at, sizeof half);
        double want = expected(rules[rule].name, i);
        ck_assert_double_eq_tol((double)ps_bf16_value(half), want, rules[rule].tolerance * want);
    }
    for (uint64_t i = b->begin; i < b->end; i++)
        ck_assert_int_eq(data[file->data_start + i], 0);
}

/* The last time of a model whose matrix the store has transposed. */
START_TEST(the_mean_square_of_every_gradient_is_left)
{
    bool transposed = _i == RULES;
    size_t rule = transposed ? 0 : (size_t)_i;
    test_stored t;
    test_stored_open(&t);
    uint64_t job = add_job(&t);
    ps_param_store *store = trained(rules[rule].name, transposed);
    ck_assert(ps_param_has_moments(store));
    const ps_moments_about about = {.job_id = job,
                                    .model = "m",
                                    .optimizer = rules[rule].name,
                                    .rows = 12.5,
                                    .sequence_length = 64};
    ck_ok(ps_moments_file_store(&t.files, store, &about));
    char *data;
    ps_safetensors *file = stored(&t, job, &data);
    assert_moments(file, data, rule, transposed);
    char *says = ps_asprintf("{\"optimizer\":\"%s\",\"rows\":12.5,\"sequence_length\":64,"
                             "\"model\":\"m\"}",
                             rules[rule].name);
    ck_assert_str_eq(ps_safetensors_metadata(file, PS_MOMENTS_META), says);
    ck_assert_str_eq(test_stored_find(&t, "artifacts", PS_STORED_INCOMING), "");
    free(says);
    free(data);
    ps_safetensors_free(&file);
    ps_param_store_unref(&store);
    test_stored_close(&t);
}
END_TEST

START_TEST(a_full_disk_leaves_nothing)
{
    test_stored t;
    test_stored_open(&t);
    uint64_t job = add_job(&t);
    ps_param_store *store = trained("adamw", false);
    const ps_moments_about about = {.job_id = job, .model = "m", .optimizer = "adamw", .rows = 1};
    t.fault.room = 100;
    ck_assert_int_eq(ps_moments_file_store(&t.files, store, &about), PS_NO_SPACE);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), PS_MOMENTS_FILE));
    ck_assert_uint_eq(test_stored_count(&t, "artifacts"), 0);
    ps_param_store_unref(&store);
    test_stored_close(&t);
}
END_TEST

/* What common/conf says of a rule, so that a job is refused before it has begun, is what it has. */
START_TEST(the_table_says_which_rules_have_them)
{
    for (const char *const *name = ps_optimizer_names; *name; name++) {
        const ps_optimizer *rule;
        ck_ok(ps_optimizer_find(&(ps_optimizer_config){.name = *name, .epsilon = 1}, &rule));
        ck_assert_msg(ps_optimizer_row_find(*name)->squares == (rule->second_moment != NULL), "%s",
                      *name);
    }
}
END_TEST

static const ps_check_case cases[] = {
    {.test = &the_mean_square_of_every_gradient_is_left, .repeat = RULES + 1},
    {&a_full_disk_leaves_nothing},
    {&the_table_says_which_rules_have_them},
    {0},
};

int main(void)
{
    return ps_check_main("files/moments_file", cases);
}
