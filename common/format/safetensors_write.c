/* The writer of safetensors.h. Happy path: tensors are put into the order of their data, the header
 * goes to the sink, then bytes are counted through. It fails when the sink does, or when the data
 * is not as long as the header says. */
#include "common/base/mem.h"
#include "common/format/safetensors.h"
#include "common/json/json.h"

#include <inttypes.h>

struct ps_safetensors_writer {
    ps_safetensors_sink sink;
    size_t *order;
    size_t n_tensors;
    uint64_t header_bytes;
    uint64_t data_bytes;
    uint64_t written; /* of data_bytes */
};

static ps_status bytes_of(const ps_safetensors_tensor *t, uint64_t *out)
{
    uint64_t n = ps_safetensors_dtype_size(t->dtype);
    bool over = !n || t->n_dims > PS_SAFETENSORS_MAX_DIMS;
    for (uint32_t d = 0; d < t->n_dims && !over; d++)
        over = __builtin_mul_overflow(n, t->shape[d], &n);
    if (over || n > INT64_MAX)
        return ps_fail(PS_INVALID_ARGUMENT, "tensor %s: its shape is too large", t->name);
    *out = n;
    return PS_OK;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static ps_status check_names(const ps_safetensors_tensor *tensors, size_t n)
{
    const char **names = ps_alloc_array(n + 1, sizeof *names);
    ps_status st = PS_OK;
    for (size_t i = 0; i < n; i++) {
        names[i] = tensors[i].name;
        if (!strcmp(names[i], "__metadata__") || !*names[i] ||
            strlen(names[i]) > PS_SAFETENSORS_MAX_NAME)
            st = ps_fail(PS_INVALID_ARGUMENT, "'%.40s' cannot be a tensor's name", names[i]);
    }
    qsort(names, n, sizeof *names, by_text);
    for (size_t i = 1; i < n && !st; i++)
        if (!strcmp(names[i - 1], names[i]))
            st = ps_fail(PS_INVALID_ARGUMENT, "tensor %s is there twice", names[i]);
    ps_free(&names);
    return st;
}

/* Wider elements first, so that everything is aligned; as given within a width. */
static void put_in_order(const ps_safetensors_tensor *tensors, size_t n, size_t *order)
{
    size_t at = 0;
    for (size_t width = 8; width; width /= 2)
        for (size_t i = 0; i < n; i++)
            if (ps_safetensors_dtype_size(tensors[i].dtype) == width)
                order[at++] = i;
}

static void put_metadata(ps_json_writer *json, const ps_safetensors_pair *pairs, size_t n)
{
    if (!n)
        return;
    ps_json_key(json, "__metadata__");
    ps_json_object(json);
    for (size_t i = 0; i < n; i++)
        ps_json_put_string(json, pairs[i].key, pairs[i].value);
    ps_json_object_end(json);
}

static void put_entry(ps_json_writer *json, const ps_safetensors_tensor *t, uint64_t begin,
                      uint64_t end)
{
    ps_json_key(json, t->name);
    ps_json_object(json);
    ps_json_put_string(json, "dtype", ps_safetensors_dtype_name(t->dtype));
    ps_json_key(json, "shape");
    ps_json_array(json);
    for (uint32_t d = 0; d < t->n_dims; d++)
        ps_json_uint(json, t->shape[d]);
    ps_json_array_end(json);
    ps_json_key(json, "data_offsets");
    ps_json_array(json);
    ps_json_uint(json, begin);
    ps_json_uint(json, end);
    ps_json_array_end(json);
    ps_json_object_end(json);
}

/* Length and JSON, padded with spaces to a multiple of 8. */
static ps_status make_header(ps_safetensors_writer *w, const ps_safetensors_tensor *tensors,
                             const ps_safetensors_pair *metadata, size_t n_metadata, ps_buf *out)
{
    uint8_t length[8] = {0};
    ps_buf_append(out, length, sizeof length);
    ps_json_writer json = ps_json_writer_to(out);
    ps_json_object(&json);
    put_metadata(&json, metadata, n_metadata);
    uint64_t at = 0;
    for (size_t i = 0; i < w->n_tensors; i++) {
        const ps_safetensors_tensor *t = &tensors[w->order[i]];
        uint64_t bytes = 0, end = 0;
        ps_status st = bytes_of(t, &bytes);
        if (st)
            return st;
        if (__builtin_add_overflow(at, bytes, &end) || end > INT64_MAX)
            return ps_fail(PS_INVALID_ARGUMENT, "safetensors: more data than a file can hold");
        if (at % ps_safetensors_dtype_size(t->dtype))
            return ps_fail(PS_FAILED_PRECONDITION,
                           "tensor %s would not be aligned behind those before it", t->name);
        put_entry(&json, t, at, end);
        at = end;
    }
    ps_json_object_end(&json);
    while (out->len % 8)
        ps_buf_putc(out, ' ');
    if (out->len - 8 > PS_SAFETENSORS_MAX_HEADER)
        return ps_fail(PS_INVALID_ARGUMENT, "safetensors: a header of %zu bytes, allowed %d",
                       out->len - 8, PS_SAFETENSORS_MAX_HEADER);
    ps_put_u64le(out->data, out->len - 8);
    w->header_bytes = out->len;
    w->data_bytes = at;
    return PS_OK;
}

static ps_status new_writer(const ps_safetensors_tensor *tensors, size_t n_tensors,
                            const ps_safetensors_pair *metadata, size_t n_metadata,
                            ps_safetensors_sink sink, bool as_given, ps_safetensors_writer **out)
{
    ps_status st = check_names(tensors, n_tensors);
    if (st)
        return st;
    ps_safetensors_writer *w = ps_new(ps_safetensors_writer);
    ps_buf header = PS_BUF_EMPTY;
    w->sink = sink;
    w->n_tensors = n_tensors;
    w->order = ps_alloc_array(n_tensors + 1, sizeof *w->order);
    for (size_t i = 0; i < n_tensors; i++)
        w->order[i] = i;
    if (!as_given)
        put_in_order(tensors, n_tensors, w->order);
    st = make_header(w, tensors, metadata, n_metadata, &header);
    if (!st)
        st = sink.write(sink.state, header.data, header.len);
    ps_buf_free(&header);
    if (st)
        ps_safetensors_writer_free(&w);
    else
        *out = w;
    return st;
}

ps_status ps_safetensors_writer_new(const ps_safetensors_tensor *tensors, size_t n_tensors,
                                    const ps_safetensors_pair *metadata, size_t n_metadata,
                                    ps_safetensors_sink sink, ps_safetensors_writer **out)
{
    return new_writer(tensors, n_tensors, metadata, n_metadata, sink, false, out);
}

ps_status ps_safetensors_writer_new_as_given(const ps_safetensors_tensor *tensors, size_t n_tensors,
                                             const ps_safetensors_pair *metadata, size_t n_metadata,
                                             ps_safetensors_sink sink, ps_safetensors_writer **out)
{
    return new_writer(tensors, n_tensors, metadata, n_metadata, sink, true, out);
}

size_t ps_safetensors_writer_order(const ps_safetensors_writer *writer, size_t i)
{
    return writer->order[i];
}

uint64_t ps_safetensors_writer_total(const ps_safetensors_writer *writer)
{
    return writer->header_bytes + writer->data_bytes;
}

ps_status ps_safetensors_writer_data(ps_safetensors_writer *writer, const void *data, size_t len)
{
    if (len > writer->data_bytes - writer->written)
        return ps_fail(PS_FAILED_PRECONDITION,
                       "safetensors: more data than the %" PRIu64 " bytes of the header",
                       writer->data_bytes);
    ps_status st = len ? writer->sink.write(writer->sink.state, data, len) : PS_OK;
    if (!st)
        writer->written += len;
    return st;
}

ps_status ps_safetensors_writer_finish(ps_safetensors_writer **writer)
{
    ps_status st = PS_OK;
    if ((*writer)->written != (*writer)->data_bytes)
        st = ps_fail(PS_FAILED_PRECONDITION,
                     "safetensors: %" PRIu64 " bytes of data were written, %" PRIu64
                     " are in the header",
                     (*writer)->written, (*writer)->data_bytes);
    ps_safetensors_writer_free(writer);
    return st;
}

void ps_safetensors_writer_free(ps_safetensors_writer **writer)
{
    if (!*writer)
        return;
    ps_free(&(*writer)->order);
    ps_free(writer);
}
