/* lazy_backend: a device with memory of its own, as code that copies to and from one sees it: the
 * CPU backend, whose memory the host may not follow, behind streams that are a thread each and do
 * nothing until somebody waits for it. What is to arrive on the host is NaN until then. So a wait
 * that was forgotten is wrong numbers, and under ThreadSanitizer a race.
 *
 * It has what an mlp computes with, with weights in forms too, and copies.
 */
#ifndef PS_TEST_LAZY_BACKEND_H
#define PS_TEST_LAZY_BACKEND_H

#include "gpu/backend.h"

void ps_test_lazy_open(ps_backend **out);

/* The n-th (from 1) thing that a stream does from now on is not done, and the device is lost: all
 * that comes after it fails with PS_INTERNAL "the device was lost". 0: never. */
void ps_test_lazy_lose_after(ps_backend *b, unsigned n);
/* The same, but the device is full, PS_NO_MEMORY, until another stream is made. */
void ps_test_lazy_fill_after(ps_backend *b, unsigned n);
/* Things done so far, waits for events included. */
unsigned ps_test_lazy_done(ps_backend *b);

#endif
