/* job_spec, of jobs that begin from a stored model: they have what that is, and say nothing else.
 */
#include "common/base/mem.h"
#include "common/conf/job_spec.h"
#include "tests/lib/check_main.h"
#include "tests/lib/conf_example.h"

#include <string.h>

#define STORED                                                                     \
    "{architecture: llama, vocab_size: 300, context_length: 64, hidden_size: 48, " \
    "num_layers: 2, num_heads: 6, num_kv_heads: 2, intermediate_size: 100, "       \
    "rope_theta: 500000, norm_epsilon: 1e-06, tie_embeddings: true, dropout: 0, "  \
    "tokenizer: \"bytes\"}"
#define FROM(model)                                                  \
    "kind: train\nname: a\ninitialize_from: base\n"                  \
    "train: {epochs: 1, optimizer: {name: sgd, learning_rate: 1}}\n" \
    "data: {format: tokens, sequence_length: 65, train: {tokens: /x}}\n" model

static ps_status parse_from(const char *text, const char *stored, ps_job_spec **spec)
{
    return ps_job_spec_parse_from(ps_slice_str(text), "job.yaml", stored, spec);
}

START_TEST(a_job_that_begins_from_a_model_has_what_that_is)
{
    ps_job_spec *s = NULL;
    ps_buf config = PS_BUF_EMPTY;
    ck_ok(parse_from(FROM(""), "", &s)); /* psctl does not know the model */
    ck_assert_ptr_null(s->model);
    ps_job_spec_free(&s);
    ck_assert_int_eq(parse_from(FROM(""), STORED, &s), PS_INVALID_ARGUMENT); /* its rules count */
    ck_assert_str_eq(ps_error_message(), "job.yaml:5: data.sequence_length: 65 is more than "
                                         "model.context_length, 64");
    static const char *const sections[] = {"", "model: " STORED "\n"};
    for (size_t i = 0; i < 2; i++) {
        char *text = ps_asprintf(FROM("%s"), sections[i]);
        memcpy(strstr(text, "65"), "64", 2);
        ck_assert_msg(parse_from(text, STORED, &s) == PS_OK, "%s", ps_error_message());
        ps_spec_model_format(s->model, &config);
        ck_assert_str_eq(ps_buf_cstr(&config), STORED);
        ps_buf_clear(&config);
        ps_job_spec_free(&s);
        free(text);
    }
    ps_buf_free(&config);
}
END_TEST

/* The section, with one key replaced. */
static char *section_with(const char *key, const char *value)
{
    char *stored = ps_strdup(STORED), *at = strstr(stored, key), *end = at + strcspn(at, ",}");
    *at = 0;
    char *text = ps_asprintf(FROM("model: %s%s: %s%s\n"), stored, key, value, end);
    free(stored);
    memcpy(strstr(text, "65"), "9 ", 2);
    return text;
}

START_TEST(a_section_that_is_not_the_stored_models_is_refused_key_by_key)
{
    static const struct {
        const char *key, *value, *words;
    } rows[] = {
        {"vocab_size", "301", "model.vocab_size is 301 here and 300 there"},
        {"context_length", "32", "model.context_length is 32 here and 64 there"},
        {"num_layers", "3", "model.num_layers is 3 here and 2 there"},
        {"num_heads", "12", "model.num_heads is 12 here and 6 there"},
        {"num_kv_heads", "3", "model.num_kv_heads is 3 here and 2 there"},
        {"intermediate_size", "101", "model.intermediate_size is 101 here and 100 there"},
        {"rope_theta", "10000", "model.rope_theta is 10000 here and 500000 there"},
        {"norm_epsilon", "1e-5", "model.norm_epsilon is 1e-05 here and 1e-06 there"},
        {"tie_embeddings", "false", "model.tie_embeddings is false here and true there"},
        {"tokenizer", "gpt2", "model.tokenizer is \"gpt2\" here and \"bytes\" there"},
    };
    ps_job_spec *s = NULL;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *text = section_with(rows[i].key, rows[i].value);
        char *message = ps_asprintf("job.yaml:6: model: leave the section out, or write in it what "
                                    "model base is, which the job begins from: %s",
                                    rows[i].words);
        ck_assert_int_eq(parse_from(text, STORED, &s), PS_INVALID_ARGUMENT);
        ck_assert_str_eq(ps_error_message(), message);
        free(message);
        free(text);
    }
    char *text = section_with("dropout", "0.5");
    ck_ok(parse_from(text, STORED, &s));
    ck_assert_double_eq(s->model->dropout, 0.5);
    ps_job_spec_free(&s);
    free(text);
    ck_assert_int_eq(parse_from(FROM("model: {architecture: llama, vocab_size: 300, "
                                     "context_length: 64, hidden_size: 48, num_layers: 2, "
                                     "num_heads: 6, intermediate_size: 100}\n"),
                                STORED, &s),
                     PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(
        ps_error_message(), ": model.num_kv_heads is 6 (not written) here and 2 there, "
                            "model.rope_theta is 10000 (not written) here and 500000 there, "));
    ck_assert_int_eq(parse_from(FROM("model: {architecture: gpt2, vocab_size: 300, "
                                     "context_length: 64, hidden_size: 48, num_layers: 2, "
                                     "num_heads: 6}\n"),
                                STORED, &s),
                     PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(),
                                 "from: model.architecture is \"gpt2\" here and \"llama\" there"));
}
END_TEST

#define NAMED "{architecture: mlp, layers: [4, 2], classes: [no, yes]}"
#define FROM_NAMED(model)                                            \
    "kind: train\nname: a\ninitialize_from: base\n"                  \
    "train: {epochs: 1, optimizer: {name: sgd, learning_rate: 1}}\n" \
    "data: {format: csv, train: {features: /x}}\n" model

START_TEST(what_a_section_leaves_open_is_the_stored_models)
{
    ps_job_spec *s = NULL;
    ck_ok(parse_from(FROM_NAMED("model: {architecture: mlp, layers: [4, 2]}\n"), NAMED, &s));
    ck_assert_uint_eq(s->model->n_classes, 2);
    ck_assert_str_eq(s->model->classes[1], "yes");
    ps_job_spec_free(&s);
    ck_assert_int_eq(
        parse_from(FROM_NAMED("model: {architecture: mlp, layers: [4, 2], classes: [yes, no]}\n"),
                   NAMED, &s),
        PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(
        strstr(ps_error_message(), "model.classes is [\"yes\",\"no\"] here and "));
}
END_TEST

#define WITH_STD  "{architecture: mlp, layers: [2, 2], input_mean: [1, 2], input_std: [3, 4]}"
#define WITH_MEAN "{architecture: mlp, layers: [2, 2], input_mean: [1, 2], input_missing: mean}"
#define PLAIN     "{architecture: mlp, layers: [2, 2]}"
#define EVALUATE(data)                                                                     \
    "kind: evaluate\nname: a\nmodel_name: base\ndata:\n  format: csv\n  test: {features: " \
    "/x}\n" data
#define TRAIN(data)                                                                          \
    "kind: train\nname: a\ninitialize_from: base\n"                                          \
    "train: {epochs: 1, optimizer: {name: sgd, learning_rate: 1}}\ndata:\n  format: csv\n  " \
    "train: {features: /x}\n" data

START_TEST(what_a_model_keeps_of_its_inputs_holds)
{
    static const struct {
        const char *job, *stored, *message; /* NULL: it is taken */
    } cases[] = {
        {EVALUATE(""), WITH_STD, NULL},
        {EVALUATE("  normalise: {from: data}\n"), WITH_STD, NULL},
        {EVALUATE("  normalise: {mean: 0}\n"), WITH_STD,
         "job.yaml:7: data.normalise: model base has a mean and a deviation of each of its inputs, "
         "which hold; leave this out"},
        {EVALUATE("  normalise: {from: data}\n"), PLAIN,
         "job.yaml:7: data.normalise: model base has no mean and deviation of its inputs; only a "
         "job that trains takes them from its data"},
        {EVALUATE("  normalise: {from: data, std: 2}\n"), WITH_STD,
         "job.yaml:7: data.normalise.std: not with from: data, which takes mean and std from the "
         "training data"},
        {EVALUATE("  csv: {missing: mean}\n"), WITH_MEAN, NULL},
        {EVALUATE("  csv: {missing: mean}\n"), WITH_STD, NULL}, /* it has the means */
        {EVALUATE("  csv: {missing: zero}\n"), WITH_STD, NULL},
        {EVALUATE("  csv: {missing: zero}\n"), WITH_MEAN,
         "job.yaml:7: data.csv.missing: zero here, and mean for model base, which holds; leave "
         "this "
         "out"},
        {EVALUATE("  csv: {missing: mean}\n"), PLAIN,
         "job.yaml:7: data.csv.missing: model base has no means of its inputs; only a job that "
         "trains takes them from its data"},
        {TRAIN(""), WITH_STD, NULL},
        {TRAIN("  normalise: {from: data}\n"), WITH_STD, NULL},
        {TRAIN("  normalise: {from: data}\n  csv: {missing: mean}\n"), PLAIN, NULL},
        {TRAIN("  normalise: {std: 2}\n"), WITH_STD,
         "job.yaml:8: data.normalise: model base has a mean and a deviation of each of its inputs, "
         "which hold; leave this out"},
        {TRAIN("  normalise: {from: data}\n"), "{architecture: mlp, layers: [4097, 2]}",
         "job.yaml:8: data.normalise: from: data is for at most 4096 inputs; model.layers begins "
         "with 4097"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ps_job_spec *s = NULL;
        ps_status st = parse_from(cases[i].job, cases[i].stored, &s);
        ck_assert_msg((st == PS_OK) == !cases[i].message, "%zu: %s", i, ps_error_message());
        if (cases[i].message)
            ck_assert_str_eq(ps_error_message(), cases[i].message);
        else
            ps_job_spec_free(&s);
    }
}
END_TEST

START_TEST(the_example_of_classes_leaves_them_to_its_data)
{
    ps_buf text = ps_test_source_file("deploy/examples/csv-classes.yaml");
    ps_job_spec *s = NULL;
    ck_assert_msg(!ps_job_spec_parse(ps_buf_slice(&text), "it", &s), "%s", ps_error_message());
    ck_assert_uint_eq(s->data.normalise.from, PS_SPEC_NORMALISE_DATA);
    ck_assert_uint_eq(s->data.csv.missing, PS_SPEC_MISSING_MEAN);
    ck_assert_uint_eq(s->model->n_classes, 0);
    ps_job_spec_free(&s);
    ps_buf_free(&text);
}
END_TEST

START_TEST(what_is_settled_is_what_the_job_asks_for)
{
    static const struct {
        const char *job, *settled, *message;
    } cases[] = {
        {TRAIN("  normalise: {from: data}\n"), WITH_STD, NULL},
        {TRAIN("  normalise: {from: data}\n"), WITH_MEAN,
         "data.normalise.from is data, but nobody has taken mean and deviation from them; is a "
         "worker older than psd, or psd than a worker?"},
        {TRAIN("  csv: {missing: mean}\n"), WITH_MEAN, NULL},
        {TRAIN("  csv: {missing: mean}\n"), PLAIN,
         "data.csv.missing is mean, but nobody has taken means from the data; is a worker older "
         "than psd, or psd than a worker?"},
        {TRAIN(""), WITH_STD, "numbers of inputs that the job does not ask for"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ps_job_spec *s = NULL;
        ck_ok(parse_from(cases[i].job, PLAIN, &s));
        ps_status st = ps_job_spec_settle(s, ps_slice_str(cases[i].settled));
        ck_assert_msg((st == PS_OK) == !cases[i].message, "%zu: %s", i, ps_error_message());
        if (cases[i].message)
            ck_assert_str_eq(ps_error_message(), cases[i].message);
        ck_assert_uint_eq(s->model->n_input_mean, cases[i].message ? 0 : 2);
        ps_job_spec_free(&s);
    }
}
END_TEST

static const ps_check_case tests[] = {
    {&a_job_that_begins_from_a_model_has_what_that_is},
    {&a_section_that_is_not_the_stored_models_is_refused_key_by_key},
    {&what_a_section_leaves_open_is_the_stored_models},
    {&what_a_model_keeps_of_its_inputs_holds},
    {&the_example_of_classes_leaves_them_to_its_data},
    {&what_is_settled_is_what_the_job_asks_for},
    {0},
};

int main(void)
{
    return ps_check_main("conf/job_origin", tests);
}
