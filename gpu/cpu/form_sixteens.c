/* x is rounded once, or made float32, then each thread takes sixteens of w: of few rows of x it
 * reads them once, in the order in which they lie; of many it multiplies some rows of x with
 * several sixteens before the next, so that both come from near caches. Fails where there is no
 * room for that. */
#include "gpu/cpu/form_sixteens.h"

#include "gpu/cpu/cpu.h"
#include "gpu/cpu/form_kernels.h"
#include "gpu/cpu/run.h"

enum {
    MANY = 256 << 10,  /* numbers of x with which some sixteens are multiplied before the next */
    PIECE = 256 << 10, /* bytes of w a piece, at most */
    PIECES = 8         /* a thread, at least, where w is large enough */
};

typedef struct sixteens_run {
    const ps_form_product *p;
    const ps_form_order *order;
    const ps_form_kernels *kernels;
    ps_form_rounded x;
    float *rows; /* of x as float32, where it is BF16: one a thread, or all for exact */
    bool exact;
    const float *x_exact;
    int64_t ld_exact;
    ps_form_call call; /* what all sixteens have in common */
} sixteens_run;

const ps_form_order *ps_cpu_form_order(const ps_stream *s, const ps_form_matrix *m)
{
    return ps_cpu_forms(s) ? ps_form_order_of(m->form, m->columns) : NULL;
}

/* ---- rounding ---- */

static void round_cb(void *context, int64_t begin, int64_t end, int slot)
{
    const sixteens_run *r = context;
    const ps_form_product *p = r->p;
    int64_t n = p->w->columns;
    for (int64_t i = begin; i < end; i++) {
        const float *x =
            ps_cpu_load(p->x, i * p->ld_x, n, r->rows + (size_t)slot * ps_cpu_padded(n));
        ps_form_round(r->order, x, n, r->x.q + i * r->x.ld,
                      r->x.sides + i * (r->x.ld / PS_FORM_CHUNK));
    }
}

/* Bytes of x, their sides, and a row a thread where x is BF16. */
static bool round_x(ps_stream *s, sixteens_run *r)
{
    const ps_form_product *p = r->p;
    int64_t n = p->w->columns;
    r->x.ld = (n + PS_FORM_CHUNK - 1) / PS_FORM_CHUNK * PS_FORM_CHUNK + 64;
    size_t q = ps_cpu_padded(p->rows * r->x.ld / 4);
    size_t sides = ps_cpu_padded(p->rows * (r->x.ld / PS_FORM_CHUNK) *
                                 (int64_t)(sizeof(ps_form_side) / sizeof(float)));
    size_t row = p->x.dtype == PS_DTYPE_BF16 ? ps_cpu_padded(n) : 0;
    float *scratch = ps_cpu_scratch(s, q + sides + row * (size_t)ps_cpu_threads(s));
    if (!scratch)
        return false;
    r->x.q = (int8_t *)scratch;
    r->x.sides = (ps_form_side *)(void *)(scratch + q);
    r->rows = scratch + q + sides;
    ps_cpu_for(s, p->rows, ps_cpu_grain(p->w->columns), round_cb, r);
    return true;
}

static bool convert_x(ps_stream *s, sixteens_run *r)
{
    const ps_form_product *p = r->p;
    int64_t n = p->w->columns;
    r->x_exact = ps_tensor_address(p->x);
    r->ld_exact = p->ld_x;
    if (p->x.dtype == PS_DTYPE_F32)
        return true;
    r->rows = ps_cpu_scratch(s, (size_t)(p->rows * n));
    for (int64_t i = 0; r->rows && i < p->rows; i++)
        (void)ps_cpu_load(p->x, i * p->ld_x, n, r->rows + i * n);
    r->x_exact = r->rows;
    r->ld_exact = n;
    return r->rows != NULL;
}

/* ---- products ---- */

/* A line of the cache each, as far apart as y's rows are: what comes by itself comes too late. */
static void fetch(const ps_form_product *p, int64_t first, int rows, int64_t column)
{
    const char *y = ps_tensor_address(p->y);
    int64_t size = (int64_t)ps_dtype_bytes(p->y.dtype);
    for (int m = 0; m < rows; m++)
        __builtin_prefetch(y + ((first + m) * p->ld_y + column) * size, 1);
}

/* Sums of `rows` rows of x from `first` on, with a sixteen, to y. */
static void store(const ps_form_product *p, int64_t first, int rows, int64_t column, float *sums)
{
    for (int m = 0; m < rows; m++) {
        float *sum = sums + m * PS_FORM_ROWS_TOGETHER, room[PS_FORM_ROWS_TOGETHER];
        int64_t at = (first + m) * p->ld_y + column;
        if (p->beta != 0)
            ps_cpu_add_scaled(sum, p->beta, ps_cpu_load(p->y, at, PS_FORM_ROWS_TOGETHER, room),
                              PS_FORM_ROWS_TOGETHER);
        float *y = ps_cpu_place(p->y, at, sum);
        if (y != sum)
            memcpy(y, sum, PS_FORM_ROWS_TOGETHER * sizeof *y);
        ps_cpu_store(p->y, at, PS_FORM_ROWS_TOGETHER, sum);
    }
}

static void take_rows(const sixteens_run *r, int64_t first, ps_form_call *c)
{
    if (r->exact) {
        c->x_exact = r->x_exact + first * r->ld_exact;
        return;
    }
    c->x.q = r->x.q + first * r->x.ld;
    c->x.sides = r->x.sides + first * (r->x.ld / PS_FORM_CHUNK);
}

/* Rows [begin, end) of x with sixteen i. */
static void multiply(const sixteens_run *r, int64_t i, int64_t begin, int64_t end)
{
    const ps_form_matrix *w = r->p->w;
    float sums[PS_FORM_ROWS_X * PS_FORM_ROWS_TOGETHER];
    ps_form_call c = r->call;
    c.sixteen = (const uint8_t *)ps_tensor_address(w->bytes) +
                i * PS_FORM_ROWS_TOGETHER * w->bytes.shape[1];
    c.y = sums;
    for (; begin < end; begin += c.rows) {
        c.rows = end - begin < PS_FORM_ROWS_X ? (int)(end - begin) : PS_FORM_ROWS_X;
        take_rows(r, begin, &c);
        fetch(r->p, begin, c.rows, i * PS_FORM_ROWS_TOGETHER);
        (r->exact ? r->kernels->exact : r->kernels->rounded)(&c);
        store(r->p, begin, c.rows, i * PS_FORM_ROWS_TOGETHER, sums);
    }
}

static void multiply_cb(void *context, int64_t begin, int64_t end, int slot)
{
    (void)slot;
    const sixteens_run *r = context;
    int64_t many = MANY / r->p->w->columns / (r->exact ? 4 : 1) / PS_FORM_ROWS_X;
    many = (many > 0 ? many : 1) * PS_FORM_ROWS_X;
    for (int64_t row = 0; row < r->p->rows; row += many) {
        int64_t last = row + many < r->p->rows ? row + many : r->p->rows;
        for (int64_t i = begin; i < end; i++)
            multiply(r, i, row, last);
    }
}

/* Sixteens of a piece: enough to be worth a thread, and few enough for all to end together. */
static int64_t piece_of(const ps_stream *s, const ps_form_product *p)
{
    int64_t bytes = PS_FORM_ROWS_TOGETHER * p->w->bytes.shape[1];
    int64_t all = ps_form_order_rows(p->w) / PS_FORM_ROWS_TOGETHER;
    int64_t piece = all / ((int64_t)ps_cpu_threads(s) * PIECES), least = ps_cpu_grain(bytes);
    int64_t most = PIECE / bytes;
    piece = piece > most ? most : piece;
    return piece > least ? piece : least;
}

static ps_form_call call_of(const sixteens_run *r)
{
    const ps_form_matrix *w = r->p->w;
    int64_t block = ps_form_block_numbers(w->form, (uint64_t)w->columns);
    return (ps_form_call){.order = r->order,
                          .columns = w->columns,
                          .block = block,
                          .block_bytes =
                              PS_FORM_ROWS_TOGETHER * w->bytes.shape[1] * block / w->columns,
                          .x.ld = r->x.ld,
                          .ld_exact = r->ld_exact};
}

int64_t ps_cpu_form_sixteens(ps_stream *s, const ps_form_product *p)
{
    sixteens_run r = {.p = p, .order = ps_cpu_form_order(s, p->w), .kernels = ps_cpu_forms(s)};
    int64_t rows = ps_form_order_rows(p->w);
    if (!r.order || !rows)
        return 0;
    r.exact = p->exact || r.order->kind >= PS_FORM_INTEGERS;
    if (!(r.exact ? convert_x(s, &r) : round_x(s, &r)))
        return 0;
    r.call = call_of(&r);
    ps_cpu_for(s, rows / PS_FORM_ROWS_TOGETHER, piece_of(s, p), multiply_cb, &r);
    return rows;
}
