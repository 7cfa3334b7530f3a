/* rig: what the shim's tests share. Each call that fails ends the test. */
#ifndef PS_TEST_CUDA_RIG_H
#define PS_TEST_CUDA_RIG_H

#include "tests/cuda/shim.h"

#include <cuda_runtime_api.h>

/* Device memory holding values; NULL: garbage. */
void *rig_device(const void *values, size_t bytes);
void rig_to_host(void *values, const void *memory, size_t bytes);
/* The finding that was kept has these words in it. */
void rig_found(const char *words);

#endif
