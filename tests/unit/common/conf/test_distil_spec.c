/* distil_spec: what the section says, and which model can teach which. */
#include "tests/unit/common/conf/job_rig.h"

#define DISTIL TRAIN "distil: {teacher: big"

START_TEST(a_teacher_is_named_and_the_rest_has_defaults)
{
    ps_job_spec *s = parse(TRAIN);
    ck_assert_ptr_null(s->distil);
    ck_assert_str_eq(ps_job_spec_teacher(s), "");
    ps_job_spec_free(&s);
    s = parse(DISTIL "}\n");
    ck_assert_str_eq(ps_job_spec_teacher(s), "big");
    ck_assert_uint_eq(s->distil->loss, PS_DISTIL_KL);
    ck_assert_double_eq(s->distil->temperature, 1);
    ck_assert_double_eq(s->distil->alpha, 0.5);
    ck_assert_int_eq(s->distil->top_k, 0);
    ps_job_spec_free(&s);
    s = parse(DISTIL ", loss: jsd, temperature: 4, alpha: 1, top_k: 64}\n");
    ck_assert_uint_eq(s->distil->loss, PS_DISTIL_JSD);
    ck_assert_double_eq(s->distil->temperature, 4);
    ck_assert_int_eq(s->distil->top_k, 64);
    ps_job_spec_free(&s);
}
END_TEST

START_TEST(what_makes_no_sense_is_refused_on_its_line)
{
    refuses(TRAIN "distil: {alpha: 1}\n", "job.yaml:10: distil.teacher: missing; a stored model");
    refuses(TRAIN "distil: {teacher: Big}\n", "job.yaml:10: distil.teacher: 'Big' is not a name");
    refuses(DISTIL ", loss: mse}\n", "job.yaml:10: distil.loss: 'mse' is not known");
    refuses(DISTIL ", temperature: 0}\n",
            "job.yaml:10: distil.temperature: 0 is out of range, allowed 0.01 to 100");
    refuses(DISTIL ", alpha: 1.5}\n", "job.yaml:10: distil.alpha: 1.5 is out of range");
    refuses("kind: describe\nname: d\nmodel_name: m\ndistil: {teacher: big}\n",
            "job.yaml:4: distil: not for kind describe, only for train");
    refuses(
        "kind: train\nname: a\nmodel: {architecture: mlp, layers: [4, 3], loss: squared_error}\n"
        "data: {format: idx, train: {features: /d/x.gz, labels: /d/y.gz}}\n"
        "train: {epochs: 2, optimizer: {name: sgd, learning_rate: 0.1}}\n"
        "distil: {teacher: big}\n",
        "job.yaml:6: distil: only with model.loss cross_entropy");
}
END_TEST

#define HIDDEN(layers) DISTIL ", loss: hidden" layers "}\n"

START_TEST(hidden_states_are_paired)
{
    ps_job_spec *s = parse(HIDDEN(", student_layers: [1, 2], teacher_layers: [2, 4]"));
    ck_assert_uint_eq(s->distil->n_student_layers, 2);
    ck_assert_int_eq(s->distil->teacher_layers[1], 4);
    ps_job_spec_free(&s);
    refuses(HIDDEN(", student_layers: [1], teacher_layers: [1], on_policy: 0.5"),
            "job.yaml:10: distil.on_policy: not for loss hidden");
    refuses(DISTIL ", on_policy: 0.5}\n",
            "job.yaml:10: distil.on_policy: only for language models");
    refuses(HIDDEN(""), "job.yaml:10: distil.student_layers: 0, and 0 teacher_layers; loss hidden");
    refuses(HIDDEN(", student_layers: [1], teacher_layers: [1, 2]"),
            "job.yaml:10: distil.student_layers: 1, and 2 teacher_layers; loss hidden compares");
    refuses(HIDDEN(", student_layers: [1], teacher_layers: [1], temperature: 2"),
            "job.yaml:10: distil.temperature: not for loss hidden");
    refuses(DISTIL ", student_layers: [1]}\n",
            "job.yaml:10: distil.student_layers: only for loss hidden");
}
END_TEST

static ps_status match(const char *yaml, const char *teacher, bool settled)
{
    ps_job_spec *s = parse(yaml);
    ps_spec_model *model = NULL;
    ck_ok(ps_spec_model_parse(ps_slice_str(teacher), "teacher", &model));
    ps_status st = ps_spec_distil_match(s, model, settled);
    ps_spec_model_free(&model);
    ps_job_spec_free(&s);
    return st;
}

static void no_match(const char *yaml, const char *teacher, const char *message)
{
    ck_assert_int_eq(match(yaml, teacher, true), PS_INVALID_ARGUMENT);
    ck_assert_msg(strstr(ps_error_message(), message) == ps_error_message(), "%s",
                  ps_error_message());
    ck_assert_ptr_null(strchr(ps_error_message(), '\n'));
}

START_TEST(a_teacher_of_layers_has_the_same_ends)
{
    ck_ok(match(DISTIL "}\n", "{architecture: mlp, layers: [4, 100, 50, 3]}", true));
    no_match(DISTIL "}\n", "{architecture: mlp, layers: [5, 3]}",
             "teacher big: it has 5 inputs, and the student 4");
    no_match(DISTIL "}\n", "{architecture: mlp, layers: [4, 2]}",
             "teacher big: it has 2 classes, and the student 3");
    no_match(DISTIL "}\n", "{architecture: mlp, layers: [4, 3], loss: squared_error}",
             "teacher big: its loss is not cross_entropy");
    no_match(DISTIL "}\n",
             "{architecture: gpt2, vocab_size: 9, context_length: 8, hidden_size: 4, "
             "num_layers: 1, num_heads: 1}",
             "teacher big: it is of architecture gpt2, which does not read what mlp does");
}
END_TEST

START_TEST(hidden_states_are_as_wide_as_the_teachers)
{
    static const char job[] =
        "kind: train\nname: a\nmodel: {architecture: mlp, layers: [4, 8, 6, 3]}\n"
        "data: {format: idx, train: {features: /d/x, labels: /d/y}}\n"
        "train: {epochs: 1, optimizer: {name: sgd, learning_rate: 1}}\n"
        "distil: {teacher: big, loss: hidden, student_layers: [1, 2], teacher_layers: [2, 3]}\n";
    ck_ok(match(job, "{architecture: mlp, layers: [4, 20, 8, 6, 3]}", true));
    no_match(job, "{architecture: mlp, layers: [4, 20, 8, 9, 3]}",
             "teacher big: its layer 3 is 9 wide, and the student's layer 2 6; loss hidden");
    no_match(job, "{architecture: mlp, layers: [4, 20, 8, 3]}",
             "teacher big: it has no hidden layer 3");
}
END_TEST

/* The job file leaves them to the data, so they are known when the plan is done. */
START_TEST(inputs_are_normalised_alike)
{
    static const char teacher[] = "{architecture: mlp, layers: [4, 3], input_mean: [1, 2, 3, 4], "
                                  "input_std: [1, 1, 1, 1]}";
    ck_ok(match(DISTIL "}\n", teacher, false));
    no_match(DISTIL "}\n", teacher, "teacher big: its input_mean is not the student's; both must");
}
END_TEST

#define LANGUAGE(vocab, tokenizer)                                                                 \
    "{architecture: llama, vocab_size: " vocab ", context_length: 8, hidden_size: 4, num_layers: " \
    "1, num_heads: 1, intermediate_size: 8" tokenizer "}"
#define LANGUAGE_JOB(model, data)                                                             \
    "kind: train\nname: a\nmodel: " model "\ndata: {format: tokens, train: {tokens: /x}" data \
    "}\ntrain: {epochs: 1, optimizer: {name: sgd, learning_rate: 1}}\ndistil: {teacher: big}\n"

START_TEST(a_language_models_teacher_has_its_tokens)
{
    static const char job[] = LANGUAGE_JOB(LANGUAGE("300", ", tokenizer: bytes"), "");
    ck_ok(match(job, LANGUAGE("300", ", tokenizer: bytes"), true));
    ck_ok(match(job, LANGUAGE("300", ""), true));
    ck_ok(match(job, LANGUAGE("320", ", tokenizer: bytes"), true)); /* padding */
    no_match(job, LANGUAGE("320", ""),
             "teacher big: its vocabulary has 320 tokens, and the "
             "student's 300; they may differ where both say one");
    no_match(job, LANGUAGE("300", ", tokenizer: gpt2"),
             "teacher big: its tokenizer is gpt2, and the student's bytes");
    ck_ok(match(LANGUAGE_JOB(LANGUAGE("300", ""), ", sequence_length: 4"),
                "{architecture: gpt2, vocab_size: 300, context_length: 4, hidden_size: 4, "
                "num_layers: 1, num_heads: 1}",
                true));
    no_match(LANGUAGE_JOB(LANGUAGE("300", ""), ""),
             "{architecture: gpt2, vocab_size: 300, context_length: 4, hidden_size: 4, "
             "num_layers: 1, num_heads: 1}",
             "teacher big: its context_length is 4, and rows have 8 tokens; set "
             "data.sequence_length");
}
END_TEST

static const ps_check_case tests[] = {
    {&a_teacher_is_named_and_the_rest_has_defaults}, {&what_makes_no_sense_is_refused_on_its_line},
    {&a_teacher_of_layers_has_the_same_ends},        {&hidden_states_are_paired},
    {&hidden_states_are_as_wide_as_the_teachers},    {&inputs_are_normalised_alike},
    {&a_language_models_teacher_has_its_tokens},     {0},
};

int main(void)
{
    return ps_check_main("conf/distil_spec", tests);
}
