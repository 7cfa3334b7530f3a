/* The stream's first bytes say how long the header is; when the header is there, each tensor of the
 * file is matched with a parameter; then data goes by in the order of the file. */
#include "worker/train/stored_model.h"

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/format/safetensors.h"
#include "psd/v1/models.pb-c.h"

#include <inttypes.h>
#include <string.h>

static const char path[] = "/psd.v1.Models/Export";

typedef struct loading {
    ps_backend *backend;
    ps_model *model;
    ps_buf head;
    uint64_t head_bytes; /* 0: not known yet */
    ps_safetensors *file;
    size_t *parameter; /* of each of the file's tensors */
    size_t at;         /* the tensor whose data comes next, */
    uint64_t done;     /* and how much of it has come */
    uint64_t taken;    /* bytes of data */
    float **staging; /* [file's tensors]: where data goes when the host may not follow the device */
} loading;

static void forget(loading *l)
{
    if (l->file && l->staging)
        for (size_t i = 0; i < l->file->n_tensors; i++)
            ps_free(&l->staging[i]);
    ps_free(&l->staging);
    ps_free(&l->parameter);
    if (l->file)
        ps_safetensors_free(&l->file);
    ps_buf_free(&l->head);
}

static void restart(void *state)
{
    loading *l = state;
    forget(l);
    *l = (loading){.backend = l->backend, .model = l->model};
}

static ps_status match(loading *l, size_t i)
{
    const ps_safetensors_tensor *tensor = &l->file->tensors[i];
    const ps_model_layout *layout = ps_model_parameters(l->model);
    size_t p;
    if (ps_model_find(l->model, tensor->name, &p))
        return ps_fail(PS_FAILED_PRECONDITION, "tensor %s of the file is not in the architecture",
                       tensor->name);
    const ps_model_parameter_spec *want = &layout->parameters[p];
    bool same = tensor->dtype == PS_SAFETENSORS_F32 && tensor->n_dims == (uint32_t)want->rank;
    for (int d = 0; same && d < want->rank; d++)
        same = tensor->shape[d] == (uint64_t)want->shape[d];
    if (!same)
        return ps_fail(PS_FAILED_PRECONDITION,
                       "tensor %s of the file is not F32 of the architecture's shape",
                       tensor->name);
    l->parameter[i] = p;
    ps_tensor t = ps_model_parameter(l->model, p);
    if (!ps_tensor_host(l->backend, t) && !(l->staging[i] = ps_try_alloc_raw(ps_tensor_bytes(t))))
        return ps_fail(PS_NO_MEMORY, "tensor %s", tensor->name);
    return PS_OK;
}

static ps_status take_head(loading *l, ps_slice *bytes)
{
    while (bytes->len && (!l->head_bytes || l->head.len < l->head_bytes)) {
        uint64_t want = (l->head_bytes ? l->head_bytes : 8) - l->head.len;
        size_t n = want < bytes->len ? (size_t)want : bytes->len;
        ps_buf_append(&l->head, bytes->data, n);
        *bytes = ps_slice_of(bytes->data + n, bytes->len - n);
        if (!l->head_bytes && l->head.len == 8) {
            ps_status st = ps_safetensors_header_bytes(ps_buf_slice(&l->head), &l->head_bytes);
            if (st)
                return st;
        }
    }
    if (!l->head_bytes || l->head.len < l->head_bytes)
        return PS_OK;
    ps_status st = ps_safetensors_parse(ps_buf_slice(&l->head), UINT64_MAX, &l->file);
    if (st)
        return st;
    size_t count = l->file->n_tensors;
    if (count != ps_model_parameters(l->model)->count)
        return ps_fail(PS_FAILED_PRECONDITION, "the file has %zu tensors, the architecture %zu",
                       count, ps_model_parameters(l->model)->count);
    l->parameter = ps_alloc_array(count, sizeof(*l->parameter));
    l->staging = ps_alloc_array(count, sizeof(*l->staging));
    for (size_t i = 0; !st && i < count; i++)
        st = match(l, i);
    return st;
}

static char *destination(loading *l, size_t i)
{
    if (l->staging[i])
        return (char *)l->staging[i];
    return ps_tensor_host(l->backend, ps_model_parameter(l->model, l->parameter[i]));
}

static ps_status take(void *state, ps_slice bytes)
{
    loading *l = state;
    if (!l->file) {
        ps_status st = take_head(l, &bytes);
        if (st)
            return st;
    }
    while (bytes.len) {
        if (l->at == l->file->n_tensors)
            return ps_fail(PS_CORRUPT, "%zu bytes follow the last tensor", bytes.len);
        const ps_safetensors_tensor *tensor = &l->file->tensors[l->at];
        uint64_t left = tensor->end - tensor->begin - l->done;
        size_t n = left < bytes.len ? (size_t)left : bytes.len;
        memcpy(destination(l, l->at) + l->done, bytes.data, n);
        bytes = ps_slice_of(bytes.data + n, bytes.len - n);
        l->taken += n;
        l->done += n;
        if (l->done == tensor->end - tensor->begin) {
            l->at++;
            l->done = 0;
        }
    }
    return PS_OK;
}

static ps_status to_device(loading *l)
{
    if (!l->file || l->taken != l->file->data_bytes)
        return ps_fail(PS_CORRUPT, "the file ends after %" PRIu64 " bytes of data", l->taken);
    ps_stream *stream = ps_model_stream(l->model);
    for (size_t i = 0; i < l->file->n_tensors; i++) {
        ps_tensor t = ps_model_parameter(l->model, l->parameter[i]);
        if (l->staging[i])
            ps_copy_to_device(stream, t, l->staging[i], ps_tensor_bytes(t));
    }
    return ps_stream_sync(stream);
}

ps_status ps_stored_model_load(ps_remote *remote, ps_backend *backend, uint64_t job_id,
                               const char *name, ps_model *model)
{
    loading l = {.backend = backend, .model = model};
    Psd__V1__ExportRequest request;
    psd__v1__export_request__init(&request);
    request.job_id = job_id;
    request.name = (char *)(uintptr_t)name; /* only read */
    ps_status st =
        ps_transfer_download(remote, path, &request.base,
                             &(ps_transfer_sink){.restart = restart, .take = take, .state = &l});
    if (!st)
        st = to_device(&l);
    forget(&l);
    return st ? ps_wrap(st, "model %s", name) : PS_OK;
}
