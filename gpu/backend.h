/* backend: the seam between what is computed (layers, models) and where (CPU, CUDA).
 *
 * A backend is one row of gpu/backends/registry.c and one table of functions (gpu/ops.h). An
 * operation is enqueued on a stream and returns at once; nothing it reads or writes may be touched
 * by the host before the stream (or an event recorded after it) is synchronised. On the CPU
 * everything is done when the call returns, and streams and events only keep errors.
 *
 * Failing: an operation cannot fail at its call. The first failure (a launch refused, a device
 * lost) stays with the stream, everything enqueued on it afterwards is skipped, and the next
 * ps_stream_sync or ps_copy_to_host on it returns it; an event recorded on it carries it to who
 * waits for the event, host or stream: so no result reaches the host unchecked.
 * Shapes and types are checked by the ps_op_* calls of gpu/op.h; a wrong one is our own bug and an
 * assertion. Callers use those, not the table.
 *
 * Threads: a backend may be used from any thread, a stream from one at a time.
 *
 * What can be computed, and how a new operation is added, is in gpu/ops.h.
 */
#ifndef PS_GPU_BACKEND_H
#define PS_GPU_BACKEND_H

#include "common/base/landlock.h"
#include "common/base/status.h"
#include "gpu/tensor.h"

#define PS_BACKEND_API 18

typedef struct ps_backend ps_backend;
typedef struct ps_backend_ops ps_backend_ops;

/* A queue of operations, done in order. Backends embed it as the first member of their own. */
typedef struct ps_stream {
    ps_backend *backend;
    ps_error error; /* the first failure; code PS_OK while there is none */
} ps_stream;

/* A point in a stream, reached when all enqueued before it is done. Backends embed it as the first
 * member of their own. */
typedef struct ps_event {
    ps_error error; /* the stream's, if it had failed when the event was recorded */
} ps_event;

typedef struct ps_backend_info {
    const char *name; /* the row: "cpu", "cuda" */
    char label[16];   /* which of its devices: "cpu", "cuda:1" */
    char device[128]; /* what that is: "AMD EPYC 9654 96-Core Processor, 2 threads" */
    char reason[192]; /* why this row and no other: "no CUDA driver"; "" when it was asked for */
    uint64_t memory;  /* bytes of device memory in all */
    int threads;      /* host threads that it computes with */
    bool tf32;        /* products of F32 round, as they were allowed to */
    bool host_addressable; /* ps_buffer.memory may be followed by the host */
} ps_backend_info;

/* Backends embed it as the first member of their own. */
struct ps_backend {
    const ps_backend_ops *ops;
    ps_backend_info info;
};

typedef struct ps_backend_options {
    int threads; /* host threads for computing; 0: one a core that the process may run on */
    int device;  /* which GPU of those that the CUDA driver shows, from 0 */
    bool tf32;   /* products of F32 may round their inputs to 10 bits of fraction (TF32), where the
                    device has it: several times faster */
} ps_backend_options;

/* Opens "auto" (the best device there is), or the row named. On failure of a named row says why;
 * "auto" always ends at the CPU. The caller closes it after all that was made from it. */
PS_MUST_CHECK ps_status ps_backend_open(const char *name, const ps_backend_options *options,
                                        ps_backend **out);
void ps_backend_close(ps_backend **b);
/* What opening it takes. */
void ps_backend_allow(const char *name, ps_landlock *landlock);

/* "cpu (no CUDA driver)", "cuda:0": the device and why, for the line that psworker logs at start.
 * Returns out. */
const char *ps_backend_describe(const ps_backend *b, char *out, size_t size);

/* Does the device still work? After a failure that may have been its end: a device that is lost
 * stays so for this process. PS_NO_MEMORY: it is full, not lost. */
PS_MUST_CHECK ps_status ps_backend_check(ps_backend *b);

PS_MUST_CHECK ps_status ps_buffer_new(ps_backend *b, size_t bytes, ps_buffer **out);
/* The same for what is made for the largest case, of which a part may never be used: where memory
 * is the host's, it is taken a small page at a time, as each is first touched. */
PS_MUST_CHECK ps_status ps_buffer_new_sparse(ps_backend *b, size_t bytes, ps_buffer **out);
void ps_buffer_free(ps_backend *b, ps_buffer **buffer); /* NULL is nothing */

/* Host memory from which and into which a device copies while the host goes on. PS_NO_MEMORY. */
PS_MUST_CHECK ps_status ps_host_new(ps_backend *b, size_t bytes, void **out);
void ps_host_free(ps_backend *b, void **memory); /* NULL is nothing */

PS_MUST_CHECK ps_status ps_stream_new(ps_backend *b, ps_stream **out);
/* One on which only copies are enqueued, and events: it takes none of the memory that others
 * compute with. */
PS_MUST_CHECK ps_status ps_stream_new_copies(ps_backend *b, ps_stream **out);
void ps_stream_free(ps_stream **s); /* waits; NULL is nothing */
/* Waits until all is done; the stream's first failure, if there was one. */
PS_MUST_CHECK ps_status ps_stream_sync(ps_stream *s);
/* Has it failed, so far as is known without waiting? It stays so. */
static inline bool ps_stream_failed(const ps_stream *s)
{
    return s->error.code != PS_OK;
}
/* Waits until nothing is under way, for who cleans up: what failed stays with the stream, and this
 * thread's last error is what it was. */
void ps_stream_settle(ps_stream *s);
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
/* Returns at once; dst, from ps_host_new, is filled when the stream, or an event recorded after
 * this, has been synchronised. */
void ps_copy_to_host_async(ps_stream *s, void *dst, ps_tensor src, size_t bytes);
void ps_copy(ps_stream *s, ps_tensor dst, ps_tensor src);

/* The host's pointer to a tensor's elements, or NULL when the device does not share memory with
 * it: lets a push send a gradient, and a pull fill a parameter, without a copy. */
void *ps_tensor_host(const ps_backend *b, ps_tensor t);

#endif
