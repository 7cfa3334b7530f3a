/* The row `bytes`: each byte is the id of its value. Cannot fail. */
#include "common/base/mem.h"
#include "common/tokenizer/hash.h"
#include "common/tokenizer/tokenizer_internal.h"

static size_t split(ps_slice text, bool whole)
{
    return text.len;
}

static ps_status encode(const ps_tokenizer *t, ps_scratch *scratch, const ps_block *block,
                        ps_ids *out)
{
    for (size_t i = 0; i < block->text.len; i++)
        ps_ids_add(out, block->text.data[i]);
    return PS_OK;
}

const ps_tokenizer_row ps_tokenizer_row_bytes = {.split = split, .encode = encode};

ps_tokenizer *ps_tokenizer_bytes(void)
{
    ps_tokenizer *t = ps_new(ps_tokenizer);
    t->row = &ps_tokenizer_row_bytes;
    t->name = "bytes";
    t->vocab_size = 256;
    t->hash = ps_hash(PS_HASH_START, t->name, strlen(t->name));
    return t;
}
