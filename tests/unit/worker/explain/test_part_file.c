/* part_file: what a task leaves reads back as what it was, and merges in the order of items. */
#include "worker/explain/part_file.h"

#include "tests/lib/check_main.h"

#include <string.h>

static ps_status append(void *state, const void *data, size_t len)
{
    ps_buf_append(state, data, len);
    return PS_OK;
}

static void make(ps_explain_parts *parts, uint64_t row)
{
    const float values[] = {(float)row, 2, 3};
    const double sums[] = {0.5};
    const uint64_t one[] = {1};
    ps_explain_parts_init(parts, 2);
    ck_ok(ps_explain_put_values(&parts->methods[1], "values", "feature", 1, 3, values));
    ck_ok(ps_explain_put_sums(&parts->methods[1], "total", "class", 1, one, sums));
    ck_ok(ps_explain_put_values(&parts->rows, "tokens", "token", 1, 1, values));
    ps_explain_warn(&parts->methods[1], "row %d is steep", (int)row);
    parts->methods[1].evaluations = 7;
    parts->methods[1].tolerance = 0.25;
    ck_ok(ps_explain_parts_add_row(parts, &(ps_explain_row_info){.row = row,
                                                                 .label = -1,
                                                                 .prediction = 2,
                                                                 .target = 1,
                                                                 .confidence = 0.75,
                                                                 .score = 1.0 / 3}));
    ps_explain_parts_leave_out(parts, row + 100);
    ps_explain_sources_add(&parts->sources, PS_EXPLAIN_SOURCE_WORKER, row > 5 ? "w2" : "w1", "cpu");
    ps_explain_sources_add(&parts->sources, PS_EXPLAIN_SOURCE_MODEL, "m", "abc");
    ps_explain_sources_add(&parts->sources, PS_EXPLAIN_SOURCE_DATA, "/d/\"x", "def");
}

static void read_back(const ps_explain_parts *parts, ps_explain_parts *out)
{
    ps_buf bytes = PS_BUF_EMPTY;
    ck_ok(ps_explain_parts_write(parts, (ps_safetensors_sink){.write = append, .state = &bytes}));
    ck_ok(ps_explain_parts_read(ps_buf_slice(&bytes), 2, 2, out));
    ps_buf_free(&bytes);
}

/* Two workers that were sent other bytes under one name. */
START_TEST(parts_of_two_models_do_not_merge)
{
    static const ps_explain_source_kind kinds[] = {PS_EXPLAIN_SOURCE_MODEL, PS_EXPLAIN_SOURCE_OTHER,
                                                   PS_EXPLAIN_SOURCE_CHECKPOINT};
    ps_explain_parts all, more;
    make(&all, 5);
    make(&more, 9);
    all.sources.all[1].kind = more.sources.all[1].kind = kinds[_i];
    more.sources.all[1].said[0] = 'x';
    ps_status st = ps_explain_parts_merge(&all, &more);
    ck_assert_int_eq(st, PS_CORRUPT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "model m: workers have read other bytes"));
    ps_explain_parts_free(&more);
    ps_explain_parts_free(&all);
}
END_TEST

START_TEST(sources_that_cannot_be_read_are_refused)
{
    static const char *const bad[] = {"",
                                      "{}",
                                      "[[5,\"a\",\"b\"]]",
                                      "[[-1,\"a\",\"b\"]]",
                                      "[[1,\"a\"]]",
                                      "[[1,\"a\",\"b\",\"c\"]]",
                                      "[[1,\"a\",2]]",
                                      "[[1,\"a\",\"b\"],7]",
                                      "[[0,\"a\\u0000b\",\"\"]]"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ps_explain_sources found;
        ck_assert_int_ne(ps_explain_sources_read(ps_slice_str(bad[i]), &found), PS_OK);
        ck_assert_uint_eq(found.n, 0);
    }
}
END_TEST

START_TEST(what_is_written_reads_back_and_merges)
{
    ps_explain_parts written, all, more;
    make(&written, 5);
    read_back(&written, &all);
    ps_explain_parts_free(&written);
    make(&written, 9);
    read_back(&written, &more);
    ps_explain_parts_free(&written);
    ck_ok(ps_explain_parts_merge(&all, &more));
    ck_assert_uint_eq(all.n_info, 2);
    ck_assert_uint_eq(all.info[0].row, 5);
    ck_assert_uint_eq(all.info[1].row, 9);
    ck_assert_int_eq(all.info[1].label, -1);
    ck_assert_double_eq(all.info[1].score, 1.0 / 3);
    ck_assert_uint_eq(all.n_left_out, 2);
    ck_assert_uint_eq(all.left_out[1], 109);
    ck_assert_uint_eq(all.sources.n, 4); /* both workers, and each file once */
    ck_assert_str_eq(ps_explain_source_at(&all.sources, PS_EXPLAIN_SOURCE_WORKER, 1)->name, "w2");
    ck_assert_str_eq(ps_explain_source_at(&all.sources, PS_EXPLAIN_SOURCE_DATA, 0)->name, "/d/\"x");
    ck_assert_ptr_null(ps_explain_source_at(&all.sources, PS_EXPLAIN_SOURCE_MODEL, 1));
    const ps_explain_part *m = &all.methods[1];
    ck_assert_uint_eq(all.methods[0].n, 0);
    ck_assert_str_eq(ps_explain_get(m, "values")->axes, "row feature");
    ck_assert_uint_eq(ps_explain_get(m, "values")->shape[0], 2);
    ck_assert(ps_explain_get(m, "values")->floats[3] == 9);
    ck_assert_double_eq(ps_explain_get(m, "total")->doubles[0], 1);
    ck_assert_uint_eq(m->evaluations, 14);
    ck_assert_double_eq(m->tolerance, 0.25);
    ck_assert_uint_eq(m->n_warnings, 2);
    ck_assert(ps_explain_get(&all.rows, "tokens")->floats[1] == 9);
    ps_explain_parts_free(&all);
}
END_TEST

START_TEST(a_part_of_another_job_is_refused)
{
    ps_explain_parts written, out;
    ps_buf bytes = PS_BUF_EMPTY;
    make(&written, 5);
    ck_ok(
        ps_explain_parts_write(&written, (ps_safetensors_sink){.write = append, .state = &bytes}));
    ps_explain_parts_free(&written);
    ck_assert_int_eq(ps_explain_parts_read(ps_buf_slice(&bytes), 3, 2, &out), PS_CORRUPT);
    ck_assert_str_eq(ps_error_message(), "a part of an explanation: a method is missing");
    bytes.len -= 1;
    ck_assert_int_eq(ps_explain_parts_read(ps_buf_slice(&bytes), 2, 2, &out), PS_CORRUPT);
    ps_buf_free(&bytes);
}
END_TEST

static void refuses_rows(ps_explain_parts *parts, uint64_t rows)
{
    ps_explain_parts out;
    ps_buf bytes = PS_BUF_EMPTY;
    ck_ok(ps_explain_parts_write(parts, (ps_safetensors_sink){.write = append, .state = &bytes}));
    ck_assert_int_eq(ps_explain_parts_read(ps_buf_slice(&bytes), 2, rows, &out), PS_CORRUPT);
    ck_assert_str_eq(ps_error_message(),
                     "a part of an explanation: it has more rows than its task");
    ps_buf_free(&bytes);
    ps_explain_parts_free(parts);
}

/* Also those that take no bytes. */
START_TEST(rows_that_the_task_had_not_are_refused)
{
    ps_explain_parts parts;
    make(&parts, 5);
    refuses_rows(&parts, 1); /* one told, and one left out */
    make(&parts, 5);
    refuses_rows(&parts, 0);
    ps_explain_parts_init(&parts, 2);
    ck_ok(ps_explain_put_values(&parts.methods[0], "values", "feature", 1, 0, NULL));
    parts.methods[0].arrays[0].shape[0] = (UINT64_C(1) << 61) - 1;
    refuses_rows(&parts, 16);
}
END_TEST

START_TEST(more_than_is_read_again_is_refused)
{
    ps_explain_parts parts;
    size_t method = 9;
    make(&parts, 5);
    ck_ok(ps_explain_parts_fit(&parts, &method));
    parts.methods[1].arrays[0].shape[0] = PS_EXPLAIN_FILE_MAX / 12 - 2; /* of three numbers */
    ck_ok(ps_explain_parts_fit(&parts, &method));
    parts.methods[1].arrays[0].shape[0]++; /* and there are a sum and a token */
    parts.methods[1].arrays[0].shape[0]++;
    ck_assert_int_eq(ps_explain_parts_fit(&parts, &method), PS_OUT_OF_RANGE);
    ck_assert_uint_eq(method, 1);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "1073741820 are this one's values"));
    ps_explain_parts_free(&parts);
}
END_TEST

static const ps_check_case cases[] = {
    {&what_is_written_reads_back_and_merges},
    {&parts_of_two_models_do_not_merge, 0, 3},
    {&sources_that_cannot_be_read_are_refused},
    {&a_part_of_another_job_is_refused},
    {&rows_that_the_task_had_not_are_refused},
    {&more_than_is_read_again_is_refused},
    {0},
};

int main(void)
{
    return ps_check_main("explain/part_file", cases);
}
