/* survey: what training data say of themselves before they are read as a model takes them. */
#include "worker/data/survey.h"

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/data_file.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static ps_dataset_options options;
static ps_spec_data data;
static ps_spec_files files;
static ps_survey found;

static void use(bool header)
{
    static char none[] = "", last[] = "last", csv[] = "csv", comma[] = ",";
    data = (ps_spec_data){.format = csv,
                          .csv = {.label_column = {.any = last, .name = none, .index = -1},
                                  .targets = 1,
                                  .header = header,
                                  .delimiter = comma},
                          .normalise = {.std = 1}};
    options = (ps_dataset_options){.data = &data, .files = &files, .labels = PS_LABELS_CLASSES};
}

static ps_status survey(const char *text, ps_survey_wants wants)
{
    char *path = ps_test_file(ps_slice_str(text), false);
    files.features = path;
    ps_status st = ps_dataset_survey(&options, wants, &found);
    if (st) {
        const char *named = strstr(ps_error_message(), path);
        ck_assert_ptr_nonnull(named);
        ck_assert_msg(!strstr(named + 1, path), "%s", ps_error_message());
    }
    ps_test_file_drop(&path);
    return st;
}

static const ps_survey_wants names = {.names = true};

static void finds(const char *text, const char *all)
{
    ps_buf list = PS_BUF_EMPTY;
    ck_assert_msg(survey(text, names) == PS_OK, "%s", ps_error_message());
    for (size_t i = 0; i < found.names.n; i++)
        ps_buf_printf(&list, "%s|", found.names.names[i]);
    ck_assert_str_eq(ps_buf_cstr(&list), all);
    ps_buf_free(&list);
    ps_survey_free(&found);
}

static void refuses(const char *text, ps_status code, const char *message)
{
    ps_status st = survey(text, names);
    ck_assert_msg(st == code, "%s: %s", ps_status_name(st), ps_error_message());
    ck_assert_msg(strstr(ps_error_message(), message), "%s", ps_error_message());
    ps_survey_free(&found);
}

START_TEST(words_are_collected_in_the_order_of_their_bytes)
{
    use(true);
    finds("a,kind\n1,setosa\n2,\"Iris, \"\"v\"\"\"\n3, setosa\n4,\xc3\xa9tude\n5,zebra\n",
          "Iris, \"v\"|setosa|zebra|\xc3\xa9tude|");
    finds("a,kind\n1,no\n", "no|");
    finds("a,kind\n", "");
    use(false);
    finds("1,yes\n\n2,no\n3,yes", "no|yes|");
    finds("1,1st\n2,2nd\n", "1st|2nd|");
    finds("1,0x1\n", "0x1|"); /* not a number of ours */
}
END_TEST

START_TEST(numbers_are_no_names)
{
    use(false);
    finds("1,0\n2,1\n", "");
    finds("1,0.5\n2,cat\n", ""); /* whoever opens it says what is wrong */
    finds("1,7\nx,y,z\n", "");   /* it is not even read */
    refuses("1,cat\n2,dog\n\n3,1\n", PS_CORRUPT,
            ":4: label '1' is a number, that of line 1 a name; where names look like numbers, "
            "model.classes lists them all");
}
END_TEST

START_TEST(what_is_wrong_with_a_row_is_said_and_not_called_a_class)
{
    use(false);
    refuses("a,kind\n1,cat\n", PS_CORRUPT,
            ":1: column 0: 'a' is not a number; if the first line names the columns");
    refuses("1,cat\nx,dog\n", PS_CORRUPT, ":2: column 0: 'x' is not a number");
    refuses("1,cat\n,dog\n", PS_CORRUPT, ":2: column 0 is empty; data.csv.missing");
    refuses("1,cat\n2,\n", PS_CORRUPT, ":2: column 1 is empty; a row needs its label");
    refuses("1,NA\n", PS_CORRUPT, ":1: column 1 is 'NA'; a row needs its label");
    refuses("1,cat\n1,2,cat\n", PS_CORRUPT, ":2: 3 columns, but the first line has 2");
    refuses("1,\"c\na\"\n", PS_CORRUPT,
            ":1: column 1: the name of a class has a control character");
    refuses("1,cat\n2,\"\xe2\x80\xa8\"\n", PS_CORRUPT, ":2: column 1: the name of a class has a");
    refuses("1,cat\n2,\xef\xbf\xbe\n", PS_CORRUPT, ":2: column 1: the name of a class has a");
    refuses("1,cat\n2,\xef\xbf\xbf\n", PS_CORRUPT, ":2: column 1: the name of a class has a");
    finds("1,\xef\xbf\xbd\n", "\xef\xbf\xbd|");
    refuses("1,caf\xe9\n", PS_CORRUPT, ":1: column 1: the name of a class is not UTF-8");
}
END_TEST

START_TEST(names_are_bounded)
{
    use(false);
    ps_buf text = PS_BUF_EMPTY;
    ps_buf_puts(&text, "1,");
    for (int i = 0; i < PS_NAME_SET_BYTES; i++)
        ps_buf_putc(&text, 'n');
    ck_ok(survey(ps_buf_cstr(&text), names));
    ck_assert_uint_eq(strlen(found.names.names[0]), PS_NAME_SET_BYTES);
    ps_survey_free(&found);
    ps_buf_puts(&text, "n\n");
    refuses(ps_buf_cstr(&text), PS_CORRUPT, ":1: column 1: a name of 256 bytes, at most 255");
    ps_buf_clear(&text);
    for (int i = 0; i < PS_NAME_SET_MOST; i++)
        ps_buf_printf(&text, "1,n%d\n", i * 7 % PS_NAME_SET_MOST);
    ck_ok(survey(ps_buf_cstr(&text), names));
    ck_assert_uint_eq(found.names.n, PS_NAME_SET_MOST);
    for (size_t i = 1; i < found.names.n; i++)
        ck_assert_int_lt(strcmp(found.names.names[i - 1], found.names.names[i]), 0);
    ps_survey_free(&found);
    ps_buf_puts(&text, "1,one more\n");
    refuses(ps_buf_cstr(&text), PS_INVALID_ARGUMENT, ":4097: column 1: more than 4096 different");
    ps_buf_free(&text);
}
END_TEST

START_TEST(numbers_that_do_not_fit_the_file_are_found_before_they_are_used)
{
    static const double one[] = {7};
    use(false);
    options.missing = PS_SPEC_MISSING_MEAN;
    options.numbers = (ps_feature_numbers){.n = 1, .mean = one};
    refuses("1,,cat\n", PS_INVALID_ARGUMENT, ": 2 numbers a row, but the model takes 1");
    finds(",cat\n", "cat|");
}
END_TEST

/* ---- moments ---- */

enum { ROWS = 500, COLUMNS = 4 };

/* Columns of very different scales, the last always the same; some values are not there. */
static double value_of(int row, int column)
{
    static const double at[] = {1e9, -3e-7, 2.5, 0.1}, wide[] = {0.5, 2e-7, 1e5, 0};
    return at[column] + wide[column] * ((row * 37 + column * 11) % 101 - 50) / 50;
}

static bool is_missing(int row, int column)
{
    return column == 1 && row % 7 == 3;
}

/* In two passes, in long double, of what a file says with 17 digits. */
static void moments_of(int column, bool zeros, double *mean, double *std)
{
    long double sum = 0, squares = 0, n = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int row = 0; row < ROWS; row++) {
            bool gap = is_missing(row, column);
            long double v = gap ? 0 : (long double)value_of(row, column);
            if (gap && !zeros)
                continue;
            if (pass == 0) {
                sum += v;
                n++;
            } else {
                squares += (v - sum / n) * (v - sum / n);
            }
        }
    *mean = (double)(sum / n);
    *std = (double)sqrtl(squares / n);
}

static ps_survey_wants moments = {.moments = true};

START_TEST(each_column_has_its_mean_and_deviation)
{
    static const unsigned policies[] = {PS_SPEC_MISSING_ZERO, PS_SPEC_MISSING_MEAN};
    ps_buf text = PS_BUF_EMPTY;
    for (int row = 0; row < ROWS; row++) {
        for (int i = 0; i < COLUMNS; i++)
            if (is_missing(row, i))
                ps_buf_puts(&text, "NA,");
            else
                ps_buf_printf(&text, "%.17g,", value_of(row, i));
        ps_buf_printf(&text, "%d\n", row % 2);
    }
    for (size_t p = 0; p < 2; p++) {
        use(false);
        options.missing = policies[p];
        ck_assert_msg(survey(ps_buf_cstr(&text), moments) == PS_OK, "%s", ps_error_message());
        ck_assert_uint_eq(found.moments.n, COLUMNS);
        for (int i = 0; i < COLUMNS; i++) {
            double mean, std;
            moments_of(i, policies[p] == PS_SPEC_MISSING_ZERO, &mean, &std);
            if (i == 3) /* all the same */
                std = 1;
            ck_assert_double_eq_tol(found.moments.mean[i], mean, 1e-13 * fabs(mean));
            ck_assert_double_eq_tol(found.moments.spread[i], std, 1e-7 * std);
        }
        ck_assert_double_eq(found.moments.mean[3], 0.1); /* all the same: exactly that */
        ps_survey_free(&found);
    }
    use(false);
    ck_assert_int_eq(survey(ps_buf_cstr(&text), moments), PS_CORRUPT); /* missing: error */
    ck_assert_ptr_nonnull(strstr(ps_error_message(), ":4: column 1 is 'NA'; data.csv.missing"));
    ps_survey_free(&found);
    ps_buf_free(&text);
}
END_TEST

static void has_no_moments(const char *text, ps_status code, const char *message)
{
    ps_status st = survey(text, moments);
    ck_assert_msg(st == code, "%s: %s", ps_status_name(st), ps_error_message());
    ck_assert_msg(strstr(ps_error_message(), message), "%s", ps_error_message());
    ps_survey_free(&found);
}

START_TEST(a_column_of_which_nothing_is_known_is_named)
{
    use(true);
    options.missing = PS_SPEC_MISSING_MEAN;
    has_no_moments("a,age,y\n1,,0\n2,NA,1\n", PS_INVALID_ARGUMENT,
                   ": column 1 ('age'): no row has a value there, so there is no mean of it");
    has_no_moments("a,b,y\n1e308,1,0\n-1e308,2,1\n", PS_INVALID_ARGUMENT,
                   ": column 0 ('a'): its values are too far apart");
    use(false);
    static char first[] = "first"; /* columns are counted with it */
    data.csv.label_column.any = first;
    options.missing = PS_SPEC_MISSING_MEAN;
    has_no_moments("0,1,\n1,2,?\n", PS_INVALID_ARGUMENT, ": column 2: no row has a value there");
    options.features = 3;
    has_no_moments("0,1,\n", PS_INVALID_ARGUMENT, ": 2 numbers a row, but the model takes");
    has_no_moments("", PS_INVALID_ARGUMENT, ": no rows");
}
END_TEST

static const ps_check_case tests[] = {
    {&words_are_collected_in_the_order_of_their_bytes},
    {&numbers_are_no_names},
    {&what_is_wrong_with_a_row_is_said_and_not_called_a_class},
    {&names_are_bounded},
    {&numbers_that_do_not_fit_the_file_are_found_before_they_are_used},
    {&each_column_has_its_mean_and_deviation},
    {&a_column_of_which_nothing_is_known_is_named},
    {0},
};

int main(void)
{
    return ps_check_main("data/survey", tests);
}
