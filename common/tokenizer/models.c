/* The table of model types, and what several of them need. */
#include "common/base/mem.h"
#include "common/tokenizer/tokenizer_internal.h"

#include <stdio.h>

const ps_token_model *const ps_token_models[] = {&ps_model_bpe, &ps_model_unigram,
                                                 &ps_model_wordpiece, &ps_model_wordlevel, NULL};

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

static bool is_control(const ps_tokenizer *t, uint32_t id)
{
    const ps_added_token *added = ps_tokenizer_find_added(t, id);
    return added && added->special;
}

bool ps_tokenizer_find_in(const ps_tokenizer *t, const ps_scratch *s, ps_slice text, uint32_t *id)
{
    uint32_t found = 0;
    if (!ps_tokenizer_find(t, text, &found) || (!s->added && is_control(t, found)))
        return false;
    *id = found;
    return true;
}

ps_status ps_tokenizer_make_prefixes(ps_tokenizer *t)
{
    enum { MAX_TOKEN = 512 }; /* a walk from each byte of a text is no longer */
    uint32_t end = ps_vocab_end(t->vocab);
    ps_prefix *at = ps_try_alloc((size_t)end * sizeof *at + 1);
    size_t n = 0;
    if (!at)
        return ps_fail(PS_NO_MEMORY, "no memory for %u tokens", end);
    for (uint32_t id = 0; id < end; id++) {
        ps_slice text = ps_vocab_at(t->vocab, id);
        uint32_t same;
        if (text.len > MAX_TOKEN) {
            ps_free(&at);
            return ps_fail(PS_INVALID_ARGUMENT, "token %u has %zu bytes, allowed %d", id, text.len,
                           MAX_TOKEN);
        }
        if (text.len && ps_tokenizer_find(t, text, &same))
            at[n++] = (ps_prefix){.text = text, .value = id, .control = is_control(t, id)};
    }
    ps_prefixes_make(&t->tokens, at, n);
    return PS_OK;
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
