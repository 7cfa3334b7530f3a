/* sidecar: the text of FILE.key, as keyring.h says; what is in it is still wrapped. Private to this
 * folder. Any thread. */
#ifndef PS_SEAL_SIDECAR_H
#define PS_SEAL_SIDECAR_H

#include "common/base/buf.h"
#include "common/base/slice.h"
#include "common/base/status.h"

typedef struct ps_sidecar_text {
    ps_buf wrapped;
    uint32_t id; /* as keysetInfo says; 0: there is none */
} ps_sidecar_text;

void ps_sidecar_write(ps_buf *out, ps_slice wrapped, uint32_t id);
/* PS_CORRUPT: what is wrong, at which byte where it is JSON's grammar. Free *out in any case. */
PS_MUST_CHECK ps_status ps_sidecar_read(ps_slice text, ps_sidecar_text *out);
void ps_sidecar_free(ps_sidecar_text *text);

#endif
