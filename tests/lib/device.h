/* device: a backend opened for a test, with tensors made in one call and freed all together. Each
 * has a few bytes behind it that no operation may change; ps_test_device_close checks them. */
#ifndef PS_TEST_DEVICE_H
#define PS_TEST_DEVICE_H

#include "common/base/rng.h"
#include "gpu/op.h"

#define PS_TEST_TENSORS_MAX 64

typedef struct ps_test_device {
    ps_backend *backend;
    ps_stream *stream;
    ps_rng rng;
    ps_tensor tensors[PS_TEST_TENSORS_MAX];
    size_t count;
} ps_test_device;

/* The backend under test: what PSD_TEST_BACKEND names, else "cpu". The programs of tests/unit/gpu
 * run unchanged on others. */
const char *ps_test_backend(void);

/* True for a case of more than PSD_TEST_MOST elements, where that is set: on a backend that is
 * slow, as a simulated one is, the small cases have to do. */
bool ps_test_leave_out(int64_t elements);

void ps_test_device_open(ps_test_device *d, const char *backend); /* two threads */
void ps_test_device_open_threads(ps_test_device *d, const char *backend, int threads);
void ps_test_device_close(ps_test_device *d);

/* rows 0: of rank 1. values NULL: normal random numbers. */
ps_tensor ps_test_f32(ps_test_device *d, int64_t rows, int64_t columns, const float *values);
/* The same of F32 or BF16; values are rounded to it. */
ps_tensor ps_test_real(ps_test_device *d, ps_dtype type, int64_t rows, int64_t columns,
                       const float *values);
/* The types that operations marked T take, and what a result of one may be off, relatively, when
 * one of float32 may be off by f32: BF16 keeps 8 bits, so half of the last is 2^-8. */
#define PS_TEST_TYPES 2
extern const ps_dtype ps_test_types[PS_TEST_TYPES];
double ps_test_tolerance(ps_dtype type, double f32);
ps_tensor ps_test_i32(ps_test_device *d, int64_t n, const int32_t *values); /* NULL: -1 each */
ps_tensor ps_test_u8(ps_test_device *d, int64_t rows, int64_t columns, const uint8_t *values);
/* The elements on the host; the caller frees. read64: of F32 or BF16. */
void *ps_test_read(ps_test_device *d, ps_tensor t);
double *ps_test_read64(ps_test_device *d, ps_tensor t);
/* The largest error of t against want (ps_ref64_error). */
double ps_test_error(ps_test_device *d, ps_tensor t, const double *want);

#endif
