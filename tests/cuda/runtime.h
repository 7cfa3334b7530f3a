/* runtime: how each of the toolkit's functions begins and ends. */
#ifndef PS_TEST_CUDA_RUNTIME_H
#define PS_TEST_CUDA_RUNTIME_H

#include "tests/cuda/device.h"

#include <mutex>

/* Every call holds it: the shim is one device for all threads of the program. */
extern std::recursive_mutex ps_runtime_mutex;
#define PS_RUNTIME_LOCK std::lock_guard<std::recursive_mutex> lock(ps_runtime_mutex)

/* What a call that may fail begins with: the sticky error, or `injected` when its turn has come. */
cudaError_t ps_runtime_begin(cudaError_t injected);
/* Becomes the thread's last error, unless it is none; returned. */
cudaError_t ps_runtime_end(cudaError_t code);
/* While a host function runs every call that may fail is refused. */
void ps_runtime_forbid(bool forbidden);
/* Objects made and released. */
void ps_runtime_count(int change);
/* Whether the next call that may fail has been asked to. */
bool ps_inject(void);

#endif
