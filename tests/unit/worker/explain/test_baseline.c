#include "worker/explain/baseline.h"

#include "tests/lib/check_main.h"
#include "tests/lib/data_file.h"

static ps_dataset *open_csv(char **path)
{
    static char format[] = "csv", delimiter[] = ",", none[] = "", last[] = "last";
    *path = ps_test_file(ps_slice_str("1,2,0\n3,6,1\n5,1,0\n"), false);
    ps_spec_files files = {.features = *path, .labels = none, .tokens = none};
    const ps_spec_data data = {.format = format,
                               .csv = {.delimiter = delimiter,
                                       .targets = 1,
                                       .label_column = {.any = last, .name = none, .index = -1}},
                               .normalise = {.scale = 1, .std = 1}};
    ps_dataset *out = NULL;
    ck_ok(ps_dataset_open(
        &(ps_dataset_options){
            .data = &data, .files = &files, .labels = PS_LABELS_CLASSES, .classes = 2},
        &out));
    return out;
}

static void is(const ps_spec_explain_baseline *spec, const ps_dataset *data, float a, float b)
{
    static const float embedding[] = {8, 9};
    ps_explain_baseline baseline;
    float out[4];
    ck_ok(ps_explain_baseline_make(spec, 2, data, data ? NULL : embedding, &baseline));
    ps_explain_baseline_put(&baseline, 4, out);
    for (size_t i = 0; i < 4; i++) {
        ck_assert(out[i] == (i % 2 ? b : a));
        ck_assert(ps_explain_baseline_at(&baseline, i) == out[i]);
    }
    ck_assert_int_eq(baseline.token, spec->kind == PS_EXPLAIN_TOKEN ? spec->token : -1);
    ps_explain_baseline_free(&baseline);
}

START_TEST(a_baseline_is_what_the_job_says)
{
    char *path;
    ps_dataset *data = open_csv(&path);
    is(&(ps_spec_explain_baseline){.kind = PS_EXPLAIN_ZERO}, NULL, 0, 0);
    is(&(ps_spec_explain_baseline){.kind = PS_EXPLAIN_VALUE, .value = 0.5}, NULL, 0.5F, 0.5F);
    is(&(ps_spec_explain_baseline){.kind = PS_EXPLAIN_TOKEN, .token = 3}, NULL, 8, 9);
    is(&(ps_spec_explain_baseline){.kind = PS_EXPLAIN_MEAN}, data, 3, 3);
    is(&(ps_spec_explain_baseline){.kind = PS_EXPLAIN_ROW, .row = 1}, data, 3, 6);
    is(&(ps_spec_explain_baseline){.kind = PS_EXPLAIN_MEAN}, NULL, 8, 9); /* of the vocabulary */
    ps_dataset_close(&data);
    ps_test_file_drop(&path);
}
END_TEST

START_TEST(a_row_that_is_not_there_is_refused)
{
    char *path;
    ps_dataset *data = open_csv(&path);
    ps_explain_baseline baseline;
    ck_assert_int_eq(
        ps_explain_baseline_make(&(ps_spec_explain_baseline){.kind = PS_EXPLAIN_ROW, .row = 3}, 2,
                                 data, NULL, &baseline),
        PS_OUT_OF_RANGE);
    ck_assert_str_eq(ps_error_message(), "explain.baseline.row is 3, but there are 3 rows");
    ps_explain_baseline_free(&baseline);
    ps_dataset_close(&data);
    ps_test_file_drop(&path);
}
END_TEST

START_TEST(what_is_made_of_data_needs_some)
{
    static const unsigned kinds[] = {PS_EXPLAIN_MEAN, PS_EXPLAIN_ROW};
    for (size_t i = 0; i < 2; i++) {
        ps_explain_baseline baseline;
        ck_assert_int_eq(ps_explain_baseline_make(&(ps_spec_explain_baseline){.kind = kinds[i]}, 2,
                                                  NULL, NULL, &baseline),
                         PS_INVALID_ARGUMENT);
        ps_explain_baseline_free(&baseline);
    }
}
END_TEST

static const ps_check_case cases[] = {
    {&a_baseline_is_what_the_job_says},
    {&a_row_that_is_not_there_is_refused},
    {&what_is_made_of_data_needs_some},
    {0},
};

int main(void)
{
    return ps_check_main("explain/baseline", cases);
}
