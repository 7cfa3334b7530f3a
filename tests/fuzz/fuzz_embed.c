/* A text of an embed job out of any bytes: refused with a reason, or tokens of the model, no more
 * than its context, which are the text again when they are written. */
#include "common/arch/arch.h"
#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/conf/job_spec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CONTEXT = 8, VOCAB = 1000 };
#define MODEL                                                                                   \
    "{architecture: bert, vocab_size: 1000, context_length: 8, hidden_size: 8, num_layers: 1, " \
    "num_heads: 2}"

static void check(const char *text, const int32_t *tokens, size_t n)
{
    uint64_t at = 0;
    if (n > CONTEXT)
        abort();
    for (size_t i = 0; i < n; i++) {
        char *end = NULL;
        if (tokens[i] < 0 || tokens[i] >= VOCAB || strtol(text + at, &end, 10) != tokens[i])
            abort();
        at = (uint64_t)(end - text);
    }
    if (text[at])
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ps_spec_model *model = NULL;
    if (ps_spec_model_parse(ps_slice_str(MODEL), "model", &model) != PS_OK)
        abort();
    ps_buf text = PS_BUF_EMPTY;
    ps_buf_append(&text, data, size);
    char *one = ps_strdup(ps_buf_cstr(&text));
    ps_spec_embed embed = {.texts = &one, .n_texts = 1};
    int32_t tokens[CONTEXT];
    size_t n = 0;
    if (ps_spec_embed_tokens(&embed, 0, model, tokens, &n) == PS_OK)
        check(one, tokens, n);
    ps_free(&one);
    ps_buf_free(&text);
    ps_spec_model_free(&model);
    return 0;
}
