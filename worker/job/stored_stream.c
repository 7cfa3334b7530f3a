/* The stream's first bytes say how long the header is; when the header is there, data goes by in
 * the order of the file, cut as it comes. A broken stream begins again. */
#include "worker/job/stored_stream.h"

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "psd/v1/models.pb-c.h"

#include <inttypes.h>

static const char path[] = "/psd.v1.Models/Export";

typedef struct stream {
    const ps_stored_sink *sink;
    ps_buf head;
    uint64_t head_bytes; /* 0: not known yet */
    ps_safetensors *file;
    ps_model_form *tensors; /* of it */
    size_t at;              /* the tensor whose data comes next, */
    uint64_t done;          /* and how much of it has come */
    uint64_t taken;         /* bytes of data */
    ps_digest *digest;      /* of all of it; NULL: not wanted */
} stream;

static void forget(stream *s)
{
    char unread[PS_DIGEST_TEXT];
    if (s->digest)
        ps_digest_end(&s->digest, unread);
    ps_safetensors_free(&s->file);
    ps_free(&s->tensors);
    ps_buf_free(&s->head);
}

static void restart(void *state)
{
    stream *s = state;
    s->sink->restart(s->sink->user);
    forget(s);
    *s = (stream){.sink = s->sink, .digest = s->sink->sha256 ? ps_digest_new() : NULL};
}

static ps_status take_head(stream *s, ps_slice *bytes)
{
    while (bytes->len && (!s->head_bytes || s->head.len < s->head_bytes)) {
        uint64_t want = (s->head_bytes ? s->head_bytes : 8) - s->head.len;
        size_t n = want < bytes->len ? (size_t)want : bytes->len;
        ps_buf_append(&s->head, bytes->data, n);
        *bytes = ps_slice_of(bytes->data + n, bytes->len - n);
        if (!s->head_bytes && s->head.len == 8) {
            ps_status st = ps_safetensors_header_bytes(ps_buf_slice(&s->head), &s->head_bytes);
            if (st)
                return st;
        }
    }
    if (!s->head_bytes || s->head.len < s->head_bytes)
        return PS_OK;
    ps_status st = ps_safetensors_parse(ps_buf_slice(&s->head), UINT64_MAX, &s->file);
    if (!st)
        st = ps_model_forms_parse(s->file, &s->tensors);
    return st ? st : s->sink->head(s->sink->user, s->file, s->tensors);
}

static ps_status take(void *state, ps_slice bytes)
{
    stream *s = state;
    if (s->digest)
        ps_digest_add(s->digest, bytes.data, bytes.len);
    if (!s->file) {
        ps_status st = take_head(s, &bytes);
        if (st)
            return st;
    }
    while (bytes.len) {
        if (s->at == s->file->n_tensors)
            return ps_fail(PS_CORRUPT, "%zu bytes follow the last tensor", bytes.len);
        const ps_safetensors_tensor *tensor = &s->file->tensors[s->at];
        uint64_t left = tensor->end - tensor->begin - s->done;
        size_t n = left < bytes.len ? (size_t)left : bytes.len;
        ps_status st = s->sink->data(s->sink->user, s->at, s->done, ps_slice_of(bytes.data, n));
        if (st)
            return st;
        bytes = ps_slice_of(bytes.data + n, bytes.len - n);
        s->taken += n;
        s->done += n;
        if (s->done == tensor->end - tensor->begin) {
            s->at++;
            s->done = 0;
        }
    }
    return PS_OK;
}

static ps_status end(stream *s)
{
    if (!s->file)
        return ps_fail(PS_CORRUPT, "the file ends within its header");
    if (s->taken != s->file->data_bytes)
        return ps_fail(PS_CORRUPT, "the file ends after %" PRIu64 " bytes of data", s->taken);
    if (s->digest)
        ps_digest_end(&s->digest, s->sink->sha256);
    return s->sink->end ? s->sink->end(s->sink->user) : PS_OK;
}

ps_status ps_stored_stream(ps_remote *remote, const ps_stored_model *which,
                           const ps_stored_sink *sink)
{
    stream s = {.sink = sink};
    Psd__V1__ExportRequest request;
    psd__v1__export_request__init(&request);
    request.job_id = which->job_id;
    request.name = (char *)(uintptr_t)which->name; /* only read, as is */
    request.version = (char *)(uintptr_t)which->version;
    ps_status st = ps_transfer_download(
        remote, path, &request.base,
        &(ps_transfer_sink){
            .restart = restart, .take = take, .state = &s, .version = which->version});
    if (!st)
        st = end(&s);
    forget(&s);
    return st ? ps_wrap(st, "model %s", which->name) : PS_OK;
}
