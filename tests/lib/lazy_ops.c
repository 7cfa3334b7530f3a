/* Arguments are copied: the caller's last as long as its call. */
#include "tests/lib/lazy_ops.h"

typedef struct operands {
    ps_activation kind;
    float value;
    ps_tensor a, b, c, d;
} operands;

static void run_gemm(ps_stream *inner, void *g)
{
    inner->backend->ops->gemm(inner, g);
}

void ps_test_lazy_gemm(ps_stream *s, const ps_gemm *g)
{
    ps_test_lazy_enqueue(s, run_gemm, g, sizeof *g);
}

static void run_bias_add(ps_stream *inner, void *arguments)
{
    const operands *o = arguments;
    inner->backend->ops->bias_add(inner, o->a, o->b);
}

void ps_test_lazy_bias_add(ps_stream *s, ps_tensor y, ps_tensor bias)
{
    ps_test_lazy_enqueue(s, run_bias_add, &(operands){.a = y, .b = bias}, sizeof(operands));
}

static void run_bias_backward(ps_stream *inner, void *arguments)
{
    const operands *o = arguments;
    inner->backend->ops->bias_backward(inner, o->a, o->b, o->value);
}

void ps_test_lazy_bias_backward(ps_stream *s, ps_tensor dbias, ps_tensor dy, float beta)
{
    ps_test_lazy_enqueue(s, run_bias_backward, &(operands){.a = dbias, .b = dy, .value = beta},
                         sizeof(operands));
}

static void run_activation(ps_stream *inner, void *arguments)
{
    const operands *o = arguments;
    inner->backend->ops->activation(inner, o->kind, o->a, o->b);
}

void ps_test_lazy_activation(ps_stream *s, ps_activation kind, ps_tensor y, ps_tensor x)
{
    ps_test_lazy_enqueue(s, run_activation, &(operands){.kind = kind, .a = y, .b = x},
                         sizeof(operands));
}

static void run_activation_backward(ps_stream *inner, void *arguments)
{
    const operands *o = arguments;
    inner->backend->ops->activation_backward(inner, o->kind, o->a, o->b, o->c, o->d);
}

void ps_test_lazy_activation_backward(ps_stream *s, ps_activation kind, ps_tensor dx, ps_tensor dy,
                                      ps_tensor x, ps_tensor y)
{
    ps_test_lazy_enqueue(s, run_activation_backward,
                         &(operands){.kind = kind, .a = dx, .b = dy, .c = x, .d = y},
                         sizeof(operands));
}

static void run_cross_entropy(ps_stream *inner, void *c)
{
    inner->backend->ops->cross_entropy(inner, c);
}

void ps_test_lazy_cross_entropy(ps_stream *s, const ps_cross_entropy *c)
{
    ps_test_lazy_enqueue(s, run_cross_entropy, c, sizeof *c);
}

static void run_softmax(ps_stream *inner, void *arguments)
{
    const operands *o = arguments;
    inner->backend->ops->softmax(inner, o->a, o->b);
}

void ps_test_lazy_softmax(ps_stream *s, ps_tensor y, ps_tensor x)
{
    ps_test_lazy_enqueue(s, run_softmax, &(operands){.a = y, .b = x}, sizeof(operands));
}

static void run_fill(ps_stream *inner, void *arguments)
{
    const operands *o = arguments;
    inner->backend->ops->fill(inner, o->a, o->value);
}

void ps_test_lazy_fill(ps_stream *s, ps_tensor x, float value)
{
    ps_test_lazy_enqueue(s, run_fill, &(operands){.a = x, .value = value}, sizeof(operands));
}

/* ---- matrices in a form ---- */

typedef struct form_call {
    ps_form_matrix matrix;
    ps_form_product product;
} form_call;

static void run_form_arrange(ps_stream *inner, void *matrix)
{
    inner->backend->ops->form_arrange(inner, matrix);
}

void ps_test_lazy_form_arrange(ps_stream *s, const ps_form_matrix *m)
{
    ps_test_lazy_enqueue(s, run_form_arrange, m, sizeof *m);
}

static void run_form_product(ps_stream *inner, void *arguments)
{
    form_call *c = arguments;
    c->product.w = &c->matrix;
    inner->backend->ops->form_product(inner, &c->product);
}

void ps_test_lazy_form_product(ps_stream *s, const ps_form_product *p)
{
    ps_test_lazy_enqueue(s, run_form_product, &(form_call){.matrix = *p->w, .product = *p},
                         sizeof(form_call));
}
