/* A vocab.txt of BERT, and what stands beside it, out of any bytes: up to a zero byte each of the
 * files beside, then the lines; without one, lines alone. Refused, or a tokenizer that is as the
 * tokenizer.json says which it becomes. */
#include "common/tokenizer/words.h"
#include "tests/fuzz/tokenizer_check.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ps_status make(ps_slice beside, ps_slice lines, ps_tokenizer **out)
{
    ps_beside read;
    ps_status st = ps_fuzz_read_beside(PS_BESIDE_WORDS, beside, &read);
    if (!st)
        st = ps_tokenizer_from_words(lines, &read, out);
    ps_beside_clear(&read);
    return st;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ps_tokenizer *t = NULL;
    const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
    size_t n = zero ? (size_t)(zero - data) : 0;
    ps_slice lines = ps_slice_of(zero ? zero + 1 : data, zero ? size - n - 1 : size);
    ps_status st =
        zero ? make(ps_slice_of(data, n), lines, &t) : ps_tokenizer_from_words(lines, NULL, &t);
    if (st != PS_OK)
        return 0;
    ps_fuzz_check_listed(t, ps_slice_of(data, size < 256 ? size : 256));
    ps_tokenizer_free(&t);
    return 0;
}
