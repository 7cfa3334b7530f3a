/* lora_spec: what the section says, and what it does not go together with. */
#include "tests/unit/common/conf/job_rig.h"

#define JOB(from, train, more)                                                    \
    "kind: train\nname: a\n" from "data: {format: tokens, train: {tokens: /x}}\n" \
    "train: {epochs: 1, optimizer: {name: adamw, learning_rate: 1}" train "}\n" more
#define FROM "initialize_from: base\n"
#define MODEL                                                                                     \
    "model: {architecture: llama, vocab_size: 9, context_length: 8, hidden_size: 8, num_layers: " \
    "1, num_heads: 2, intermediate_size: 8}\n"

START_TEST(the_rest_has_defaults)
{
    ps_job_spec *s = parse(JOB(FROM, "", ""));
    ck_assert_ptr_null(s->train->lora);
    ps_job_spec_free(&s);
    s = parse(JOB(FROM, ", lora: {}", ""));
    ck_assert_int_eq(s->train->lora->rank, 8);
    ck_assert_double_eq(s->train->lora->dropout, 0);
    ck_assert_double_eq(ps_spec_lora_scale(s->train->lora), 2);
    ck_assert_uint_eq(s->train->lora->n_targets, 2);
    ck_assert_str_eq(s->train->lora->targets[1], "v");
    ps_job_spec_free(&s);
    s = parse(
        JOB(FROM, ", lora: ", "")); /* a section, or a list, of which no line is left is empty */
    ck_assert_int_eq(s->train->lora->rank, 8);
    ps_job_spec_free(&s);
    s = parse(JOB(FROM, ", freeze: ", ""));
    ck_assert_uint_eq(s->train->n_freeze, 0);
    ps_job_spec_free(&s);
    s = parse(JOB(FROM, ", lora: {rank: 4, alpha: 1, dropout: 0.1, targets: all-linear}", ""));
    ck_assert_double_eq(ps_spec_lora_scale(s->train->lora), 0.25);
    ck_assert_uint_eq(s->train->lora->n_targets, 1);
    ck_assert_str_eq(s->train->lora->targets[0], "all-linear");
    ps_job_spec_free(&s);
}
END_TEST

START_TEST(what_makes_no_sense_is_refused_on_its_line)
{
    refuses(JOB(MODEL, ", lora: {}", ""),
            "job.yaml:5: train.lora: adapters of which model? only with initialize_from");
    refuses(JOB(FROM, ", lora: {rank: 0}", ""),
            "job.yaml:5: train.lora.rank: 0 is out of range, allowed 1 to 1024");
    refuses(JOB(FROM, ", lora: {dropout: 1}", ""), "job.yaml:5: train.lora.dropout: 1 is out of");
    refuses(JOB(FROM, ", lora: {targets: []}", ""), "job.yaml:5: train.lora.targets: ");
    refuses(JOB(FROM, ", lora: {target: [q]}", ""), "job.yaml:5: train.lora.target: unknown key");
    refuses(JOB(FROM, ", lora: {}, weights: int8", ""),
            "job.yaml:5: train.weights: not with train.lora");
    refuses(JOB(FROM, ", lora: {}, keep_moments: true", ""),
            "job.yaml:5: train.keep_moments: not with train.lora");
    refuses(JOB(FROM, ", lora: {}", "record: {noise_scale: true}\n"),
            "job.yaml:6: record: not with train.lora");
    refuses(JOB(FROM, ", lora: {}", "distil: {teacher: big, on_policy: 0.5}\n"),
            "job.yaml:6: distil.on_policy: not with train.lora");
}
END_TEST

START_TEST(parameters_are_frozen_by_name)
{
    static const struct {
        const char *word, *name;
        bool means;
    } rows[] = {{"wte", "wte.weight", true},           {"wte.weight", "wte.weight", true},
                {"wt", "wte.weight", false},           {"h.1", "h.1.ln_1.bias", true},
                {"h.1", "h.11.ln_1.bias", false},      {"h.1*", "h.11.ln_1.bias", true},
                {"*.bias", "h.1.ln_1.bias", true},     {"*.bias", "h.1.ln_1.weight", false},
                {"wte.weight.x", "wte.weight", false}, {"", "wte.weight", false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        ck_assert_msg(ps_spec_freeze_means(rows[i].word, rows[i].name) == rows[i].means, "%s",
                      rows[i].word);
    ps_job_spec *s = parse(JOB(FROM, ", freeze: wte", ""));
    ck_assert_uint_eq(s->train->n_freeze, 1);
    ck_assert(ps_spec_train_partly(s->train));
    ps_job_spec_free(&s);
    refuses(JOB(MODEL, ", freeze: [wte]", ""),
            "job.yaml:5: train.freeze: parameters of which model? only with initialize_from");
    refuses(JOB(FROM, ", freeze: [wte], lora: {}", ""),
            "job.yaml:5: train.freeze: not with train.lora");
    refuses(JOB(FROM, ", freeze: [wte], weights: int8", ""),
            "job.yaml:5: train.weights: not with train.freeze");
    refuses(JOB(FROM, ", freeze: [wte], keep_moments: true", ""),
            "job.yaml:5: train.keep_moments: not with train.freeze");
}
END_TEST

START_TEST(it_is_for_language_models)
{
    ps_job_spec *s = NULL;
    const char *yaml = "kind: train\nname: a\ninitialize_from: base\n"
                       "data: {format: idx, train: {features: /x, labels: /y}}\n"
                       "train: {epochs: 1, optimizer: {name: sgd, learning_rate: 1}, lora: {}}\n";
    ck_assert_int_eq(ps_job_spec_parse_from(ps_slice_str(yaml), "job.yaml",
                                            "{architecture: mlp, layers: [4, 3]}", &s),
                     PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(),
                     "job.yaml:5: train.lora: only for models that read tokens, and "
                     "base is of architecture mlp");
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &the_rest_has_defaults},
    {.test = &what_makes_no_sense_is_refused_on_its_line},
    {.test = &parameters_are_frozen_by_name},
    {.test = &it_is_for_language_models},
    {0},
};

int main(void)
{
    return ps_check_main("conf/lora_spec", tests);
}
