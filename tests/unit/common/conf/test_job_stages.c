/* job_stages: what becomes of one file's sections in each of its stages, and what a file that is to
 * be three may not say. */
#include "common/conf/job_stages.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"

#include <string.h>

#define CONFIG "{architecture: mlp, layers: [9, 8, 3]}"
#define PRUNED "{architecture: mlp, layers: [9, 4, 3]}"
#define FILES  "data: {format: idx, train: {features: /d/x, labels: /d/y}}\n"
#define TRAIN  "train: {epochs: 2, optimizer: {name: sgd, learning_rate: 1}%s}\n"
#define JOB(name, compress, distil) \
    "kind: compress\nname: " name "\nmodel_name: big\n" FILES "compress: {" compress "}\n" distil

static ps_status parse(const char *text, const char *train, ps_job_spec **out)
{
    char *yaml = ps_asprintf("%s" TRAIN, text, train);
    ps_status st = ps_job_spec_parse_from(ps_slice_str(yaml), "job.yaml", CONFIG, out);
    ps_free(&yaml);
    return st;
}

static ps_job_spec *stage(unsigned number)
{
    ps_job_spec *spec = NULL;
    ck_ok(parse(JOB("small", "prune: {what: rows, ratio: 0.5}, quantise: {scheme: int8}",
                    "distil: {alpha: 0.25}\n"),
                "", &spec));
    ck_assert_uint_eq(ps_job_spec_stages(spec), PS_STAGES);
    ck_assert_str_eq(ps_job_spec_teacher(spec), "big");
    ck_ok(ps_job_spec_stage(spec, number, PRUNED));
    return spec;
}

START_TEST(the_first_prunes)
{
    ps_job_spec *s = stage(PS_STAGE_PRUNE);
    ck_assert_str_eq(ps_job_spec_kind(s)->name, "compress");
    ck_assert_str_eq(s->name, "small.pruned");
    ck_assert_str_eq(s->model_name, "big");
    ck_assert(s->compress->prune && !s->compress->quantise && s->compress->later);
    ck_assert(!s->train && !s->distil);
    ck_assert_str_eq(ps_job_spec_teacher(s), "");
    ps_job_spec_free(&s);
}
END_TEST

START_TEST(the_second_trains_what_is_left)
{
    ps_job_spec *s = stage(PS_STAGE_DISTIL);
    ck_assert_str_eq(ps_job_spec_kind(s)->name, "train");
    ck_assert_str_eq(s->name, "small.distilled");
    ck_assert_str_eq(ps_job_spec_uses(s), "small.pruned");
    ck_assert_str_eq(ps_job_spec_teacher(s), "big");
    ck_assert(s->model && s->model->layers[1] == 4);
    ck_assert(s->train && s->train->epochs == 2);
    ck_assert_double_eq(s->distil->alpha, 0.25);
    ck_assert_ptr_null(s->compress);
    ps_job_spec_free(&s);
}
END_TEST

START_TEST(the_third_quantises)
{
    ps_job_spec *s = stage(PS_STAGE_QUANTISE);
    ck_assert_str_eq(ps_job_spec_kind(s)->name, "compress");
    ck_assert_str_eq(s->name, "small");
    ck_assert_str_eq(s->model_name, "small.distilled");
    ck_assert(!s->compress->prune && s->compress->quantise && !s->compress->later);
    ck_assert(s->compress->distilled);
    ck_assert(!s->train && !s->distil && !s->model);
    ps_job_spec_free(&s);
}
END_TEST

START_TEST(another_job_is_one_stage)
{
    ps_job_spec *s = NULL;
    ck_ok(ps_job_spec_parse_from(ps_slice_str(JOB("small", "prune: {what: rows, ratio: 0.5}", "")),
                                 "job.yaml", CONFIG, &s));
    ck_assert_uint_eq(ps_job_spec_stages(s), 1);
    ck_ok(ps_job_spec_stage(s, 0, ""));
    ck_assert_str_eq(s->name, "small");
    ck_assert_int_eq(ps_job_spec_stage(s, 1, ""), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(), "stage 1 of a job that has 1");
    ps_job_spec_free(&s);
}
END_TEST

#define SHALLOW "prune: {what: layers, ratio: 0.5}"
#define GPT2                                                                                 \
    "{architecture: gpt2, vocab_size: 9, context_length: 8, hidden_size: 8, num_layers: 4, " \
    "num_heads: 2}"

static ps_status parse_gpt2(const char *compress, ps_job_spec **out)
{
    char *yaml = ps_asprintf("kind: compress\nname: small\nmodel_name: big\n"
                             "data: {format: tokens, train: {tokens: /d/t}}\ncompress: {%s}\n",
                             compress);
    ps_status st = ps_job_spec_parse_from(ps_slice_str(yaml), "job.yaml", GPT2, out);
    ps_free(&yaml);
    return st;
}

/* Of layers, with a method that looks at rows, or a target; without either it is one. */
START_TEST(what_is_left_of_layers_is_quantised_by_a_second)
{
    static const char *const two[] = {
        SHALLOW ", quantise: {scheme: q4_0, method: gptq}",
        SHALLOW ", quantise: {scheme: [q4_0, q8_0], target: {bits: 6}}",
    };
    ps_job_spec *s = NULL;
    for (size_t i = 0; i < sizeof two / sizeof *two; i++) {
        ck_ok(parse_gpt2(two[i], &s));
        ck_assert_uint_eq(ps_job_spec_stages(s), 2);
        ck_assert_int_eq(ps_job_spec_stage(s, PS_STAGE_DISTIL, ""), PS_INVALID_ARGUMENT);
        ck_ok(ps_job_spec_stage(s, PS_STAGE_PRUNE, ""));
        ck_assert_str_eq(s->name, "small.pruned");
        ck_assert(s->compress->prune && !s->compress->quantise);
        ps_job_spec_free(&s);
        ck_ok(parse_gpt2(two[i], &s));
        ck_ok(ps_job_spec_stage(s, PS_STAGE_QUANTISE, ""));
        ck_assert_str_eq(s->name, "small");
        ck_assert_str_eq(s->model_name, "small.pruned");
        ck_assert(!s->compress->prune && s->compress->quantise && !s->compress->distilled);
        ps_job_spec_free(&s);
    }
    ck_ok(parse_gpt2(SHALLOW ", quantise: {scheme: q4_0}", &s));
    ck_assert_uint_eq(ps_job_spec_stages(s), 1);
    ps_job_spec_free(&s);
    ck_assert_int_eq(parse_gpt2(SHALLOW ", saliency: moments, quantise: {scheme: [q4_0, q8_0], "
                                        "target: {bits: 6}}",
                                &s),
                     PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(
        strstr(ps_error_message(), "compress.saliency: moments are of the model with all its"));
}
END_TEST

static void refuses(const char *text, const char *train, const char *said)
{
    ps_job_spec *spec = NULL;
    ck_assert_int_eq(parse(text, train, &spec), PS_INVALID_ARGUMENT);
    ck_assert_msg(strstr(ps_error_message(), said) != NULL, "%s", ps_error_message());
}

START_TEST(what_would_be_without_effect_is_refused)
{
    refuses(JOB("s", "prune: {what: rows, ratio: 0.5}", ""), "",
            "job.yaml:6: train: kind compress trains only with section distil");
    refuses(JOB("s", "quantise: {scheme: int8}", "distil: {}\n"), "",
            "job.yaml:6: distil: nothing of the model is removed before it");
    refuses(JOB("s", "prune: {what: unstructured, ratio: 0.5}", "distil: {}\n"), "",
            "distil: nothing of the model is removed");
    refuses(JOB("s", "prune: {what: rows, ratio: 0.5}, lowrank: {rank: 8}", "distil: {}\n"), "",
            "compress.lowrank: not together with distil: what is trained has its whole rank again");
    refuses(JOB("s", "prune: {what: rows, ratio: 0.5}", "distil: {}\n"), ", weights: int8",
            "train.weights: not for kind compress: compress.quantise says the form");
    refuses(JOB("s",
                "calibrate: {sequential: false, keep: true}, "
                "prune: {what: rows, ratio: 0.5, by: activation}",
                "distil: {}\n"),
            "", "compress.calibrate.keep: not of a job in stages");
    refuses(JOB("s123456789012345678901234567890123456789012345678901234",
                "prune: {what: rows, ratio: 0.5}", "distil: {}\n"),
            "", "name: of a job in stages, at most 54 bytes");
    refuses(JOB("s",
                "prune: {what: rows, ratio: 0.5}, saliency: moments, "
                "quantise: {scheme: [int2, int8], target: {bits: 4}}",
                "distil: {}\n"),
            "", "train.keep_moments: false; compress.saliency: moments is of the distilled model");
}
END_TEST

static const ps_check_case tests[] = {
    {&the_first_prunes},
    {&the_second_trains_what_is_left},
    {&the_third_quantises},
    {&what_is_left_of_layers_is_quantised_by_a_second},
    {&another_job_is_one_stage},
    {&what_would_be_without_effect_is_refused},
    {0},
};

int main(void)
{
    return ps_check_main("conf/job_stages", tests);
}
