/* plan_copy: a plan as the message of a worker has it, which the scheduler may take over. */
#ifndef PS_TEST_PLAN_COPY_H
#define PS_TEST_PLAN_COPY_H

#include "common/base/mem.h"
#include "psd/v1/workers.pb-c.h"

#include <stdlib.h>

/* Freed with psd__v1__plan_result__free_unpacked. */
static inline Psd__V1__PlanResult *test_plan_copy(const Psd__V1__PlanResult *plan)
{
    size_t size = psd__v1__plan_result__get_packed_size(plan);
    uint8_t *bytes = ps_alloc(size);
    psd__v1__plan_result__pack(plan, bytes);
    Psd__V1__PlanResult *copy = psd__v1__plan_result__unpack(NULL, size, bytes);
    free(bytes);
    return copy;
}

#endif
