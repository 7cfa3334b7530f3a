/* A safetensors header out of any bytes: what is accepted lies within the file, tensor behind
 * tensor without a hole, each as long as its shape says. */
#include "common/format/safetensors.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check(const ps_safetensors *file)
{
    uint64_t at = 0;
    for (size_t i = 0; i < file->n_tensors; i++) {
        const ps_safetensors_tensor *t = &file->tensors[i];
        require(t->begin == at && t->end >= t->begin && t->n_dims <= PS_SAFETENSORS_MAX_DIMS);
        at = t->end;
        uint64_t bytes = ps_safetensors_dtype_size(t->dtype);
        for (uint32_t d = 0; d < t->n_dims; d++)
            require(!__builtin_mul_overflow(bytes, t->shape[d], &bytes));
        require(t->dtype == PS_SAFETENSORS_OTHER ? *t->other : bytes == t->end - t->begin);
        require(strlen(t->name) <= PS_SAFETENSORS_MAX_NAME);
        require(ps_safetensors_find(file, t->name) == t);
    }
    require(at == file->data_bytes);
    for (size_t i = 0; i < file->n_metadata; i++)
        require(ps_safetensors_metadata(file, file->metadata[i].key) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ps_slice bytes = ps_slice_of(data, size);
    uint64_t header = 0;
    if (size >= 8 && ps_safetensors_header_bytes(ps_slice_of(data, 8), &header) == PS_OK)
        require(header <= PS_SAFETENSORS_MAX_HEADER + 8ull);
    uint64_t sizes[] = {size, UINT64_MAX};
    for (int i = 0; i < 2; i++) {
        ps_safetensors *file = NULL;
        if (ps_safetensors_parse(bytes, sizes[i], &file) != PS_OK)
            continue;
        require(file->data_start <= size);
        require(sizes[i] == UINT64_MAX || file->data_start + file->data_bytes == size);
        check(file);
        ps_safetensors_free(&file);
    }
    return 0;
}
