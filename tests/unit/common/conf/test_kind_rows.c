/* kind_rows: which sections of the job file each kind needs, takes and refuses. */
#include "tests/unit/common/conf/job_rig.h"

START_TEST(evaluate_and_predict_name_a_stored_model)
{
    ps_job_spec *s = parse("kind: evaluate\nname: e\nmodel_name: m\n"
                           "data: {format: idx, test: {features: /x, labels: /y}}\n");
    ck_assert_str_eq(ps_job_spec_kind(s)->name, "evaluate");
    ck_assert_str_eq(s->model_name, "m");
    ck_assert_ptr_null(s->model);
    ck_assert_ptr_null(s->train);
    ps_job_spec_free(&s);
    s = parse("kind: predict\nname: p\nmodel_name: m\n"
              "data: {format: idx, test: {features: /x}}\n");
    ck_assert_str_eq(s->data.test->labels, "");
    ps_job_spec_free(&s);
    refuses("kind: evaluate\nname: e\ndata: {format: csv, test: {features: /x}}\n",
            "job.yaml:1: model_name: missing; kind evaluate needs a stored model's name");
    refuses("kind: predict\nname: e\nmodel_name: m\ndata: {format: csv}\n",
            "job.yaml:4: data.test: missing; kind predict needs it");
    refuses("kind: predict\nname: e\nmodel_name: m\ndata: {format: csv, test: {features: /x}}\n"
            "train: {epochs: 1, optimizer: {name: sgd, learning_rate: 1}}\n",
            "job.yaml:5: train: not for kind predict, only for train");
}
END_TEST

START_TEST(a_train_job_needs_its_sections)
{
    refuses("kind: train\nname: a\ndata: {format: idx}\n",
            "job.yaml:1: model: missing; kind train needs it");
    refuses("kind: train\nname: a\ndata: {format: idx}\n"
            "model: {architecture: mlp, layers: [4, 3]}\n",
            "job.yaml:1: train: missing; kind train needs it");
    refuses("name: a\ndata: {format: idx}\n", "job.yaml:1: kind: missing; a word is required");
    refuses(TRAIN "model_name: x\n", "job.yaml:10: model_name: not for kind train");
    refuses("kind: trian\n", "job.yaml:1: kind: 'trian' is not known; did you mean 'train'?");
}
END_TEST

#define GENERATE "kind: generate\nname: say\nmodel_name: poet\n"

START_TEST(a_generate_job_has_a_prompt_and_no_data)
{
    ps_job_spec *s = parse(GENERATE "generate: {prompt: [5, 0, 7]}\n");
    ck_assert_str_eq(ps_job_spec_kind(s)->name, "generate");
    ck_assert_uint_eq(s->generate->n_prompt, 3);
    ck_assert_int_eq(s->generate->prompt[2], 7);
    ck_assert_int_eq(s->generate->max_tokens, 128);
    ck_assert_double_eq(s->generate->temperature, 1);
    ck_assert_int_eq(s->generate->top_k, 0);
    ck_assert_double_eq(s->generate->top_p, 1);
    ck_assert_uint_eq(s->generate->n_stop, 0);
    ck_assert_uint_eq(s->generate->cache, PS_SPEC_CACHE_USUAL);
    ps_job_spec_free(&s);
    s = parse(GENERATE "generate: {prompt: [5], cache: int8}\n");
    ck_assert_uint_eq(s->generate->cache, PS_SPEC_CACHE_INT8);
    ps_job_spec_free(&s);
    refuses(GENERATE "generate: {prompt: [5], cache: int4}\n",
            "job.yaml:4: generate.cache: 'int4' is not known");
    refuses(GENERATE, "job.yaml:1: generate: missing; kind generate needs it");
    refuses(GENERATE "generate: {max_tokens: 5}\n", "job.yaml:4: generate.prompt: missing; a list");
    refuses(GENERATE "data: {format: idx}\ngenerate: {prompt: [1]}\n",
            "job.yaml:4: data: not for kind generate, only for train, evaluate, predict, compare, "
            "compress and explain");
    ck_assert_ptr_null(strchr(ps_error_message(), '\n'));
    refuses(GENERATE "data: {test: {features: /x}}\ngenerate: {prompt: [1]}\n",
            "job.yaml:4: data: not for kind generate, only for train, evaluate, predict, compare, "
            "compress and explain");
    ck_assert_ptr_null(strchr(ps_error_message(), '\n')); /* of all of it at once */
    refuses(GENERATE "generate: {prompt: [1]}\nrows: {end: 3}\n",
            "job.yaml:5: rows: not for kind generate, only for evaluate, predict and compare");
    refuses(GENERATE "generate: {prompt: [1], max_tokens: 131073}\n",
            "job.yaml:4: generate.max_tokens: 131073 is out of range, allowed 1 to 131072");
    refuses(GENERATE "generate: {prompt: [1]}\ntrain: {epochs: 1, optimizer: {name: sgd, "
                     "learning_rate: 1}}\n",
            "job.yaml:5: train: not for kind generate, only for train");
    refuses("kind: generate\nname: say\ngenerate: {prompt: [1]}\n",
            "job.yaml:1: model_name: missing; kind generate needs a stored model's name");
    refuses(TRAIN "generate: {prompt: [1]}\n",
            "job.yaml:10: generate: not for kind train, only for generate");
    refuses("kind: predict\nname: a\nmodel_name: b\ndata: {test: {features: /x}}\n",
            "job.yaml:4: data.format: missing; kind predict needs it");
}
END_TEST

#define COMPARE                               \
    "kind: compare\nname: c\nmodel_name: a\n" \
    "data: {format: tokens, test: {tokens: /t}}\nrows: {end: 5}\n"

static void matches(const char *model, const char *other, const char *message)
{
    ps_spec_model *m = NULL, *o = NULL;
    ps_job_spec *s = parse(COMPARE "compare: {model: b}\n");
    ck_ok(ps_spec_model_parse(ps_slice_str(model), "model", &m));
    ck_ok(ps_spec_model_parse(ps_slice_str(other), "model", &o));
    ck_assert_int_eq(ps_spec_compare_match(s, m, o), *message ? PS_INVALID_ARGUMENT : PS_OK);
    if (*message)
        ck_assert_str_eq(ps_error_message(), message);
    ps_spec_model_free(&m);
    ps_spec_model_free(&o);
    ps_job_spec_free(&s);
}

#define GPT(vocab, context, more)                                                              \
    "{architecture: gpt2, vocab_size: " #vocab ", context_length: " #context ", hidden_size: " \
    "4, num_layers: 1, num_heads: 1" more "}"
#define MLP(layers, more) "{architecture: mlp, layers: " layers more "}"

START_TEST(a_compare_job_names_two_models_that_read_and_say_the_same)
{
    ps_job_spec *s = parse(COMPARE "compare: {model: b}\n");
    ck_assert_str_eq(s->compare->model, "b");
    ck_assert_str_eq(ps_job_spec_teacher(s), "b"); /* psd keeps its version as well */
    ps_job_spec_free(&s);
    refuses(COMPARE, "job.yaml:1: compare: missing; kind compare needs it");
    refuses(COMPARE "compare: {}\n", "job.yaml:6: compare.model: missing; a text");
    refuses(COMPARE "compare: {model: B}\n", "job.yaml:6: compare.model: 'B' is not a name");
    refuses(TRAIN "compare: {model: b}\n",
            "job.yaml:10: compare: not for kind train, only for compare");
    matches(GPT(300, 8, ""), GPT(300, 8, ", tokenizer: bytes"), "");
    matches(GPT(9, 8, ""), GPT(9, 7, ""),
            "model b: its context_length is 7, and rows have 8 tokens; set data.sequence_length");
    matches(GPT(9, 8, ""), GPT(10, 8, ""), "model b: its vocabulary has 10 tokens, not 9");
    matches(GPT(300, 8, ", tokenizer: gpt2"), GPT(300, 8, ", tokenizer: bytes"),
            "model b: its tokenizer is bytes, not gpt2");
    matches(GPT(9, 8, ""), MLP("[4, 2]", ""),
            "model b: it is of architecture mlp, which does not read what gpt2 does");
    matches(MLP("[4, 9, 2]", ""), MLP("[4, 2]", ""), "");
    matches(MLP("[4, 2]", ""), MLP("[5, 2]", ""), "model b: it has 5 inputs, not 4");
    matches(MLP("[4, 2]", ""), MLP("[4, 3]", ""), "model b: it has 3 outputs, not 2");
    matches(MLP("[4, 2]", ""), MLP("[4, 2]", ", loss: squared_error"),
            "model b: its loss is another one");
    matches(MLP("[4, 2, 4]", ", loss: squared_error"),
            "{architecture: sae, layers: [4, 9, 4], top_k: 2}",
            "model b: it is of architecture sae, which kind compare does not take");
}
END_TEST

static const ps_check_case tests[] = {
    {&evaluate_and_predict_name_a_stored_model},
    {&a_train_job_needs_its_sections},
    {&a_generate_job_has_a_prompt_and_no_data},
    {&a_compare_job_names_two_models_that_read_and_say_the_same},
    {0},
};

int main(void)
{
    return ps_check_main("conf/kind_rows", tests);
}
