/* compressed-tensors, "pack-quantized": symmetric codes of 4 or 8 bits, a scale a group or a row.
 * Zeros are left out: what packs them, transformers' loader does not unpack. */
#include "common/base/buf.h"
#include "common/model/packed.h"

#include <string.h>

static const char *const suffixes[] = {"weight_shape", "weight_packed", "weight_scale"};

static bool ct_takes(const ps_packed_matrix *m)
{
    uint32_t bits = m->form.row->bits;
    return ps_packed_is_words(m) && !m->form.row->zero && (bits == 4 || bits == 8);
}

static size_t ct_parts(const ps_packed_matrix *m, ps_packed_part out[PS_PACKED_PARTS])
{
    out[0] = (ps_packed_part){suffixes[0], PS_SAFETENSORS_I64, 1, {2}};
    out[1] = (ps_packed_part){
        "weight_packed", PS_SAFETENSORS_I32, 2, {m->rows, m->columns * m->form.row->bits / 32}};
    out[2] = (ps_packed_part){suffixes[2], PS_SAFETENSORS_F16, 2, {m->rows, ps_packed_groups(m)}};
    return 3;
}

static void ct_pack(const ps_packed_matrix *m, const uint8_t *blocks, uint8_t *const parts[])
{
    const uint64_t shape[] = {m->rows, m->columns};
    size_t len = (size_t)(m->columns * m->form.row->bits / 8);
    uint8_t *scale = parts[2];
    memcpy(parts[0], shape, sizeof shape);
    for (uint64_t row = 0; row < m->rows; row++) {
        ps_packed_codes(m, blocks, row, parts[1] + row * len);
        for (uint64_t g = 0; g < ps_packed_groups(m); g++, scale += 2)
            memcpy(scale, ps_packed_block(m, blocks, row, g), 2);
    }
}

static ps_form ct_form_of(const ps_packed_part *parts, uint64_t columns, bool symmetric,
                          bool by_rows)
{
    return ps_packed_form(parts[1].shape[1] * 32 / columns, symmetric, columns,
                          by_rows ? 0 : parts[2].shape[1]);
}

static ps_status ct_unpack(const ps_packed_matrix *m, bool plain_zeros,
                           const uint8_t *const parts[], uint8_t *blocks)
{
    const uint64_t shape[] = {m->rows, m->columns}, groups = ps_packed_groups(m);
    size_t len = (size_t)(ps_packed_group(m) * m->form.row->bits / 8);
    size_t bytes = ps_form_block_bytes(m->form, m->columns);
    (void)plain_zeros;
    if (memcmp(parts[0], shape, sizeof shape) != 0)
        return ps_fail(PS_INVALID_ARGUMENT, "weight_shape is another one");
    for (uint64_t at = 0; at < m->rows * groups; at++) {
        memcpy(blocks + at * bytes, parts[2] + at * 2, 2);
        memcpy(blocks + at * bytes + (bytes - len), parts[1] + at * len, len);
    }
    return PS_OK;
}

static void put_weights(ps_json_writer *w, ps_form form, const char *type)
{
    ps_json_key(w, "weights");
    ps_json_object(w);
    ps_json_put_bool(w, "dynamic", false);
    if (form.group)
        ps_json_put_uint(w, "group_size", form.group);
    ps_json_put_uint(w, "num_bits", form.row->bits);
    ps_json_put_string(w, "strategy", form.group ? "group" : "channel");
    ps_json_put_bool(w, "symmetric", true);
    ps_json_put_string(w, "type", type);
    ps_json_object_end(w);
}

void ps_packed_ct_config(ps_json_writer *w, ps_form form, const char *type, const char *format,
                         const char *const *others)
{
    ps_json_key(w, "config_groups");
    ps_json_object(w);
    ps_json_key(w, "group_0");
    ps_json_object(w);
    ps_json_put_raw(w, "input_activations", "null");
    ps_json_put_raw(w, "output_activations", "null");
    ps_json_put_raw(w, "targets", "[\"Linear\"]");
    put_weights(w, form, type);
    ps_json_object_end(w);
    ps_json_object_end(w);
    ps_json_put_string(w, "format", format);
    ps_json_key(w, "ignore");
    ps_json_array(w);
    for (; *others; others++)
        ps_json_string(w, *others);
    ps_json_array_end(w);
    ps_json_put_raw(w, "kv_cache_scheme", "null");
    ps_json_put_string(w, "quant_method", "compressed-tensors");
    ps_json_put_string(w, "quantization_status", "compressed");
}

static void ct_config(ps_json_writer *w, ps_form form, const char *const *others)
{
    ps_packed_ct_config(w, form, "int", "pack-quantized", others);
}

const ps_packed_row ps_packed_ct = {.name = "hf-ct",
                                    .forms = "int4, int8 or fp8/row",
                                    .one_form = true,
                                    .takes = ct_takes,
                                    .parts = ct_parts,
                                    .pack = ct_pack,
                                    .form_of = ct_form_of,
                                    .unpack = ct_unpack,
                                    .n_parts = 3,
                                    .scales = 2,
                                    .suffixes = suffixes,
                                    .next = &ps_packed_fp8,
                                    .config = ct_config};
