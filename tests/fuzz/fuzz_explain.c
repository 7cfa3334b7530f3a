/* Any bytes as a manifest of an explanation: what is read is written and read again as the same. */
#include "common/explain/manifest.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ps_explanation first, again;
    ps_buf text = PS_BUF_EMPTY, twice = PS_BUF_EMPTY;
    if (ps_explanation_read(ps_slice_of(data, size), &first))
        return 0;
    ps_explanation_write(&first, &text);
    require(ps_explanation_read(ps_buf_slice(&text), &again) == PS_OK);
    ps_explanation_write(&again, &twice);
    require(text.len == twice.len && !memcmp(text.data, twice.data, text.len));
    ps_buf_free(&text);
    ps_buf_free(&twice);
    ps_explanation_free(&first);
    ps_explanation_free(&again);
    return 0;
}
