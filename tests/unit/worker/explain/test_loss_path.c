/* loss_path against the loss in float64, written another way: what a tensor adds is the integral,
 * by the midpoint rule over many points, of the loss's slope when that tensor alone goes on, by
 * differences. And a tensor that alone was rounded, badly, has all of it. */
#include "tests/unit/worker/explain/net.h"

#include "tests/lib/check_main.h"
#include "tests/lib/data_file.h"

#include "common/conf/explain_rows.h"
#include "worker/explain/between.h"
#include "worker/explain/other.h"

enum { ROWS = 19, W1 = NET_HIDDEN * NET_IN, W2 = NET_OUT * NET_HIDDEN, TENSORS = 4 };
enum { ROWS_OF, LOSS, OTHER_LOSS, DIFFERENCE, SUM, RESIDUAL };

/* One model's numbers. */
typedef struct numbers {
    double at[W1 + NET_HIDDEN + W2 + NET_OUT];
} numbers;

static const size_t sizes[TENSORS] = {W1, NET_HIDDEN, W2, NET_OUT};

static struct {
    net net;
    ps_explain_other other;
    ps_dataset *data;
    char *path;
    float b[W1 + NET_HIDDEN + W2 + NET_OUT];
    numbers first, change;
    double x[ROWS][NET_IN];
    int label[ROWS];
} t;

/* ---- in float64 ---- */

static double loss_of_row(const double *w, const double *x, int label)
{
    const double *b1 = w + W1, *w2 = b1 + NET_HIDDEN, *b2 = w2 + W2;
    double z[NET_OUT], all = 0;
    for (int c = 0; c < NET_OUT; c++)
        z[c] = b2[c];
    for (int j = 0; j < NET_HIDDEN; j++) {
        double a = b1[j];
        for (int k = 0; k < NET_IN; k++)
            a += w[j * NET_IN + k] * x[k];
        for (int c = 0; c < NET_OUT && a > 0; c++)
            z[c] += w2[c * NET_HIDDEN + j] * a;
    }
    for (int c = 0; c < NET_OUT; c++)
        all += exp(z[c]);
    return log(all) - z[label];
}

/* At A + s·D, of tensor `one` at A + (s + more)·D. */
static double loss_at(double s, size_t one, double more)
{
    numbers w;
    double sum = 0;
    for (size_t tensor = 0, i = 0; tensor < TENSORS; tensor++)
        for (size_t k = 0; k < sizes[tensor]; k++, i++)
            w.at[i] = t.first.at[i] + (tensor == one ? s + more : s) * t.change.at[i];
    for (int r = 0; r < ROWS; r++)
        sum += loss_of_row(w.at, t.x[r], t.label[r]);
    return sum / ROWS;
}

static double part_of(size_t tensor)
{
    enum { POINTS = 4000 };
    const double h = 1e-6;
    double sum = 0;
    for (int i = 0; i < POINTS; i++) {
        double s = (i + 0.5) / POINTS;
        sum += (loss_at(s, tensor, h) - loss_at(s, tensor, -h)) / (2 * h);
    }
    return sum / POINTS;
}

/* ---- the models ---- */

static ps_status open_other(void *user, const ps_model_options *options, ps_model **out)
{
    static const int64_t layers[] = {NET_IN, NET_HIDDEN, NET_OUT};
    const ps_model_config config = {.architecture = "mlp", .layers = layers, .layer_count = 3};
    ck_ok(ps_model_create(t.net.backend, &config, options, out));
    for (size_t i = 0, at = 0; i < TENSORS; at += sizes[i], i++)
        ps_copy_to_device(ps_model_stream(*out), ps_model_parameter(*out, i), t.b + at,
                          sizes[i] * sizeof(float));
    ps_model_refresh(*out);
    return ps_stream_sync(ps_model_stream(*out));
}

static void open_data(void)
{
    static char format[] = "csv", delimiter[] = ",", none[] = "", last[] = "last";
    ps_buf text = PS_BUF_EMPTY;
    ps_rng rng;
    ps_rng_seed(&rng, 11);
    for (int r = 0; r < ROWS; r++) {
        for (int k = 0; k < NET_IN; k++) {
            float v = (float)ps_rng_normal(&rng);
            t.x[r][k] = (double)v;
            ps_buf_printf(&text, "%.9g,", (double)v);
        }
        t.label[r] = r % NET_OUT;
        ps_buf_printf(&text, "%d\n", t.label[r]);
    }
    t.path = ps_test_file(ps_buf_slice(&text), false);
    ps_buf_free(&text);
    ps_spec_files files = {.features = t.path, .labels = none, .tokens = none};
    const ps_spec_data data = {.format = format,
                               .csv = {.delimiter = delimiter,
                                       .targets = 1,
                                       .label_column = {.any = last, .name = none, .index = -1}},
                               .normalise = {.scale = 1, .std = 1}};
    ck_ok(ps_dataset_open(
        &(ps_dataset_options){
            .data = &data, .files = &files, .labels = PS_LABELS_CLASSES, .classes = NET_OUT},
        &t.data));
}

static void open_models(void)
{
    net_open(&t.net, 5, 0);
    open_data();
    t.other = (ps_explain_other){.name = "b", .open = open_other};
    t.net.spec.rows.sample = 1000; /* all there are */
    t.net.x.other = &t.other;
    t.net.x.test = t.data;
    const float *from[TENSORS] = {t.net.w1, t.net.b1, t.net.w2, t.net.b2};
    for (size_t i = 0, at = 0; i < TENSORS; at += sizes[i], i++)
        memcpy(t.b + at, from[i], sizes[i] * sizeof(float));
    for (size_t i = 0; i < sizeof t.b / sizeof *t.b; i++)
        t.first.at[i] = (double)t.b[i];
}

static void close_models(void)
{
    ps_dataset_close(&t.data);
    ps_test_file_drop(&t.path);
    net_close(&t.net);
}

/* All shares, merged and finished. */
static void run_all(ps_explain_part *out)
{
    const ps_spec_explain_method spec = {.method = (char *)(uintptr_t) "loss_path",
                                         .steps = 1,
                                         .steps_max = 4096,
                                         .tolerance = 1e-4};
    const ps_explain_method *m = ps_explain_method_find(spec.method);
    for (size_t i = 0; i < sizeof t.b / sizeof *t.b; i++)
        t.change.at[i] = (double)t.b[i] - t.first.at[i];
    *out = PS_EXPLAIN_PART_EMPTY;
    for (unsigned share = 0; share < PS_EXPLAIN_SHARES; share++) {
        ps_explain_part part = PS_EXPLAIN_PART_EMPTY;
        t.net.x.share = share;
        ck_ok(m->run(&t.net.x, &spec, NULL, NULL, &part));
        ck_ok(ps_explain_merge(out, &part));
        ps_explain_part_free(&part);
    }
    ck_ok(m->finish(&t.net.x, &spec, out));
}

START_TEST(each_tensor_has_its_integral)
{
    ps_explain_part part;
    ps_rng rng;
    open_models();
    ps_rng_seed(&rng, 9);
    for (size_t i = 0; i < sizeof t.b / sizeof *t.b; i++)
        t.b[i] += 0.3F * (float)ps_rng_normal(&rng);
    run_all(&part);
    const float *by_tensor = net_array(&part, "by_tensor"), *summary = net_array(&part, "summary");
    const float *by_block = net_array(&part, "by_block");
    double a = loss_at(0, 0, 0), b = loss_at(1, 0, 0);
    ck_assert_double_eq((double)summary[ROWS_OF], ROWS);
    ck_assert_double_eq_tol((double)summary[LOSS], a, 1e-5);
    ck_assert_double_eq_tol((double)summary[OTHER_LOSS], b, 1e-5);
    ck_assert_double_eq_tol((double)summary[SUM], b - a, 2e-4 * fabs(b - a) + 1e-5);
    for (size_t i = 0; i < TENSORS; i++) {
        double blocks = 0;
        for (size_t k = 0; k < PS_BETWEEN_BLOCKS; k++)
            blocks += (double)by_block[i * PS_BETWEEN_BLOCKS + k];
        ck_assert_double_eq_tol(blocks, (double)by_tensor[i], 1e-6);
        ck_assert_double_eq_tol((double)by_tensor[i], part_of(i), 1e-3);
    }
    ck_assert_uint_eq(part.n_warnings, 0);
    ps_explain_part_free(&part);
    close_models();
}
END_TEST

/* To 2 bits: three values and zero, a scale for all. */
START_TEST(a_tensor_that_was_rounded_badly_comes_first)
{
    ps_explain_part part;
    open_models();
    float most = 0;
    for (size_t i = 0; i < W2; i++)
        most = fmaxf(most, fabsf(t.net.w2[i]));
    for (size_t i = 0; i < W2; i++)
        t.b[W1 + NET_HIDDEN + i] = most * roundf(t.net.w2[i] / most);
    t.b[W1] *= 1.001F; /* and something small */
    run_all(&part);
    const float *by_tensor = net_array(&part, "by_tensor"), *summary = net_array(&part, "summary");
    ck_assert(fabsf(by_tensor[2]) > 100 * fabsf(by_tensor[1]));
    ck_assert_double_eq((double)by_tensor[0], 0);
    ck_assert_double_eq((double)by_tensor[3], 0);
    ck_assert_double_eq_tol((double)by_tensor[2] + (double)by_tensor[1],
                            loss_at(1, 0, 0) - loss_at(0, 0, 0), 1e-4);
    ck_assert(fabsf(summary[DIFFERENCE]) > 0.01F);
    ck_assert_double_eq_tol((double)summary[RESIDUAL],
                            (double)summary[DIFFERENCE] - (double)summary[SUM], 1e-6);
    ps_explain_part_free(&part);
    close_models();
}
END_TEST

static const ps_check_case cases[] = {
    {&each_tensor_has_its_integral},
    {&a_tensor_that_was_rounded_badly_comes_first},
    {0},
};

int main(void)
{
    return ps_check_main("explain/loss_path", cases);
}
