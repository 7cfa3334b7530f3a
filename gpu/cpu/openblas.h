/* openblas: the library that multiplies matrices, loaded when the first backend is opened, since
 * it reads which kernels to take while it is loaded. OPENBLAS_CORETYPE, where it is set, decides.
 *
 * It is held to one thread a call, for the whole process: its own would fight with ours. */
#ifndef PS_CPU_OPENBLAS_H
#define PS_CPU_OPENBLAS_H

#include "common/base/status.h"

#include <stdbool.h>

/* Has somebody said which kernels he wants (OPENBLAS_CORETYPE)? */
bool ps_openblas_is_chosen(void);

/* Before the first ps_cpu_product_run; again is nothing. It changes the environment while it loads:
 * the first call comes before other threads read it. PS_UNAVAILABLE says why not. */
PS_MUST_CHECK ps_status ps_openblas_open(void);

/* "OpenBLAS Haswell", after ps_openblas_open. */
const char *ps_openblas_name(void);

#endif
