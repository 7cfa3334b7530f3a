/* What a GGUF file says, in one part or in several: some of its keys, and its list of tensors. It
 * stops at what cannot be read. */
#include "common/model/gguf_model.h"
#include "common/model/gguf_parts.h"
#include "common/model/model_in.h"

#include <stdio.h>

static ps_slice text_at(const ps_gguf *file, const char *name)
{
    const ps_gguf_key *key = ps_gguf_find_key(file, name);
    ps_slice text = {0};
    return key && key->type == PS_GGUF_STRING && !ps_gguf_get_text(key, &text) ? text
                                                                               : (ps_slice){0};
}

/* Of an architecture: "llama" and ".context_length". 0: it is not there. */
static uint64_t number_at(const ps_gguf *file, ps_slice architecture, const char *name)
{
    char whole[128];
    uint64_t n = 0;
    (void)snprintf(whole, sizeof whole, "%.*s%s", PS_GGUF_NAME(architecture), name);
    const ps_gguf_key *key = ps_gguf_find_key(file, whole);
    return key && !ps_gguf_get_uint(key, &n) ? n : 0;
}

static void look_at_keys(const ps_gguf *file, ps_model_look *look)
{
    ps_slice architecture = text_at(file, "general.architecture");
    ps_slice pre = text_at(file, "tokenizer.ggml.pre");
    const ps_gguf_key *tokens = ps_gguf_find_key(file, "tokenizer.ggml.tokens");
    ps_model_look_say(&look->architecture, architecture);
    ps_model_look_say(&look->name, text_at(file, "general.name"));
    ps_model_look_say(&look->license, text_at(file, "general.license"));
    ps_model_look_say(&look->tokenizer, text_at(file, "tokenizer.ggml.model"));
    if (pre.len && look->tokenizer.len)
        ps_buf_printf(&look->tokenizer, " (%.*s)", PS_GGUF_NAME(pre));
    look->chat_template = text_at(file, PS_GGUF_KEY_CHAT_TEMPLATE).len > 0;
    look->context = number_at(file, architecture, ".context_length");
    look->vocabulary = tokens && tokens->type == PS_GGUF_ARRAY
                           ? tokens->n
                           : number_at(file, architecture, ".vocab_size");
}

static void look_at_tensors(const ps_gguf *file, ps_model_look *look)
{
    for (size_t i = 0; i < file->n_tensors; i++) {
        const ps_gguf_tensor *t = &file->tensors[i];
        uint64_t numbers = 1;
        for (size_t d = 0; d < PS_GGUF_MAX_DIMS; d++)
            numbers *= t->sides[d]; /* whoever parsed it has seen that it fits */
        const char *name = ps_gguf_type_name((uint32_t)t->form.row->ggml);
        ps_model_look_add(look, name ? name : t->form.row->name, numbers, t->end - t->begin);
    }
}

ps_status ps_model_look_gguf(const char *path, ps_model_look *look)
{
    ps_gguf_parts parts;
    ps_status st = ps_gguf_parts_open(look->disk, path, &parts);
    if (parts.whole) {
        look_at_keys(parts.whole, look);
        look_at_tensors(parts.whole, look);
    }
    for (size_t i = 0; i < parts.n; i++) {
        look->files += parts.at[i].size > 0;
        look->bytes += parts.at[i].size;
    }
    ps_gguf_parts_clear(&parts);
    return st;
}
