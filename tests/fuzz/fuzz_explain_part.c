/* Any bytes as what a task of a job of kind explain has left: what is read is merged and written.
 */
#include "worker/explain/part_file.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ps_status drop(void *state, const void *data, size_t len)
{
    *(uint64_t *)state += len;
    return data || !len ? PS_OK : PS_INTERNAL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ps_explain_parts all, part;
    uint64_t bytes = 0;
    const ps_safetensors_sink sink = {.write = drop, .state = &bytes};
    ps_explain_parts_init(&all, 2);
    for (int i = 0; i < 2; i++)
        if (!ps_explain_parts_read(ps_slice_of(data, size), 2, 1024, &part) &&
            ps_explain_parts_merge(&all, &part))
            break;
    if (ps_explain_parts_write(&all, sink) || !bytes)
        abort();
    ps_explain_parts_free(&all);
    return 0;
}
