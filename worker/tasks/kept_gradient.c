/* A checksum tells parameters apart. Fails only without memory. */
#include "worker/tasks/kept_gradient.h"

#include "common/base/crc32c.h"
#include "common/base/mem.h"

#include <string.h>

struct ps_kept_gradient {
    uint64_t elements;
    uint32_t parameters; /* their checksum */
    double loss;
    float gradient[];
};

ps_kept_gradient *ps_kept_gradient_make(const float *parameters, const float *gradient,
                                        uint64_t elements, double loss)
{
    size_t bytes = (size_t)elements * sizeof *gradient;
    ps_kept_gradient *k = ps_try_alloc_raw(sizeof *k + bytes);
    if (!k)
        return NULL;
    k->elements = elements;
    k->parameters = ps_crc32c(0, parameters, bytes);
    k->loss = loss;
    memcpy(k->gradient, gradient, bytes);
    return k;
}

const float *ps_kept_gradient_at(const ps_kept_gradient *k, const float *parameters,
                                 uint64_t elements, double *loss)
{
    if (!k || k->elements != elements ||
        k->parameters != ps_crc32c(0, parameters, (size_t)elements * sizeof *parameters))
        return NULL;
    *loss = k->loss;
    return k->gradient;
}
