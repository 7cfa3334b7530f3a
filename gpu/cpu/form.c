/* Matrices in a form: by kernels of our own (form_sixteens.h), or some rows are decoded at a time,
 * in memory of the thread's own, and multiplied: never is all of one there as float32. */
#include "common/base/require.h"
#include "gpu/cpu/cpu.h"
#include "gpu/cpu/form_sixteens.h"
#include "gpu/cpu/gemm.h"
#include "gpu/cpu/run.h"
#include "gpu/cpu/vector.h"

enum {
    PANEL = 1 << 17, /* numbers decoded at a time: they stay in the second cache */
    PANEL_ROWS = 64, /* at most */
};

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Rows that are in order are brought into the file's first, one at a time. */
typedef struct decoder {
    const ps_form_matrix *m;
    const ps_form_order *order; /* NULL: they are as in files */
} decoder;

static decoder decoder_of(const ps_stream *s, const ps_form_matrix *m)
{
    return (decoder){.m = m, .order = ps_cpu_form_order(s, m)};
}

static size_t floats_of_row(const decoder *d)
{
    return d->order ? ps_cpu_padded((d->m->bytes.shape[1] + 3) / 4) : 0;
}

/* room: floats_of_row. */
static void decode_rows(const decoder *d, int64_t first, int64_t rows, float *out, float *room)
{
    const ps_form_matrix *m = d->m;
    const uint8_t *bytes = ps_tensor_address(m->bytes);
    if (!d->order)
        ps_form_decode(m->form, bytes + first * m->bytes.shape[1], (uint64_t)rows,
                       (uint64_t)m->columns, out);
    for (int64_t r = 0; d->order && r < rows; r++) {
        uint8_t *row = (uint8_t *)room;
        ps_form_order_row(d->order, m, first + r, row);
        ps_form_decode(m->form, row, 1, (uint64_t)m->columns, out + r * m->columns);
    }
}

/* ---- products ---- */

typedef struct product_run {
    const ps_form_product *p;
    decoder w;
    int64_t first;  /* row of w */
    const float *x; /* [rows, columns] */
    int64_t ld_x;
    int64_t panel; /* rows of w */
    float *scratch;
    size_t floats; /* a thread's */
} product_run;

/* y's columns [begin, end), by way of `room` [rows, end - begin] where they are BF16. */
static void multiply(const product_run *r, int64_t begin, int64_t end, const float *panel,
                     float *room)
{
    const ps_form_product *p = r->p;
    int64_t n = end - begin;
    bool direct = p->y.dtype == PS_DTYPE_F32;
    for (int64_t i = 0; i < p->rows && !direct && p->beta != 0; i++)
        (void)ps_cpu_load(p->y, i * p->ld_y + begin, n, room + i * n);
    ps_cpu_product_run(
        &(ps_cpu_product){.transpose_b = true,
                          .m = p->rows,
                          .n = n,
                          .k = p->w->columns,
                          .alpha = 1,
                          .beta = p->beta,
                          .a = r->x,
                          .b = panel,
                          .c = direct ? (float *)ps_tensor_address(p->y) + begin : room,
                          .ld_a = r->ld_x,
                          .ld_b = p->w->columns,
                          .ld_c = direct ? p->ld_y : n});
    for (int64_t i = 0; i < p->rows && !direct; i++)
        ps_cpu_store(p->y, i * p->ld_y + begin, n, room + i * n);
}

static void product_cb(void *context, int64_t begin, int64_t end, int slot)
{
    const product_run *r = context;
    float *panel = r->scratch + r->floats * (size_t)slot;
    float *row_room = panel + ps_cpu_padded(r->panel * r->p->w->columns);
    float *room = row_room + floats_of_row(&r->w);
    for (int64_t row = r->first + begin; row < r->first + end; row += r->panel) {
        int64_t n = least(r->panel, r->first + end - row);
        decode_rows(&r->w, row, n, panel, row_room);
        multiply(r, row, row + n, panel, room);
    }
}

/* x as float32, behind the threads' memory where it has to be made. */
static void take_x(product_run *r, float *room)
{
    const ps_form_product *p = r->p;
    r->x = ps_tensor_address(p->x);
    r->ld_x = p->ld_x;
    if (p->x.dtype == PS_DTYPE_F32)
        return;
    for (int64_t i = 0; i < p->rows; i++)
        (void)ps_cpu_load(p->x, i * p->ld_x, p->w->columns, room + i * p->w->columns);
    r->x = room;
    r->ld_x = p->w->columns;
}

/* With rows of w from the first on. */
static void multiply_decoded(ps_stream *s, const ps_form_product *p, int64_t first)
{
    int64_t columns = p->w->columns, rows = PANEL / columns;
    product_run r = {.p = p, .w = decoder_of(s, p->w), .first = first};
    r.panel = rows < 1 ? 1 : least(rows, PANEL_ROWS);
    r.floats = ps_cpu_padded(r.panel * columns) + floats_of_row(&r.w);
    if (p->y.dtype == PS_DTYPE_BF16)
        r.floats += ps_cpu_padded(p->rows * r.panel);
    size_t of_threads = r.floats * (size_t)ps_cpu_threads(s);
    size_t of_x = p->x.dtype == PS_DTYPE_BF16 ? (size_t)(p->rows * columns) : 0;
    r.scratch = ps_cpu_scratch(s, of_threads + of_x);
    if (!r.scratch)
        return;
    take_x(&r, r.scratch + of_threads);
    ps_cpu_for(s, p->w->bytes.shape[0] - first, r.panel, product_cb, &r);
}

void ps_cpu_form_product(ps_stream *s, const ps_form_product *p)
{
    int64_t done = ps_cpu_form_sixteens(s, p);
    if (done < p->w->bytes.shape[0] && !s->error.code)
        multiply_decoded(s, p, done);
}

/* ---- rows by number ---- */

typedef struct lookup {
    ps_tensor y;
    decoder table;
    const int32_t *ids;
    bool add;
    float *scratch; /* two rows a thread, and a row's bytes */
    size_t floats;  /* a thread's */
} lookup;

static void lookup_cb(void *context, int64_t begin, int64_t end, int slot)
{
    const lookup *l = context;
    int64_t n = l->table.m->columns;
    float *row = l->scratch + l->floats * (size_t)slot, *was = row + ps_cpu_padded(n);
    float *room = was + ps_cpu_padded(n);
    for (int64_t r = begin; r < end; r++) {
        PS_REQUIRE(l->ids[r] >= 0 && l->ids[r] < l->table.m->bytes.shape[0]);
        decode_rows(&l->table, l->ids[r], 1, row, room);
        if (l->add)
            ps_cpu_add_scaled(row, 1, ps_cpu_load(l->y, r * n, n, was), n);
        float *y = ps_cpu_place(l->y, r * n, row);
        if (y != row)
            memcpy(y, row, (size_t)n * sizeof *y);
        ps_cpu_store(l->y, r * n, n, row);
    }
}

void ps_cpu_form_embedding(ps_stream *s, ps_tensor y, const ps_form_matrix *table, ps_tensor ids,
                           bool add)
{
    lookup l = {.y = y, .table = decoder_of(s, table), .ids = ps_tensor_address(ids), .add = add};
    l.floats = 2 * ps_cpu_padded(table->columns) + floats_of_row(&l.table);
    l.scratch = ps_cpu_scratch(s, l.floats * (size_t)ps_cpu_threads(s));
    if (l.scratch)
        ps_cpu_for(s, y.shape[0], ps_cpu_grain(2 * table->columns), lookup_cb, &l);
}

/* ---- order ---- */

typedef struct arrange_run {
    const ps_form_matrix *m;
    const ps_form_order *order;
    uint8_t *scratch; /* a sixteen a thread */
} arrange_run;

static void arrange_cb(void *context, int64_t begin, int64_t end, int slot)
{
    const arrange_run *r = context;
    uint8_t *room = r->scratch + slot * PS_FORM_ROWS_TOGETHER * r->m->bytes.shape[1];
    for (int64_t i = begin; i < end; i++)
        ps_form_order_make(r->order, r->m, i, room);
}

void ps_cpu_form_arrange(ps_stream *s, const ps_form_matrix *m)
{
    arrange_run r = {.m = m, .order = ps_cpu_form_order(s, m)};
    int64_t bytes = PS_FORM_ROWS_TOGETHER * m->bytes.shape[1];
    int64_t sixteens = m->bytes.shape[0] / PS_FORM_ROWS_TOGETHER;
    if (!r.order || !sixteens)
        return;
    r.scratch = (uint8_t *)ps_cpu_scratch(s, (size_t)(bytes / 4 * ps_cpu_threads(s)));
    if (r.scratch)
        ps_cpu_for(s, sixteens, ps_cpu_grain(bytes), arrange_cb, &r);
}
