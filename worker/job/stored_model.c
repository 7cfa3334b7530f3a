/* The stream's first bytes say how long the header is; when the header is there, each tensor of the
 * file is matched with a parameter; then data goes by in the order of the file. Who only checks
 * lets the stream go after the header. */
#include "worker/job/stored_model.h"

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/format/safetensors.h"
#include "psd/v1/models.pb-c.h"
#include "worker/job/staging.h"

#include <inttypes.h>
#include <string.h>

static const char path[] = "/psd.v1.Models/Export";

typedef struct loading {
    const ps_model_layout *layout;
    ps_model *model; /* NULL: only the header is wanted */
    ps_buf head;
    uint64_t head_bytes; /* 0: not known yet */
    ps_safetensors *file;
    size_t *parameter; /* of each of the file's tensors */
    size_t at;         /* the tensor whose data comes next, */
    uint64_t done;     /* and how much of it has come */
    uint64_t taken;    /* bytes of data */
    ps_staging *staging;
} loading;

static void forget(loading *l)
{
    ps_staging_close(&l->staging);
    ps_free(&l->parameter);
    if (l->file)
        ps_safetensors_free(&l->file);
    ps_buf_free(&l->head);
}

static void restart(void *state)
{
    loading *l = state;
    forget(l);
    *l = (loading){.layout = l->layout, .model = l->model};
}

/* ---- is it the architecture's? ---- */

/* "[256, 784]" */
static void put_shape(ps_buf *out, const uint64_t *shape, size_t rank)
{
    ps_buf_puts(out, "[");
    for (size_t d = 0; d < rank; d++)
        ps_buf_printf(out, "%s%" PRIu64, d ? ", " : "", shape[d]);
    ps_buf_puts(out, "]");
}

static ps_status other_shape(const ps_safetensors_tensor *tensor,
                             const ps_model_parameter_spec *want)
{
    uint64_t shape[PS_TENSOR_RANK_MAX];
    for (int d = 0; d < want->rank; d++)
        shape[d] = (uint64_t)want->shape[d];
    ps_buf text = PS_BUF_EMPTY;
    put_shape(&text, tensor->shape, tensor->n_dims);
    ps_buf_puts(&text, " in the file, and the architecture wants ");
    put_shape(&text, shape, (size_t)want->rank);
    ps_status st =
        ps_fail(PS_FAILED_PRECONDITION, "tensor %s is %s", tensor->name, ps_buf_cstr(&text));
    ps_buf_free(&text);
    return st;
}

static ps_status fits(const ps_safetensors_tensor *tensor, const ps_model_parameter_spec *want)
{
    if (tensor->dtype != PS_SAFETENSORS_F32)
        return ps_fail(PS_FAILED_PRECONDITION, "tensor %s is %s in the file, only F32 can be used",
                       tensor->name, ps_safetensors_type_of(tensor));
    bool same = tensor->n_dims == (uint32_t)want->rank;
    for (int d = 0; same && d < want->rank; d++)
        same = tensor->shape[d] == (uint64_t)want->shape[d];
    return same ? PS_OK : other_shape(tensor, want);
}

static size_t parameter_of(const ps_model_layout *layout, const char *name)
{
    size_t p = 0;
    while (p < layout->count && strcmp(layout->parameters[p].name, name) != 0)
        p++;
    return p;
}

/* Names are unique on both sides, so after this each parameter is one tensor of the file. */
static ps_status check_head(const ps_safetensors *file, const ps_model_layout *layout)
{
    for (size_t p = 0; p < layout->count; p++) {
        const ps_model_parameter_spec *want = &layout->parameters[p];
        const ps_safetensors_tensor *tensor = ps_safetensors_find(file, want->name);
        if (!tensor)
            return ps_fail(PS_FAILED_PRECONDITION,
                           "the architecture has a tensor %s, and the file has none of that name",
                           want->name);
        ps_status st = fits(tensor, want);
        if (st)
            return st;
    }
    for (size_t i = 0; i < file->n_tensors; i++)
        if (parameter_of(layout, file->tensors[i].name) == layout->count)
            return ps_fail(PS_FAILED_PRECONDITION,
                           "tensor %s of the file is not in the architecture",
                           file->tensors[i].name);
    return PS_OK;
}

/* ---- the stream ---- */

/* Where the file's tensors go. */
static ps_status match(loading *l)
{
    size_t count = l->file->n_tensors;
    l->parameter = ps_alloc_array(count, sizeof(*l->parameter));
    for (size_t i = 0; i < count; i++)
        l->parameter[i] = parameter_of(l->layout, l->file->tensors[i].name);
    return ps_staging_open(ps_model_stream(l->model), &l->staging);
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
    st = check_head(l->file, l->layout);
    if (st)
        return st;
    return l->model ? match(l) : PS_END; /* which ends the transfer */
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
        ps_status st = ps_staging_write(
            l->staging, ps_model_parameter(l->model, l->parameter[l->at]), l->done, bytes.data, n);
        if (st)
            return st;
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

static ps_status end(loading *l)
{
    if (!l->file || l->taken != l->file->data_bytes)
        return ps_fail(PS_CORRUPT, "the file ends after %" PRIu64 " bytes of data", l->taken);
    ps_model_refresh(l->model);
    return ps_staging_end(l->staging);
}

static ps_status run(loading *l, ps_remote *remote, const ps_stored_model *which)
{
    Psd__V1__ExportRequest request;
    psd__v1__export_request__init(&request);
    request.job_id = which->job_id;
    request.name = (char *)(uintptr_t)which->name; /* only read, as is */
    request.version = (char *)(uintptr_t)which->version;
    return ps_transfer_download(
        remote, path, &request.base,
        &(ps_transfer_sink){
            .restart = restart, .take = take, .state = l, .version = which->version});
}

static ps_status finish(loading *l, const ps_stored_model *which, ps_status st)
{
    forget(l);
    return st ? ps_wrap(st, "model %s", which->name) : PS_OK;
}

ps_status ps_stored_model_check(ps_remote *remote, const ps_stored_model *which,
                                const ps_model_layout *layout)
{
    loading l = {.layout = layout};
    ps_status st = run(&l, remote, which);
    if (!st)
        st = ps_fail(PS_CORRUPT, "the file ends within its header");
    return finish(&l, which, st == PS_END ? PS_OK : st);
}

ps_status ps_stored_model_load(ps_remote *remote, const ps_stored_model *which, ps_model *model)
{
    loading l = {.layout = ps_model_parameters(model), .model = model};
    ps_status st = run(&l, remote, which);
    if (!st)
        st = end(&l);
    return finish(&l, which, st);
}
