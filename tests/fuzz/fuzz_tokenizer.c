/* A tokenizer.json out of any bytes: refused, or a tokenizer of whichever rows that gives a text
 * the same ids whole and in pieces, joins and decodes them; GPT-2's own file reads back as the
 * same. */
#include "common/tokenizer/tokenizer.h"
#include "tests/fuzz/tokenizer_check.h"

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
    ps_slice bytes = ps_slice_of(data, size);
    ps_tokenizer *t = NULL, *again = NULL;
    if (ps_tokenizer_from_json(bytes, &t) != PS_OK)
        return 0;
    ps_fuzz_check_encoding(t, ps_slice_of(data, size < 256 ? size : 256), false);
    ps_fuzz_check_encoding(t, ps_slice_of(data, size < 256 ? size : 256), true);
    ps_fuzz_check_text(t, ps_slice_of(data, size < 256 ? size : 256));
    ps_buf json = PS_BUF_EMPTY;
    if (!strcmp(ps_tokenizer_name(t), "gpt2")) {
        ps_tokenizer_to_json(t, &json);
        require(ps_tokenizer_from_json(ps_buf_slice(&json), &again) == PS_OK);
        require(ps_tokenizer_hash(again) == ps_tokenizer_hash(t));
        ps_tokenizer_free(&again);
    }
    ps_tokenizer_free(&t);
    ps_buf_free(&json);
    return 0;
}
