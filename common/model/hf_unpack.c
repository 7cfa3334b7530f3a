/* Happy path: the parts are read whole, scales become F16, which loses nothing or is refused, or
 * F32, and the layout's row makes blocks of them. */
#include "common/model/hf_unpack.h"

#include "common/base/half.h"
#include "common/base/mem.h"

#include <inttypes.h>
#include <string.h>

static ps_status no_memory(const ps_safetensors_tensor *t, uint64_t bytes)
{
    return ps_fail(PS_NO_MEMORY, "no memory for the %" PRIu64 " bytes of tensor %s", bytes,
                   t->name);
}

static ps_status read_scales(ps_hf_shards *shards, size_t shard, const ps_safetensors_tensor *t,
                             uint8_t **out)
{
    uint64_t n = (t->end - t->begin) / ps_safetensors_dtype_size(t->dtype);
    float values[1024];
    uint8_t *halves = *out = ps_try_alloc_raw((size_t)n * 2);
    if (!halves)
        return no_memory(t, n * 2);
    for (uint64_t at = 0; at < n; at += sizeof values / sizeof *values) {
        size_t part = n - at < 1024 ? (size_t)(n - at) : 1024;
        ps_status st = ps_hf_shards_read(shards, shard, t, at, part, values);
        if (st)
            return st;
        for (size_t i = 0; i < part; i++, halves += 2) {
            uint16_t half = ps_f16_of(values[i]);
            if (ps_f16_value(half) != values[i])
                return ps_fail(PS_INVALID_ARGUMENT,
                               "tensor %s: number %" PRIu64 " is %.9g, which is no number of F16, "
                               "as scales are here",
                               t->name, at + i, (double)values[i]);
            memcpy(halves, &half, sizeof half);
        }
    }
    return PS_OK;
}

static ps_status read_floats(ps_hf_shards *shards, size_t shard, const ps_safetensors_tensor *t,
                             uint8_t **out)
{
    uint64_t n = (t->end - t->begin) / ps_safetensors_dtype_size(t->dtype);
    float *values = ps_try_alloc_raw((size_t)n * sizeof *values);
    *out = (uint8_t *)values;
    ps_status st = values ? PS_OK : no_memory(t, n * sizeof *values);
    for (uint64_t at = 0; !st && at < n; at += 1024)
        st = ps_hf_shards_read(shards, shard, t, at, n - at < 1024 ? (size_t)(n - at) : 1024,
                               values + at);
    return st;
}

static ps_status read_whole(ps_hf_shards *shards, size_t shard, const ps_safetensors_tensor *t,
                            uint8_t **out)
{
    *out = ps_try_alloc_raw((size_t)(t->end - t->begin));
    if (!*out)
        return no_memory(t, t->end - t->begin);
    return ps_hf_shards_read_bytes(shards, shard, t, *out);
}

/* Every part; what is there is the caller's, whatever it fails with. */
static ps_status read_parts(ps_hf_shards *shards, const ps_hf_place *place, bool float_scales,
                            uint8_t *parts[PS_PACKED_PARTS])
{
    ps_status st = PS_OK;
    for (size_t k = 0; !st && k < place->row->n_parts; k++) {
        ps_status (*read)(ps_hf_shards *, size_t, const ps_safetensors_tensor *, uint8_t **) =
            k != place->row->scales ? read_whole
            : float_scales          ? read_floats
                                    : read_scales;
        st = read(shards, place->parts[k].shard, place->parts[k].tensor, &parts[k]);
    }
    return st;
}

static void free_parts(uint8_t *parts[PS_PACKED_PARTS])
{
    for (size_t k = 0; k < PS_PACKED_PARTS; k++)
        ps_free(&parts[k]);
}

static ps_status of_tensor(const ps_hf_place *place, ps_status st)
{
    return st ? ps_wrap(st, "tensor %s and those beside it", place->tensor->name) : PS_OK;
}

ps_status ps_hf_unpack(ps_hf_shards *shards, const ps_hf_quantization *quantization,
                       const ps_hf_place *place, uint8_t **out)
{
    const ps_packed_row *row = place->row;
    const ps_packed_matrix *m = &place->packed;
    uint8_t *parts[PS_PACKED_PARTS] = {NULL};
    uint64_t bytes = m->rows * ps_form_row_bytes(m->form, m->columns);
    ps_status st = read_parts(shards, place, row->float_scales, parts);
    *out = st ? NULL : ps_try_alloc_raw((size_t)bytes);
    if (!st && !*out)
        st = no_memory(place->tensor, bytes);
    else if (!st)
        st = of_tensor(
            place, row->unpack(m, quantization->plain_zeros, (const uint8_t *const *)parts, *out));
    free_parts(parts);
    if (st)
        ps_free(out);
    return st;
}

ps_status ps_hf_unpack_numbers(ps_hf_shards *shards, const ps_hf_quantization *quantization,
                               const ps_hf_place *place, float **out)
{
    const ps_packed_matrix *m = &place->packed;
    uint8_t *parts[PS_PACKED_PARTS] = {NULL};
    uint64_t bytes = m->rows * m->columns * sizeof **out;
    ps_status st = read_parts(shards, place, true, parts);
    *out = st ? NULL : ps_try_alloc_raw((size_t)bytes);
    if (!st && !*out)
        st = no_memory(place->tensor, bytes);
    else if (!st)
        st = of_tensor(place, place->row->decode(m, quantization->plain_zeros,
                                                 (const uint8_t *const *)parts, *out));
    free_parts(parts);
    if (st)
        ps_free(out);
    return st;
}
