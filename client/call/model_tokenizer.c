/* The export is cancelled as soon as the header is whole: a model is gigabytes, its header is not.
 */
#include "client/call/model_tokenizer.h"

#include "client/call/file_receive.h"
#include "client/call/support.h"
#include "common/format/safetensors.h"
#include "common/model/model_in.h"
#include "common/model/tokenizer_open.h"
#include "psd/v1/models.pb-c.h"

#include <string.h>

typedef struct heading {
    ps_buf bytes;
    uint64_t size; /* 0: not known yet */
} heading;

static ps_status take(void *user, ps_slice piece)
{
    heading *h = user;
    ps_status st = PS_OK;
    ps_buf_append(&h->bytes, piece.data, piece.len);
    if (!h->size && h->bytes.len >= 8)
        st = ps_safetensors_header_bytes(ps_buf_slice(&h->bytes), &h->size);
    return st ? st : h->size && h->bytes.len >= h->size ? PS_END : PS_OK;
}

ps_status ps_model_header(ps_client *client, const char *name, const char *version,
                          ps_safetensors **out)
{
    heading h = {0};
    Psd__V1__ExportRequest request = PSD__V1__EXPORT_REQUEST__INIT;
    request.name = ps_borrow(name);
    request.version = ps_borrow(version);
    ps_status st = ps_receive_file(client, "/psd.v1.Models/Export", &request.base, take, &h, NULL);
    if (!st && (!h.size || h.bytes.len < h.size))
        st = ps_fail(PS_DATA_LOSS, "model %s: its file ends within the header", name);
    if (!st)
        st = ps_safetensors_parse(ps_slice_of(h.bytes.data, (size_t)h.size), UINT64_MAX, out);
    ps_buf_free(&h.bytes);
    return st;
}

static ps_status tokenizer_of(const ps_safetensors *header, const char *name, ps_tokenizer **out)
{
    const char *text = ps_safetensors_metadata(header, PS_MODEL_META_TOKENIZER);
    if (!text)
        return ps_fail(PS_NOT_FOUND,
                       "model %s came without a tokenizer; give the one its data were made with: "
                       "--tokenizer PATH",
                       name);
    ps_status st = ps_tokenizer_from_json(ps_slice_str(text), out);
    return st ? ps_wrap(st, "the tokenizer of model %s", name) : PS_OK;
}

ps_status ps_model_tokenizer_in(const ps_safetensors *header, const char *name,
                                const ps_spec_model *model, const char *path, ps_tokenizer **out,
                                ps_token_ids *ids)
{
    *ids = (ps_token_ids){0};
    ps_token_ids_of_file(header, ids);
    ps_token_ids_of_generation(header, ids);
    if (path)
        return ps_model_tokenizer_open(NULL, path, out);
    if (strcmp(model->tokenizer, "bytes") != 0)
        return tokenizer_of(header, name, out);
    *out = ps_tokenizer_bytes();
    return PS_OK;
}

ps_status ps_model_tokenizer(ps_client *client, const char *name, const char *version,
                             const ps_spec_model *model, const char *path, ps_tokenizer **out,
                             ps_token_ids *ids)
{
    ps_safetensors *header = NULL;
    ps_status st = ps_model_header(client, name, version, &header);
    if (!st)
        st = ps_model_tokenizer_in(header, name, model, path, out, ids);
    ps_safetensors_free(&header);
    return st;
}
