/* train_form: what train.weights means, for whom, and which group a matrix gets. */
#include "tests/unit/common/conf/job_rig.h"

#define JOB(model, train)                                          \
    "kind: train\nname: a\nmodel: " model "\n"                     \
    "data: {format: idx, train: {features: /d/x, labels: /d/y}}\n" \
    "train: {epochs: 1, optimizer: {name: sgd, learning_rate: 1}" train "}\n"
#define MLP "{architecture: mlp, layers: [4, 3]}"

static void form_is(const char *yaml, uint64_t columns, const char *text)
{
    ps_job_spec *s = parse(yaml);
    ps_form form = ps_spec_train_form_of(s->train, columns);
    char said[PS_FORM_TEXT] = "";
    ck_assert_str_eq(form.row ? ps_form_text(form, said) : "", text);
    ps_job_spec_free(&s);
}

START_TEST(a_matrix_gets_the_largest_group_that_divides_its_rows)
{
    form_is(JOB(MLP, ""), 128, "");
    form_is(JOB(MLP, ", weights: float32"), 128, "");
    form_is(JOB(MLP, ", weights: int4"), 256, "int4/128");
    form_is(JOB(MLP, ", weights: int4"), 64, "int4/64");
    form_is(JOB(MLP, ", weights: int4"), 96, "int4/32");
    form_is(JOB(MLP, ", weights: int4"), 100, "");
    form_is(JOB(MLP, ", weights: uint2, group: 64"), 512, "uint2/64");
    form_is(JOB(MLP, ", weights: int8, group: 256"), 128, "int8/128");
    form_is(JOB(MLP, ", weights: q4_0"), 64, "q4_0");
    form_is(JOB(MLP, ", weights: q4_0"), 48, "");
    form_is(JOB(MLP, ", weights: bfloat16"), 7, "bfloat16");
}
END_TEST

START_TEST(what_makes_no_sense_is_refused_on_its_line)
{
    refuses(JOB(MLP, ", weights: int5"), "job.yaml:5: train.weights: 'int5' is not known");
    refuses(JOB(MLP, ", weights: int4, group: 48"),
            "job.yaml:5: train.group: 48; allowed: 256, 128, 64 or 32");
    refuses(JOB(MLP, ", group: 64"),
            "job.yaml:5: train.group: only with train.weights, not for float32");
    refuses(JOB(MLP, ", weights: q4_0, group: 64"),
            "job.yaml:5: train.group: q4_0 has its own blocks; only integer forms have groups");
}
END_TEST

static const ps_check_case tests[] = {
    {&a_matrix_gets_the_largest_group_that_divides_its_rows},
    {&what_makes_no_sense_is_refused_on_its_line},
    {0},
};

int main(void)
{
    return ps_check_main("conf/train_form", tests);
}
