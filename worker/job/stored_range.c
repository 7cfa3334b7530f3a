/* The header's bytes are asked for when its first eight have said how many they are. */
#include "worker/job/stored_range.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/model/form_stream.h"
#include "psd/v1/models.pb-c.h"

#include <inttypes.h>
#include <string.h>

typedef struct landing {
    uint8_t *out;
    uint64_t size, taken;
} landing;

static void restart(void *state)
{
    landing *l = state;
    l->taken = 0;
}

static ps_status take(void *state, ps_slice bytes)
{
    landing *l = state;
    if (bytes.len > l->size - l->taken)
        return ps_fail(PS_CORRUPT, "more than the %" PRIu64 " bytes that were asked for", l->size);
    if (bytes.len)
        memcpy(l->out + l->taken, bytes.data, bytes.len);
    l->taken += bytes.len;
    return PS_OK;
}

/* size: from 1. */
static ps_status read_range(ps_remote *remote, const ps_stored_model *which, uint64_t begin,
                            void *out, uint64_t size)
{
    landing l = {.out = out, .size = size};
    Psd__V1__ExportRequest request;
    psd__v1__export_request__init(&request);
    request.job_id = which->job_id;
    request.name = (char *)(uintptr_t)which->name; /* only read, as is */
    request.version = (char *)(uintptr_t)which->version;
    request.begin = begin;
    request.end = begin + size;
    request.moments = which->moments;
    ps_status st = ps_transfer_download(
        remote, "/psd.v1.Models/Export", &request.base,
        &(ps_transfer_sink){
            .restart = restart, .take = take, .state = &l, .version = which->version});
    if (!st && l.taken != size)
        st = ps_fail(PS_CORRUPT, "%" PRIu64 " bytes came, %" PRIu64 " were asked for", l.taken,
                     size);
    return st ? ps_wrap(st, "model %s", which->name) : PS_OK;
}

ps_status ps_stored_header(ps_remote *remote, const ps_stored_model *which, ps_safetensors **out)
{
    uint8_t first[8], *head;
    uint64_t bytes;
    ps_status st = read_range(remote, which, 0, first, sizeof first);
    if (st)
        return st;
    st = ps_safetensors_header_bytes(ps_slice_of(first, sizeof first), &bytes);
    if (st)
        return ps_wrap(st, "model %s", which->name);
    head = ps_try_alloc_raw((size_t)bytes);
    if (!head)
        return ps_fail(PS_NO_MEMORY, "model %s: a header of %" PRIu64 " bytes", which->name, bytes);
    st = read_range(remote, which, 0, head, bytes);
    if (!st) {
        st = ps_safetensors_parse(ps_slice_of(head, (size_t)bytes), UINT64_MAX, out);
        st = st ? ps_wrap(st, "model %s", which->name) : PS_OK;
    }
    ps_free(&head);
    return st;
}

ps_status ps_stored_tensor(ps_remote *remote, const ps_stored_model *which,
                           const ps_safetensors *file, const ps_safetensors_tensor *tensor,
                           void *out)
{
    uint64_t size = tensor->end - tensor->begin;
    return size ? read_range(remote, which, file->data_start + tensor->begin, out, size) : PS_OK;
}

/* ---- numbers ---- */

static ps_status take_numbers(void *user, const ps_model_form *tensor, uint64_t first,
                              const float *values, size_t n)
{
    (void)tensor;
    memcpy((float *)user + first, values, n * sizeof *values);
    return PS_OK;
}

static ps_status decode(const ps_model_form *form, ps_slice bytes, float *out)
{
    ps_form_stream *stream = ps_form_stream_new((ps_form_sink){take_numbers, out});
    ps_status st = ps_form_stream_begin(stream, form);
    if (!st)
        st = ps_form_stream_feed(stream, bytes);
    ps_form_stream_free(&stream);
    return st;
}

ps_status ps_stored_numbers(ps_remote *remote, const ps_stored_model *which,
                            const ps_safetensors *file, const ps_model_form *form, float **out)
{
    const ps_safetensors_tensor *from = ps_safetensors_find(file, form->name);
    PS_REQUIRE(from); /* the form is of a tensor of this file */
    size_t size = (size_t)(from->end - from->begin);
    uint8_t *bytes = ps_try_alloc_raw(size + 1);
    float *numbers = ps_try_alloc_raw((size_t)ps_model_form_numbers(form) * sizeof *numbers);
    ps_status st =
        bytes && numbers ? PS_OK : ps_fail(PS_NO_MEMORY, "numbers of tensor %s", form->name);
    if (!st)
        st = ps_stored_tensor(remote, which, file, from, bytes);
    if (!st)
        st = decode(form, ps_slice_of(bytes, size), numbers);
    ps_free(&bytes);
    if (st)
        ps_free(&numbers);
    *out = numbers;
    return st;
}
