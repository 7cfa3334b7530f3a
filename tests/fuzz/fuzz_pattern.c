/* A pattern and, behind a line feed, a text: refused as an invalid argument, or matched within
 * limits, and then the spans are the text from its beginning to its end. */
#include "common/tokenizer/regex.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
    size_t n = end ? (size_t)(end - data) : size;
    ps_slice text = ps_slice_of(data + n, size - n);
    ps_regex *regex = NULL;
    ps_status st = ps_regex_new(ps_slice_of(data, n), &regex);
    if (st) {
        require(st == PS_INVALID_ARGUMENT && !regex);
        return 0;
    }
    ps_spans spans = {.seconds = 0.05};
    st = ps_regex_spans(regex, text, &spans);
    require(!st || st == PS_RESOURCE_EXHAUSTED);
    size_t at = 0;
    for (size_t i = 0; !st && i < spans.n; i++) {
        require(spans.at[i].from == at && spans.at[i].to >= at);
        at = spans.at[i].to;
    }
    require(st || at == text.len);
    ps_spans_free(&spans);
    ps_regex_free(&regex);
    return 0;
}
