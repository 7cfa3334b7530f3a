/* registry: which backends there are, best first. A new one is one file and one line in
 * registry.c. */
#ifndef PS_GPU_BACKENDS_REGISTRY_H
#define PS_GPU_BACKENDS_REGISTRY_H

#include "gpu/backend.h"

typedef struct ps_backend_row {
    const char *name;
    /* PS_UNAVAILABLE when this machine has no such device; the message, a few words without a
     * full stop ("no CUDA driver"), then becomes the reason of the row that "auto" takes. */
    ps_status (*open)(const ps_backend_options *options, ps_backend **out);
} ps_backend_row;

extern const ps_backend_row ps_backend_rows[]; /* ends with a row without a name */

/* As ps_backend_open, over rows given: for tests. */
PS_MUST_CHECK ps_status ps_backend_open_among(const ps_backend_row *rows, const char *name,
                                              const ps_backend_options *options, ps_backend **out);

#endif
