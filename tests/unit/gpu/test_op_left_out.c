/* Cross-entropy in parts: rows that are left out, several calls for one mean, gradients in BF16. */
#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/device.h"
#include "tests/lib/ref64.h"

#include <math.h>

static ps_test_device device;

enum { ROWS = 90, KEPT = 60, CLASSES = 301 }; /* every third row is left out */

typedef struct loss_case {
    ps_cross_entropy c;
    double *want; /* [ROWS,CLASSES], the gradient */
    double loss;
    int correct;
} loss_case;

/* The rows that count, one after the other, in float64; then the others' gradients of 0. */
static void make_reference(loss_case *l, const int32_t *labels)
{
    double *all = ps_test_read64(&device, l->c.logits);
    double *kept = ps_alloc_array(KEPT * CLASSES, sizeof *kept);
    double *gradient = ps_alloc_array(KEPT * CLASSES, sizeof *gradient);
    int32_t kept_labels[KEPT];
    for (int r = 0, k = 0; r < ROWS; r++) {
        if (labels[r] < 0)
            continue;
        kept_labels[k] = labels[r];
        int best = 0;
        for (int i = 0; i < CLASSES; i++) {
            kept[k * CLASSES + i] = all[r * CLASSES + i];
            best = all[r * CLASSES + i] > all[r * CLASSES + best] ? i : best;
        }
        l->correct += best == labels[r];
        k++;
    }
    l->loss = ps_ref64_cross_entropy(gradient, kept, kept_labels, KEPT, CLASSES);
    l->want = ps_alloc_array(ROWS * CLASSES, sizeof *l->want);
    for (int r = 0, k = 0; r < ROWS; r++) {
        if (labels[r] < 0)
            continue;
        for (int i = 0; i < CLASSES; i++)
            l->want[r * CLASSES + i] = gradient[k * CLASSES + i];
        k++;
    }
    ps_free(&all);
    ps_free(&kept);
    ps_free(&gradient);
}

static void open_case(loss_case *l, ps_dtype type)
{
    ps_test_device_open(&device, ps_test_backend());
    int32_t labels[ROWS];
    *l = (loss_case){.c = {.loss = ps_test_f32(&device, 0, 1, NULL),
                           .correct = ps_test_i32(&device, 1, NULL),
                           .dlogits = ps_test_real(&device, type, ROWS, CLASSES, NULL),
                           .logits = ps_test_f32(&device, ROWS, CLASSES, NULL),
                           .scale = 1.0f / KEPT}};
    float *logits = ps_test_read(&device, l->c.logits);
    for (int r = 0; r < ROWS; r++) {
        labels[r] = r % 3 == 1 ? -1 : r * 7 % CLASSES;
        if (r % 2 && labels[r] >= 0)
            logits[r * CLASSES + labels[r]] += 9; /* the largest */
    }
    ps_copy_to_device(device.stream, l->c.logits, logits, ps_tensor_bytes(l->c.logits));
    ps_free(&logits);
    l->c.labels = ps_test_i32(&device, ROWS, labels);
    make_reference(l, labels);
}

static void check(loss_case *l)
{
    float *loss = ps_test_read(&device, l->c.loss);
    int32_t *correct = ps_test_read(&device, l->c.correct);
    ck_assert_double_eq_tol((double)*loss, l->loss, 1e-6 * l->loss);
    ck_assert_int_eq(*correct, l->correct);
    ck_assert_int_gt(*correct, 10);
    ck_assert_double_lt(ps_test_error(&device, l->c.dlogits, l->want),
                        ps_test_tolerance(l->c.dlogits.dtype, 1e-5));
    ps_free(&loss);
    ps_free(&correct);
}

static void close_case(loss_case *l)
{
    ps_free(&l->want);
    ps_test_device_close(&device);
}

START_TEST(rows_without_a_label_have_no_part)
{
    loss_case l;
    open_case(&l, ps_test_types[_i]);
    ps_op_cross_entropy(device.stream, &l.c);
    check(&l);
    close_case(&l);
}
END_TEST

static ps_tensor part(ps_tensor t, int64_t from, int64_t rows)
{
    t.offset += (size_t)(from * (t.rank == 2 ? t.shape[1] : 1)) * ps_dtype_bytes(t.dtype);
    return ps_tensor_head(t, rows);
}

START_TEST(a_mean_can_be_made_of_several_calls)
{
    loss_case l;
    open_case(&l, ps_test_types[_i]);
    for (int from = 0; from < ROWS; from += 40) {
        ps_cross_entropy c = l.c;
        int rows = ROWS - from < 40 ? ROWS - from : 40;
        c.add = from > 0; /* else loss and correct are not read */
        c.dlogits = part(c.dlogits, from, rows);
        c.logits = part(c.logits, from, rows);
        c.labels = part(c.labels, from, rows);
        ps_op_cross_entropy(device.stream, &c);
    }
    check(&l);
    close_case(&l);
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &rows_without_a_label_have_no_part, .repeat = PS_TEST_TYPES},
    {.test = &a_mean_can_be_made_of_several_calls, .repeat = PS_TEST_TYPES},
    {0},
};

int main(void)
{
    return ps_check_main("gpu/op_left_out", tests);
}
