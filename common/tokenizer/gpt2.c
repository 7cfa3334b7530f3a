/* The row of GPT-2: its pattern cuts, the merges join. What would be the same by steps is done in
 * one pass here, and however long a text is, it is cut nowhere else. Cannot fail. */
#include "common/tokenizer/split.h"
#include "common/tokenizer/tokenizer_internal.h"

static ps_status encode(const ps_tokenizer *t, ps_scratch *scratch, const ps_block *block,
                        ps_ids *out)
{
    ps_bpe_encode(t->bpe, scratch->bpe, block->text, out);
    return PS_OK;
}

const ps_tokenizer_row ps_tokenizer_row_gpt2 = {.split = ps_gpt2_split, .encode = encode};
