/* lazy_ops: what streams of lazy_backend compute, each operation in its turn. Private to
 * lazy_backend.c. */
#ifndef PS_TEST_LAZY_OPS_H
#define PS_TEST_LAZY_OPS_H

#include "gpu/ops.h"

/* What a stream does when somebody waits for it, on the stream of the backend behind it. */
typedef void ps_test_lazy_run(ps_stream *inner, void *arguments);
/* Size bytes of arguments are copied. In lazy_backend.c. */
void ps_test_lazy_enqueue(ps_stream *s, ps_test_lazy_run *what, const void *arguments, size_t size);

/* Of gpu/ops.h's PS_OPERATIONS what an mlp computes with. */
#define PS_TEST_LAZY_OPERATIONS(X) \
    X(gemm)                        \
    X(bias_add)                    \
    X(bias_backward)               \
    X(activation)                  \
    X(activation_backward)         \
    X(cross_entropy)               \
    X(softmax)                     \
    X(fill)                        \
    X(form_arrange)                \
    X(form_product)

#define X(name) ps_##name##_fn ps_test_lazy_##name;
PS_TEST_LAZY_OPERATIONS(X)
#undef X

#endif
