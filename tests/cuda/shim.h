/* shim: what a test may ask of the CUDA that runs on the host. For C and C++.
 *
 * A finding is a bug of the code under test that hardware would answer with wrong results or a dead
 * context: an access out of bounds, a race, a barrier that not all threads reach. It is printed as
 * "cuda shim: ..." and ends the program, unless it is kept.
 *
 * Thread: settings are made while nothing is enqueued. The environment's PS_SHIM_ORDER (forward,
 * backward, random) and PS_SHIM_SEED set the order at the start, PS_SHIM_LOSE_AT (k = 1, 2, ...)
 * loses the device in its k-th kernel: every later call answers the sticky error.
 */
#ifndef PS_TEST_CUDA_SHIM_H
#define PS_TEST_CUDA_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* In which order threads of a block, blocks of a grid and waiting streams take their turns. */
typedef enum ps_shim_order { PS_SHIM_FORWARD, PS_SHIM_BACKWARD, PS_SHIM_RANDOM } ps_shim_order;

void ps_shim_set_order(ps_shim_order order, uint64_t seed);

/* Bytes of device memory that there are; 0: 8 GiB, the default. */
void ps_shim_set_memory(size_t bytes);
/* Devices that there are, by default PS_SHIM_DEVICES in the environment or 1; all share one
 * memory. */
void ps_shim_set_devices(int devices);

/* Keeps findings instead of ending: the first one's text stays readable, the kernel it was found in
 * ends, and where hardware would lose its context every later call answers the sticky error. */
void ps_shim_keep_findings(void);
/* The first finding kept, "" while there is none. */
const char *ps_shim_finding(void);
/* Forgets findings, the sticky error and what is enqueued; findings end the program again. */
void ps_shim_reset(void);

/* Makes the k-th call from now that may fail (k = 1, 2, ...) fail as it might: no memory for what
 * makes something, a launch failure for the rest. 0: none. What releases never fails. */
void ps_shim_fail_call(unsigned k);
/* Whether that call has come. */
bool ps_shim_call_failed(void);

/* From now on kernels are launched and do nothing: for what is about calls alone. */
void ps_shim_idle(bool idle);

/* What has been made and not released: memory, pinned memory, streams, events, cuBLAS handles. */
int ps_shim_live(void);

/* True when the program's kernels carry the race and memory checker. */
bool ps_shim_checked(void);

#ifdef __cplusplus
}
#endif

#endif
