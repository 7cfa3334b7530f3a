/* job_spec, of jobs that begin from a stored model: they have what that is, and say nothing else.
 */
#include "common/base/mem.h"
#include "common/conf/job_spec.h"
#include "tests/lib/check_main.h"

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
    ck_assert_int_eq(parse_from(FROM(""), "", &s), PS_OK); /* psctl does not know the model */
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
    ck_assert_int_eq(parse_from(text, STORED, &s), PS_OK);
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
    ck_assert_int_eq(
        parse_from(FROM_NAMED("model: {architecture: mlp, layers: [4, 2]}\n"), NAMED, &s), PS_OK);
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

static const ps_check_case tests[] = {
    {&a_job_that_begins_from_a_model_has_what_that_is},
    {&a_section_that_is_not_the_stored_models_is_refused_key_by_key},
    {&what_a_section_leaves_open_is_the_stored_models},
    {0},
};

int main(void)
{
    return ps_check_main("conf/job_origin", tests);
}
