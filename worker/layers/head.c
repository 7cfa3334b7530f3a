/* Chunks of rows, each from logits to gradients before the next. */
#include "worker/layers/head.h"

#include "common/base/require.h"

int64_t ps_head_rows(int64_t rows, int64_t vocabulary)
{
    PS_REQUIRE(rows > 0 && vocabulary > 0);
    int64_t n = PS_HEAD_BYTES / ((int64_t)sizeof(float) * vocabulary);
    n = n < 1 ? 1 : n;
    return n < rows ? n : rows;
}

static void logits_of_form(ps_stream *s, const ps_head *h, ps_tensor y, ps_tensor x, int64_t ld_x)
{
    PS_REQUIRE(h->form.bytes.shape[0] == y.shape[1]);
    ps_op_form_product(s, &(ps_form_product){.y = y,
                                             .x = x,
                                             .w = &h->form,
                                             .rows = y.shape[0],
                                             .ld_y = y.shape[1],
                                             .ld_x = ld_x ? ld_x : x.shape[1],
                                             .exact = h->exact});
}

/* y[rows,V] = x[rows,C] · W[V,C]ᵀ */
static void multiply(ps_stream *s, const ps_head *h, ps_tensor y, ps_tensor x, int64_t ld_x)
{
    ps_op_gemm(s, &(ps_gemm){.transpose_b = true,
                             .m = y.shape[0],
                             .n = y.shape[1],
                             .k = h->weight.shape[1],
                             .alpha = 1,
                             .a = x,
                             .b = h->weight,
                             .c = y,
                             .ld_a = ld_x ? ld_x : x.shape[1],
                             .ld_b = h->weight.shape[1],
                             .ld_c = y.shape[1],
                             .batch = 1});
}

void ps_head_logits(ps_stream *s, const ps_head *h, ps_tensor y, ps_tensor x, int64_t ld_x)
{
    if (h->form.form.row)
        logits_of_form(s, h, y, x, ld_x);
    else
        multiply(s, h, y, x, ld_x);
    if (h->softcap > 0)
        ps_op_softcap(s, y, y, h->softcap);
}

void ps_head_uncap(ps_stream *s, const ps_head *h, ps_tensor dlogits, ps_tensor logits)
{
    if (h->softcap > 0)
        ps_op_softcap_backward(s, dlogits, dlogits, logits, h->softcap);
}

static ps_tensor rows_of(ps_tensor t, int64_t begin, int64_t n)
{
    PS_REQUIRE(begin >= 0 && n <= t.shape[0] - begin);
    int64_t columns = ps_tensor_count(t) / t.shape[0];
    t.offset += (size_t)(begin * columns) * ps_dtype_bytes(t.dtype);
    return ps_tensor_head(t, n);
}

/* dx[rows,C] = dlogits[rows,V] · W[V,C] */
void ps_head_backward_input(ps_stream *s, const ps_head *h, ps_tensor dx, ps_tensor dlogits)
{
    ps_op_matmul(s, dx, dlogits, false, h->weight, false, 0);
}

/* dW[V,C] += dlogits[rows,V]ᵀ · x[rows,C], unless it is another model's and stays as it is; dx */
static void backward(ps_stream *s, const ps_head *h, ps_tensor dlogits, ps_tensor x, ps_tensor dx,
                     float beta)
{
    if (ps_tensor_present(h->weight_gradient))
        ps_op_matmul(s, h->weight_gradient, dlogits, true, x, false, beta);
    ps_head_backward_input(s, h, dx, dlogits);
}

/* logits[n,V] of the rows from `begin` on, labels -> losses, and dlogits unless not there */
static void lose(ps_stream *s, const ps_head_pass *p, int64_t begin, ps_tensor logits,
                 ps_tensor dlogits)
{
    int64_t n = logits.shape[0];
    const ps_head_teacher *t = p->teacher;
    const ps_cross_entropy task = {.loss = p->loss,
                                   .correct = p->correct,
                                   .dlogits = dlogits,
                                   .logits = logits,
                                   .labels = rows_of(p->labels, begin, n),
                                   .scale = p->scale,
                                   .add = begin > 0};
    if (!t) {
        ps_op_cross_entropy(s, &task);
        return;
    }
    ps_tensor answer = ps_tensor_head(t->head->logits, n);
    if (!t->how->hidden)
        ps_head_logits(s, t->head, answer, rows_of(t->x, begin, n), 0);
    ps_loss_distil(s, t->how, &task, answer, t->divergence);
}

/* Rows at a time: what both heads have room for. */
static int64_t at_once_of(const ps_head *h, const ps_head_pass *p)
{
    int64_t own = h->logits.shape[0];
    int64_t teachers = p->teacher ? p->teacher->head->logits.shape[0] : own;
    return teachers < own ? teachers : own;
}

void ps_head_loss(ps_stream *s, const ps_head *h, const ps_head_pass *p)
{
    int64_t rows = p->x.shape[0], at_once = at_once_of(h, p);
    bool gradients = ps_tensor_present(p->dx);
    PS_REQUIRE(at_once > 0 && p->labels.shape[0] == rows);
    for (int64_t begin = 0; begin < rows; begin += at_once) {
        int64_t n = rows - begin < at_once ? rows - begin : at_once;
        ps_tensor x = rows_of(p->x, begin, n);
        ps_tensor logits = ps_tensor_head(h->logits, n);
        ps_tensor dlogits = gradients ? ps_tensor_head(h->dlogits, n) : (ps_tensor){0};
        ps_head_logits(s, h, logits, x, 0);
        lose(s, p, begin, logits, dlogits);
        if (gradients)
            ps_head_uncap(s, h, dlogits, logits);
        if (gradients)
            backward(s, h, dlogits, x, rows_of(p->dx, begin, n), begin ? 1 : p->beta);
    }
}

void ps_head_top(ps_stream *s, const ps_head *h, ps_tensor index, ps_tensor x)
{
    int64_t rows = x.shape[0], at_once = h->logits.shape[0];
    PS_REQUIRE(at_once > 0 && index.shape[0] == rows);
    for (int64_t begin = 0; begin < rows; begin += at_once) {
        int64_t n = rows - begin < at_once ? rows - begin : at_once;
        ps_tensor logits = ps_tensor_head(h->logits, n);
        ps_head_logits(s, h, logits, rows_of(x, begin, n), 0);
        ps_op_argmax(s, rows_of(index, begin, n), logits);
    }
}
