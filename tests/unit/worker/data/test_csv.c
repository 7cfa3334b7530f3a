/* csv: rows, labels in every place a job file can name, and the line and column of what is wrong.
 */
#include "common/base/buf.h"
#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/data_file.h"
#include "tests/lib/fault.h"
#include "worker/data/csv.h"

#include <stdio.h>
#include <string.h>

static ps_dataset_options options; /* what the next file is opened with */
static ps_spec_data data;
static ps_spec_files files;

static void use(const char *label_column, int64_t targets, bool header, const char *delimiter)
{
    static char none[] = "", name[] = "csv", column[50], separator[4];
    data = (ps_spec_data){
        .format = name,
        .csv = {.label_column = {.any = strcpy(column, label_column), .name = none, .index = -1},
                .targets = targets,
                .header = header,
                .delimiter = strcpy(separator, delimiter)},
        .normalise = {.std = 1},
    };
    options = (ps_dataset_options){.data = &data, .files = &files, .labels = PS_LABELS_CLASSES};
}

static ps_status open_text(const char *text, bool gz, ps_dataset **out)
{
    char *path = ps_test_file(ps_slice_str(text), gz);
    files.features = path;
    ps_status st = ps_dataset_open(&options, out);
    if (st && st != PS_NO_MEMORY) {
        const char *named = strstr(ps_error_message(), path);
        ck_assert_ptr_nonnull(named);
        ck_assert_msg(!strstr(named + 1, path), "%s", ps_error_message());
    }
    ps_test_file_drop(&path);
    return st;
}

static ps_dataset *open_good(const char *text)
{
    ps_dataset *ds = NULL;
    ps_status st = open_text(text, false, &ds);
    ck_assert_msg(st == PS_OK, "%s", ps_error_message());
    return ds;
}

static void refuses(const char *text, ps_status code, const char *message)
{
    ps_dataset *ds = NULL;
    ps_status st = open_text(text, false, &ds);
    ck_assert_msg(st == code, "%s: %s", ps_status_name(st), ps_error_message());
    ck_assert_msg(strstr(ps_error_message(), message), "%s", ps_error_message());
    ck_assert_ptr_null(ds);
}

/* Row `row` is x0, x1 with a class. */
static void is_row(const ps_dataset *ds, uint64_t row, float x0, float x1, int32_t label)
{
    float x[2];
    int32_t y = -1;
    ck_ok(ps_dataset_read(ds, &row, 1, x, &y));
    ck_assert(x[0] == x0 && x[1] == x1);
    ck_assert_int_eq(y, label);
}

START_TEST(the_label_can_be_anywhere)
{
    use("last", 1, false, ",");
    ps_dataset *ds = open_good("1,2,0\n-3.5,4e1,2\n");
    ck_assert_uint_eq(ps_dataset_rows(ds), 2);
    ck_assert_uint_eq(ps_dataset_features(ds), 2);
    ck_assert_int_eq(ps_dataset_classes(ds), 3);
    is_row(ds, 1, -3.5f, 40, 2);
    ps_dataset_close(&ds);
    use("first", 1, false, ";");
    ds = open_good("\xef\xbb\xbf"
                   "0;1;2\r\n\r\n2; -3.5 ;40"); /* no newline at the end */
    is_row(ds, 1, -3.5f, 40, 2);
    ps_dataset_close(&ds);
    use("1", 1, false, "tab");
    ds = open_good("1\t0\t2\n-3.5\t2\t 40\n");
    is_row(ds, 1, -3.5f, 40, 2);
    ps_dataset_close(&ds);
    use("kind", 1, true, ",");
    ds = open_good("width, \"kind\",height\n1,0,2\n-3.5,2,40\n");
    ck_assert_uint_eq(ps_dataset_rows(ds), 2);
    is_row(ds, 1, -3.5f, 40, 2);
    ps_dataset_close(&ds);
}
END_TEST

START_TEST(targets_are_several_columns)
{
    use("last", 2, true, ",");
    options.labels = PS_LABELS_REALS;
    ps_dataset *ds = open_good("a,b,c\n1,0.25,-7\n");
    ck_assert_uint_eq(ps_dataset_features(ds), 1);
    ck_assert_uint_eq(ps_dataset_targets(ds), 2);
    float x = 0, y[2];
    uint64_t row = 0;
    ck_ok(ps_dataset_read(ds, &row, 1, &x, y));
    ck_assert(x == 1 && y[0] == 0.25f && y[1] == -7);
    ps_dataset_close(&ds);
}
END_TEST

START_TEST(predicting_leaves_label_columns_out_when_they_are_there)
{
    use("first", 1, false, ",");
    options.labels = PS_LABELS_NONE;
    options.features = 2;
    float x[2];
    uint64_t row = 0;
    ps_dataset *ds = open_good("9,1,2\n");
    ck_ok(ps_dataset_read(ds, &row, 1, x, NULL));
    ck_assert(x[0] == 1 && x[1] == 2);
    ps_dataset_close(&ds);
    ds = open_good("1,2\n");
    ck_ok(ps_dataset_read(ds, &row, 1, x, NULL));
    ck_assert(x[0] == 1 && x[1] == 2);
    ps_dataset_close(&ds);
    refuses("1,2,3,4\n", PS_INVALID_ARGUMENT, ": 4 numbers a row, but the model takes 2");
}
END_TEST

START_TEST(what_is_wrong_is_named_with_line_and_column)
{
    use("last", 1, false, ",");
    options.classes = 3;
    refuses("1,2,0\n\n1,x,0\n", PS_CORRUPT, ":3: column 1: 'x' is not a number");
    refuses("1,2,0\n1,,0\n", PS_CORRUPT, ":2: column 1 is empty");
    refuses("1,2,0\n1,2 3,0\n", PS_CORRUPT, ":2: column 1: '2 3' is not a number");
    refuses("1,nan,0\n", PS_CORRUPT, ":1: column 1 is 'nan'; data.csv.missing");
    refuses("1,1e99,0\n", PS_CORRUPT, ":1: column 1: '1e99' is beyond float32, normalised");
    refuses("1,2,0\n1,2\n", PS_CORRUPT, ":2: 2 columns, but the first line has 3");
    refuses("1,2,0\n1,2,0,0\n", PS_CORRUPT, ":2: 4 columns, but the first line has 3");
    refuses("1,2,0\n1,2,3\n", PS_INVALID_ARGUMENT, ":2: row 1 has label 3, allowed 0 to 2");
    refuses("1,2,-1\n", PS_INVALID_ARGUMENT, ":1: row 0 has label -1, allowed 0 to 2");
    refuses("1,2,0.5\n", PS_INVALID_ARGUMENT, ":1: row 0 has label 0.5, allowed 0 to 2");
    refuses("7\n", PS_INVALID_ARGUMENT,
            ":1: 1 column; 1 for labels and at least 1 for features are needed");
    refuses("", PS_INVALID_ARGUMENT, "no rows");
    refuses("\n\r\n", PS_INVALID_ARGUMENT, "no rows");
    use("last", 1, true, ",");
    refuses("a,b,y\n1,x,0\n", PS_CORRUPT, ":2: column 1 ('b'): 'x' is not a number");
    refuses("a,b,y\n,1,0\n", PS_CORRUPT, ":2: column 0 ('a') is empty; data.csv.missing");
    refuses("a,b,y\n1,1e400,0\n", PS_CORRUPT, ":2: column 1 ('b'): '1e400' is too large");
    refuses("a,b,y\n1,2,none\n", PS_CORRUPT, ":2: column 2 ('y'): 'none' is not a number");
    use("last", 1, false, "tab");
    refuses("1\t2\t0\n1\t\t0\n", PS_CORRUPT, ":2: column 1 is empty");
    use("last", 1, false, " ");
    refuses("1 2 0\n1  0\n", PS_CORRUPT, ":2: column 1 is empty");
    use("5", 1, false, ",");
    refuses("1,2\n", PS_INVALID_ARGUMENT,
            ":1: 2 columns, numbered from 0; labels from column 5 to 5 do not fit");
    use("colour", 1, true, ",");
    refuses("a,b\n1,2\n", PS_INVALID_ARGUMENT,
            ":1: no column 'colour' (data.csv.label_column) in the header, which has 'a', 'b'");
}
END_TEST

START_TEST(labels_are_judged_as_they_stand)
{
    use("last", 1, false, ",");
    refuses("1,2,0.99999999\n", PS_INVALID_ARGUMENT, "row 0 has label 0.99999999, allowed 0 to");
    refuses("1,2,1e-50\n", PS_INVALID_ARGUMENT, "row 0 has label 1e-50, allowed 0 to");
    refuses("1,2,0x1\n", PS_CORRUPT, "column 2: '0x1' is not a number");
    ps_dataset *ds = open_good("1,2,1.0\n1,2,-0\n\"1\",\"2\",\"1e0\"\n1,2,16777217\n");
    is_row(ds, 0, 1, 2, 1);
    is_row(ds, 1, 1, 2, 0);
    is_row(ds, 2, 1, 2, 1);
    is_row(ds, 3, 1, 2, 16777217);
    ps_dataset_close(&ds);
    options.classes = 26;
    refuses("1,2,16777217\n", PS_INVALID_ARGUMENT, "row 0 has label 16777217, allowed 0 to 25");
    ck_assert_ptr_null(strstr(ps_error_message(), "count from 1"));
    refuses("1,2,1\n1,2,26\n", PS_INVALID_ARGUMENT,
            "row 1 has label 26, allowed 0 to 25; classes count from 0: do these count from 1?");
}
END_TEST

START_TEST(the_header_decides)
{
    use("last", 1, true, ",");
    ps_dataset *ds = open_good("first,last,y\n1,2,3\n");
    is_row(ds, 0, 1, 3, 2);
    ps_dataset_close(&ds);
    use("0", 1, true, ",");
    ds = open_good("2,1,0\n4,5,6\n");
    is_row(ds, 0, 4, 5, 6);
    ps_dataset_close(&ds);
    ds = open_good("a,b,c\n4,5,6\n"); /* no such name: the number */
    is_row(ds, 0, 5, 6, 4);
    ps_dataset_close(&ds);
    data.csv.label_column.index = 0; /* the number alone */
    ds = open_good("x,y,0\n4,5,6\n");
    is_row(ds, 0, 5, 6, 4);
    ps_dataset_close(&ds);
    use("first", 1, true, ",");
    static char last[] = "last";
    data.csv.label_column.name = last; /* the name alone */
    ds = open_good("first,last,y\n1,2,3\n");
    is_row(ds, 0, 1, 3, 2);
    ps_dataset_close(&ds);
    refuses("first,second\n1,2\n", PS_INVALID_ARGUMENT, ":1: no column 'last'");
    use("price, EUR", 1, true, ",");
    ds = open_good("\"a \"\"b\"\"\",\"price, EUR\",\"c\nd\"\n4,5,6\n");
    is_row(ds, 0, 4, 6, 5);
    ps_dataset_close(&ds);
    use("y", 1, true, ",");
    refuses("x,y,z,y\n1,2,3,4\n", PS_INVALID_ARGUMENT,
            ":1: column 'y' (data.csv.label_column) is 2 times in the header");
    ds = open_good("x,y,x\n1,2,3\n"); /* others may be there twice */
    ps_dataset_close(&ds);
}
END_TEST

START_TEST(a_header_that_is_none_or_not_said_is_noticed)
{
    use("last", 1, true, ",");
    refuses("1,2,0\n3,4,1\n", PS_INVALID_ARGUMENT, ":1: nothing but values in the header");
    options.labels = PS_LABELS_NONE;
    refuses("1\n2\n", PS_INVALID_ARGUMENT, ":1: nothing but values in the header");
    ps_dataset *ds = open_good("a\r1\n2\n3\n");
    ck_assert_uint_eq(ps_dataset_rows(ds), 3);
    ps_dataset_close(&ds);
    use("last", 1, false, ",");
    refuses("a,b,y\n1,2,0\n", PS_CORRUPT,
            ":1: column 0: 'a' is not a number; if the first line names the columns: "
            "data.csv.header: true");
    refuses("1;2;0\n", PS_INVALID_ARGUMENT,
            ":1: 1 column; 1 for labels and at least 1 for "
            "features are needed; is ';' the delimiter?");
    refuses("1.5\t2,0\n", PS_CORRUPT, "'1.5?2' is not a number; is a tab the delimiter?");
    use("last", 1, false, ";");
    refuses("1,5;2;0\n", PS_CORRUPT, ":1: column 0: '1,5' is not a number; is ',' the delimiter");
}
END_TEST

START_TEST(columns_that_are_only_counted_are_a_header)
{
    static char label[] = "4";
    use("last", 1, true, ",");
    data.csv.label_column.name = label;
    ps_dataset *ds = open_good("0,1,2,3,4\n5,6,7,8,0\n");
    ck_assert_uint_eq(ps_dataset_rows(ds), 1);
    ps_dataset_close(&ds);
    options.labels = PS_LABELS_NONE; /* and of the same columns without the label */
    options.features = 4;
    ds = open_good("0,1,2,3\n5,6,7,8\n");
    ck_assert_uint_eq(ps_dataset_rows(ds), 1);
    ck_assert_uint_eq(ps_dataset_features(ds), 4);
    ps_dataset_close(&ds);
    refuses("0,1,2,4\n5,6,7,8\n", PS_INVALID_ARGUMENT, "data.csv.header: false (no --header)");
    ck_assert_ptr_null(strstr(ps_error_message(), "label_column"));
}
END_TEST

START_TEST(labels_may_be_words)
{
    static char a[] = "setosa", b[] = "versicolor", c[] = "Iris, \"v\"", d[] = "1";
    static char *names[] = {a, b, c, d};
    use("last", 1, true, ",");
    options.classes = 4;
    options.class_names = names;
    options.n_class_names = 4;
    ps_dataset *ds =
        open_good("a,b,species\n1,2,setosa\n3,4,\"Iris, \"\"v\"\"\"\n5,6, versicolor\n7,8,1\n");
    is_row(ds, 0, 1, 2, 0);
    is_row(ds, 1, 3, 4, 2);
    is_row(ds, 2, 5, 6, 1);
    is_row(ds, 3, 7, 8, 3); /* a name like the others */
    ck_assert_int_eq(ps_dataset_classes(ds), 4);
    ps_dataset_close(&ds);
    refuses("a,b,species\n1,2,setosa\n1,2,versicolour\n", PS_INVALID_ARGUMENT,
            ":3: row 1 has label 'versicolour', none of model.classes; did you mean 'versicolor'?");
    refuses("a,b,species\n1,2,0\n", PS_INVALID_ARGUMENT, ":2: row 0 has label '0', none of");
    refuses("1,2,setosa\n3,4,setosa\n", PS_INVALID_ARGUMENT,
            ":1: nothing but values in the header");
    use("last", 1, false, ",");
    options.class_names = names;
    options.n_class_names = 4;
    refuses("a,b,species\n1,2,setosa\n", PS_CORRUPT,
            ":1: column 0: 'a' is not a number; if the first line names the columns");
    options.labels = PS_LABELS_NONE; /* predict: whatever stands where labels would */
    options.features = 2;
    ds = open_good("1,2,what?\n3,4,\n");
    ck_assert_uint_eq(ps_dataset_rows(ds), 2);
    ps_dataset_close(&ds);
}
END_TEST

START_TEST(what_is_missing_is_an_error_or_zero)
{
    static const char *const marks[] = {"", "\"\"", "NA", "n/a", "nan", "NULL", "?"};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "%s,2,1\n3,%s,0\n", marks[i], marks[i]);
        use("last", 1, false, ",");
        refuses(text, PS_CORRUPT, "data.csv.missing (error, zero or mean) says");
        options.missing = PS_SPEC_MISSING_ZERO;
        data.normalise.mean = 0.5; /* the file's zero, not the model's */
        ps_dataset *ds = open_good(text);
        is_row(ds, 0, -0.5f, 1.5f, 1);
        is_row(ds, 1, 2.5f, -0.5f, 0);
        ps_dataset_close(&ds);
        (void)snprintf(text, sizeof text, "1,2,%s\n", marks[i]); /* never a label */
        refuses(text, PS_CORRUPT, "; a row needs its label");
    }
}
END_TEST

/* Features a and b are 1e9 + k / 8 and k * 1e-6: as floats the ones would be few, the others small.
 */
START_TEST(features_have_numbers_of_their_own)
{
    enum { ROWS = 100 };
    static const double mean[] = {1e9, 2e-5}, std[] = {0.125, 1e-6};
    use("last", 1, false, ",");
    options.numbers = (ps_feature_numbers){.n = 2, .mean = mean, .std = std};
    ps_buf text = PS_BUF_EMPTY;
    for (int k = 0; k < ROWS; k++)
        ps_buf_printf(&text, "%.3f,%.6f,0\n", 1e9 + k / 8.0, k * 1e-6);
    ps_dataset *ds = open_good(ps_buf_cstr(&text));
    for (uint64_t k = 0; k < ROWS; k++) {
        float x[2];
        int32_t y;
        ck_ok(ps_dataset_read(ds, &k, 1, x, &y));
        ck_assert_float_eq_tol(x[0], (float)k, 1e-5f);
        ck_assert_float_eq_tol(x[1], (float)k - 20, 1e-5f);
    }
    ps_dataset_close(&ds);
    ps_buf_free(&text);
    options.missing = PS_SPEC_MISSING_MEAN;
    ds = open_good("1000000001,,0\nNA,0.00002,1\n");
    is_row(ds, 0, 8, 0, 0);
    is_row(ds, 1, 0, 0, 1);
    ps_dataset_close(&ds);
    options.numbers.std = NULL; /* the mean alone: it is normalised like the others */
    data.normalise.mean = 1e9;
    ds = open_good("1000000001,,0\n?,1000000000,1\n");
    is_row(ds, 0, 1, -1e9f, 0);
    is_row(ds, 1, 0, 0, 1);
    ps_dataset_close(&ds);
    options.numbers.std = std;
    refuses("1e300,0,0\n", PS_CORRUPT, ":1: column 0: '1e300' is beyond float32, normalised");
    refuses("1,2,3,0\n", PS_INVALID_ARGUMENT, ": 3 numbers a row, but the model takes 2");
}
END_TEST

START_TEST(numbers_are_narrowed_when_they_are_normalised)
{
    enum { ROWS = 1000 };
    use("last", 1, false, ",");
    data.normalise = (ps_spec_normalise){.mean = 1e6, .std = 0.02};
    ps_buf text = PS_BUF_EMPTY;
    for (int k = 0; k < ROWS; k++)
        ps_buf_printf(&text, "%.2f,1e6,0\n", 1e6 + k / 50.0);
    ps_dataset *ds = open_good(ps_buf_cstr(&text));
    for (uint64_t k = 0; k < ROWS; k++) {
        float x[2];
        int32_t y;
        ck_ok(ps_dataset_read(ds, &k, 1, x, &y));
        ck_assert_float_eq_tol(x[0], (float)k, 1e-5f);
    }
    ps_dataset_close(&ds);
    ps_buf_free(&text);
    data.normalise = (ps_spec_normalise){.scale = 1e-30, .std = 1};
    ds = open_good("1e50,-1e60,0\n"); /* too large for a float, not for a double */
    is_row(ds, 0, 1e20f, -1e30f, 0);
    ps_dataset_close(&ds);
    refuses("1e70,1,0\n", PS_CORRUPT, "column 0: '1e70' is beyond float32, normalised");
    refuses("1e400,1,0\n", PS_CORRUPT, "column 0: '1e400' is too large for a number");
}
END_TEST

START_TEST(a_binary_file_is_not_text)
{
    use("last", 1, false, ",");
    char *path = ps_test_file(ps_slice_of("1,\0,3\n", 6), false);
    files.features = path;
    ps_dataset *ds = NULL;
    ck_assert_int_eq(ps_dataset_open(&options, &ds), PS_CORRUPT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), ":1: a zero byte; is it text?"));
    ps_test_file_drop(&path);
}
END_TEST

START_TEST(many_rows_are_read_also_from_gzip)
{
    use("last", 1, false, ",");
    ps_buf text = PS_BUF_EMPTY;
    for (int i = 0; i < 20000; i++)
        ps_buf_printf(&text, "%d,%d.5,%d\n", i, -i, i % 7);
    ps_dataset *ds = NULL;
    ck_ok(open_text(ps_buf_cstr(&text), true, &ds));
    ck_assert_uint_eq(ps_dataset_rows(ds), 20000);
    is_row(ds, 19999, 19999, -19999.5f, 19999 % 7);
    is_row(ds, 1025, 1025, -1025.5f, 1025 % 7);
    ps_dataset_close(&ds);
    options.max_bytes = 100000;
    ck_assert_int_eq(open_text(ps_buf_cstr(&text), true, &ds), PS_RESOURCE_EXHAUSTED);
    options.max_bytes = 0;
    for (unsigned long k = 1; k <= 4; k++) {
        fault_memory(k);
        ck_assert_int_eq(open_text(ps_buf_cstr(&text), false, &ds), PS_NO_MEMORY);
        fault_memory(0);
    }
    ck_assert_ptr_null(ds);
    ps_buf_free(&text);
}
END_TEST

START_TEST(a_line_has_a_limit)
{
    use("last", 1, false, ",");
    size_t len = (16u << 20) + 200000;
    char *text = ps_alloc(len + 1);
    memset(text, '1', len);
    ps_dataset *ds = NULL;
    ck_assert_int_eq(open_text(text, false, &ds), PS_CORRUPT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), ":1: a line of more than 16777216 bytes"));
    ps_free(&text);
}
END_TEST

static const ps_check_case tests[] = {
    {&the_label_can_be_anywhere},
    {&targets_are_several_columns},
    {&predicting_leaves_label_columns_out_when_they_are_there},
    {&what_is_wrong_is_named_with_line_and_column},
    {&labels_are_judged_as_they_stand},
    {&the_header_decides},
    {&a_header_that_is_none_or_not_said_is_noticed},
    {&columns_that_are_only_counted_are_a_header},
    {&labels_may_be_words},
    {&what_is_missing_is_an_error_or_zero},
    {&features_have_numbers_of_their_own},
    {&numbers_are_narrowed_when_they_are_normalised},
    {&a_binary_file_is_not_text},
    {&many_rows_are_read_also_from_gzip},
    {&a_line_has_a_limit},
    {0},
};

int main(void)
{
    return ps_check_main("data/csv", tests);
}
