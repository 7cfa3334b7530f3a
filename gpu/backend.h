/* backend: the seam between what is computed (layers, models) and where (CPU, CUDA).
 *
 * A backend is one row of gpu/registry.c and one table of functions, ps_backend_ops. An operation
 * is enqueued on a stream and returns at once; nothing it reads or writes may be touched by the
 * host before the stream (or an event recorded after it) is synchronised. On the CPU everything is
 * done when the call returns, and streams and events only keep errors.
 *
 * Failing: an operation cannot fail at its call. The first failure (a launch refused, a device
 * lost) stays with the stream, everything enqueued on it afterwards is skipped, and the next
 * ps_stream_sync or ps_copy_to_host on it returns it: so no result reaches the host unchecked.
 * Shapes and types are checked by the ps_op_* calls of gpu/op.h; a wrong one is our own bug and an
 * assertion. Callers use those, not the table.
 *
 * Threads: a backend may be used from any thread, a stream from one at a time.
 *
 * A new operation is one more member here, one checked entry in gpu/op, one file (or function) a
 * backend. Members are only added at the end and PS_BACKEND_API is raised, since the table crosses
 * a plugin border.
 */
#ifndef PS_GPU_BACKEND_H
#define PS_GPU_BACKEND_H

#include "common/base/status.h"
#include "gpu/tensor.h"

#define PS_BACKEND_API 1

typedef struct ps_backend ps_backend;
typedef struct ps_backend_ops ps_backend_ops;

/* A queue of operations, done in order. Backends embed it as the first member of their own. */
typedef struct ps_stream {
    ps_backend *backend;
    ps_error error; /* the first failure; code PS_OK while there is none */
} ps_stream;

/* A point in a stream, reached when all enqueued before it is done. Opaque: a backend's own. */
typedef struct ps_event ps_event;

typedef struct ps_backend_info {
    const char *name; /* the row: "cpu", "cuda" */
    char device[128]; /* "AMD EPYC 9654 96-Core Processor, 2 threads" */
    char reason[192]; /* why this row and no other: "no CUDA driver"; "" when it was asked for */
    uint64_t memory;  /* bytes of device memory in all */
    int threads;      /* host threads that it computes with */
    bool host_addressable; /* ps_buffer.memory may be followed by the host */
} ps_backend_info;

/* Backends embed it as the first member of their own. */
struct ps_backend {
    const ps_backend_ops *ops;
    ps_backend_info info;
};

typedef struct ps_backend_options {
    int threads; /* host threads for computing; 0: one a core that the process may run on */
    int device;  /* which GPU of the node, from 0 */
} ps_backend_options;

/* C[m,n] = alpha · op(A)[m,k] · op(B)[k,n] + beta · C, op(X) = X or its transpose; `batch` of them,
 * `stride_*` elements apart. ld*: elements from one stored row to the next, so A is stored as
 * [m,k] with ld_a >= k, or, transposed, as [k,m] with ld_a >= m. beta 0 never reads C (it may
 * hold NaN). Shapes of the tensors are not looked at, only their address, type and buffer. */
typedef struct ps_gemm {
    bool transpose_a, transpose_b;
    int64_t m, n, k;
    float alpha, beta;
    ps_tensor a, b, c;
    int64_t ld_a, ld_b, ld_c;
    int64_t batch; /* 1: plain */
    int64_t stride_a, stride_b, stride_c;
} ps_gemm;

typedef enum ps_activation {
    PS_ACTIVATION_RELU, /* max(x, 0); gradient 0 at 0, as PyTorch */
    PS_ACTIVATION_GELU, /* x·Φ(x), the exact one by erf (PyTorch's default approximate='none') */
    PS_ACTIVATION_TANH,
    PS_ACTIVATION_COUNT
} ps_activation;

/* Arguments have been checked; n, rows, columns > 0 unless said otherwise. F32 unless said. */
struct ps_backend_ops {
    void (*close)(ps_backend *b);

    /* Memory, 256-byte aligned, contents undefined. PS_NO_MEMORY names the bytes asked for. */
    ps_status (*buffer_new)(ps_backend *b, size_t bytes, ps_buffer **out);
    void (*buffer_free)(ps_backend *b, ps_buffer *buffer);

    ps_status (*stream_new)(ps_backend *b, ps_stream **out);
    void (*stream_free)(ps_stream *s); /* waits for what is enqueued */
    ps_status (*stream_sync)(ps_stream *s);
    ps_status (*event_new)(ps_backend *b, ps_event **out);
    void (*event_free)(ps_backend *b, ps_event *e);
    void (*event_record)(ps_stream *s, ps_event *e);
    void (*event_wait)(ps_stream *s, ps_event *e);       /* what s does next comes after e */
    ps_status (*event_sync)(ps_backend *b, ps_event *e); /* blocks the host */

    /* Host memory must stay as it is until the stream is synchronised. to_host does so itself. */
    void (*copy_to_device)(ps_stream *s, ps_tensor dst, const void *src, size_t bytes);
    ps_status (*copy_to_host)(ps_stream *s, void *dst, ps_tensor src, size_t bytes);
    void (*copy)(ps_stream *s, ps_tensor dst, ps_tensor src, size_t bytes); /* no overlap */

    void (*gemm)(ps_stream *s, const ps_gemm *g);

    /* y[rows,columns] += bias[columns], for every row */
    void (*bias_add)(ps_stream *s, ps_tensor y, ps_tensor bias);
    /* dbias[columns] = sum over rows of dy[rows,columns] + beta · dbias */
    void (*bias_backward)(ps_stream *s, ps_tensor dbias, ps_tensor dy, float beta);

    /* y = f(x), dx = dy · f'(x), element by element. y may be x's own memory, dx may be dy's.
     * The gradient takes f's input x and output y, and each kind reads what it needs: relu and
     * tanh y only, gelu x only; so the first two may run in place. */
    void (*activation)(ps_stream *s, ps_activation kind, ps_tensor y, ps_tensor x);
    void (*activation_backward)(ps_stream *s, ps_activation kind, ps_tensor dx, ps_tensor dy,
                                ps_tensor x, ps_tensor y);

    /* Softmax cross-entropy and its gradient in one pass.
     * logits[rows,classes], labels I32 [rows], each in [0, classes): the caller has checked.
     * loss[1] = mean over rows of -log softmax(logits)[label];
     * correct I32 [1] = rows whose largest logit (the first of equals) is the label's;
     * dlogits[rows,classes] = (softmax - onehot) / rows; it may be logits' own memory, and its
     * buffer may be NULL: no gradient wanted. */
    void (*cross_entropy)(ps_stream *s, ps_tensor loss, ps_tensor correct, ps_tensor dlogits,
                          ps_tensor logits, ps_tensor labels);
    /* loss[1] = mean over all elements of (y - target)², dy = 2 (y - target) / elements. dy may be
     * y's own memory, and its buffer may be NULL. */
    void (*squared_error)(ps_stream *s, ps_tensor loss, ps_tensor dy, ps_tensor y,
                          ps_tensor target);

    /* y[rows,classes] = softmax of every row of x; y may be x's own memory */
    void (*softmax)(ps_stream *s, ps_tensor y, ps_tensor x);
    /* index I32 [rows] = where each row of x[rows,columns] is largest, the first of equals */
    void (*argmax)(ps_stream *s, ps_tensor index, ps_tensor x);

    void (*fill)(ps_stream *s, ps_tensor x, float value);
    void (*axpy)(ps_stream *s, ps_tensor y, float a, ps_tensor x); /* y += a·x */
    /* out[1] = sum of squares of x, added up in float64 */
    void (*squared_norm)(ps_stream *s, ps_tensor out, ps_tensor x);
    /* out I32 [1] = 1 when no element of x is NaN or infinite, else 0 */
    void (*all_finite)(ps_stream *s, ps_tensor out, ps_tensor x);
};

/* Opens "auto" (the best device there is), or the row named. On failure of a named row says why;
 * "auto" always ends at the CPU. The caller closes it after all that was made from it. */
PS_MUST_CHECK ps_status ps_backend_open(const char *name, const ps_backend_options *options,
                                        ps_backend **out);
void ps_backend_close(ps_backend **b);

/* "cpu (no CUDA driver)": the row and why, for the line that psworker logs at start. Returns out.
 */
const char *ps_backend_describe(const ps_backend *b, char *out, size_t size);

PS_MUST_CHECK ps_status ps_buffer_new(ps_backend *b, size_t bytes, ps_buffer **out);
void ps_buffer_free(ps_backend *b, ps_buffer **buffer); /* NULL is nothing */

PS_MUST_CHECK ps_status ps_stream_new(ps_backend *b, ps_stream **out);
void ps_stream_free(ps_stream **s);
/* Waits until all is done; the stream's first failure, if there was one. */
PS_MUST_CHECK ps_status ps_stream_sync(ps_stream *s);
/* Makes the stream fail, unless it has: from this thread's last error. For backends. */
void ps_stream_fail(ps_stream *s, ps_status code);

PS_MUST_CHECK ps_status ps_event_new(ps_backend *b, ps_event **out);
void ps_event_free(ps_backend *b, ps_event **e);
void ps_event_record(ps_stream *s, ps_event *e);
void ps_event_wait(ps_stream *s, ps_event *e);
PS_MUST_CHECK ps_status ps_event_sync(ps_backend *b, ps_event *e);

/* bytes <= what the tensor holds, from its start. */
void ps_copy_to_device(ps_stream *s, ps_tensor dst, const void *src, size_t bytes);
PS_MUST_CHECK ps_status ps_copy_to_host(ps_stream *s, void *dst, ps_tensor src, size_t bytes);
void ps_copy(ps_stream *s, ps_tensor dst, ps_tensor src);

/* The host's pointer to a tensor's elements, or NULL when the device does not share memory with
 * it: lets a push send a gradient, and a pull fill a parameter, without a copy. */
void *ps_tensor_host(const ps_backend *b, ps_tensor t);

#endif
