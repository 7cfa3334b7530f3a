/* A tokenizer.model of SentencePiece out of any bytes: refused, or a tokenizer that is as the
 * tokenizer.json says which it becomes. */
#include "common/tokenizer/sentencepiece.h"
#include "tests/fuzz/tokenizer_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ps_tokenizer *t = NULL;
    if (ps_tokenizer_from_sentencepiece(ps_slice_of(data, size), &t) != PS_OK)
        return 0;
    ps_fuzz_check_listed(t, ps_slice_of(data, size < 256 ? size : 256));
    ps_tokenizer_free(&t);
    return 0;
}
