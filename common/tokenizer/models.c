/* The table of model types, and what several of them need. */
#include "common/base/mem.h"
#include "common/tokenizer/tokenizer_internal.h"

#include <stdio.h>

const ps_token_model *const ps_token_models[] = {&ps_model_bpe, &ps_model_unigram,
                                                 &ps_model_wordpiece, NULL};

bool ps_tokenizer_find(const ps_tokenizer *t, ps_slice text, uint32_t *id)
{
    uint32_t found = 0;
    if (!ps_vocab_find(t->vocab, text, &found))
        return false;
    const ps_added_token *added = ps_tokenizer_find_added(t, found);
    if (added && added->outside)
        return false;
    *id = found;
    return true;
}

bool ps_tokenizer_put_bytes(const ps_tokenizer *t, ps_slice text, ps_ids *out)
{
    size_t before = out->n;
    for (size_t i = 0; i < text.len; i++) {
        char name[8];
        uint32_t id = 0;
        (void)snprintf(name, sizeof name, "<0x%02X>", text.data[i]);
        if (!ps_tokenizer_find(t, ps_slice_str(name), &id)) {
            out->n = before;
            return false;
        }
        ps_ids_add(out, id);
    }
    return true;
}
