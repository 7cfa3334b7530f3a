/* tuned_lens: what a lens of the tiny gpt2 and llama reads, against PyTorch in float64
 * (tests/golden/explain/tuned_lens.py); of zeros it is logit_lens to the bit; and a lens of another
 * model is refused. */
#include "tests/unit/worker/explain/language_net.h"

#include "tests/lib/check_main.h"

#include "worker/explain/other.h"

static char logit_lens[] = "logit_lens", tuned_lens[] = "tuned_lens", lens_name[] = "a-lens",
            model_name[] = "a-model", architecture[] = "tuned_lens", mlp[] = "mlp", digest[] = "d1",
            base_name[] = "b";

enum { LENS = LN_LAYERS + 1, TOP = 3, ALL = LN_ROWS * LENS };

static struct {
    language_net net;
    golden_file golden;
    bool zeros, none; /* none: what the first translator makes is no number */
    int kind;
    ps_spec_model spec;
    ps_job_spec job;
    ps_explain_other other;
} t;

static ps_status open_lens(void *user, const ps_model_options *options, ps_model **out)
{
    const ps_model_config config = {.architecture = "tuned_lens",
                                    .language = {.hidden_size = LN_WIDTH, .num_layers = LN_LAYERS}};
    char prefix[32];
    (void)user;
    (void)snprintf(prefix, sizeof prefix, "%s/parameter/", ln_kinds[t.kind]);
    ck_ok(ps_model_create(t.net.device.backend, &config, options, out));
    for (size_t i = 0; i < ps_model_parameters(*out)->count && !t.zeros; i++) {
        ps_tensor to = ps_model_parameter(*out, i);
        ps_copy_to_device(
            ps_model_stream(*out), to,
            golden_get(&t.golden, prefix, ps_model_parameters(*out)->parameters[i].name),
            ps_tensor_bytes(to));
    }
    if (t.none)
        ps_op_fill(ps_model_stream(*out), ps_model_parameter(*out, 0), NAN);
    ck_ok(ps_stream_sync(ps_model_stream(*out)));
    ps_model_refresh(*out);
    return PS_OK;
}

static void setup(int kind)
{
    memset(&t, 0, sizeof t);
    t.kind = kind;
    ln_open(&t.net, kind);
    golden_open(&t.golden, "explain/", "tuned_lens");
    t.spec = (ps_spec_model){.architecture = architecture,
                             .hidden_size = LN_WIDTH,
                             .num_layers = LN_LAYERS,
                             .base = base_name,
                             .base_sha256 = digest};
    t.job = (ps_job_spec){.model_name = model_name};
    t.other = (ps_explain_other){.name = lens_name, .spec = &t.spec, .open = open_lens};
    static char gpt2[] = "gpt2", llama[] = "llama";
    t.net.model_spec.architecture = kind ? llama : gpt2;
    t.net.x.other = &t.other;
    t.net.x.job = &t.job;
    t.net.x.sha256 = digest;
}

static void teardown(void)
{
    golden_close(&t.golden);
    ln_close(&t.net);
}

static ps_spec_explain_method method(char *name)
{
    return (ps_spec_explain_method){.method = name, .top = TOP};
}

static double log_probability(const float *z, int token)
{
    double sum = 0;
    for (int i = 0; i < LN_VOCABULARY; i++)
        sum += exp((double)z[i]);
    return (double)z[token] - log(sum);
}

static double divergence(const float *last, const float *z)
{
    double sum = 0;
    for (int i = 0; i < LN_VOCABULARY; i++)
        sum += exp(log_probability(last, i)) * (log_probability(last, i) - log_probability(z, i));
    return sum;
}

START_TEST(each_layers_answer_is_pytorchs_and_the_last_is_the_models)
{
    ps_explain_part part;
    char name[16];
    setup(_i);
    (void)snprintf(name, sizeof name, "%s/lens", ln_kinds[_i]);
    const float *z = golden_get(&t.golden, "", name);
    const ps_spec_explain_method spec = method(tuned_lens);
    ln_run(&t.net, &spec, &part);
    for (size_t at = 0; at < ALL; at++) {
        const float *here = z + at * LN_VOCABULARY,
                    *last = z + (at / LENS * LENS + LN_LAYERS) * LN_VOCABULARY;
        ck_assert_double_eq_tol((double)ln_array(&part, "log_probability", ALL)[at],
                                log_probability(here, LN_TARGET), 1e-5);
        ck_assert_double_eq_tol((double)ln_array(&part, "divergence", ALL)[at],
                                divergence(last, here), 1e-5);
    }
    for (size_t row = 0; row < LN_ROWS; row++)
        ck_assert_double_lt((double)ln_array(&part, "residual", LN_ROWS)[row], 1e-5);
    ps_explain_part_free(&part);
    teardown();
}
END_TEST

START_TEST(of_zeros_it_is_the_logit_lens_to_the_bit)
{
    static const char *const arrays[] = {"rank", "log_probability", "entropy", "divergence", "top"};
    ps_explain_part tuned, plain;
    setup(_i);
    t.zeros = true;
    const ps_spec_explain_method spec = method(tuned_lens), other = method(logit_lens);
    ln_run(&t.net, &spec, &tuned);
    ln_run(&t.net, &other, &plain);
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        size_t n = i == 4 ? (size_t)ALL * TOP : (size_t)ALL;
        ck_assert_mem_eq(ln_array(&tuned, arrays[i], n), ln_array(&plain, arrays[i], n),
                         n * sizeof(float));
    }
    ps_explain_part_free(&tuned);
    ps_explain_part_free(&plain);
    teardown();
}
END_TEST

START_TEST(a_layer_without_numbers_has_no_answer_and_the_others_theirs)
{
    static const char *const arrays[] = {"rank", "log_probability", "entropy", "divergence"};
    ps_explain_part part;
    setup(_i);
    t.none = true;
    const ps_spec_explain_method spec = method(tuned_lens);
    ln_run(&t.net, &spec, &part);
    for (size_t at = 0; at < ALL; at++) {
        for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
            ck_assert(isnan(ln_array(&part, arrays[i], ALL)[at]) == (at % LENS == 0));
        ck_assert(isnan(ln_array(&part, "top", ALL * TOP)[at * TOP]) == (at % LENS == 0));
    }
    ps_explain_part_free(&part);
    teardown();
}
END_TEST

static void refuse(ps_status status, const char *message)
{
    ps_explain_part part;
    const ps_spec_explain_method spec = method(tuned_lens);
    ck_assert_int_eq(ln_try(&t.net, &spec, &t.net.batch.items, &part), status);
    ck_assert_msg(strstr(ps_error_message(), message) != NULL, "%s", ps_error_message());
    ps_explain_part_free(&part);
}

START_TEST(a_lens_of_another_model_is_refused)
{
    setup(0);
    t.net.x.sha256 = "d2";
    refuse(PS_FAILED_PRECONDITION, "lens a-lens was trained on another model than a-model: on b");
    t.net.x.sha256 = digest;
    t.spec.hidden_size = 8;
    refuse(PS_INVALID_ARGUMENT, "model a-model has 2 and 16");
    t.spec.architecture = mlp;
    refuse(PS_INVALID_ARGUMENT, "model a-lens is of architecture mlp");
    teardown();
}
END_TEST

static const ps_check_case cases[] = {
    {.test = &each_layers_answer_is_pytorchs_and_the_last_is_the_models, .repeat = 2},
    {.test = &of_zeros_it_is_the_logit_lens_to_the_bit, .repeat = 2},
    {.test = &a_layer_without_numbers_has_no_answer_and_the_others_theirs, .repeat = 2},
    {.test = &a_lens_of_another_model_is_refused},
    {0},
};

int main(void)
{
    return ps_check_main("worker/explain/tuned_lens", cases);
}
