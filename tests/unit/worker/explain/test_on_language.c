/* quality, and what compares rows inside, on language models: what is hidden is a token, and what
 * is kept is the last one. */
#include "tests/unit/worker/explain/language_net.h"

#include "tests/lib/check_main.h"
#include "worker/explain/baseline.h"

enum { PARAMETERS_MAX = 64 };
static char ablation[] = "feature_ablation", deletion[] = "deletion", insertion[] = "insertion",
            infidelity[] = "infidelity", sensitivity[] = "sensitivity",
            randomisation[] = "randomisation", activations[] = "activations", pca[] = "pca",
            embed[] = "embed";
static ps_spec_explain_method attributions[] = {{.method = ablation}};

static void open_job(language_net *n, ps_explain_baseline *baseline, int kind)
{
    ln_open(n, kind);
    n->spec.attributions = attributions;
    n->spec.n_attributions = 1;
    ck_ok(ps_explain_baseline_make(&(ps_spec_explain_baseline){.kind = PS_EXPLAIN_ZERO}, LN_WIDTH,
                                   NULL, NULL, baseline));
    n->x.baseline = baseline;
    n->x.method = 1;
}

static void close_job(language_net *n, ps_explain_baseline *baseline)
{
    ps_explain_baseline_free(baseline);
    ln_close(n);
}

/* The largest, or the smallest of a row's values. */
static double extreme(const float *values, bool largest)
{
    double out = (double)values[0];
    for (size_t k = 1; k < LN_LENGTH; k++)
        out = largest ? fmax(out, (double)values[k]) : fmin(out, (double)values[k]);
    return out;
}

/* The first token to go is that without which f is least, and the last one to come that without
 * which it is largest. */
START_TEST(tokens_are_hidden_by_their_values)
{
    language_net n;
    ps_explain_baseline baseline;
    ps_explain_part values, out, in;
    open_job(&n, &baseline, _i);
    ln_run(&n, &attributions[0], &values);
    ln_run(&n, &(ps_spec_explain_method){.method = deletion, .steps = LN_LENGTH, .samples = 3},
           &out);
    ln_run(&n, &(ps_spec_explain_method){.method = insertion, .steps = LN_LENGTH, .samples = 3},
           &in);
    const size_t points = LN_LENGTH + 1;
    for (size_t row = 0; row < LN_ROWS; row++) {
        const float *phi = ln_array(&values, "values", LN_ROWS * LN_LENGTH) + row * LN_LENGTH;
        const float *gone = ln_array(&out, "curve", LN_ROWS * points) + row * points;
        const float *come = ln_array(&in, "curve", LN_ROWS * points) + row * points;
        double full = n.batch.items.scores[row];
        ck_assert_double_eq_tol((double)gone[0], full, 1e-6);
        ck_assert_double_eq_tol((double)gone[1], full - extreme(phi, true), 1e-5);
        ck_assert_double_eq_tol((double)come[LN_LENGTH], full, 1e-6);
        ck_assert_double_eq_tol((double)come[LN_LENGTH - 1], full - extreme(phi, false), 1e-5);
        ck_assert_double_eq_tol((double)come[0], (double)gone[LN_LENGTH], 1e-6);
    }
    ps_explain_part_free(&values);
    ps_explain_part_free(&out);
    ps_explain_part_free(&in);
    close_job(&n, &baseline);
}
END_TEST

START_TEST(a_row_that_is_not_moved_is_explained_alike)
{
    language_net n;
    ps_explain_baseline baseline;
    ps_explain_part still, moved, wrong;
    open_job(&n, &baseline, _i);
    ln_run(&n, &(ps_spec_explain_method){.method = sensitivity, .samples = 2}, &still);
    ln_run(&n, &(ps_spec_explain_method){.method = sensitivity, .samples = 2, .radius = 0.1},
           &moved);
    ln_run(&n, &(ps_spec_explain_method){.method = infidelity, .samples = 50}, &wrong);
    for (size_t row = 0; row < LN_ROWS; row++) {
        ck_assert_double_lt((double)ln_array(&still, "largest", LN_ROWS)[row], 1e-5);
        ck_assert_double_gt((double)ln_array(&moved, "largest", LN_ROWS)[row], 1e-3);
        ck_assert_double_gt((double)ln_array(&wrong, "infidelity", LN_ROWS)[row], 0);
    }
    ps_explain_part_free(&still);
    ps_explain_part_free(&moved);
    ps_explain_part_free(&wrong);
    close_job(&n, &baseline);
}
END_TEST

static size_t read_all(const language_net *n, void *out[PARAMETERS_MAX])
{
    size_t count = ps_model_parameters(n->x.model)->count;
    ck_assert_uint_le(count, PARAMETERS_MAX);
    for (size_t i = 0; i < count; i++) {
        ps_tensor from = ps_model_parameter(n->x.model, i);
        out[i] = malloc(ps_tensor_bytes(from));
        ck_ok(ps_copy_to_host(ps_model_stream(n->x.model), out[i], from, ps_tensor_bytes(from)));
    }
    return count;
}

/* What is behind the blocks, each block, what is before them. */
START_TEST(blocks_are_drawn_anew_and_put_back)
{
    language_net n;
    ps_explain_baseline baseline;
    ps_explain_part part, again;
    void *before[PARAMETERS_MAX], *after[PARAMETERS_MAX];
    open_job(&n, &baseline, _i);
    size_t count = read_all(&n, before);
    ln_run(&n, &(ps_spec_explain_method){.method = randomisation}, &part);
    ck_assert_uint_eq(read_all(&n, after), count);
    for (size_t i = 0; i < count; i++) {
        ck_assert_mem_eq(before[i], after[i], ps_tensor_bytes(ps_model_parameter(n.x.model, i)));
        free(before[i]);
        free(after[i]);
    }
    const ps_explain_array *correlation = ps_explain_get(&part, "correlation");
    ck_assert_uint_ge(correlation->shape[1], LN_LAYERS + 2);
    for (size_t i = 0; i < ps_explain_array_count(correlation); i++)
        ck_assert(fabsf(correlation->floats[i]) < 1 + 1e-6F);
    ln_run(&n, &(ps_spec_explain_method){.method = randomisation}, &again);
    ck_assert_mem_eq(correlation->floats, ps_explain_get(&again, "correlation")->floats,
                     ps_explain_array_count(correlation) * sizeof(float));
    ps_explain_part_free(&part);
    ps_explain_part_free(&again);
    close_job(&n, &baseline);
}
END_TEST

/* At embed a layer's activations are the points themselves. */
START_TEST(activations_are_of_all_tokens_and_pca_of_the_last)
{
    language_net n;
    ps_explain_baseline baseline;
    ps_explain_part part, turned;
    open_job(&n, &baseline, _i);
    ln_run(&n, &(ps_spec_explain_method){.method = activations, .point = embed}, &part);
    const float *points = n.batch.items.points;
    const float *statistics = ln_array(&part, "statistics", LN_WIDTH * 6);
    for (size_t c = 0; c < LN_WIDTH; c++) {
        double mean = 0;
        for (size_t i = 0; i < LN_ROWS * LN_LENGTH; i++)
            mean += (double)points[i * LN_WIDTH + c] / (LN_ROWS * LN_LENGTH);
        ck_assert_double_eq_tol((double)statistics[c * 6], mean, 1e-6);
    }
    ln_run(&n, &(ps_spec_explain_method){.method = pca, .point = embed, .components = 3}, &turned);
    const float *at = ln_array(&turned, "coordinates", LN_ROWS * LN_ROWS);
    for (size_t row = 1; row < LN_ROWS; row++) {
        double want = 0, got = 0;
        for (size_t c = 0; c < LN_WIDTH; c++)
            want += pow((double)points[((row + 1) * LN_LENGTH - 1) * LN_WIDTH + c] -
                            (double)points[(LN_LENGTH - 1) * LN_WIDTH + c],
                        2);
        for (size_t k = 0; k < 3; k++)
            got += pow((double)at[row * 3 + k] - (double)at[k], 2);
        ck_assert_double_eq_tol(sqrt(got), sqrt(want), 1e-4);
    }
    ps_explain_part_free(&part);
    ps_explain_part_free(&turned);
    close_job(&n, &baseline);
}
END_TEST

static const ps_check_case cases[] = {
    {.test = &tokens_are_hidden_by_their_values, .repeat = 2},
    {.test = &a_row_that_is_not_moved_is_explained_alike, .repeat = 2},
    {.test = &blocks_are_drawn_anew_and_put_back, .repeat = 2},
    {.test = &activations_are_of_all_tokens_and_pca_of_the_last, .repeat = 2},
    {0},
};

int main(void)
{
    return ps_check_main("explain/on_language", cases);
}
