/* explain_spec: what the section says, and what of it is refused, by the file alone and by its
 * model. */
#include "tests/unit/common/conf/job_rig.h"

#include "common/conf/others.h"

#define HEAD                                         \
    "kind: explain\n"                                \
    "name: why\n"                                    \
    "model_name: mlp\n"                              \
    "data:\n"                                        \
    "  format: idx\n"                                \
    "  test: {features: /d/x.gz, labels: /d/y.gz}\n" \
    "explain:\n"
#define PROMPTS         \
    "kind: explain\n"   \
    "name: why\n"       \
    "model_name: gpt\n" \
    "explain:\n"        \
    "  prompts: [[1, 2, 3], [4]]\n"
#define DIFF "kind: explain\nname: why\nmodel_name: mlp\nexplain:\n"
#define IG   "  attributions: [integrated_gradients]\n"

#define LAYERS  "{architecture: mlp, layers: [16, 4]}"
#define NUMBERS "{architecture: mlp, layers: [16, 4], loss: squared_error}"
#define ONE     "{architecture: mlp, layers: [16, 1], loss: squared_error}"
#define WIDE    "{architecture: mlp, layers: [4, 2, 4], loss: squared_error}"
#define CODER   "{architecture: sae, layers: [4, 9, 4], top_k: 2}"
#define TOKENS                                                                               \
    "{architecture: gpt2, vocab_size: 9, context_length: 8, hidden_size: 4, num_layers: 1, " \
    "num_heads: 1}"

START_TEST(what_is_not_said_has_its_default)
{
    ps_job_spec *s = parse(HEAD IG);
    const ps_spec_explain *e = s->explain;
    ck_assert_uint_eq(ps_spec_explain_count(e), 1);
    ck_assert_str_eq(ps_spec_explain_at(e, 0)->method, "integrated_gradients");
    ck_assert_int_eq(e->attributions[0].steps, 50);
    ck_assert_int_eq(e->attributions[0].steps_max, 4096);
    ck_assert_double_eq(e->attributions[0].tolerance, 0.01);
    ck_assert_uint_eq(ps_spec_explain_items(e), 64);
    ck_assert_int_eq(e->rows.count, 0);
    ck_assert_uint_eq(e->target.kind, PS_EXPLAIN_PREDICTED);
    ck_assert_uint_eq(e->score, PS_EXPLAIN_LOGIT);
    ck_assert_uint_eq(e->baseline.kind, PS_EXPLAIN_USUAL);
    ck_assert_uint_eq(ps_explain_baseline_settled(&e->baseline, false), PS_EXPLAIN_ZERO);
    ck_assert_uint_eq(ps_explain_baseline_settled(&e->baseline, true), PS_EXPLAIN_MEAN);
    ck_assert(!ps_spec_explain_shows(e));
    ps_job_spec_free(&s);
    s = parse(PROMPTS "  attributions: [saliency, {method: occlusion, window: [2]}]\n");
    ck_assert_uint_eq(ps_spec_explain_items(s->explain), 2);
    ck_assert_int_eq(ps_spec_explain_longest(s->explain), 3);
    ck_assert(ps_spec_explain_shows(s->explain));
    ck_assert_str_eq(ps_spec_explain_at(s->explain, 1)->method, "occlusion");
    ck_assert_int_eq(ps_spec_explain_at(s->explain, 1)->window[0], 2);
    ps_job_spec_free(&s);
}
END_TEST

START_TEST(targets_and_baselines_are_what_is_written)
{
    ps_job_spec *s = parse(HEAD "  target: {class: 3}\n  baseline: {value: 0.5}\n"
                                "  rows: {first: 7, show: true}\n" IG);
    ck_assert_uint_eq(s->explain->target.kind, PS_EXPLAIN_CLASS);
    ck_assert_int_eq(s->explain->target.number, 3);
    ck_assert_uint_eq(s->explain->baseline.kind, PS_EXPLAIN_VALUE);
    ck_assert_int_eq(s->explain->rows.first, 7);
    ck_assert_int_eq(s->explain->rows.count, 64);
    ck_assert(ps_spec_explain_shows(s->explain));
    ps_job_spec_free(&s);
    s = parse(HEAD "  target: label\n  baseline: mean\n" IG);
    ck_assert_uint_eq(s->explain->target.kind, PS_EXPLAIN_LABEL);
    ck_assert_uint_eq(s->explain->baseline.kind, PS_EXPLAIN_MEAN);
    ps_job_spec_free(&s);
}
END_TEST

START_TEST(rows_that_methods_make_are_as_long_as_they_say)
{
    ps_job_spec *s = parse(PROMPTS "  inside: [attention, {method: head_scores, length: 30}]\n");
    ck_assert_int_eq(ps_spec_explain_longest(s->explain), 3);
    ck_assert_int_eq(ps_spec_explain_own_longest(s->explain, 64), 30);
    ck_assert_int_eq(ps_spec_explain_own_longest(s->explain, 16), 16);
    ps_job_spec_free(&s);
    s = parse(HEAD IG);
    ck_assert_int_eq(ps_spec_explain_own_longest(s->explain, 64), 0);
    ps_job_spec_free(&s);
}
END_TEST

#define PATCH(what)                                         \
    "kind: explain\nname: why\nmodel_name: gpt\nexplain:\n" \
    "  inside: [{method: patching" what "}]\n"

START_TEST(rows_that_are_patched_go_together)
{
    ps_job_spec *s = parse(PATCH(", patch: {clean: [1, 2, 3], corrupt: [1, 4, 3]}"));
    const ps_spec_explain_patch *p = &ps_spec_explain_at(s->explain, 0)->patch;
    ck_assert_uint_eq(p->n_points, 4);
    ck_assert_str_eq(p->points[1], "z");
    ck_assert_int_eq(p->exact_top, 10);
    ck_assert_int_eq(ps_spec_explain_own_longest(s->explain, 64), 3);
    ps_job_spec_free(&s);
    refuses(PATCH(""), "job.yaml:5: explain.inside[0]: no rows to compare; say patch: {clean: ");
    refuses(PATCH(", patch: {clean: [1, 2], corrupt: [1]}"),
            "job.yaml:5: explain.inside[0].patch.corrupt: 1 tokens, and clean has 2; they are ");
    refuses(PATCH(", patch: {clean: [1], corrupt: [2], points: [resid_post]}"),
            "job.yaml:5: explain.inside[0].patch.points: 'resid_post' is not a kind of points");
}
END_TEST

START_TEST(arguments_are_the_methods_own_keys)
{
    ps_job_spec *s = parse(HEAD "  attributions: [{method: occlusion, window: [2, 3]}]\n");
    ps_buf json = PS_BUF_EMPTY;
    ps_spec_explain_arguments(ps_spec_explain_at(s->explain, 0), &json);
    ck_assert_str_eq(ps_buf_cstr(&json),
                     "{\"method\":\"occlusion\",\"window\":[2,3],\"stride\":[],\"shape\":[]}");
    ps_buf_free(&json);
    ps_job_spec_free(&s);
}
END_TEST

#define TRAINED                                                                                   \
    "kind: explain\nname: why\nmodel_name: m\ndata: {format: idx, train: {features: /x, labels: " \
    "/y}, test: {features: /x, labels: /y}}\nexplain:\n  influence:\n"

START_TEST(checkpoints_have_rates_or_that_of_their_entry)
{
    ps_job_spec *s = parse(TRAINED "    - {method: tracin, rate: 0.5, checkpoints: [a, {model: m, "
                                   "rate: 2}, {model: b, version: models/b.1}]}\n"
                                   "    - {method: trak, checkpoints: [b, c]}\n    - trak\n");
    const ps_spec_explain_method *m = ps_spec_explain_at(s->explain, 0);
    ps_job_other others[PS_JOB_OTHERS_MAX];
    ps_buf json = PS_BUF_EMPTY;
    ck_assert_uint_eq(m->n_checkpoints, 3);
    ck_assert_double_eq(m->checkpoints[0].rate, 0.5);
    ck_assert_double_eq(m->checkpoints[1].rate, 2);
    ck_assert_str_eq(m->checkpoints[1].model, "m");
    ck_assert_uint_eq(ps_spec_explain_at(s->explain, 2)->n_checkpoints, 0);
    ps_spec_explain_arguments(m, &json);
    ck_assert_ptr_nonnull(strstr(
        ps_buf_cstr(&json), "\"checkpoints\":[{\"model\":\"a\",\"version\":\"\",\"rate\":0.5},"));
    ps_buf_free(&json);
    ck_assert_uint_eq(ps_job_spec_others(s, others), 4); /* each once */
    ck_assert_str_eq(others[0].name, "a");
    ck_assert_str_eq(others[2].name, "b");
    ck_assert_str_eq(others[2].version, "models/b.1");
    ck_assert_str_eq(others[3].name, "c");
    ck_assert_str_eq(others[3].key, "explain.influence[1].checkpoints[1]");
    ps_job_spec_free(&s);
}
END_TEST

START_TEST(lists_of_checkpoints_that_cannot_be_are_refused)
{
    refuses(TRAINED "    - {method: tracin, checkpoints: [a, b, a]}\n",
            "job.yaml:7: explain.influence[0].checkpoints[2]: model a is in the list already, as "
            "number 0");
    refuses(TRAINED "    - {method: tracin, checkpoints: [A]}\n",
            "job.yaml:7: explain.influence[0].checkpoints[0]: 'A' is not a name");
    refuses(TRAINED "    - {method: tracin, checkpoints: [{model: a, rate: 0}]}\n",
            "job.yaml:7: explain.influence[0].checkpoints[0].rate: ");
    refuses(TRAINED "    - {method: tracin, checkpoints: [{model: a, rate: .nan}]}\n",
            "job.yaml:7: explain.influence[0].checkpoints[0].rate: ");
    refuses(TRAINED "    - {method: trak, checkpoints: [{model: a, rate: 1}]}\n",
            "job.yaml:7: explain.influence[0].checkpoints[0].rate: method trak averages over its "
            "models, which have no rates");
    refuses(TRAINED "    - {method: ekfac, checkpoints: [a]}\n",
            "job.yaml:7: explain.influence[0].checkpoints: method ekfac has no such setting; it is "
            "one of tracin and trak");
    refuses(TRAINED "    - {method: tracin, checkpoints: [{model: m, version: models/m.1}]}\n",
            "job.yaml:7: explain.influence[0].checkpoints[0]: model m is the job's own: say its "
            "version with model_version");
    refuses(TRAINED "    - {method: tracin, checkpoints: [{model: a, version: x}]}\n"
                    "    - {method: trak, checkpoints: [{model: a, version: y}]}\n",
            "job.yaml:8: explain.influence[1].checkpoints[0]: another version of model a than "
            "explain.influence[0].checkpoints[0]; a job has one");
    refuses(
        TRAINED "    - {method: trak, sketch: 8192, checkpoints: [a, b, c]}\n",
        "job.yaml:7: explain.influence[0].checkpoints: 3 models with a sketch of 8192 leave 768 "
        "MiB for the second pass, more than 512; lower sketch, or name fewer");
    ps_buf text = PS_BUF_EMPTY;
    for (int i = 0; i <= PS_EXPLAIN_CHECKPOINTS_MAX; i++)
        ps_buf_printf(&text, "%sa%d", i ? ", " : TRAINED "    - {method: tracin, checkpoints: [",
                      i);
    ps_buf_puts(&text, "]}\n");
    refuses(ps_buf_cstr(&text), "job.yaml:7: explain.influence[0].checkpoints: ");
    ps_buf_free(&text);
}
END_TEST

START_TEST(what_would_take_days_is_refused)
{
    refuses(HEAD "  attributions: [{method: integrated_gradients, steps: 4, steps_max: 4097}]\n",
            "job.yaml:8: explain.attributions[0].steps_max: ");
    refuses(HEAD "  inside: [{method: weights, side_max: 8193}]\n",
            "job.yaml:8: explain.inside[0].side_max: ");
}
END_TEST

/* Rows of training have labels, and a record is of a training that is named. */
START_TEST(influence_needs_to_know_of_what)
{
    refuses(HEAD "  influence: [tracin]\n",
            "job.yaml:4: data.train: missing; method tracin looks at it");
    refuses("kind: explain\nname: why\nmodel_name: mlp\ndata: {format: idx, train: {features: /x}, "
            "test: {features: /x, labels: /y}}\nexplain: {influence: [trak]}\n",
            "job.yaml:4: data.train.labels: missing; method trak needs labels");
    refuses(HEAD "  influence: [recorded]\n",
            "job.yaml:8: explain.influence[0]: of which training is the record? say {method: "
            "recorded, job: 7}");
    refuses(HEAD "  influence: [{method: recorded, job: 7}, {method: recorded, job: 8}]\n",
            "job.yaml:8: explain.influence[1]: the records of two trainings; make two jobs");
}
END_TEST

START_TEST(what_makes_no_sense_is_refused_on_its_line)
{
    refuses(HEAD "  seed: 1\n", "job.yaml:7: explain: nothing to do; say explain.attributions");
    refuses(HEAD "  attributions: [saliency, inegrated_gradients]\n",
            "job.yaml:8: explain.attributions[1]: 'inegrated_gradients' is not a method; did you "
            "mean 'integrated_gradients'? allowed: ");
    refuses(HEAD "  inside: [saliency]\n",
            "job.yaml:8: explain.inside[0]: method saliency stands in explain.attributions");
    refuses(HEAD "  attributions: [{method: saliency, steps: 3}]\n",
            "job.yaml:8: explain.attributions[0].steps: method saliency has no such setting; it is "
            "one of ");
    refuses(HEAD "  attributions: [{method: integrated_gradients, steps: 9, steps_max: 8}]\n",
            "job.yaml:8: explain.attributions[0].steps_max: 8 is less than steps, 9");
    refuses(HEAD "  quality: [deletion]\n",
            "job.yaml:8: explain.quality[0]: method deletion is about one of explain.attributions, "
            "which is empty");
    refuses(HEAD IG "  quality: [{method: deletion, of: saliency}]\n",
            "job.yaml:9: explain.quality[0].of: explain.attributions has no saliency");
    refuses(HEAD "  rows: {count: 3, sample: 3}\n" IG,
            "job.yaml:8: explain.rows.sample: first and count choose a range, sample draws");
    refuses(HEAD "  target: {class: 1, difference: [1, 2]}\n" IG,
            "job.yaml:8: explain.target: one of of, class and difference, not several");
    refuses(HEAD "  target: {difference: [2, 2]}\n" IG,
            "job.yaml:8: explain.target.difference: two different outputs are needed");
    refuses(HEAD "  target: {difference: [1, 2]}\n  score: loss\n" IG,
            "job.yaml:9: explain.score: loss is of one target, not of a difference");
    refuses(HEAD "  attributions: [deep_lift]\n  score: probability\n",
            "job.yaml:9: explain.score: probability: method deep_lift explains logits alone");
    refuses(HEAD "  baseline: {value: 1, row: 3}\n" IG,
            "job.yaml:8: explain.baseline: one of of, value, token and row, not several");
    refuses(PROMPTS "  target: label\n" IG, "job.yaml:6: explain.target: label: prompts have none");
    refuses(PROMPTS "  baseline: {row: 1}\n" IG,
            "job.yaml:6: explain.baseline: row: prompts have no rows of data");
    refuses(DIFF "  baseline: mean\n  inside: [weights]\n",
            "job.yaml:5: explain.baseline: mean: it is made of data.test, which is missing");
    refuses(DIFF "  baseline: {row: 0}\n  inside: [weights]\n",
            "job.yaml:5: explain.baseline: row: it is made of data.test, which is missing");
    refuses(PROMPTS "  rows: {sample: 3}\n" IG, "job.yaml:6: explain.rows: of data.test; all of");
    refuses("kind: explain\nname: why\nmodel_name: mlp\nexplain:\n" IG,
            "job.yaml:1: data.test: missing; method integrated_gradients looks at its rows");
    refuses("kind: explain\nname: why\nmodel_name: mlp\ndata: {format: idx, test: {features: /x}}\n"
            "explain:\n  target: label\n" IG,
            "job.yaml:6: explain.target: label: data.test.labels names no file");
    refuses("kind: explain\nname: why\nmodel_name: mlp\nexplain:\n  inside: [weights, weights, "
            "weights, "
            "weights, weights, weights, weights, weights, weights, weights, weights, weights, "
            "weights]\n",
            "job.yaml:5: explain.inside[12]: more than 12 methods that look at no rows");
    refuses(DIFF "  inside: [weight_change]\n",
            "job.yaml:4: explain.compare_to: missing; method weight_change compares the model");
    refuses(DIFF "  compare_to: other\n  inside: [weights]\n",
            "job.yaml:5: explain.compare_to: no method of the job looks at it");
    refuses(DIFF "  compare_to: ../other\n  inside: [weight_change]\n",
            "job.yaml:5: explain.compare_to: '../other' is not a name");
    refuses(DIFF "  compare_to: other\n  inside: [loss_path]\n",
            "job.yaml:1: data.test: missing; method loss_path looks at its rows");
    refuses("kind: explain\nname: why\nmodel_name: mlp\ndata: {format: idx, test: {features: /x}}\n"
            "explain: {compare_to: other, inside: [loss_path]}\n",
            "job.yaml:5: explain: method loss_path needs labels: data.test.labels names no file");
    refuses(TRAIN "explain: {attributions: [saliency]}\n",
            "job.yaml:10: explain: not for kind train, only for explain");
}
END_TEST

START_TEST(quality_is_of_an_attribution)
{
    size_t of = 9;
    ps_job_spec *s = parse(HEAD "  attributions: [saliency, integrated_gradients, saliency]\n"
                                "  behaviour: [losses]\n"
                                "  quality: [deletion, {method: infidelity, of: "
                                "integrated_gradients}, {method: sensitivity, of: saliency}]\n");
    const ps_spec_explain *e = s->explain;
    ck_assert_int_eq(e->quality[0].steps, 20);
    ck_assert_int_eq(e->quality[0].samples, 10);
    ck_assert_double_eq(e->quality[2].radius, 0.02);
    static const size_t want[] = {1, 2, 1}; /* behaviour stands before them */
    for (size_t i = 0; i < 3; i++) {
        ck_assert(ps_spec_explain_of(e, &e->quality[i], &of));
        ck_assert_uint_eq(of, want[i]);
    }
    ps_job_spec_free(&s);
}
END_TEST

static void no_match(const char *yaml, const char *model, const char *message)
{
    ps_job_spec *s = NULL;
    ck_assert_int_eq(ps_job_spec_parse_from(ps_slice_str(yaml), "job.yaml", model, &s),
                     PS_INVALID_ARGUMENT);
    const char *said = ps_error_message(), *at = strstr(said, message);
    ck_assert_msg(at && (at == said || at[-1] == '\n'), "%s", said);
}

/* Who wants weights alone needs no more than a model of the family; with rows, what they read. */
START_TEST(the_other_model_is_one_of_the_same_sort)
{
    const char *other = "{architecture: mlp, layers: [16, 9, 4]}";
    ps_spec_model *first = NULL, *second = NULL, *third = NULL;
    ps_job_spec *s = parse(DIFF "  compare_to: child\n  inside: [weight_change]\n");
    ck_assert_str_eq(ps_job_spec_teacher(s), "child");
    ck_ok(ps_spec_model_parse(ps_slice_str(LAYERS), "first", &first));
    ck_ok(ps_spec_model_parse(ps_slice_str(other), "second", &second));
    ck_ok(ps_spec_model_parse(ps_slice_str(TOKENS), "third", &third));
    ck_ok(ps_spec_compare_match(s, first, second));
    ck_assert_int_eq(ps_spec_compare_match(s, first, third), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(), "model child: it is of architecture gpt2, which does not "
                                         "read what mlp does");
    ps_spec_model_free(&first);
    ps_spec_model_free(&second);
    ck_ok(ps_spec_model_parse(ps_slice_str(WIDE), "first", &first));
    ck_ok(ps_spec_model_parse(ps_slice_str(CODER), "second", &second)); /* has no gradients of it */
    ck_assert_int_eq(ps_spec_compare_match(s, first, second), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(),
                     "model child: it is of architecture sae, which kind explain does not take");
    ps_spec_model_free(&first);
    ps_spec_model_free(&second);
    ps_spec_model_free(&third);
    ps_job_spec_free(&s);
}
END_TEST

static void match(const char *yaml, const char *model)
{
    ps_job_spec *s = NULL;
    ps_status st = ps_job_spec_parse_from(ps_slice_str(yaml), "job.yaml", model, &s);
    ck_assert_msg(!st, "%s", ps_error_message());
    ps_job_spec_free(&s);
}

START_TEST(a_model_has_what_is_asked_of_it)
{
    match(HEAD "  target: {class: 3}\n" IG, LAYERS);
    no_match(PATCH(", patch: {clean: [1, 2], corrupt: [1, 9]}"), TOKENS,
             "job.yaml:5: explain.inside[0].patch.corrupt: token 9, but the vocabulary of model "
             "gpt has 9");
    no_match(HEAD "  target: {class: 4}\n" IG, LAYERS,
             "job.yaml:8: explain.target.class: 4, but model mlp has 4 outputs, counted from 0");
    no_match(HEAD "  target: {difference: [0, 9]}\n" IG, LAYERS,
             "job.yaml:8: explain.target.difference: 9, but model mlp has 4 outputs");
    no_match(HEAD "  target: {class: 1}\n  score: probability\n" IG, NUMBERS,
             "job.yaml:9: explain.score: probability: model mlp has loss squared_error, and so no "
             "classes; allowed: logit (its output), loss");
    no_match(HEAD IG, NUMBERS,
             "job.yaml:7: explain.target: predicted: model mlp has 4 outputs that are no classes");
    match(HEAD IG, ONE);
    match(HEAD "  score: loss\n" IG, NUMBERS);
    no_match(HEAD "  baseline: {token: 3}\n" IG, LAYERS,
             "job.yaml:8: explain.baseline.token: model mlp takes no tokens");
    match(PROMPTS "  baseline: {token: 8}\n" IG, TOKENS);
    no_match(PROMPTS "  baseline: {token: 9}\n" IG, TOKENS,
             "job.yaml:6: explain.baseline.token: 9, but the vocabulary of model gpt has 9 tokens");
    no_match(PROMPTS "  baseline: {value: 1}\n" IG, TOKENS,
             "job.yaml:6: explain.baseline: value is not for language models; allowed: mean, zero");
    no_match(PROMPTS IG, LAYERS, "job.yaml:5: explain.prompts: model gpt takes no tokens");
    no_match(PROMPTS "  target: {class: 9}\n" IG, TOKENS,
             "job.yaml:6: explain.target.class: 9, but model gpt has 9 tokens, counted from 0");
    no_match("kind: explain\nname: why\nmodel_name: gpt\nexplain:\n  prompts: [[1], [9]]\n" IG,
             TOKENS,
             "job.yaml:5: explain.prompts[1]: token 9, but the vocabulary of model gpt has 9");
    no_match("kind: explain\nname: why\nmodel_name: gpt\nexplain:\n"
             "  prompts: [[1, 1, 1, 1, 1, 1, 1, 1, 1]]\n" IG,
             TOKENS, "job.yaml:5: explain.prompts[0]: 9 tokens, and the context of model gpt is 8");
    no_match(PROMPTS "  attributions: [deep_lift]\n", TOKENS,
             "job.yaml:6: explain.attributions[0]: method deep_lift is for models of layers; model "
             "gpt is gpt2");
    no_match(HEAD "  attributions: [cp_lrp]\n", LAYERS,
             "job.yaml:8: explain.attributions[0]: method cp_lrp is for language models");
    no_match(HEAD IG, TOKENS,
             "job.yaml:5: data.format: 'idx' is not what model mlp reads: allowed: "
             "tokens");
}
END_TEST

static const ps_check_case cases[] = {
    {&what_is_not_said_has_its_default},
    {&targets_and_baselines_are_what_is_written},
    {&rows_that_methods_make_are_as_long_as_they_say},
    {&rows_that_are_patched_go_together},
    {&arguments_are_the_methods_own_keys},
    {&what_would_take_days_is_refused},
    {&influence_needs_to_know_of_what},
    {&checkpoints_have_rates_or_that_of_their_entry},
    {&lists_of_checkpoints_that_cannot_be_are_refused},
    {&what_makes_no_sense_is_refused_on_its_line},
    {&quality_is_of_an_attribution},
    {&a_model_has_what_is_asked_of_it},
    {&the_other_model_is_one_of_the_same_sort},
    {0},
};

int main(void)
{
    return ps_check_main("conf/explain_spec", cases);
}
