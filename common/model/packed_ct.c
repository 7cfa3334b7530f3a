/* compressed-tensors, "pack-quantized": codes of 4 or 8 bits, a scale a group or a row; zeros lie
 * along the other side, a word for 8 or 4 rows. They are read, but not written: what the library
 * packs so, transformers' loader cannot load. */
#include "common/base/buf.h"
#include "common/model/packed.h"

#include <stdio.h>
#include <string.h>

static const char *const suffixes[] = {"weight_shape", "weight_packed", "weight_scale",
                                       "weight_zero_point"};

static bool is_of(const ps_packed_matrix *m, bool zeros)
{
    uint32_t bits = m->form.row->bits;
    return ps_packed_is_words(m) && m->form.row->zero == zeros && (bits == 4 || bits == 8);
}

static bool ct_takes(const ps_packed_matrix *m)
{
    return is_of(m, false);
}

static bool zeros_takes(const ps_packed_matrix *m)
{
    return is_of(m, true);
}

static size_t ct_parts(const ps_packed_matrix *m, ps_packed_part out[PS_PACKED_PARTS])
{
    out[0] = (ps_packed_part){suffixes[0], PS_SAFETENSORS_I64, 1, {2}};
    out[1] = (ps_packed_part){
        "weight_packed", PS_SAFETENSORS_I32, 2, {m->rows, m->columns * m->form.row->bits / 32}};
    out[2] = (ps_packed_part){suffixes[2], PS_SAFETENSORS_F16, 2, {m->rows, ps_packed_groups(m)}};
    return 3;
}

static size_t zeros_parts(const ps_packed_matrix *m, ps_packed_part out[PS_PACKED_PARTS])
{
    size_t n = ct_parts(m, out);
    out[n] = (ps_packed_part){suffixes[3],
                              PS_SAFETENSORS_I32,
                              2,
                              {m->rows * m->form.row->bits / 32, ps_packed_groups(m)}};
    return n + 1;
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

static void zeros_pack(const ps_packed_matrix *m, const uint8_t *blocks, uint8_t *const parts[])
{
    uint64_t groups = ps_packed_groups(m);
    uint32_t bits = m->form.row->bits;
    ct_pack(m, blocks, parts);
    memset(parts[3], 0, (size_t)(m->rows * bits / 8 * groups));
    for (uint64_t row = 0; row < m->rows; row++)
        for (uint64_t g = 0; g < groups; g++) {
            uint64_t at = row * bits;
            ps_packed_put(parts[3] + (at / 32 * groups + g) * 4, bits, at % 32 / bits,
                          ps_packed_zero(m, ps_packed_block(m, blocks, row, g)));
        }
}

static ps_form form_of(const ps_packed_part *parts, uint64_t columns, bool symmetric, bool by_rows)
{
    return ps_packed_form(parts[1].shape[1] * 32 / columns, symmetric, columns,
                          by_rows ? 0 : parts[2].shape[1]);
}

static ps_form ct_form_of(const ps_packed_part *parts, uint64_t columns, bool symmetric,
                          bool by_rows)
{
    return symmetric ? form_of(parts, columns, true, by_rows) : (ps_form){NULL, 0};
}

static ps_form zeros_form_of(const ps_packed_part *parts, uint64_t columns, bool symmetric,
                             bool by_rows)
{
    (void)symmetric; /* of a folder; here are zeros */
    return form_of(parts, columns, false, by_rows);
}

static uint32_t zero_of(const ps_packed_matrix *m, const uint8_t *zeros, uint64_t row, uint64_t g)
{
    uint32_t bits = m->form.row->bits;
    uint64_t at = row * bits;
    if (!zeros)
        return 1u << (bits - 1);
    return ps_packed_get(zeros + (at / 32 * ps_packed_groups(m) + g) * 4, bits, at % 32 / bits);
}

static ps_status unpack(const ps_packed_matrix *m, const uint8_t *const parts[],
                        const uint8_t *zeros, uint8_t *blocks)
{
    const uint64_t shape[] = {m->rows, m->columns}, groups = ps_packed_groups(m);
    size_t len = (size_t)(ps_packed_group(m) * m->form.row->bits / 8);
    size_t bytes = ps_form_block_bytes(m->form, m->columns);
    if (memcmp(parts[0], shape, sizeof shape) != 0)
        return ps_fail(PS_INVALID_ARGUMENT, "weight_shape is another one");
    for (uint64_t at = 0; at < m->rows * groups; at++) {
        ps_status st = ps_packed_put_head(m, blocks + at * bytes, parts[2] + at * 2,
                                          zero_of(m, zeros, at / groups, at % groups));
        if (st)
            return st;
        memcpy(blocks + at * bytes + (bytes - len), parts[1] + at * len, len);
    }
    return PS_OK;
}

static ps_status ct_unpack(const ps_packed_matrix *m, bool plain_zeros,
                           const uint8_t *const parts[], uint8_t *blocks)
{
    (void)plain_zeros;
    return unpack(m, parts, NULL, blocks);
}

static ps_status zeros_unpack(const ps_packed_matrix *m, bool plain_zeros,
                              const uint8_t *const parts[], uint8_t *blocks)
{
    (void)plain_zeros;
    return unpack(m, parts, parts[3], blocks);
}

/* ---- quantization_config ---- */

static void put_names(ps_json_writer *w, const char *key, const char *const *names)
{
    ps_json_key(w, key);
    ps_json_array(w);
    for (; *names; names++)
        ps_json_string(w, *names);
    ps_json_array_end(w);
}

static void put_weights(ps_json_writer *w, const ps_packed_sort *sort)
{
    ps_json_key(w, "weights");
    ps_json_object(w);
    ps_json_put_bool(w, "dynamic", false);
    if (sort->form.group)
        ps_json_put_uint(w, "group_size", sort->form.group);
    ps_json_put_uint(w, "num_bits", sort->form.row->bits);
    if (sort->row == &ps_packed_mxfp4)
        ps_json_put_string(w, "scale_dtype", "torch.uint8");
    ps_json_put_string(w, "strategy", sort->form.group ? "group" : "channel");
    ps_json_put_bool(w, "symmetric", true);
    ps_json_put_string(w, "type", sort->row->type);
    ps_json_object_end(w);
}

static void put_activations(ps_json_writer *w, const char *activations)
{
    if (!activations) {
        ps_json_put_raw(w, "input_activations", "null");
        return;
    }
    ps_json_key(w, "input_activations");
    ps_json_object(w);
    ps_json_put_bool(w, "dynamic", true);
    ps_json_put_uint(w, "num_bits", 8);
    ps_json_put_string(w, "strategy", "token");
    ps_json_put_bool(w, "symmetric", true);
    ps_json_put_string(w, "type", strcmp(activations, "int8") != 0 ? "float" : "int");
    ps_json_object_end(w);
}

/* By their names, where there are several: nothing else tells them. */
static void put_group(ps_json_writer *w, const ps_packed_sort *sort, size_t i, bool only,
                      const char *activations)
{
    static const char *const all[] = {"Linear", NULL};
    char key[32];
    (void)snprintf(key, sizeof key, "group_%zu", i);
    ps_json_key(w, key);
    ps_json_object(w);
    if (!only)
        ps_json_put_string(w, "format", sort->row->format);
    put_activations(w, activations);
    ps_json_put_raw(w, "output_activations", "null");
    put_names(w, "targets", only ? all : sort->modules);
    put_weights(w, sort);
    ps_json_object_end(w);
}

void ps_packed_ct_config(ps_json_writer *w, const ps_packed_sort *sorts, size_t n,
                         const char *const *others, const char *activations)
{
    bool mixed = false;
    for (size_t i = 1; i < n; i++)
        mixed |= sorts[i].row != sorts[0].row;
    ps_json_key(w, "config_groups");
    ps_json_object(w);
    for (size_t i = 0; i < n; i++)
        put_group(w, &sorts[i], i, n == 1, activations);
    ps_json_object_end(w);
    ps_json_put_string(w, "format", mixed ? "mixed-precision" : sorts[0].row->format);
    put_names(w, "ignore", others);
    ps_json_put_raw(w, "kv_cache_scheme", "null");
    ps_json_put_string(w, "quant_method", "compressed-tensors");
    ps_json_put_string(w, "quantization_status", "compressed");
}

const ps_packed_row ps_packed_ct = {.name = "hf-ct",
                                    .forms = "int4, int8, fp8/row or mxfp4",
                                    .format = "pack-quantized",
                                    .type = "int",
                                    .skips = true,
                                    .takes = ct_takes,
                                    .parts = ct_parts,
                                    .pack = ct_pack,
                                    .form_of = ct_form_of,
                                    .unpack = ct_unpack,
                                    .n_parts = 3,
                                    .scales = 2,
                                    .suffixes = suffixes,
                                    .next = &ps_packed_fp8,
                                    .config = ps_packed_ct_config};

const ps_packed_row ps_packed_ct_zeros = {.name = "hf-ct",
                                          .forms = "uint4 or uint8",
                                          .takes = zeros_takes,
                                          .parts = zeros_parts,
                                          .pack = zeros_pack,
                                          .form_of = zeros_form_of,
                                          .unpack = zeros_unpack,
                                          .n_parts = 4,
                                          .scales = 2,
                                          .suffixes = suffixes};
