/* What finish makes of arrays that come from other workers' files, and are not what run leaves: of
 * another kind, with more rows than are kept, without the numbers that their shape seems to say,
 * or in the place of a result. */
#include "worker/explain/calibration.h"
#include "worker/explain/hidden.h"

#include "tests/lib/check_main.h"

static ps_status finish(const char *method, ps_explain_part *part)
{
    static ps_explaining x;
    const ps_spec_explain_method spec = {.components = 1, .top = 10};
    return ps_explain_method_find(method)->finish(&x, &spec, part);
}

/* As a file may have it: numbers of 0, in float32. */
static void put(ps_explain_part *part, const char *name, int rank, const uint64_t *shape)
{
    static const float zeros[4096];
    ck_ok(ps_explain_put_result(part, name, "a", rank, shape, zeros));
}

static void put_sums(ps_explain_part *part, const char *name, int rank, const uint64_t *shape)
{
    static const double sums[64] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    ck_ok(ps_explain_put_sums(part, name, "a", rank, shape, sums));
}

START_TEST(sums_that_are_none_are_refused)
{
    static const uint64_t bins[] = {PS_CALIBRATION_BINS, 3}, totals[] = {3},
                          moments[] = {2, 5, 1, 1}, one[] = {1}, z[] = {3, 1, 1, 1};
    ps_explain_part part = PS_EXPLAIN_PART_EMPTY;
    put(&part, "bins", 2, bins);
    put(&part, "totals", 1, totals);
    ck_assert_int_eq(finish("calibration", &part), PS_CORRUPT);
    put(&part, "moments", 4, moments);
    put(&part, "rows", 1, one);
    ck_assert_int_eq(finish("head_scores", &part), PS_CORRUPT);
    put(&part, "z", 4, z);
    ck_assert_int_eq(finish("patching", &part), PS_CORRUPT);
    ps_explain_part_free(&part);
}
END_TEST

START_TEST(results_that_are_there_are_replaced)
{
    static const uint64_t z[] = {3, 1, 2, 1}, estimates[] = {1}, moments[] = {2, 5, 1, 1},
                          rows[] = {1};
    ps_explain_part part = PS_EXPLAIN_PART_EMPTY;
    put(&part, "estimate_z", 1, estimates);
    put_sums(&part, "z", 4, z);
    ck_ok(finish("patching", &part));
    ck_assert_uint_eq(part.n, 2);
    const ps_explain_array *made = ps_explain_get(&part, "estimate_z");
    ck_assert_int_eq(made->rank, 3);
    ck_assert(made->floats[0] == 1 && made->floats[1] == 2);
    made = ps_explain_get(&part, "exact_z");
    ck_assert_int_eq(made->rank, 3);
    ck_assert(made->floats[0] == 3 && made->floats[1] == 4);
    ps_explain_part_free(&part);
    put(&part, "standard_error", 1, estimates);
    put_sums(&part, "moments", 4, moments);
    put_sums(&part, "rows", 1, rows);
    ck_ok(finish("head_scores", &part));
    ck_assert(ps_explain_get(&part, "previous")->floats[0] == 1);
    ck_assert(ps_explain_get(&part, "induction")->floats[0] == 4);
    ps_explain_part_free(&part);
}
END_TEST

START_TEST(no_more_rows_are_compared_than_are_kept)
{
    static const uint64_t kept[] = {PS_EXPLAIN_KEPT_ROWS, 0},
                          more[] = {(uint64_t)PS_EXPLAIN_KEPT_ROWS + 1, 0}, none[] = {0};
    ps_explain_part part = PS_EXPLAIN_PART_EMPTY;
    ps_explain_kept out;
    put(&part, "channels", 1, none);
    put(&part, "activations", 2, kept);
    ck_assert(ps_explain_kept_of(&part, "", &out));
    put(&part, "activations", 2, more);
    ck_assert(!ps_explain_kept_of(&part, "", &out));
    ck_ok(finish("pca", &part));
    ck_ok(finish("similarity", &part));
    ck_assert_ptr_null(ps_explain_get(&part, "explained"));
    ck_assert_ptr_null(ps_explain_get(&part, "cka"));
    ps_explain_part_free(&part);
}
END_TEST

/* Pairs of layers are compared: a file with many would take a worker's time. */
START_TEST(no_more_layers_are_compared_than_a_model_has)
{
    static const uint64_t row[] = {1, 0}, most[] = {PS_EXPLAIN_KEPT_LAYERS},
                          more[] = {(uint64_t)PS_EXPLAIN_KEPT_LAYERS + 1};
    ps_explain_part part = PS_EXPLAIN_PART_EMPTY;
    ps_explain_kept out;
    put(&part, "activations", 2, row);
    put(&part, "channels", 1, most);
    ck_assert(ps_explain_kept_of(&part, "", &out));
    put(&part, "channels", 1, more);
    ck_assert(!ps_explain_kept_of(&part, "", &out));
    ps_explain_part_free(&part);
}
END_TEST

START_TEST(shapes_without_numbers_are_not_read)
{
    static const uint64_t rows[] = {4, 1}, channels[] = {512, 0}, sums[] = {512, 1, 5},
                          range[] = {1, 2, 512, 1}, none[] = {0};
    static const double zeros[2560];
    ps_explain_part part = PS_EXPLAIN_PART_EMPTY;
    put(&part, "activations", 2, rows);
    put(&part, "channels", 2, channels);
    ck_ok(finish("pca", &part));
    ck_assert_ptr_null(ps_explain_get(&part, "explained"));
    ck_ok(ps_explain_put_sums(&part, "sums", "a", 3, sums, zeros));
    put(&part, "range", 4, range);
    put_sums(&part, "count", 1, none);
    ck_ok(finish("activations", &part));
    ck_assert_ptr_null(ps_explain_get(&part, "statistics"));
    ps_explain_part_free(&part);
}
END_TEST

/* Room for what is made of them would be none: 2^62 twice is 2^63, and of 4 bytes each 2^65. */
START_TEST(shapes_without_numbers_have_no_results)
{
    static const uint64_t wide[] = {0, UINT64_C(1) << 62}, rows[] = {0, 5},
                          many[] = {UINT64_C(1) << 62, 0};
    ps_explain_part part = PS_EXPLAIN_PART_EMPTY;
    put(&part, "values", 2, wide);
    put(&part, "rows", 2, rows);
    ck_assert_int_eq(finish("attribution_change", &part), PS_CORRUPT);
    put(&part, "scores", 2, many);
    ck_assert_int_eq(finish("recorded", &part), PS_CORRUPT);
    ps_explain_part_free(&part);
}
END_TEST

/* An axis without numbers stands between those that are looked at. */
START_TEST(sums_of_an_autoencoder_have_their_rank)
{
    static const uint64_t totals[] = {7}, no_totals[] = {0, 7}, none[] = {1 << 20, 0, 2},
                          two[] = {1, 2}, rows[] = {1, 1};
    for (int which = 0; which < 3; which++) {
        ps_explain_part part = PS_EXPLAIN_PART_EMPTY;
        put_sums(&part, "totals", which == 0 ? 2 : 1, which == 0 ? no_totals : totals);
        put_sums(&part, "channel_sums", which == 1 ? 3 : 2, which == 1 ? none : two);
        put_sums(&part, "feature_sums", which == 2 ? 3 : 2, which == 2 ? none : two);
        put(&part, "row_feature", 2, rows);
        put(&part, "row_activity", 2, rows);
        put(&part, "row_position", 2, rows);
        ck_ok(finish("sae", &part));
        ck_assert_ptr_null(ps_explain_get(&part, "explained_variance"));
        ps_explain_part_free(&part);
    }
}
END_TEST

static const ps_check_case cases[] = {
    {&sums_that_are_none_are_refused},          {&results_that_are_there_are_replaced},
    {&no_more_rows_are_compared_than_are_kept}, {&no_more_layers_are_compared_than_a_model_has},
    {&shapes_without_numbers_are_not_read},     {&shapes_without_numbers_have_no_results},
    {&sums_of_an_autoencoder_have_their_rank},  {0},
};

int main(void)
{
    return ps_check_main("explain/finish", cases);
}
