/* The stream is let go after the header, which has the tokenizer's text. */
#include "worker/job/stored_tokenizer.h"

#include "common/model/model_in.h"
#include "common/tokenizer/tokenizer.h"

#include <string.h>

static void nothing(void *user)
{
    (void)user;
}

/* PS_END ends the stream. */
static ps_status take_hash(void *user, const ps_safetensors *file, const ps_model_form *tensors)
{
    (void)tensors;
    uint64_t *hash = user;
    for (size_t i = 0; i < file->n_metadata; i++) {
        ps_tokenizer *t = NULL;
        if (strcmp(file->metadata[i].key, PS_MODEL_META_TOKENIZER) != 0 ||
            ps_tokenizer_from_json(ps_slice_str(file->metadata[i].value), &t))
            continue; /* one that psd cannot read says nothing */
        *hash = ps_tokenizer_hash(t);
        ps_tokenizer_free(&t);
    }
    return PS_END;
}

ps_status ps_stored_tokenizer(ps_remote *remote, const ps_stored_model *which, uint64_t *hash)
{
    *hash = 0;
    ps_status st = ps_stored_stream(
        remote, which, &(ps_stored_sink){.restart = nothing, .head = take_hash, .user = hash});
    return st == PS_END ? PS_OK : st;
}
