/* run: what operations of the CPU stand on: its threads, memory to work in, and tensors of F32 or
 * BF16 seen as float32. Everything is computed in float32; BF16 is only how numbers are kept. */
#ifndef PS_CPU_RUN_H
#define PS_CPU_RUN_H

#include "gpu/cpu/attention_rows.h"
#include "gpu/cpu/conv_kernels.h"
#include "gpu/cpu/form_kernels.h"
#include "gpu/cpu/panels.h"
#include "gpu/cpu/pool_kernels.h"
#include "gpu/cpu/threads.h"
#include "gpu/ops.h"

typedef struct ps_cpu_backend {
    ps_backend base;
    ps_threads *threads;
    /* for products; NULL: OpenBLAS */
    const ps_panel_kernels *panels_f32, *panels_bf16;
    /* for images; NULL: convolutions are products, and pools plain loops */
    const ps_conv_kernels *convolutions;
    const ps_pool_kernels *pools;
    /* for matrices in a form; NULL: they stay as they are in files, and are decoded */
    const ps_form_kernels *forms;
    const ps_cpu_row_kernels *rows; /* for attention of few queries */
} ps_cpu_backend;

typedef struct ps_cpu_stream {
    ps_stream base;
    float *scratch; /* from the start enough for ps_cpu_map_run; grown to the most that an
                       operation has asked for; never shrinks */
    size_t floats;
} ps_cpu_stream;

/* Each thread's part of a loop over [0, n); see threads.h. Operations on one stream come one after
 * the other, so a stream's scratch is the running operation's. */
int ps_cpu_threads(const ps_stream *s);
/* NULL: OpenBLAS multiplies tensors of this type. */
const ps_panel_kernels *ps_cpu_panels(const ps_stream *s, ps_dtype dtype);
const ps_conv_kernels *ps_cpu_conv_kernels(const ps_stream *s);
const ps_pool_kernels *ps_cpu_pool_kernels(const ps_stream *s);
const ps_form_kernels *ps_cpu_forms(const ps_stream *s);
const ps_cpu_row_kernels *ps_cpu_row_kernels_of(const ps_stream *s);
void ps_cpu_for(ps_stream *s, int64_t n, int64_t grain, ps_threads_cb body_cb, void *context);

/* How many turns make a piece, so that it takes long enough to be worth a thread: `cost` is about
 * what one turn costs, in elements touched. The same for any number of threads. */
int64_t ps_cpu_grain(int64_t cost);

/* For loops over columns whose results do not depend on where the cuts are: one piece a thread, of
 * whole cache lines. */
int64_t ps_cpu_column_grain(const ps_stream *s, int64_t columns);

/* Memory to work in until the operation ends, 64-byte aligned, undefined; NULL: the stream has
 * failed with PS_NO_MEMORY. The first call of a step's largest size allocates, later ones do not.
 * One call an operation: a second one may move it. */
float *ps_cpu_scratch(ps_stream *s, size_t floats);

/* A number of floats that keeps neighbours off each other's cache lines. */
size_t ps_cpu_padded(int64_t floats);

/* Elements [at, at + n) as float32: where they are, or for BF16 converted into scratch. */
const float *ps_cpu_load(ps_tensor t, int64_t at, int64_t n, float *scratch);
/* Where results for the elements from `at` on are to be written: there, or for BF16 in scratch,
 * from where ps_cpu_store then rounds them to their place. */
float *ps_cpu_place(ps_tensor t, int64_t at, float *scratch);
void ps_cpu_store(ps_tensor t, int64_t at, int64_t n, const float *from);

/* Nearest, ties to even; NaN stays one. No overlap. */
void ps_cpu_to_bf16(uint16_t *y, const float *x, int64_t n);
void ps_cpu_from_bf16(float *y, const uint16_t *x, int64_t n);

/* y += a·x; y may be x */
void ps_cpu_add_scaled(float *y, float a, const float *x, int64_t n);

/* ps_dropout of n elements, the first of which is number `number`; y may be x. */
void ps_cpu_drop(float *y, const float *x, int64_t n, float rate, uint64_t seed, uint64_t number);

/* y = cap·tanh(x/cap); y may be x */
void ps_cpu_cap(float *y, const float *x, float cap, int64_t n);

/* out[…] = f(in[…]), element by element. body gets n elements from number `at` on, a multiple of
 * 1024; out and in may be the same memory. Results are stored in the order of out. */
#define PS_CPU_MAP_OUT 3
#define PS_CPU_MAP_IN  3
typedef void (*ps_cpu_map_cb)(float *const *out, const float *const *in, int64_t n, int64_t at,
                              const void *context);
typedef struct ps_cpu_map {
    ps_tensor out[PS_CPU_MAP_OUT], in[PS_CPU_MAP_IN]; /* those without a buffer are not there */
    ps_cpu_map_cb body_cb;
    const void *context;
} ps_cpu_map;
enum {
    PS_CPU_MAP_BLOCK = 1024, /* elements converted at a time: they stay in the first cache */
    PS_CPU_MAP_FLOATS = (PS_CPU_MAP_OUT + PS_CPU_MAP_IN) * PS_CPU_MAP_BLOCK /* a thread */
};
void ps_cpu_map_run(ps_stream *s, const ps_cpu_map *m);

#endif
