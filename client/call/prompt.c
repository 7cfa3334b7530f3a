#include "client/call/prompt.h"

ps_status ps_prompt_put(ps_encoder *encoder, const ps_tokenizer *tokenizer, ps_slice text,
                        bool special, ps_ids *out)
{
    ps_ids own = PS_IDS_EMPTY;
    ps_ids *ids = special ? &own : out;
    ps_status st = ps_encoder_feed(encoder, text, ids);
    if (!st)
        st = ps_encoder_finish(encoder, ids);
    if (!st && special)
        ps_tokenizer_join(tokenizer, &own, NULL, out, NULL);
    ps_ids_free(&own);
    return st;
}

ps_status ps_prompt_encode(const ps_speaker *s, ps_slice text, const ps_prompt_how *how,
                           ps_ids *out)
{
    uint32_t begin;
    ps_encoder *encoder = ps_encoder_new(s->tokenizer, !how->no_added);
    ps_status st = ps_prompt_put(encoder, s->tokenizer, text, !how->no_special, out);
    ps_encoder_free(&encoder);
    if (!st && !out->n && ps_speaker_mark(s, PS_TOKEN_BOS, 0, &begin))
        ps_ids_add(out, begin);
    return st || out->n ? st : ps_fail(PS_INVALID_ARGUMENT, "the prompt is empty");
}
