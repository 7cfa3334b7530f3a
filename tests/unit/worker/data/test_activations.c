/* activations: rows that something makes of rows of files, once for whoever looks at them first and
 * for who opens them then. */
#include "worker/data/activations.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/data_file.h"
#include "worker/data/survey.h"

#include <stdio.h>
#include <string.h>

enum { COLUMNS = 2 };

static struct {
    ps_spec_data data, csv;
    ps_spec_files files;
    ps_activations_kept kept;
    ps_dataset_source source;
    ps_dataset_options options;
    size_t made; /* rows */
} t;

static const ps_survey_wants moments = {.moments = true};

/* Of the features x and y: x + y, and 10 x. */
static ps_status make(void *user, const ps_dataset *from, uint64_t first, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++, t.made++) {
        float x[2];
        ck_ok(ps_dataset_read(from, &(uint64_t){first + i}, 1, x, NULL));
        out[i * COLUMNS] = x[0] + x[1];
        out[i * COLUMNS + 1] = 10 * x[0];
    }
    return PS_OK;
}

static void write_rows(const char *text)
{
    if (t.files.features)
        ps_test_file_drop(&t.files.features);
    t.files.features = ps_test_file(ps_slice_str(text), false);
}

static void set_up(void)
{
    static char none[] = "", last[] = "last", csv[] = "csv", comma[] = ",", made[] = "activations";
    memset(&t, 0, sizeof t);
    t.csv = (ps_spec_data){.format = csv,
                           .csv = {.label_column = {.any = last, .name = none, .index = -1},
                                   .targets = 1,
                                   .delimiter = comma},
                           .normalise = {.scale = 1, .std = 1}};
    t.data = (ps_spec_data){.format = made, .normalise = {.scale = 1, .std = 1}};
    t.files = (ps_spec_files){.labels = none, .tokens = none};
    t.source = (ps_dataset_source){.rows = {.data = &t.csv,
                                            .files = &t.files,
                                            .labels = PS_LABELS_CLASSES,
                                            .classes = 3,
                                            .features = 2},
                                   .columns = COLUMNS,
                                   .batch = 2,
                                   .make = make,
                                   .kept = &t.kept};
    t.options = (ps_dataset_options){
        .data = &t.data, .files = &t.files, .labels = PS_LABELS_CLASSES, .source = &t.source};
    write_rows("1,2,0\n3,4,1\n5,6,2\n");
}

static void tear_down(void)
{
    ps_activations_kept_free(&t.kept);
    ps_test_file_drop(&t.files.features);
}

static void look(void)
{
    ps_survey found;
    ck_ok(ps_dataset_survey(&t.options, moments, &found));
    ck_assert_uint_eq(found.moments.n, COLUMNS);
    ck_assert_double_eq_tol(found.moments.mean[0], 7, 1e-12);
    ck_assert_double_eq_tol(found.moments.mean[1], 30, 1e-12);
    ps_survey_free(&found);
}

/* Row i has the sums and label that are its own. */
static void open_and_compare(size_t rows, const float (*expected)[COLUMNS + 1])
{
    ps_dataset *data;
    ck_ok(ps_dataset_open(&t.options, &data));
    ck_assert_uint_eq(ps_dataset_rows(data), rows);
    for (uint64_t i = 0; i < rows; i++) {
        float values[COLUMNS];
        int32_t label;
        ck_ok(ps_dataset_read(data, &i, 1, values, &label));
        ck_assert_float_eq(values[0], expected[i][0]);
        ck_assert_float_eq(values[1], expected[i][1]);
        ck_assert_int_eq(label, (int32_t)expected[i][2]);
    }
    ps_dataset_close(&data);
}

static const float three[][COLUMNS + 1] = {{3, 10, 0}, {7, 30, 1}, {11, 50, 2}};

START_TEST(rows_that_a_survey_has_made_are_not_made_again)
{
    set_up();
    look();
    ck_assert_uint_eq(t.made, 3);
    open_and_compare(3, three);
    ck_assert_uint_eq(t.made, 3);
    open_and_compare(3, three); /* they were the first one's */
    ck_assert_uint_eq(t.made, 6);
    tear_down();
}
END_TEST

START_TEST(they_are_of_the_files_they_were_made_of)
{
    set_up();
    ps_spec_files other = t.files;
    look();
    t.options.files = t.source.rows.files = &other;
    open_and_compare(3, three);
    ck_assert_uint_eq(t.made, 6);
    t.options.files = t.source.rows.files = &t.files;
    look();
    write_rows("1,2,0\n3,4,1\n");
    open_and_compare(2, three);
    ck_assert_uint_eq(t.made, 11);
    tear_down();
}
END_TEST

START_TEST(who_keeps_nothing_makes_them_twice)
{
    set_up();
    t.source.kept = NULL;
    look();
    open_and_compare(3, three);
    ck_assert_uint_eq(t.made, 6);
    tear_down();
}
END_TEST

START_TEST(what_is_kept_takes_no_room_again)
{
    ps_dataset *data;
    set_up();
    look();
    t.options.max_bytes = 3 * sizeof(int32_t);
    open_and_compare(3, three);
    ck_assert_int_eq(ps_dataset_open(&t.options, &data), PS_RESOURCE_EXHAUSTED);
    tear_down();
}
END_TEST

static const ps_check_case tests[] = {
    {&rows_that_a_survey_has_made_are_not_made_again},
    {&they_are_of_the_files_they_were_made_of},
    {&who_keeps_nothing_makes_them_twice},
    {&what_is_kept_takes_no_room_again},
    {0},
};

int main(void)
{
    return ps_check_main("data/activations", tests);
}
