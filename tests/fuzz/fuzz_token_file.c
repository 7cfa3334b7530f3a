/* The header of a token file out of any bytes: what is accepted fits the file's size. */
#include "common/format/token_file.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ps_token_file_info info;
    if (ps_token_file_parse(ps_slice_of(data, size), size, &info) != PS_OK)
        return 0;
    uint64_t width = info.vocab_size <= 65536 && !info.marks ? 2 : 4;
    uint32_t texts = PS_TOKEN_SECOND | PS_TOKEN_CLASS,
             all = PS_TOKEN_BEGINS | PS_TOKEN_GIVEN | texts;
    uint32_t most = info.marks & texts ? PS_TOKEN_CLASS : info.marks ? PS_TOKEN_BEGINS : INT32_MAX;
    if (info.vocab_size < 1 || info.vocab_size > most || (info.marks & ~all) ||
        strlen(info.tokenizer) > 23 || info.count > size ||
        PS_TOKEN_FILE_HEADER + info.count * width != size)
        abort();
    return 0;
}
