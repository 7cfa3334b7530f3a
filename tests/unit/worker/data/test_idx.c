/* idx: values of every type, the real Fashion-MNIST against its published figures, and one clear
 * line for every kind of bad file. */
#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/data_file.h"
#include "tests/lib/fault.h"
#include "worker/data/idx.h"
#include "worker/data/survey.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FASHION "/usr/share/datasets/fashion-mnist/"

static char idx_name[] = "idx";
static ps_spec_data plain_data = {.format = idx_name, .normalise = {.scale = 1, .std = 1}};

static ps_status open_files(char *features, char *labels, ps_label_kind kind, int64_t classes,
                            ps_dataset **out)
{
    ps_spec_files files = {.features = features, .labels = labels};
    ps_dataset_options o = {
        .data = &plain_data, .files = &files, .labels = kind, .classes = classes};
    return ps_dataset_open(&o, out);
}

static char *make(uint8_t type, unsigned n_dims, const uint32_t *dims, const void *data, size_t len)
{
    size_t size = 0;
    uint8_t *bytes = ps_test_idx(type, n_dims, dims, ps_slice_of(data, len), &size);
    char *path = ps_test_file(ps_slice_of(bytes, size), false);
    ps_free(&bytes);
    return path;
}

START_TEST(fashion_mnist_has_its_published_figures)
{
    static char images[] = FASHION "train-images-idx3-ubyte.gz";
    static char labels[] = FASHION "train-labels-idx1-ubyte.gz";
    ps_spec_files files = {.features = images, .labels = labels};
    ps_spec_data data = {.format = idx_name, .normalise = {.std = 1}};
    ps_dataset_options o = {.data = &data,
                            .files = &files,
                            .labels = PS_LABELS_CLASSES,
                            .classes = 10,
                            .features = 784};
    ps_dataset *ds = NULL;
    ps_status st = ps_dataset_open(&o, &ds);
    ck_assert_msg(st == PS_OK, "%s", ps_error_message());
    ck_assert_uint_eq(ps_dataset_rows(ds), 60000);
    ck_assert_uint_eq(ps_dataset_features(ds), 784);
    ck_assert_int_eq(ps_dataset_classes(ds), 10);
    double sum = 0, squares = 0;
    unsigned counts[10] = {0};
    float x[784];
    for (uint64_t row = 0; row < 60000; row++) {
        int32_t label = -1;
        ck_ok(ps_dataset_read(ds, &row, 1, x, &label));
        counts[label]++;
        if (row == 0)
            ck_assert_int_eq(label, 9); /* an ankle boot */
        for (int i = 0; i < 784; i++) {
            sum += (double)x[i];
            squares += (double)x[i] * (double)x[i];
        }
    }
    double mean = sum / (60000.0 * 784), std = sqrt(squares / (60000.0 * 784) - mean * mean);
    ck_assert_double_eq_tol(mean, 0.2860, 0.0001); /* as everybody normalises it */
    ck_assert_double_eq_tol(std, 0.3530, 0.0001);
    for (int c = 0; c < 10; c++)
        ck_assert_uint_eq(counts[c], 6000);
    ps_dataset_close(&ds);
    ck_assert_ptr_null(ds);
}
END_TEST

START_TEST(every_type_is_big_endian)
{
    static const struct {
        uint8_t type;
        size_t len;
        uint8_t bytes[16];
        float expected[2];
    } types[] = {
        {0x08, 2, {0, 255}, {0, 255}},
        {0x09, 2, {0x80, 0x7f}, {-128, 127}},
        {0x0b, 4, {0xff, 0xfe, 0x01, 0x00}, {-2, 256}},
        {0x0c, 8, {0xff, 0xff, 0xff, 0xff, 0, 1, 0, 0}, {-1, 65536}},
        {0x0d, 8, {0x3f, 0x80, 0, 0, 0xc0, 0x20, 0, 0}, {1, -2.5f}},
        {0x0e, 16, {0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0xc0, 0x04}, {1, -2.5f}},
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        uint32_t dims[] = {2};
        char *path = make(types[i].type, 1, dims, types[i].bytes, types[i].len);
        ps_dataset *ds = NULL;
        ps_status st = open_files(path, NULL, PS_LABELS_NONE, 0, &ds);
        ck_assert_msg(st == PS_OK, "%s", ps_error_message());
        float x[2];
        uint64_t rows[] = {1, 0};
        ck_ok(ps_dataset_read(ds, rows, 2, x, NULL));
        ck_assert(x[0] == types[i].expected[1] && x[1] == types[i].expected[0]);
        ps_dataset_close(&ds);
        ps_test_file_drop(&path);
    }
}
END_TEST

START_TEST(rows_are_normalised)
{
    uint32_t dims[] = {1, 2};
    char *path = make(0x08, 2, dims, "\x00\xff", 2);
    ps_spec_files files = {.features = path};
    ps_spec_data data = {.format = idx_name, .normalise = {.mean = 0.5, .std = 0.25}};
    ps_dataset_options o = {.data = &data, .files = &files, .labels = PS_LABELS_NONE};
    ps_dataset *ds = NULL;
    ck_ok(ps_dataset_open(&o, &ds));
    float x[2];
    uint64_t row = 0;
    ck_ok(ps_dataset_read(ds, &row, 1, x, NULL));
    ck_assert_float_eq_tol(x[0], -2.0f, 1e-6f); /* (0/255 - 0.5) / 0.25 */
    ck_assert_float_eq_tol(x[1], 2.0f, 1e-6f);
    row = 1;
    ck_assert_int_eq(ps_dataset_read(ds, &row, 1, x, NULL), PS_OUT_OF_RANGE);
    ps_dataset_close(&ds);
    data.normalise = (ps_spec_normalise){.scale = 1e30, .std = 1e-30};
    ck_assert_int_eq(ps_dataset_open(&o, &ds), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "bytes, normalised, are beyond float32"));
    ps_test_file_drop(&path);
}
END_TEST

/* Two columns, of bytes and of doubles; the second of the doubles is the same in all rows. */
START_TEST(columns_have_numbers_of_their_own)
{
    static const double reals[3][2] = {{1e6, 0.1}, {1e6 + 0.5, 0.1}, {1e6 + 1, 0.1}};
    static const uint8_t small[3][2] = {{0, 7}, {100, 7}, {200, 255}};
    static uint8_t bytes[sizeof reals];
    for (size_t i = 0; i < 6; i++) {
        uint64_t bits;
        memcpy(&bits, &reals[i / 2][i % 2], sizeof bits);
        ps_put_u32be(bytes + 8 * i, (uint32_t)(bits >> 32));
        ps_put_u32be(bytes + 8 * i + 4, (uint32_t)bits);
    }
    uint32_t dims[] = {3, 2};
    for (int real = 0; real < 2; real++) {
        char *path = real ? make(0x0e, 2, dims, bytes, sizeof bytes)
                          : make(0x08, 2, dims, small, sizeof small);
        ps_spec_files files = {.features = path};
        ps_dataset_options o = {.data = &plain_data, .files = &files, .labels = PS_LABELS_NONE};
        ps_survey found;
        ck_ok(ps_dataset_survey(&o, (ps_survey_wants){.moments = true}, &found));
        const ps_moments *m = &found.moments;
        ck_assert_uint_eq(m->n, 2);
        double mean[2], std[2];
        for (int c = 0; c < 2; c++) {
            mean[c] = std[c] = 0;
            for (int r = 0; r < 3; r++)
                mean[c] += (real ? reals[r][c] : small[r][c]) / 3.0;
            for (int r = 0; r < 3; r++)
                std[c] += pow((real ? reals[r][c] : small[r][c]) - mean[c], 2) / 3;
            std[c] = real && c ? 1 : sqrt(std[c]);
            ck_assert_double_eq_tol(m->mean[c], mean[c], 1e-15 * mean[c]);
            ck_assert_double_eq_tol(m->spread[c], std[c], 1e-12 * std[c]);
        }
        o.numbers = (ps_feature_numbers){.n = 2, .mean = m->mean, .std = m->spread};
        ps_dataset *ds = NULL;
        ck_ok(ps_dataset_open(&o, &ds));
        for (uint64_t r = 0; r < 3; r++) {
            float x[2];
            ck_ok(ps_dataset_read(ds, &r, 1, x, NULL));
            for (int c = 0; c < 2; c++)
                ck_assert_float_eq_tol(
                    x[c], (float)(((real ? reals[r][c] : small[r][c]) - mean[c]) / std[c]), 1e-6f);
        }
        ps_dataset_close(&ds);
        static const double tiny[] = {1e-300, 1e-300};
        o.numbers.std = tiny;
        ck_assert_int_ne(ps_dataset_open(&o, &ds), PS_OK);
        ck_assert_ptr_nonnull(strstr(ps_error_message(), "beyond float32"));
        o.numbers = (ps_feature_numbers){.n = 1, .mean = m->mean, .std = m->spread};
        ck_assert_int_eq(ps_dataset_open(&o, &ds), PS_INVALID_ARGUMENT);
        ps_survey_free(&found);
        ps_test_file_drop(&path);
    }
}
END_TEST

START_TEST(values_are_narrowed_when_they_are_normalised)
{
    enum { ROWS = 1000 };
    static uint8_t bytes[2][8 * ROWS];
    for (uint32_t k = 0; k < ROWS; k++) {
        double v = 1e9 + k;
        uint64_t bits;
        memcpy(&bits, &v, sizeof bits);
        ps_put_u32be(bytes[0] + 4 * k, 1000000000 + k);
        ps_put_u32be(bytes[1] + 8 * k, (uint32_t)(bits >> 32));
        ps_put_u32be(bytes[1] + 8 * k + 4, (uint32_t)bits);
    }
    uint32_t dims[] = {ROWS};
    ps_spec_data data = {.format = idx_name, .normalise = {.mean = 1e9, .std = 1}};
    for (int i = 0; i < 2; i++) {
        char *path = make(i ? 0x0e : 0x0c, 1, dims, bytes[i], (i ? 8 : 4) * ROWS);
        ps_spec_files files = {.features = path};
        ps_dataset_options o = {.data = &data, .files = &files, .labels = PS_LABELS_NONE};
        ps_dataset *ds = NULL;
        ck_ok(ps_dataset_open(&o, &ds));
        for (uint64_t k = 0; k < ROWS; k++) {
            float x;
            ck_ok(ps_dataset_read(ds, &k, 1, &x, NULL));
            ck_assert(x == (float)k);
        }
        ps_dataset_close(&ds);
        ps_test_file_drop(&path);
    }
}
END_TEST

START_TEST(labels_can_be_numbers)
{
    uint32_t dims[] = {2, 2};
    char *x = make(0x08, 2, dims, "\1\2\3\4", 4);
    char *y = make(0x09, 2, dims, "\1\xff\3\xfe", 4);
    ps_dataset *ds = NULL;
    ck_ok(open_files(x, y, PS_LABELS_REALS, 0, &ds));
    ck_assert_uint_eq(ps_dataset_targets(ds), 2);
    float features[4], targets[4];
    uint64_t rows[] = {0, 1};
    ck_ok(ps_dataset_read(ds, rows, 2, features, targets));
    ck_assert(targets[0] == 1 && targets[1] == -1 && targets[2] == 3 && targets[3] == -2);
    ps_dataset_close(&ds);
    ck_assert_int_eq(open_files(x, y, PS_LABELS_CLASSES, 0, &ds), PS_CORRUPT);
    ps_test_file_drop(&x);
    ps_test_file_drop(&y);
}
END_TEST

static void refuses(char *features, char *labels, ps_status code, const char *message)
{
    ps_dataset *ds = NULL;
    ps_label_kind kind = labels ? PS_LABELS_CLASSES : PS_LABELS_NONE;
    ps_status st = open_files(features, labels, kind, 3, &ds);
    ck_assert_msg(st == code, "%s: %s", ps_status_name(st), ps_error_message());
    ck_assert_msg(strstr(ps_error_message(), message), "%s", ps_error_message());
    ck_assert_ptr_null(ds);
}

static void refuses_bytes(const void *bytes, size_t len, ps_status code, const char *message)
{
    char *path = ps_test_file(ps_slice_of(bytes, len), false);
    refuses(path, NULL, code, message);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), path));
    ps_test_file_drop(&path);
}

START_TEST(bad_headers_are_refused)
{
    refuses_bytes("", 0, PS_CORRUPT, "byte 0: truncated, 4 more bytes expected");
    refuses_bytes("\0\0\x08", 3, PS_CORRUPT, "byte 3: truncated, 1 more bytes expected");
    refuses_bytes("GIF8", 4, PS_CORRUPT,
                  "byte 0: not an idx file, its first bytes are 47 49 46 38; is it csv "
                  "(data.format, --format)?");
    refuses_bytes("\0\0\x0a\1", 4, PS_CORRUPT, "not an idx file");
    refuses_bytes("\0\0\x08\0", 4, PS_CORRUPT, "not an idx file");
    refuses_bytes("\0\0\x08\x09", 4, PS_CORRUPT, "not an idx file");
    refuses_bytes("\0\0\x08\2\0\0\0\1", 8, PS_CORRUPT, "byte 8: truncated, 4 more bytes");
    refuses_bytes("\0\0\x08\2\0\0\0\1\0\0\0\0", 12, PS_CORRUPT, "a dimension of 0");
    refuses_bytes("\0\0\x08\1\0\0\0\0", 8, PS_INVALID_ARGUMENT, "no rows");
    refuses_bytes("\0\0\x08\1\0\0\0\2a", 9, PS_CORRUPT,
                  "truncated, its header says 2 rows of 1 values");
    refuses_bytes("\0\0\x08\1\0\0\0\1ab", 10, PS_CORRUPT,
                  "byte 9: more bytes than the header says");
    refuses_bytes("\0\0\x08\1\xff\xff\xff\xff"
                  "a",
                  9, PS_CORRUPT, "truncated, its header says");
    refuses_bytes("\0\0\x0e\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
                  "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
                  36, PS_CORRUPT, "its dimensions are too large");
    refuses_bytes("\0\0\x0d\1\0\0\0\1\x7f\xc0\0\0", 12, PS_CORRUPT,
                  "byte 8: row 0 has a value that is not a number");
}
END_TEST

START_TEST(labels_that_do_not_fit_are_named)
{
    uint32_t three[] = {3}, two[] = {2};
    char *x = make(0x08, 1, three, "abc", 3);
    char *y = make(0x08, 1, three, "\0\2\3", 3);
    refuses(x, y, PS_INVALID_ARGUMENT, "byte 10: row 2 has label 3, allowed 0 to 2");
    ps_test_file_drop(&y);
    y = make(0x09, 1, three, "\0\xff\1", 3);
    refuses(x, y, PS_INVALID_ARGUMENT, "byte 9: row 1 has label -1, allowed 0 to 2");
    ps_test_file_drop(&y);
    y = make(0x08, 1, three, "\1\2\3", 3);
    refuses(x, y, PS_INVALID_ARGUMENT,
            "row 2 has label 3, allowed 0 to 2; classes count from 0: do these count from 1?");
    ps_test_file_drop(&y);
    y = make(0x08, 1, two, "\0\1", 2);
    refuses(x, y, PS_INVALID_ARGUMENT, "has 2 rows, but");
    ps_test_file_drop(&y);
    static char missing[] = "/tmp/psd-there-is-no-such-file";
    refuses(x, missing, PS_NOT_FOUND, missing);
    static char folder[] = "/tmp";
    refuses(folder, NULL, PS_INVALID_ARGUMENT, "/tmp: not a regular file");
    ps_test_file_drop(&x);
}
END_TEST

START_TEST(gzip_that_is_cut_or_damaged_is_refused)
{
    uint8_t values[4000];
    for (size_t i = 0; i < sizeof values; i++)
        values[i] = (uint8_t)(i * i >> 3);
    uint32_t dims[] = {4000};
    size_t len = 0;
    uint8_t *bytes = ps_test_idx(0x08, 1, dims, ps_slice_of(values, sizeof values), &len);
    char *path = ps_test_file(ps_slice_of(bytes, len), true);
    ps_dataset *ds = NULL;
    ck_ok(open_files(path, NULL, PS_LABELS_NONE, 0, &ds));
    ck_assert_uint_eq(ps_dataset_rows(ds), 4000);
    ps_dataset_close(&ds);
    uint8_t packed[8000];
    FILE *f = fopen(path, "rb+");
    size_t n = fread(packed, 1, sizeof packed, f);
    fclose(f);
    size_t cuts[] = {n - 1, n - 5, n - 9, n / 2, 20};
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        ck_assert_int_eq(truncate(path, (off_t)cuts[i]), 0);
        refuses(path, NULL, PS_CORRUPT, "gzip data is cut short: the file ends here");
    }
    ps_test_file_drop(&path);
    packed[n - 6] ^= 1; /* the checksum */
    refuses_bytes(packed, n, PS_CORRUPT, "gzip data is damaged (incorrect data check)");
    ps_free(&bytes);
}
END_TEST

/* Colours last has as many numbers as colours first. */
START_TEST(images_are_of_the_shape_that_the_model_takes)
{
    static const struct {
        uint32_t dims[4];
        unsigned n;
        const char *message;
    } cases[] = {
        {{1, 3, 2, 2}, 4, NULL},
        {{1, 2, 2, 3}, 4, ": rows of 2 × 2 × 3, but the model takes 3 × 2 × 2"},
        {{1, 3, 1, 4}, 4, ": rows of 3 × 1 × 4, but the model takes 3 × 2 × 2"},
        {{1, 6, 2}, 3, NULL}, /* not said: planes one below the other */
        {{1, 12}, 2, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *path = make(0x08, cases[i].n, cases[i].dims, "abcdefghijkl", 12);
        ps_spec_files files = {.features = path};
        ps_dataset_options o = {.data = &plain_data,
                                .files = &files,
                                .labels = PS_LABELS_NONE,
                                .features = 12,
                                .image = {3, 2, 2}};
        ps_dataset *ds = NULL;
        ps_status st = ps_dataset_open(&o, &ds);
        ck_assert_int_eq(st, cases[i].message ? PS_INVALID_ARGUMENT : PS_OK);
        if (st)
            ck_assert_ptr_nonnull(strstr(ps_error_message(), cases[i].message));
        ps_dataset_close(&ds);
        ps_test_file_drop(&path);
    }
}
END_TEST

START_TEST(memory_is_bounded_and_can_run_out)
{
    uint32_t dims[] = {4};
    char *path = make(0x08, 1, dims, "abcd", 4);
    ps_spec_files files = {.features = path};
    ps_dataset_options o = {
        .data = &plain_data, .files = &files, .labels = PS_LABELS_NONE, .max_bytes = 3};
    ps_dataset *ds = NULL;
    ck_assert_int_eq(ps_dataset_open(&o, &ds), PS_RESOURCE_EXHAUSTED);
    fault_memory(1);
    ck_assert_int_eq(open_files(path, NULL, PS_LABELS_NONE, 0, &ds), PS_NO_MEMORY);
    fault_memory(0);
    o.max_bytes = 0;
    o.features = 2;
    ck_assert_int_eq(ps_dataset_open(&o, &ds), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), ": 1 numbers a row, but the model takes 2"));
    ck_assert_ptr_null(ds);
    ps_test_file_drop(&path);
}
END_TEST

static const ps_check_case tests[] = {
    {&fashion_mnist_has_its_published_figures, 60},
    {&every_type_is_big_endian},
    {&rows_are_normalised},
    {&columns_have_numbers_of_their_own},
    {&values_are_narrowed_when_they_are_normalised},
    {&labels_can_be_numbers},
    {&bad_headers_are_refused},
    {&labels_that_do_not_fit_are_named},
    {&gzip_that_is_cut_or_damaged_is_refused},
    {&images_are_of_the_shape_that_the_model_takes},
    {&memory_is_bounded_and_can_run_out},
    {0},
};

int main(void)
{
    return ps_check_main("data/idx", tests);
}
