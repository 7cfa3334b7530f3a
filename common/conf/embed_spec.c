#include "common/conf/embed_spec.h"

#include "common/arch/arch.h"
#include "common/base/mem.h"
#include "common/conf/job_spec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *const pool_words[] = {"model", "mean", "cls", NULL};

/* A text of the longest context is shorter than that; together they are what a file may hold. */
const ps_conf_key ps_spec_embed_keys[] = {
    PS_CONF_TEXTS("texts", ps_spec_embed, texts, NULL, 1, PS_EMBED_TEXTS_MAX, 1, 1 << 17),
    PS_CONF_WORD("pool", ps_spec_embed, pool, "model", pool_words),
    PS_CONF_BOOL("normalise", ps_spec_embed, normalise, "true"),
    PS_CONF_END,
};

static ps_status wrong(size_t i, const char *what)
{
    return ps_fail(PS_INVALID_ARGUMENT, "embed.texts[%zu]: %s", i, what);
}

ps_status ps_spec_embed_tokens(const ps_spec_embed *embed, size_t i, const ps_spec_model *model,
                               int32_t *out, size_t *n)
{
    const char *at = embed->texts[i];
    for (*n = 0; *at; ++*n) {
        size_t digits = strspn(at, "0123456789");
        if (!digits || digits > 9 || (at[digits] && at[digits] != ' '))
            return wrong(i, "token numbers are required here, a space between two");
        if (*n == (size_t)model->context_length)
            return ps_fail(PS_INVALID_ARGUMENT,
                           "embed.texts[%zu]: more tokens than the model's context, %" PRId64, i,
                           model->context_length);
        long token = strtol(at, NULL, 10);
        if (token >= model->vocab_size)
            return ps_fail(PS_INVALID_ARGUMENT,
                           "embed.texts[%zu]: token %ld, the vocabulary has %" PRId64
                           "; is it this model's tokenizer?",
                           i, token, model->vocab_size);
        out[*n] = (int32_t)token;
        at += digits;
        if (*at == ' ' && !*++at)
            return wrong(i, "it ends with a space");
    }
    return PS_OK;
}

ps_status ps_spec_embed_match(const ps_spec_embed *embed, const ps_spec_model *model)
{
    if (!ps_spec_model_is_encoder(model))
        return ps_fail(PS_INVALID_ARGUMENT,
                       "architecture %s embeds no texts; models of texts do: bert",
                       model->architecture);
    int32_t *tokens = ps_alloc_array((size_t)model->context_length, sizeof *tokens);
    ps_status st = PS_OK;
    for (size_t i = 0, n = 0; !st && i < embed->n_texts; i++)
        st = ps_spec_embed_tokens(embed, i, model, tokens, &n);
    ps_free(&tokens);
    return st;
}
