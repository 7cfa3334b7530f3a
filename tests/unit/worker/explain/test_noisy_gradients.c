/* smooth_grad, gradient_shap: their limits, and what they say of how sure they are. */
#include "tests/unit/worker/explain/net.h"

#include "tests/lib/check_main.h"

static char smooth[] = "smooth_grad", saliency[] = "saliency", shap[] = "gradient_shap",
            integrated[] = "integrated_gradients";

START_TEST(without_noise_it_is_saliency)
{
    net n;
    ps_explain_part got, want;
    net_open(&n, 21, 0);
    net_run(&n, &(ps_spec_explain_method){.method = smooth, .samples = 4}, &got);
    net_run(&n, &(ps_spec_explain_method){.method = saliency}, &want);
    for (size_t i = 0; i < NET_ROWS * NET_IN; i++) {
        ck_assert_double_eq_tol((double)net_array(&got, "values")[i],
                                (double)net_array(&want, "values")[i], 1e-6);
        ck_assert_double_lt((double)net_array(&got, "variance")[i], 1e-12);
    }
    ps_explain_part_free(&got);
    ps_explain_part_free(&want);
    net_close(&n);
}
END_TEST

/* The gradient of a net of relu is one of few: |∇f| by the pattern of what is above 0. Its mean
 * over the noise, by another draw of the same noise in float64. */
START_TEST(with_noise_it_is_the_mean_over_the_noise)
{
    net n;
    ps_explain_part part;
    enum { SAMPLES = 4000 };
    const double noise = 0.4;
    net_open(&n, 22, 0);
    net_run(&n, &(ps_spec_explain_method){.method = smooth, .samples = SAMPLES, .noise = noise},
            &part);
    ps_rng rng;
    ps_rng_seed(&rng, 1);
    for (size_t row = 0; row < NET_ROWS; row++) {
        const float *input = n.inputs + row * NET_IN;
        double least = INFINITY, most = -INFINITY, mean[NET_IN] = {0}, square[NET_IN] = {0};
        for (size_t k = 0; k < NET_IN; k++) {
            least = fmin(least, (double)input[k]);
            most = fmax(most, (double)input[k]);
        }
        for (int s = 0; s < SAMPLES; s++) {
            double x[NET_IN], gradient[NET_IN] = {0};
            for (size_t k = 0; k < NET_IN; k++)
                x[k] = (double)input[k] + noise * (most - least) * ps_rng_normal(&rng);
            for (size_t j = 0; j < NET_HIDDEN; j++) {
                double z = (double)n.b1[j];
                for (size_t k = 0; k < NET_IN; k++)
                    z += (double)n.w1[j * NET_IN + k] * x[k];
                for (size_t k = 0; k < NET_IN && z > 0; k++)
                    gradient[k] +=
                        (double)n.w2[NET_TARGET * NET_HIDDEN + j] * (double)n.w1[j * NET_IN + k];
            }
            for (size_t k = 0; k < NET_IN; k++) {
                mean[k] += fabs(gradient[k]) / SAMPLES;
                square[k] += gradient[k] * gradient[k] / SAMPLES;
            }
        }
        for (size_t k = 0; k < NET_IN; k++) {
            size_t i = row * NET_IN + k;
            double error = (double)net_array(&part, "standard_error")[i];
            ck_assert_double_lt(fabs((double)net_array(&part, "values")[i] - mean[k]),
                                6 * error + 1e-6);
            ck_assert_double_eq_tol((double)net_array(&part, "variance")[i],
                                    square[k] - mean[k] * mean[k],
                                    0.3 * (square[k] - mean[k] * mean[k]) + 1e-4);
        }
    }
    ps_explain_part_free(&part);
    net_close(&n);
}
END_TEST

START_TEST(many_points_between_are_integrated_gradients)
{
    net n;
    ps_explain_part got, want;
    net_open(&n, 23, 0.2);
    net_run(&n, &(ps_spec_explain_method){.method = shap, .samples = 20000}, &got);
    net_run(&n,
            &(ps_spec_explain_method){
                .method = integrated, .steps = 800, .steps_max = 1600, .tolerance = 1e-4},
            &want);
    for (size_t i = 0; i < NET_ROWS * NET_IN; i++)
        ck_assert_double_lt(
            fabs((double)net_array(&got, "values")[i] - (double)net_array(&want, "values")[i]),
            5 * (double)net_array(&got, "standard_error")[i] + 2e-3);
    for (size_t row = 0; row < NET_ROWS; row++)
        ck_assert_double_lt((double)net_array(&got, "residual")[row], 0.05);
    ps_explain_part_free(&got);
    ps_explain_part_free(&want);
    net_close(&n);
}
END_TEST

static const ps_check_case cases[] = {
    {&without_noise_it_is_saliency},
    {&with_noise_it_is_the_mean_over_the_noise},
    {&many_points_between_are_integrated_gradients},
    {0},
};

int main(void)
{
    return ps_check_main("explain/noisy_gradients", cases);
}
