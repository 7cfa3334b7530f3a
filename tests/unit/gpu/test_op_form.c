/* Products and rows of matrices in every form that there is, on every backend, and with all kernels
 * of the CPU's that run here, against float64 and what the form's decode says. */
#include "common/base/mem.h"
#include "gpu/cpu/run.h"
#include "tests/lib/check_main.h"
#include "tests/lib/device.h"
#include "tests/lib/ref64.h"

#include <math.h>
#include <string.h>

static ps_test_device device;

/* Sizes of a product; columns that a form does not divide are left out for it. 576 is no multiple
 * of 128 or 256. */
typedef struct product_case {
    int rows, out, columns;
} product_case;
static const product_case products[] = {{1, 1, 256},  {1, 50, 576}, {1, 33, 784}, {2, 33, 96},
                                        {3, 16, 512}, {5, 40, 576}, {8, 35, 256}, {9, 35, 576},
                                        {33, 49, 32}, {70, 37, 7},  {7, 19, 36}};
#define PRODUCTS (int)(sizeof products / sizeof *products)

/* Every form, and of those whose blocks have a size that is chosen every size: number i of them. */
static bool form_of(int i, ps_form *out)
{
    for (const ps_form_row *const *row = ps_form_rows; *row; row++) {
        if ((*row)->group) {
            *out = (ps_form){.row = *row, .group = (*row)->group};
            if (i-- == 0)
                return true;
            continue;
        }
        const uint32_t *group = ps_form_groups;
        do {
            *out = (ps_form){.row = *row, .group = *group};
            if (i-- == 0)
                return true;
        } while (*group++);
    }
    return false;
}

static int forms(void)
{
    ps_form form;
    int n = 0;
    while (form_of(n, &form))
        n++;
    return n;
}

/* The CPU's kernels, those of AVX2 also where there are better ones; the last is none of them.
 * Other backends have what they have. */
static bool open_device(int variant)
{
    ps_cpu_features features = ps_cpu_features_read();
    const ps_form_kernels *best = ps_form_kernels_for(&features);
    features.avx512_vnni = false;
    const ps_form_kernels *all[] = {ps_form_kernels_for(&features), best, NULL};
    bool cpu = strcmp(ps_test_backend(), "cpu") == 0;
    bool again = variant == 0 ? all[0] == all[1] : variant == 1 && !all[1];
    if (variant > (cpu ? 2 : 0) || (cpu && again))
        return false;
    ps_test_device_open(&device, ps_test_backend());
    if (cpu)
        ((ps_cpu_backend *)device.backend)->forms = all[variant];
    return true;
}
enum { VARIANTS = 3 };

/* A random matrix in a form, on the device and in float64. */
typedef struct weights {
    ps_form_matrix matrix;
    double *values; /* [out, columns] */
} weights;

/* Every second zero gets a fraction, where a form has such. */
static void make_fractions(ps_form form, int out, int columns, uint8_t *blocks)
{
    size_t bytes = ps_form_block_bytes(form, (uint64_t)columns);
    size_t n = (size_t)out * (ps_form_row_bytes(form, (uint64_t)columns) / bytes);
    for (size_t i = 0; form.row->integer && form.row->zero && i < n; i += 2)
        ps_form_zero_put(form, blocks + i * bytes, 0.25,
                         ps_rng_uniform(&device.rng) * ((1u << form.row->bits) - 1));
}

/* On the CPU at an odd address, as bytes of a file may lie. */
static ps_tensor bytes_on_device(int out, size_t bytes, const uint8_t *blocks)
{
    if (strcmp(ps_test_backend(), "cpu") != 0)
        return ps_test_u8(&device, out, (int64_t)bytes, blocks);
    uint8_t *behind = ps_alloc((size_t)out * bytes + 1);
    behind[0] = 0;
    memcpy(behind + 1, blocks, (size_t)out * bytes);
    ps_tensor all = ps_test_u8(&device, 1, (int64_t)bytes * out + 1, behind);
    ps_free(&behind);
    return ps_tensor_2d(all.buffer, all.offset + 1, PS_DTYPE_U8, out, (int64_t)bytes);
}

static void make_weights(weights *w, ps_form form, int out, int columns)
{
    size_t n = (size_t)(out * columns), bytes = ps_form_row_bytes(form, (uint64_t)columns);
    float *x = ps_alloc_array(n, sizeof *x);
    uint8_t *blocks = ps_alloc_array((size_t)out, bytes);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)ps_rng_normal(&device.rng);
    for (int i = 0; i < columns; i++)
        x[i] = i % 3 ? x[i] : 0; /* and one row of which much is zero */
    ps_form_encode(form, x, NULL, (uint64_t)out, (uint64_t)columns, blocks);
    make_fractions(form, out, columns, blocks);
    ps_form_decode(form, blocks, (uint64_t)out, (uint64_t)columns, x);
    w->values = ps_ref64_from_f32(x, n);
    w->matrix = (ps_form_matrix){
        .bytes = bytes_on_device(out, bytes, blocks), .form = form, .columns = columns};
    ps_op_form_arrange(device.stream, &w->matrix);
    ps_free(&x);
    ps_free(&blocks);
}

/* What rounding x to 8 bits in blocks of 32 may come to in one element of y. */
static double allowed(const double *x, const double *w, int columns)
{
    double sum = 0;
    for (int at = 0; at < columns; at += 32) {
        double most = 0, weight = 0;
        for (int i = at; i < at + 32 && i < columns; i++) {
            most = fmax(most, fabs(x[i]));
            weight += fabs(w[i]);
        }
        sum += most / 254 * weight;
    }
    return sum;
}

/* What adding up the products in float32 may come to, which what is left of them may be far below:
 * of a form with zeros they are large and cancel. */
static double summed(const double *x, const double *w, int columns)
{
    double sum = 0;
    for (int i = 0; i < columns; i++)
        sum += fabs(x[i] * w[i]);
    return sum * 4 * 0x1p-24;
}

static double largest(const double *x, int n)
{
    double most = 0;
    for (int i = 0; i < n; i++)
        most = fmax(most, fabs(x[i]));
    return most;
}

enum { PAD = 3 }; /* elements behind each row of x and y */

/* Types of x and y, and what else it does. */
typedef struct product_kind {
    ps_dtype x, y;
    float beta;
    bool exact;
} product_kind;

static void check_product(ps_form form, const product_case *c, product_kind kind)
{
    int ld_x = c->columns + PAD, ld_y = c->out + PAD;
    weights w;
    make_weights(&w, form, c->out, c->columns);
    ps_tensor x = ps_test_real(&device, kind.x, c->rows, ld_x, NULL);
    ps_tensor y = ps_test_real(&device, kind.y, c->rows, ld_y, NULL);
    double *x64 = ps_test_read64(&device, x), *want = ps_test_read64(&device, y);
    ps_ref64_gemm(false, true, c->rows, c->out, c->columns, 1, x64, ld_x, w.values, c->columns,
                  (double)kind.beta, want, ld_y);
    ps_op_form_product(device.stream, &(ps_form_product){.y = y,
                                                         .x = x,
                                                         .w = &w.matrix,
                                                         .rows = c->rows,
                                                         .ld_y = ld_y,
                                                         .ld_x = ld_x,
                                                         .beta = kind.beta,
                                                         .exact = kind.exact});
    double *got = ps_test_read64(&device, y), most = largest(want, c->rows * ld_y);
    bool rounds = kind.x == PS_DTYPE_BF16 || kind.y == PS_DTYPE_BF16;
    char text[PS_FORM_TEXT];
    for (int i = 0; i < c->rows * ld_y; i++) {
        const double *x_row = x64 + i / ld_y * ld_x, *w_row = w.values + i % ld_y * c->columns;
        double may = most * (rounds ? 2 * ps_test_tolerance(PS_DTYPE_BF16, 0) : 2e-6);
        if (i % ld_y >= c->out)
            may = 0;
        else
            may +=
                kind.exact ? summed(x_row, w_row, c->columns) : allowed(x_row, w_row, c->columns);
        ck_assert_msg(fabs(got[i] - want[i]) <= may, "%s, %d × %d × %d: %g is %g",
                      ps_form_text(form, text), c->rows, c->out, c->columns, want[i], got[i]);
    }
    ps_free(&got);
    ps_free(&x64);
    ps_free(&want);
    ps_free(&w.values);
}

static bool leaves_out(ps_form form, const product_case *c)
{
    return !ps_form_divides(form, (uint64_t)c->columns) ||
           ps_test_leave_out(c->rows * (int64_t)c->out * c->columns);
}

/* Sixteen products at most: what a device of one test has room for. */
static void check_products(ps_form form)
{
    for (int i = 0; i < PRODUCTS; i++) {
        product_kind f32 = {PS_DTYPE_F32, PS_DTYPE_F32, i % 2 ? 0 : 0.5f, i % 3 == 0};
        product_kind bf16 = {PS_DTYPE_BF16, i % 2 ? PS_DTYPE_BF16 : PS_DTYPE_F32, i % 3 ? 0 : -1,
                             i % 4 == 0};
        if (leaves_out(form, &products[i]))
            continue;
        check_product(form, &products[i], f32);
        if (i % 2)
            check_product(form, &products[i], bf16);
    }
}

START_TEST(products_are_those_of_the_decoded_numbers)
{
    ps_form form;
    ck_assert(form_of(_i, &form));
    for (int v = 0; v < VARIANTS; v++) {
        if (!open_device(v))
            continue;
        check_products(form);
        ps_test_device_close(&device);
    }
}
END_TEST

/* On a stream of its own, which may fail. */
START_TEST(a_form_without_kernels_is_decoded_or_refused_by_name)
{
    enum { COLUMNS = 32, OUT = 5, TWO = 2 };
    ps_test_device_open(&device, ps_test_backend());
    ps_form form;
    ck_assert(ps_form_parse("q8_0", &form));
    ps_form_row row = *form.row;
    row.name = "new";
    form.row = &row;
    weights w;
    make_weights(&w, form, OUT, COLUMNS);
    ps_tensor x = ps_test_f32(&device, TWO, COLUMNS, NULL);
    ps_tensor y = ps_test_f32(&device, TWO, OUT, NULL);
    ps_stream *s = NULL;
    ck_ok(ps_stream_new(device.backend, &s));
    ps_op_form_product(
        s, &(ps_form_product){
               .y = y, .x = x, .w = &w.matrix, .rows = TWO, .ld_y = OUT, .ld_x = COLUMNS});
    if (strcmp(ps_test_backend(), "cpu") == 0) {
        double *x64 = ps_test_read64(&device, x), want[TWO * OUT];
        ck_ok(ps_stream_sync(s));
        ps_ref64_gemm(false, true, TWO, OUT, COLUMNS, 1, x64, COLUMNS, w.values, COLUMNS, 0, want,
                      OUT);
        ck_assert_double_le(ps_test_error(&device, y, want), 1e-6);
        ps_free(&x64);
    } else {
        ck_assert_int_eq(ps_stream_sync(s), PS_UNIMPLEMENTED);
        ck_assert_ptr_nonnull(strstr(ps_error_message(), "weights in form new"));
    }
    ps_stream_free(&s);
    ps_free(&w.values);
    ps_test_device_close(&device);
}
END_TEST

START_TEST(what_is_not_added_to_is_not_read)
{
    ps_test_device_open(&device, ps_test_backend());
    ps_form form;
    ck_assert(ps_form_parse("int8/row", &form));
    weights w;
    make_weights(&w, form, 37, 64);
    ps_tensor ok = ps_test_i32(&device, 1, NULL);
    for (int rows = 1; rows < 20; rows += 18) {
        ps_tensor x = ps_test_f32(&device, rows, 64, NULL);
        ps_tensor y = ps_test_f32(&device, rows, 37, NULL);
        ps_op_fill(device.stream, y, NAN);
        ps_op_form_product(
            device.stream,
            &(ps_form_product){
                .y = y, .x = x, .w = &w.matrix, .rows = rows, .ld_y = 37, .ld_x = 64});
        ps_op_all_finite(device.stream, ok, y);
        int32_t *finite = ps_test_read(&device, ok);
        ck_assert_int_eq(*finite, 1);
        ps_free(&finite);
    }
    ps_free(&w.values);
    ps_test_device_close(&device);
}
END_TEST

/* Also where x is rounded. */
START_TEST(what_is_no_number_stays_none)
{
    static const float wrong[] = {NAN, -INFINITY, INFINITY};
    float x[64];
    for (int i = 0; i < 64; i++)
        x[i] = 0.1f * (float)i;
    x[37] = wrong[_i];
    for (int v = 0; v < VARIANTS; v++) {
        if (!open_device(v))
            continue;
        ps_form form;
        ck_assert(ps_form_parse("int4/32", &form));
        weights w;
        make_weights(&w, form, 32, 64);
        ps_tensor y = ps_test_f32(&device, 1, 32, NULL);
        ps_op_form_product(device.stream, &(ps_form_product){.y = y,
                                                             .x = ps_test_f32(&device, 1, 64, x),
                                                             .w = &w.matrix,
                                                             .rows = 1,
                                                             .ld_y = 32,
                                                             .ld_x = 64});
        float *got = ps_test_read(&device, y);
        for (int i = 0; i < 32; i++)
            ck_assert_msg(!isfinite(got[i]) || w.values[i * 64 + 37] == 0, "%g", (double)got[i]);
        ps_free(&got);
        ps_free(&w.values);
        ps_test_device_close(&device);
    }
}
END_TEST

enum { ROWS = 29, ENTRIES = 35 };

static void check_embedding(ps_form form, int columns, ps_dtype type, bool add)
{
    weights w;
    make_weights(&w, form, ENTRIES, columns);
    int32_t ids[ROWS];
    for (int i = 0; i < ROWS; i++)
        ids[i] = (i * 11 + 34) % ENTRIES;
    ps_tensor y = ps_test_real(&device, type, ROWS, columns, NULL);
    double *want = ps_test_read64(&device, y);
    for (int i = 0; i < ROWS * columns; i++)
        want[i] = (add ? want[i] : 0) + w.values[ids[i / columns] * columns + i % columns];
    ps_op_form_embedding(device.stream, y, &w.matrix, ps_test_i32(&device, ROWS, ids), add);
    double e = ps_test_error(&device, y, want);
    ck_assert_double_le(e, ps_test_tolerance(type, 1e-6));
    ps_free(&want);
    ps_free(&w.values);
}

START_TEST(rows_are_found_and_added)
{
    static const int columns[] = {7, 256, 576};
    ps_form form;
    ck_assert(form_of(_i, &form));
    for (int v = 0; v < VARIANTS; v++) {
        if (!open_device(v))
            continue;
        for (int i = 0; i < 3; i++) {
            if (!ps_form_divides(form, (uint64_t)columns[i]) ||
                ps_test_leave_out(ENTRIES * columns[i]))
                continue;
            for (int k = 0; k < 4; k++)
                check_embedding(form, columns[i], ps_test_types[k & 1], k & 2);
        }
        ps_test_device_close(&device);
    }
}
END_TEST

int main(void)
{
    int n = forms();
    const ps_check_case tests[] = {
        {.test = &products_are_those_of_the_decoded_numbers, .repeat = n},
        {.test = &a_form_without_kernels_is_decoded_or_refused_by_name},
        {.test = &what_is_not_added_to_is_not_read},
        {.test = &what_is_no_number_stays_none, .repeat = 3},
        {.test = &rows_are_found_and_added, .repeat = n},
        {0},
    };
    return ps_check_main("gpu/op_form", tests);
}
