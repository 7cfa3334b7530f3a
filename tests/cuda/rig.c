#include "tests/cuda/rig.h"

#include <check.h>
#include <string.h>

void *rig_device(const void *values, size_t bytes)
{
    void *memory = NULL;
    ck_assert_int_eq(cudaMalloc(&memory, bytes), cudaSuccess);
    if (values)
        ck_assert_int_eq(cudaMemcpy(memory, values, bytes, cudaMemcpyHostToDevice), cudaSuccess);
    return memory;
}

void rig_to_host(void *values, const void *memory, size_t bytes)
{
    ck_assert_int_eq(cudaMemcpy(values, memory, bytes, cudaMemcpyDeviceToHost), cudaSuccess);
}

void rig_found(const char *words)
{
    ck_assert_msg(strstr(ps_shim_finding(), words) != NULL, "not \"%s\" but \"%s\"", words,
                  ps_shim_finding());
}
