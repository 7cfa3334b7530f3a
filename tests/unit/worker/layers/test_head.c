/* The head and its loss against float64, and its gradients against finite differences there; with
 * labels that are left out, in parts of some rows, and with the token table as its weight. */
#include "worker/layers/head.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/device.h"
#include "tests/lib/ref64_distil.h"

#include <math.h>
#include <string.h>

typedef struct shape {
    int rows, columns, vocabulary, at_once;
    bool none; /* every label is left out */
} shape;

static const shape shapes[] = {{1, 1, 2, 1, false},  {1, 9, 13, 1, false}, {7, 5, 11, 7, false},
                               {7, 5, 11, 3, false}, {6, 8, 17, 1, false}, {5, 2, 300, 4, false},
                               {3, 4, 7, 2, true}};
#define SHAPES (int)(sizeof shapes / sizeof *shapes)
#define CASES  (SHAPES * PS_TEST_TYPES)
#define SCALE  0.3f
enum { ROWS_MAX = 7 };

static ps_test_device device;

typedef struct fixture {
    shape s;
    ps_dtype type;
    ps_head head;
    ps_head_pass pass;
    int32_t labels[ROWS_MAX];
    int counted; /* labels that are not left out */
    double *weight64, *x64, *logits64;
    const int32_t *tokens; /* x is these rows of the weight; NULL: x64 */
} fixture;

static double *doubles(int n)
{
    return ps_alloc_array((size_t)n, sizeof(double));
}

static void draw_labels(fixture *f)
{
    for (int r = 0; r < f->s.rows; r++) {
        f->labels[r] = (int32_t)ps_rng_below(&device.rng, (uint64_t)f->s.vocabulary);
        if (r % 3 == 1 || f->s.none)
            f->labels[r] = -1;
        f->counted += f->labels[r] >= 0;
    }
}

/* F32 gradients are written where the logits were. */
static void open_fixture(fixture *f, int number)
{
    ps_dtype type = ps_test_types[number % PS_TEST_TYPES];
    const shape *s = &shapes[number / PS_TEST_TYPES];
    ps_test_device_open(&device, "cpu");
    *f = (fixture){.s = *s, .type = type};
    draw_labels(f);
    f->head = (ps_head){.weight = ps_test_real(&device, type, s->vocabulary, s->columns, NULL),
                        .weight_gradient = ps_test_f32(&device, s->vocabulary, s->columns, NULL),
                        .logits = ps_test_f32(&device, s->at_once, s->vocabulary, NULL)};
    f->head.dlogits = type == PS_DTYPE_F32
                          ? f->head.logits
                          : ps_test_real(&device, type, s->at_once, s->vocabulary, NULL);
    f->pass = (ps_head_pass){.x = ps_test_real(&device, type, s->rows, s->columns, NULL),
                             .dx = ps_test_real(&device, type, s->rows, s->columns, NULL),
                             .labels = ps_test_i32(&device, s->rows, f->labels),
                             .loss = ps_test_f32(&device, 0, 1, NULL),
                             .correct = ps_test_i32(&device, 1, NULL),
                             .scale = SCALE};
    ps_op_fill(device.stream, f->head.weight_gradient, NAN); /* beta 0 does not read it */
    f->weight64 = ps_test_read64(&device, f->head.weight);
    f->x64 = ps_test_read64(&device, f->pass.x);
    f->logits64 = doubles(s->rows * s->vocabulary);
}

static void close_fixture(fixture *f)
{
    ps_free(&f->weight64);
    ps_free(&f->x64);
    ps_free(&f->logits64);
    ps_test_device_close(&device);
}

static double loss_cb(void *context)
{
    fixture *f = context;
    int c = f->s.columns, v = f->s.vocabulary;
    for (int r = 0; f->tokens && r < f->s.rows; r++)
        memcpy(f->x64 + r * c, f->weight64 + f->tokens[r] * c, (size_t)c * sizeof *f->x64);
    ps_ref64_gemm(false, true, f->s.rows, v, c, 1, f->x64, c, f->weight64, c, 0, f->logits64, v);
    return (double)SCALE * f->counted *
           ps_ref64_cross_entropy(NULL, f->logits64, f->labels, f->s.rows, v);
}

static void absolute(double *x, int n)
{
    for (int i = 0; i < n; i++)
        x[i] = fabs(x[i]);
}

/* How far BF16 may put the gradients off: every dlogits is off by up to 2^-8 of itself, so a sum of
 * products by 2^-8 of the sum without signs; dx is rounded itself, by 2^-8 of its largest. */
static void bounds(const fixture *f, double *weight, double *x)
{
    int rows = f->s.rows, c = f->s.columns, v = f->s.vocabulary;
    double *d = doubles(rows * v), *w64 = ps_test_read64(&device, f->head.weight);
    double *x64 = ps_test_read64(&device, f->pass.x), *dw = doubles(v * c), *dx = doubles(rows * c);
    (void)ps_ref64_cross_entropy(d, f->logits64, f->labels, rows, v);
    absolute(d, rows * v);
    absolute(w64, v * c);
    absolute(x64, rows * c);
    double scale = (double)SCALE * f->counted / 256;
    ps_ref64_gemm(true, false, v, c, rows, scale, d, v, x64, c, 0, dw, c);
    ps_ref64_gemm(false, false, rows, c, v, scale, d, v, w64, c, 0, dx, c);
    *weight = *x = 0;
    for (int i = 0; i < v * c; i++)
        *weight = fmax(*weight, dw[i]);
    for (int i = 0; i < rows * c; i++)
        *x = fmax(*x, dx[i]);
    ps_free(&d);
    ps_free(&w64);
    ps_free(&x64);
    ps_free(&dw);
    ps_free(&dx);
}

static double largest(const double *x, size_t n)
{
    double most = 1e-30;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, fabs(x[i]));
    return most;
}

/* got = times · the slope along x64; off: see bounds, for BF16 */
static void check_gradient(fixture *f, ps_tensor got, double *x64, double times, double off)
{
    size_t n = (size_t)ps_tensor_count(got);
    double *want = doubles((int)n);
    ps_ref64_differences(loss_cb, f, x64, n, want);
    for (size_t i = 0; i < n; i++)
        want[i] *= times;
    double tolerance = ps_test_tolerance(got.dtype, 2e-6);
    if (f->type == PS_DTYPE_BF16)
        tolerance += fabs(times) * off / largest(want, n);
    ck_assert_double_lt(ps_test_error(&device, got, want), tolerance);
    ps_free(&want);
}

static void check_slopes(ps_tensor got, ps_ref64_cb loss, void *context, double *along)
{
    size_t n = (size_t)ps_tensor_count(got);
    double *want = doubles((int)n);
    ps_ref64_differences(loss, context, along, n, want);
    ck_assert_double_lt(ps_test_error(&device, got, want), 1e-5);
    ps_free(&want);
}

static int right_ones(const fixture *f)
{
    int right = 0;
    for (int r = 0; r < f->s.rows; r++) {
        const double *row = f->logits64 + r * f->s.vocabulary;
        int best = 0;
        for (int i = 1; i < f->s.vocabulary; i++)
            best = row[i] > row[best] ? i : best;
        right += best == f->labels[r];
    }
    return right;
}

static void check_loss(fixture *f)
{
    double want = loss_cb(f);
    float *loss = ps_test_read(&device, f->pass.loss);
    int32_t *correct = ps_test_read(&device, f->pass.correct);
    ck_assert_double_eq_tol((double)*loss, want, 1e-12 + 2e-6 * want);
    ck_assert_int_eq(*correct, right_ones(f));
    free(loss);
    free(correct);
}

START_TEST(loss_and_gradients_agree_with_float64)
{
    fixture f;
    open_fixture(&f, _i);
    double weight, x;
    ps_head_loss(device.stream, &f.head, &f.pass);
    check_loss(&f);
    bounds(&f, &weight, &x);
    check_gradient(&f, f.head.weight_gradient, f.weight64, 1, weight);
    check_gradient(&f, f.pass.dx, f.x64, 1, x);
    f.pass.beta = 0.5f;
    ps_head_loss(device.stream, &f.head, &f.pass);
    check_gradient(&f, f.head.weight_gradient, f.weight64, 1.5, weight);
    check_gradient(&f, f.pass.dx, f.x64, 1, x);
    close_fixture(&f);
}
END_TEST

/* The weight is the token table too, and its gradient the sum of what both uses say, over two
 * passes. F32: else the table's part would be of rounded values. */
START_TEST(gradients_of_a_tied_weight_add_up)
{
    fixture f;
    open_fixture(&f, _i * PS_TEST_TYPES);
    int32_t tokens[ROWS_MAX];
    for (int r = 0; r < f.s.rows; r++)
        tokens[r] = (int32_t)ps_rng_below(&device.rng, (uint64_t)f.s.vocabulary);
    f.tokens = tokens;
    ps_tensor ids = ps_test_i32(&device, f.s.rows, tokens);
    ps_op_embedding(device.stream, f.pass.x, f.head.weight, ids, false);
    for (int i = 0; i < 2; i++) {
        f.pass.beta = (float)i;
        ps_head_loss(device.stream, &f.head, &f.pass);
        ps_op_embedding_backward(device.stream, f.head.weight_gradient, f.pass.dx, ids);
        check_loss(&f);
        check_gradient(&f, f.head.weight_gradient, f.weight64, i + 1, 0);
    }
    close_fixture(&f);
}
END_TEST

START_TEST(a_loss_alone_needs_no_gradients_memory)
{
    fixture f;
    open_fixture(&f, _i);
    f.head.weight_gradient = f.head.dlogits = f.pass.dx = (ps_tensor){0};
    ps_head_loss(device.stream, &f.head, &f.pass);
    check_loss(&f);
    close_fixture(&f);
}
END_TEST

/* Of every second row of x, as of the last token of each sequence. */
START_TEST(logits_of_rows_that_lie_apart)
{
    fixture f;
    open_fixture(&f, _i);
    (void)loss_cb(&f);
    int rows = (f.s.rows + 1) / 2, v = f.s.vocabulary;
    double *want = doubles(rows * v);
    for (int r = 0; r < rows; r++)
        memcpy(want + r * v, f.logits64 + 2 * r * v, (size_t)v * sizeof *want);
    ps_tensor y = ps_test_f32(&device, rows, v, NULL);
    ps_head_logits(device.stream, &f.head, y, ps_tensor_head(f.pass.x, rows), 2 * f.s.columns);
    ck_assert_double_lt(ps_test_error(&device, y, want), 1e-6);
    ps_free(&want);
    close_fixture(&f);
}
END_TEST

/* A teacher of another width, whose head has room for fewer rows and whose vocabulary is a little
 * longer. */
typedef struct taught {
    fixture f;
    ps_head head;
    ps_ref64_distil ref;
} taught;

static double taught_cb(void *context)
{
    taught *t = context;
    (void)loss_cb(&t->f);
    return (double)SCALE * t->f.counted * ps_ref64_distil_run(&t->ref);
}

static void open_taught(taught *t, ps_head_teacher *teacher, const ps_loss_teaching *how)
{
    fixture *f = &t->f;
    int vocabulary = f->s.vocabulary + 3, columns = f->s.columns + 2;
    t->head = (ps_head){.weight = ps_test_real(&device, f->type, vocabulary, columns, NULL),
                        .logits = ps_test_f32(&device, 2, vocabulary, NULL)};
    *teacher = (ps_head_teacher){.head = &t->head,
                                 .x = ps_test_real(&device, f->type, f->s.rows, columns, NULL),
                                 .divergence = ps_test_f32(&device, 0, 1, NULL),
                                 .how = how};
    double *w = ps_test_read64(&device, t->head.weight), *x = ps_test_read64(&device, teacher->x);
    t->ref = (ps_ref64_distil){.logits = f->logits64,
                               .teacher = doubles(f->s.rows * vocabulary),
                               .labels = f->labels,
                               .rows = f->s.rows,
                               .n = f->s.vocabulary,
                               .teacher_n = vocabulary,
                               .kind = how->kind,
                               .temperature = (double)how->temperature,
                               .alpha = (double)how->alpha};
    ps_ref64_gemm(false, true, f->s.rows, vocabulary, columns, 1, x, columns, w, columns, 0,
                  t->ref.teacher, vocabulary);
    ps_free(&w);
    ps_free(&x);
}

START_TEST(a_teacher_is_asked_row_by_row)
{
    taught t;
    ps_head_teacher teacher;
    const ps_loss_teaching how = {
        .kind = (ps_divergence)(_i % PS_DIVERGENCE_COUNT), .temperature = 2, .alpha = 0.75f};
    open_fixture(&t.f, 3 * PS_TEST_TYPES); /* F32: bounds() knows no teachers */
    open_taught(&t, &teacher, &how);
    t.f.pass.teacher = &teacher;
    ps_head_loss(device.stream, &t.f.head, &t.f.pass);
    check_loss(&t.f);
    (void)taught_cb(&t);
    float *far = ps_test_read(&device, teacher.divergence);
    double want = (double)SCALE * t.f.counted * t.ref.divergence;
    ck_assert_double_eq_tol((double)*far, want, 1e-5 * want);
    ps_free(&far);
    check_slopes(t.f.head.weight_gradient, taught_cb, &t, t.f.weight64);
    check_slopes(t.f.pass.dx, taught_cb, &t, t.f.x64);
    ps_free(&t.ref.teacher);
    close_fixture(&t.f);
}
END_TEST

START_TEST(rows_at_a_time_fit_the_memory)
{
    int64_t fit = PS_HEAD_BYTES / 4 / 50257;
    ck_assert_int_eq(ps_head_rows(100000, 50257), fit);
    ck_assert_int_eq(ps_head_rows(fit - 1, 50257), fit - 1);
    ck_assert_int_eq(ps_head_rows(100000, PS_HEAD_BYTES), 1);
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &loss_and_gradients_agree_with_float64, .repeat = CASES},
    {.test = &gradients_of_a_tied_weight_add_up, .repeat = SHAPES},
    {.test = &a_loss_alone_needs_no_gradients_memory, .repeat = CASES},
    {.test = &logits_of_rows_that_lie_apart, .repeat = CASES},
    {.test = &a_teacher_is_asked_row_by_row, .repeat = PS_DIVERGENCE_COUNT},
    {.test = &rows_at_a_time_fit_the_memory},
    {0},
};

int main(void)
{
    return ps_check_main("layers/head", tests);
}
