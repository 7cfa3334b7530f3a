/* Points of a pass on both sides of a product, of every architecture: its weight's gradient is made
 * of what is at the one and of the gradients at the others, or there are no others. */
#include "tests/lib/check_main.h"
#include "tests/unit/worker/models/archs_fixture.h"
#include "tests/unit/worker/models/step.h"

#include <math.h>
#include <string.h>

static const char *const kinds[] = {"gpt2",    "llama",  "qwen2",  "qwen3",
                                    "mistral", "gemma2", "gemma3", "gpt_neox"};
enum { KINDS = sizeof kinds / sizeof *kinds, ROWS = ARCHS_ROWS * ARCHS_LENGTH };

/* What is at a point of a pass, or its gradient: [ROWS, columns] */
typedef struct point {
    ps_model *m;
    ps_tap tap;
    float *rows;
} point;

static point point_of(ps_model *m, ps_tap tap)
{
    size_t n = ROWS * (size_t)ps_model_tap_columns(m, tap);
    return (point){.m = m, .tap = tap, .rows = ps_alloc_array(n, sizeof(float))};
}

static void see(void *user, ps_tap tap, ps_tensor x, int64_t ld)
{
    const point *p = user;
    if (ps_tap_equal(tap, p->tap))
        ck_ok(ps_tap_read(ps_model_stream(p->m), x, ld, p->rows));
}

static void pass(const ps_model_batch *batch, point *before, point *behind)
{
    ps_model_result result;
    ck_ok(ps_model_forward(before->m, batch, &(ps_model_hooks){.at = see, .user = before}));
    ck_ok(ps_model_loss(before->m, batch));
    ck_ok(ps_model_backward(before->m, &(ps_model_hooks){.gradient_at = see, .user = behind}));
    ck_ok(ps_model_result_get(before->m, &result));
}

/* The weight's columns, or rows, from `first` on. */
static void check(const point *before, const point *behind, const float *gradient, bool input_major,
                  size_t first, size_t outs)
{
    size_t in = (size_t)ps_model_tap_columns(before->m, before->tap);
    size_t out = (size_t)ps_model_tap_columns(before->m, behind->tap);
    double off = 0, most = 0;
    for (size_t o = 0; o < out; o++)
        for (size_t i = 0; i < in; i++) {
            double sum = 0;
            for (size_t r = 0; r < ROWS; r++)
                sum += (double)before->rows[r * in + i] * (double)behind->rows[r * out + o];
            size_t at = input_major ? i * outs + first + o : (first + o) * in + i;
            off = fmax(off, fabs(sum - (double)gradient[at]));
            most = fmax(most, fabs(sum));
        }
    char name[PS_TAP_NAME];
    ck_assert_msg(off <= 1e-4 * most, "%s: off by %g of %g", ps_tap_name(behind->tap, name), off,
                  most);
}

/* How many points are behind it. */
static size_t check_weight(ps_model *m, const ps_model_batch *batch, size_t weight)
{
    const ps_model_parameter_spec *spec = &ps_model_parameters(m)->parameters[weight];
    ps_tap behind[PS_MODEL_TAPS_BEHIND], tap;
    size_t n = ps_model_taps_behind(m, weight, behind), first = 0;
    if (!n)
        return 0;
    size_t numbers = (size_t)ps_model_parameter_elements(spec);
    float *gradient = ps_alloc_array(numbers, sizeof *gradient);
    ck_ok(ps_model_tap_before(m, weight, &tap));
    point before = point_of(m, tap);
    for (size_t i = 0; i < n; i++) {
        point p = point_of(m, behind[i]);
        pass(batch, &before, &p);
        ck_ok(ps_copy_to_host(ps_model_stream(m), gradient, ps_model_gradient(m, weight),
                              numbers * sizeof *gradient));
        check(&before, &p, gradient, spec->input_major, first,
              (size_t)spec->shape[spec->input_major ? 1 : 0]);
        first += (size_t)ps_model_tap_columns(m, behind[i]);
        ps_free(&p.rows);
    }
    ps_free(&before.rows);
    ps_free(&gradient);
    return n;
}

START_TEST(gradients_of_weights_are_made_of_both_sides)
{
    ps_test_device device;
    archs_variant v;
    size_t points = 0;
    int32_t tokens[ROWS], labels[ROWS];
    FILE *file = archs_open(kinds[_i]);
    ps_test_device_open(&device, "cpu");
    ck_assert(archs_next(file, &v));
    ps_model *m = archs_model(&device, &v, (ps_model_options){.max_batch = ARCHS_ROWS});
    for (int i = 0; i < ROWS; i++) {
        tokens[i] = v.tokens[i / ARCHS_LENGTH * (ARCHS_LENGTH + 1) + i % ARCHS_LENGTH];
        labels[i] = v.tokens[i / ARCHS_LENGTH * (ARCHS_LENGTH + 1) + i % ARCHS_LENGTH + 1];
    }
    const ps_model_batch batch = {
        .rows = ARCHS_ROWS, .length = ARCHS_LENGTH, .tokens = tokens, .labels = labels};
    for (size_t i = 0; i < ps_model_parameters(m)->count; i++)
        points += check_weight(m, &batch, i);
    bool gemma = !strncmp(kinds[_i], "gemma", 5), gated = strncmp(kinds[_i], "gpt", 3) != 0;
    ck_assert_uint_eq(points, 2 * (gemma ? 5 : gated ? 7 : 6)); /* of gemma not o and down */
    ps_model_free(&m);
    ps_spec_model_free(&v.spec);
    ps_test_device_close(&device);
    (void)fclose(file);
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &gradients_of_weights_are_made_of_both_sides, .repeat = KINDS}, {0}};

int main(void)
{
    return ps_check_main("models/points", tests);
}
