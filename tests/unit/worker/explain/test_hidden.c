/* activations, similarity, pca, probes: of a model of layers 4-8-8-3 whose second layer is a
 * rotation of the first, and whose rows have a bit that decides their label; against what its
 * layers are in float64. */
#include "tests/unit/worker/explain/turned_net.h"

#include "tests/lib/check_main.h"

static char activations[] = "activations", similarity[] = "similarity", pca[] = "pca";

/* ---- activations ---- */

static double moment(const rig *r, size_t channel, double from, int power)
{
    double sum = 0;
    for (size_t i = 0; i < ROWS; i++)
        sum += pow(first_layer(r, i, channel) - from, power) / ROWS;
    return sum;
}

static void check_channel(const rig *r, size_t channel, const float *got)
{
    double mean = moment(r, channel, 0, 1), variance = moment(r, channel, mean, 2);
    double least = INFINITY, most = -INFINITY, above = 0;
    for (size_t i = 0; i < ROWS; i++) {
        double value = first_layer(r, i, channel);
        least = fmin(least, value);
        most = fmax(most, value);
        above += (value > 0) / (double)ROWS;
    }
    const double want[] = {
        mean, sqrt(variance), least, most, moment(r, channel, mean, 4) / (variance * variance),
        above};
    for (size_t i = 0; i < 6; i++)
        if (isnan(want[i]))
            ck_assert(isnan(got[i]));
        else
            ck_assert_double_eq_tol((double)got[i], want[i], 1e-4);
}

static void check_histogram(const rig *r, const ps_explain_part *part,
                            double (*value)(const rig *r, size_t row, size_t channel))
{
    const ps_explain_array *edges = ps_explain_get(part, "edges"),
                           *histogram = ps_explain_get(part, "histogram");
    size_t bins = (size_t)edges->shape[0] + 1;
    ck_assert_uint_eq(histogram->shape[1], bins);
    for (size_t bin = 0; bin < bins; bin++) {
        double count = 0;
        for (size_t i = 0; i < ROWS * WIDE; i++) {
            double v = value(r, i / WIDE, i % WIDE);
            count += (bin == 0 || v >= (double)edges->floats[bin - 1]) &&
                     (bin + 1 == bins || v < (double)edges->floats[bin]);
        }
        ck_assert_double_eq(histogram->doubles[bin], count);
    }
}

START_TEST(channels_are_described)
{
    rig r;
    ps_explain_part part;
    setup(&r, 31);
    run_all(&r, &(ps_spec_explain_method){.method = activations}, &part);
    const ps_explain_array *statistics = ps_explain_get(&part, "statistics");
    ck_assert_uint_eq(statistics->shape[0], 2);
    ck_assert_uint_eq(statistics->shape[1], WIDE);
    for (size_t channel = 0; channel < WIDE; channel++)
        check_channel(&r, channel, statistics->floats + channel * 6);
    check_histogram(&r, &part, first_layer);
    ck_assert(array(&part, "dead")[0] >= 1 && array(&part, "dead")[1] == 0);
    ck_assert(statistics->floats[DEAD * 6 + 5] == 0);
    ck_assert_ptr_null(ps_explain_get(&part, "sums"));
    ps_explain_part_free(&part);
    teardown(&r);
}
END_TEST

/* Before the activation there are numbers below 0, and a last layer that is narrower. */
START_TEST(another_point_has_what_it_has)
{
    static char pre[] = "pre";
    rig r;
    ps_explain_part part;
    setup(&r, 40);
    run_all(&r, &(ps_spec_explain_method){.method = activations, .point = pre}, &part);
    const ps_explain_array *statistics = ps_explain_get(&part, "statistics");
    ck_assert_uint_eq(statistics->shape[0], 3);
    for (size_t channel = 0; channel < WIDE; channel++) {
        const float *last = statistics->floats + (2 * WIDE + channel) * 6;
        ck_assert(isnan(last[0]) == (channel >= OUT));
    }
    ck_assert(array(&part, "channels")[2] == OUT);
    check_histogram(&r, &part, first_linear);
    ps_explain_part_free(&part);
    teardown(&r);
}
END_TEST

START_TEST(a_point_that_there_is_not_is_refused)
{
    static char lens[] = "resid_post", nothing[] = "reside";
    rig r;
    void *state = NULL;
    const ps_explain_method *m = ps_explain_method_find(activations);
    setup(&r, 32);
    ck_assert_int_eq(m->prepare(&r.x, &(ps_spec_explain_method){.point = lens}, &state),
                     PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(), "point: this model has no resid_post");
    m->free(state);
    ck_assert_int_eq(m->prepare(&r.x, &(ps_spec_explain_method){.point = nothing}, &state),
                     PS_INVALID_ARGUMENT);
    m->free(state);
    teardown(&r);
}
END_TEST

/* ---- similarity ---- */

START_TEST(a_rotated_layer_is_the_same)
{
    rig r;
    ps_explain_part part;
    setup(&r, 33);
    run_all(&r, &(ps_spec_explain_method){.method = similarity}, &part);
    for (size_t i = 0; i < 4; i++) {
        ck_assert_double_eq_tol((double)array(&part, "cka")[i], 1, 1e-5);
        ck_assert_double_eq_tol((double)array(&part, "cka_debiased")[i], 1, 1e-5);
    }
    ck_assert_ptr_null(ps_explain_get(&part, "activations"));
    ps_explain_part_free(&part);
    teardown(&r);
}
END_TEST

/* Of layers that are not turns of each other: ‖YᵀX‖²/(‖XᵀX‖·‖YᵀY‖), by channels. */
START_TEST(other_layers_are_as_alike_as_their_channels_say)
{
    rig r;
    ps_explain_part part;
    setup(&r, 34);
    for (size_t i = 0; i < WIDE * WIDE; i++)
        r.w2[i] = i / WIDE < 2 ? (float)(i % 3) - 1 : 0;
    ps_tensor to = ps_model_parameter(r.x.model, 2);
    ps_copy_to_device(ps_model_stream(r.x.model), to, r.w2, ps_tensor_bytes(to));
    ck_ok(ps_stream_sync(ps_model_stream(r.x.model)));
    ps_model_refresh(r.x.model);
    run_all(&r, &(ps_spec_explain_method){.method = similarity}, &part);
    static double x[2][ROWS][WIDE];
    for (size_t i = 0; i < ROWS; i++)
        for (size_t c = 0; c < WIDE; c++) {
            x[0][i][c] = first_layer(&r, i, c);
            x[1][i][c] = 0;
            for (size_t k = 0; k < WIDE; k++)
                x[1][i][c] += (double)r.w2[c * WIDE + k] * first_layer(&r, i, k);
        }
    double norms[2][2] = {{0}};
    for (size_t a = 0; a < 2; a++)
        for (size_t b = 0; b < 2; b++)
            for (size_t c = 0; c < WIDE; c++)
                for (size_t d = 0; d < WIDE; d++) {
                    double ab = 0, ma = 0, mb = 0;
                    for (size_t i = 0; i < ROWS; i++) {
                        ab += x[a][i][c] * x[b][i][d];
                        ma += x[a][i][c] / ROWS;
                        mb += x[b][i][d] / ROWS;
                    }
                    norms[a][b] += pow(ab - ROWS * ma * mb, 2);
                }
    double want = norms[0][1] / sqrt(norms[0][0] * norms[1][1]);
    ck_assert(want < 0.99);
    ck_assert_double_eq_tol((double)array(&part, "cka")[1], want, 1e-5);
    ps_explain_part_free(&part);
    teardown(&r);
}
END_TEST

/* ---- pca ---- */

/* Centred rows of the first layer. */
static void centred(const rig *r, double *out)
{
    for (size_t c = 0; c < WIDE; c++) {
        double mean = moment(r, c, 0, 1);
        for (size_t i = 0; i < ROWS; i++)
            out[i * WIDE + c] = first_layer(r, i, c) - mean;
    }
}

START_TEST(all_directions_keep_every_distance)
{
    static double rows[ROWS * WIDE];
    rig r;
    ps_explain_part part;
    setup(&r, 35);
    run_all(&r, &(ps_spec_explain_method){.method = pca, .components = WIDE}, &part);
    centred(&r, rows);
    const float *at = array(&part, "coordinates");
    for (size_t i = 1; i < ROWS; i++) {
        double want = 0, got = 0;
        for (size_t c = 0; c < WIDE; c++) {
            want += pow(rows[i * WIDE + c] - rows[c], 2);
            got += pow((double)at[i * WIDE + c] - (double)at[c], 2);
        }
        ck_assert_double_eq_tol(sqrt(got), sqrt(want), 1e-3);
    }
    ck_assert_double_lt((double)array(&part, "discarded")[0], 1e-6);
    ps_explain_part_free(&part);
    teardown(&r);
}
END_TEST

/* No direction has more of the variance; and what is left is the error of the rest. */
START_TEST(the_first_direction_is_the_best)
{
    static double rows[ROWS * WIDE];
    rig r;
    ps_rng rng;
    ps_explain_part part;
    setup(&r, 36);
    ps_rng_seed(&rng, 1);
    run_all(&r, &(ps_spec_explain_method){.method = pca, .components = 2}, &part);
    centred(&r, rows);
    double all = 0, first = (double)array(&part, "explained")[0],
           second = (double)array(&part, "explained")[1], best = 0;
    for (size_t i = 0; i < ROWS * WIDE; i++)
        all += rows[i] * rows[i];
    double v[WIDE] = {0};
    for (size_t step = 0; step < 400; step++) { /* climbs from where it is */
        double turned[WIDE] = {0}, length = 0, along = 0;
        for (size_t c = 0; c < WIDE && step == 0; c++)
            v[c] = ps_rng_normal(&rng);
        for (size_t i = 0; i < ROWS; i++) {
            double dot = 0;
            for (size_t c = 0; c < WIDE; c++)
                dot += v[c] * rows[i * WIDE + c];
            along += dot * dot;
            for (size_t c = 0; c < WIDE; c++)
                turned[c] += dot * rows[i * WIDE + c];
        }
        for (size_t c = 0; c < WIDE; c++)
            length += v[c] * v[c];
        best = along / length / all;
        for (size_t c = 0; c < WIDE; c++)
            v[c] = turned[c] / all;
    }
    ck_assert_double_eq_tol(first, best, 1e-4);
    ck_assert(second <= first && second > 0);
    ck_assert_double_eq_tol(first + second + (double)array(&part, "discarded")[0], 1, 1e-5);
    const float *at = array(&part, "coordinates");
    double aa = 0, ab = 0;
    for (size_t i = 0; i < ROWS; i++) {
        aa += (double)at[i * 2] * (double)at[i * 2];
        ab += (double)at[i * 2] * (double)at[i * 2 + 1];
    }
    ck_assert_double_eq_tol(aa / all, first, 1e-5);
    ck_assert_double_lt(fabs(ab) / all, 1e-6);
    ps_explain_part_free(&part);
    teardown(&r);
}
END_TEST

static const ps_check_case cases[] = {
    {&channels_are_described},
    {&another_point_has_what_it_has},
    {&a_point_that_there_is_not_is_refused},
    {&a_rotated_layer_is_the_same},
    {&other_layers_are_as_alike_as_their_channels_say},
    {&all_directions_keep_every_distance},
    {&the_first_direction_is_the_best},
    {0},
};

int main(void)
{
    return ps_check_main("explain/hidden", cases);
}
