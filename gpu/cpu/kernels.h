/* kernels: which of OpenBLAS's kernels to compute with.
 *
 * OpenBLAS knows processors by their model numbers, and takes one that came after it for the oldest
 * there is: a seventh of the speed. So the choice is made here, by what the processor and the
 * system can do, and is put to the test: an old library may also compute wrong on a new processor.
 * Kernels that do are passed over for the next lower ones. */
#ifndef PS_CPU_KERNELS_H
#define PS_CPU_KERNELS_H

#include "common/base/status.h"
#include "gpu/cpu/gemm.h"

#include <stddef.h>

/* What may be used: the processor has it and the system saves its registers. */
typedef struct ps_cpu_features {
    bool avx;
    bool avx2;   /* with FMA */
    bool avx512; /* F, CD, BW, DQ, VL: what x86-64-v4 has */
    bool avx512_bf16;
    bool avx512_vnni;
    bool f16c; /* float16 to float32 */
} ps_cpu_features;

ps_cpu_features ps_cpu_features_read(void);

/* The library, as the choice sees it. */
typedef struct ps_kernels_port {
    /* Loads it with these kernels in place of what was loaded before; NULL: it chooses itself, or
     * does as its user has said. *loaded: what it then says that it has taken. */
    ps_status (*load)(void *user, const char *kernels, const char **loaded);
    void (*product)(const ps_cpu_product *p);
} ps_kernels_port;

/* Leaves the library loaded with the best kernels that compute right. `by_user`: somebody has
 * chosen already, which is tested but not changed. passed_over, of size bytes, becomes the names of
 * those that computed wrong, or "". PS_UNAVAILABLE: there is no library, or all of it is wrong. */
PS_MUST_CHECK ps_status ps_kernels_choose(const ps_cpu_features *features, bool by_user,
                                          const ps_kernels_port *port, void *user,
                                          char *passed_over, size_t size);

/* Some products, small and larger, plain and transposed: are they those of plain C? Takes a few
 * milliseconds. */
bool ps_kernels_right(void (*product)(const ps_cpu_product *p));

#endif
