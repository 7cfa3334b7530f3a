/* A tokenizer.model of SentencePiece out of any bytes, or, where they begin as an object of JSON
 * does, the files beside a small one: refused, or a tokenizer that is as the tokenizer.json says
 * which it becomes. */
#include "common/tokenizer/sentencepiece.h"
#include "tests/fuzz/tokenizer_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* <unk>, <s>, which is control, and a; of type bpe. */
static const char small[] =
    "\x0a\x09\x0a\x05<unk>\x18\x02\x0a\x07\x0a\x03<s>\x18\x03\x0a\x03\x0a\x01"
    "a\x12\x02\x18\x02";

static ps_status make_beside(ps_slice bytes, ps_tokenizer **out)
{
    ps_beside beside;
    ps_status st = ps_fuzz_read_beside(PS_BESIDE_PIECES, bytes, &beside);
    if (!st)
        st = ps_tokenizer_from_sentencepiece(ps_slice_of(small, sizeof small - 1), &beside, out);
    ps_beside_clear(&beside);
    return st;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ps_tokenizer *t = NULL;
    ps_slice bytes = ps_slice_of(data, size);
    ps_status st = size && *data == '{' ? make_beside(bytes, &t)
                                        : ps_tokenizer_from_sentencepiece(bytes, NULL, &t);
    if (st != PS_OK)
        return 0;
    ps_fuzz_check_listed(t, ps_slice_of(data, size < 256 ? size : 256));
    ps_tokenizer_free(&t);
    return 0;
}
