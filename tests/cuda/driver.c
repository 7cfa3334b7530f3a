/* A CUDA driver as far as the probe of gpu/backends/plugin asks: libcuda.so.1 in a folder of its
 * own, which a test puts first in LD_LIBRARY_PATH. PS_SHIM_CUINIT is what cuInit answers, 0 by
 * default. */
#include <stdlib.h>

int cuInit(unsigned flags);
int cuDriverGetVersion(int *version);

__attribute__((visibility("default"))) int cuInit(unsigned flags)
{
    const char *answer = getenv("PS_SHIM_CUINIT");
    return flags != 0 ? 1 : answer ? atoi(answer) : 0;
}

__attribute__((visibility("default"))) int cuDriverGetVersion(int *version)
{
    *version = 13000;
    return 0;
}
