/* barrier: what threads of a block wait for. The calls that kernels make are in device_warp.h. */
#ifndef PS_TEST_CUDA_BARRIER_H
#define PS_TEST_CUDA_BARRIER_H

/* The running thread has ended: a barrier that waited only for it is passed. */
void ps_barrier_ended(void);
/* No thread can go on and not all have ended: a finding that says who waits where. */
void ps_barrier_stuck(void);

#endif
