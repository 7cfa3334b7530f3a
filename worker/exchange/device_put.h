/* device_put: pulled parameters, from host memory where pulls land to a device that computes.
 *
 *     create ─▶ { wait ─ (a pull writes landing) ─ send(i, ranges) … } ─▶ free
 *
 * Copies go by a stream of their own: they run beside what is computed, and only what is enqueued
 * on `compute` after send(i) waits for them. What is enqueued on `compute` before the first send
 * after a wait is done before a parameter changes.
 *
 * Failing: a copy that fails makes `compute` fail (gpu/backend.h). One thread.
 */
#ifndef PS_EXCHANGE_DEVICE_PUT_H
#define PS_EXCHANGE_DEVICE_PUT_H

#include "gpu/backend.h"
#include "worker/exchange/ranges.h"

#include <stddef.h>

typedef struct ps_device_put ps_device_put;

typedef struct ps_device_put_options {
    ps_backend *backend;         /* this and what follows must outlive it */
    ps_stream *compute;          /* of the model */
    const ps_tensor *parameters; /* [count], F32; copied */
    size_t count;
} ps_device_put_options;

/* PS_NO_MEMORY: for as many bytes of pinned memory as the parameters have. */
PS_MUST_CHECK ps_status ps_device_put_create(const ps_device_put_options *options,
                                             ps_device_put **out);
void ps_device_put_free(ps_device_put **put); /* waits for what is under way; NULL is nothing */

/* Where parameter i lands: as many elements as it has, zeros at first; valid as long as put. */
float *ps_device_put_landing(const ps_device_put *put, size_t i);
/* These elements, which must stay as they are until wait returns. */
void ps_device_put_send(ps_device_put *put, size_t i, const ps_ranges *ranges);
/* Until landing may be written again; what was computed with the parameters may still be under way.
 * Fails as the copies did. */
PS_MUST_CHECK ps_status ps_device_put_wait(ps_device_put *put);
bool ps_device_put_failed(const ps_device_put *put); /* is it of no use any more? */

#endif
