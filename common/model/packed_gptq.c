/* GPTQ, as AutoGPTQ's qlinear holds it: codes of 2, 3, 4 or 8 bits, dense along the input, groups
 * in their order. Symmetric forms have the zero that all loaders take for one, 2^(b−1), and it
 * stands less 1; those with zeros of their own are checkpoint_format "gptq_v2", where a zero is
 * what it is (less 1, a zero of 0 would be none). */
#include "common/base/buf.h"
#include "common/model/packed.h"

#include <string.h>

static const char *const suffixes[] = {"g_idx", "qweight", "qzeros", "scales"};

static bool gptq_takes(const ps_packed_matrix *m)
{
    return ps_packed_is_words(m);
}

static size_t gptq_parts(const ps_packed_matrix *m, ps_packed_part out[PS_PACKED_PARTS])
{
    uint64_t bits = m->form.row->bits, groups = ps_packed_groups(m);
    out[0] = (ps_packed_part){suffixes[0], PS_SAFETENSORS_I32, 1, {m->columns}};
    out[1] =
        (ps_packed_part){suffixes[1], PS_SAFETENSORS_I32, 2, {m->columns * bits / 32, m->rows}};
    out[2] = (ps_packed_part){suffixes[2], PS_SAFETENSORS_I32, 2, {groups, m->rows * bits / 32}};
    out[3] = (ps_packed_part){suffixes[3], PS_SAFETENSORS_F16, 2, {groups, m->rows}};
    return 4;
}

/* A column of words for each output. */
static void put_codes(const ps_packed_matrix *m, const uint8_t *blocks, uint8_t *out)
{
    uint32_t bits = m->form.row->bits;
    memset(out, 0, (size_t)(m->columns * bits / 8 * m->rows));
    for (uint64_t row = 0; row < m->rows; row++)
        for (uint64_t k = 0; k < m->columns; k++) {
            uint64_t group = k / ps_packed_group(m), at = k * bits;
            uint32_t code =
                ps_packed_code(m, ps_packed_block(m, blocks, row, group), k % ps_packed_group(m));
            for (uint32_t b = 0; b < bits; b++, at++) /* a code may go on in the next word */
                if (code >> b & 1) {
                    uint8_t *byte = &out[(at / 32 * m->rows + row) * 4 + at % 32 / 8];
                    *byte = (uint8_t)(*byte | 1u << (at % 8));
                }
        }
}

static void put_zeros(const ps_packed_matrix *m, const uint8_t *blocks, uint8_t *out)
{
    uint32_t bits = m->form.row->bits, less = m->form.row->zero ? 0 : 1;
    size_t len = (size_t)(m->rows * bits / 8);
    memset(out, 0, (size_t)ps_packed_groups(m) * len);
    for (uint64_t g = 0; g < ps_packed_groups(m); g++)
        for (uint64_t row = 0; row < m->rows; row++)
            ps_packed_put(out + g * len, bits, row,
                          ps_packed_zero(m, ps_packed_block(m, blocks, row, g)) - less);
}

static void gptq_pack(const ps_packed_matrix *m, const uint8_t *blocks, uint8_t *const parts[])
{
    for (uint64_t k = 0; k < m->columns; k++) {
        uint32_t group = (uint32_t)(k / ps_packed_group(m));
        memcpy(parts[0] + 4 * k, &group, sizeof group);
    }
    put_codes(m, blocks, parts[1]);
    put_zeros(m, blocks, parts[2]);
    ps_packed_put_scales(m, blocks, parts[3]);
}

static ps_form gptq_form_of(const ps_packed_part *parts, uint64_t columns, bool symmetric,
                            bool by_rows)
{
    return ps_packed_form(parts[1].shape[0] * 32 / columns, symmetric, columns,
                          by_rows ? 0 : parts[3].shape[0]);
}

static ps_status check_order(const ps_packed_matrix *m, const uint8_t *g_idx)
{
    for (uint64_t k = 0; k < m->columns; k++) {
        uint32_t group;
        memcpy(&group, g_idx + 4 * k, sizeof group);
        if (group != k / ps_packed_group(m))
            return ps_fail(
                PS_INVALID_ARGUMENT,
                "g_idx has column %llu in group %u: codes in another order (desc_act) are "
                "not kept here; --float32 takes their numbers",
                (unsigned long long)k, group);
    }
    return PS_OK;
}

static uint32_t code_of(const ps_packed_matrix *m, const uint8_t *qweight, uint64_t row, uint64_t k)
{
    uint32_t bits = m->form.row->bits, code = 0;
    for (uint32_t b = 0; b < bits; b++) {
        uint64_t at = k * bits + b;
        uint8_t byte = qweight[(at / 32 * m->rows + row) * 4 + at % 32 / 8];
        code |= (byte >> (at % 8) & 1u) << b;
    }
    return code;
}

static ps_status gptq_unpack(const ps_packed_matrix *m, bool plain_zeros,
                             const uint8_t *const parts[], uint8_t *blocks)
{
    uint32_t bits = m->form.row->bits;
    uint64_t group = ps_packed_group(m), groups = ps_packed_groups(m);
    size_t len = (size_t)(m->rows * bits / 8), bytes = ps_form_block_bytes(m->form, m->columns);
    ps_status st = check_order(m, parts[0]);
    for (uint64_t at = 0; !st && at < m->rows * groups; at++) {
        uint64_t row = at / groups, g = at % groups;
        uint8_t *block = blocks + at * bytes;
        uint32_t zero = ps_packed_get(parts[2] + g * len, bits, row) + !plain_zeros;
        st = ps_packed_put_head(m, block, parts[3] + (g * m->rows + row) * 2, zero);
        for (uint64_t i = 0; !st && i < group; i++)
            ps_packed_put_code(m, block, i, code_of(m, parts[1], row, g * group + i));
    }
    return st;
}

static ps_status gptq_decode(const ps_packed_matrix *m, bool plain_zeros,
                             const uint8_t *const parts[], float *out)
{
    uint32_t bits = m->form.row->bits;
    size_t len = (size_t)(m->rows * bits / 8);
    for (uint64_t k = 0; k < m->columns; k++) {
        uint32_t group;
        memcpy(&group, parts[0] + 4 * k, sizeof group);
        if (group >= ps_packed_groups(m))
            return ps_fail(PS_INVALID_ARGUMENT, "g_idx has column %llu in group %u of %llu",
                           (unsigned long long)k, group, (unsigned long long)ps_packed_groups(m));
        for (uint64_t row = 0; row < m->rows; row++) {
            float scale;
            memcpy(&scale, parts[3] + (group * m->rows + row) * sizeof scale, sizeof scale);
            int32_t zero = (int32_t)ps_packed_get(parts[2] + group * len, bits, row) + !plain_zeros;
            int32_t code = (int32_t)code_of(m, parts[1], row, k);
            out[row * m->columns + k] = scale * (float)(code - zero);
        }
    }
    return PS_OK;
}

static void gptq_config(ps_json_writer *w, const ps_packed_sort *sorts, size_t n,
                        const char *const *others, const char *activations)
{
    const ps_form form = sorts[0].form;
    (void)n, (void)activations;
    (void)others; /* layers of the blocks alone are meant */
    ps_json_put_uint(w, "bits", form.row->bits);
    ps_json_put_string(w, "checkpoint_format", form.row->zero ? "gptq_v2" : "gptq");
    ps_json_put_bool(w, "desc_act", false);
    ps_json_put_int(w, "group_size", form.group ? (int64_t)form.group : -1);
    ps_json_put_bool(w, "lm_head", false);
    ps_json_put_string(w, "quant_method", "gptq");
    ps_json_put_bool(w, "sym", !form.row->zero);
    ps_json_put_bool(w, "true_sequential", true);
}

const ps_packed_row ps_packed_gptq = {.name = "hf-gptq",
                                      .forms = "int2 to int8 or uint2 to uint8",
                                      .one_form = true,
                                      .takes = gptq_takes,
                                      .parts = gptq_parts,
                                      .pack = gptq_pack,
                                      .form_of = gptq_form_of,
                                      .unpack = gptq_unpack,
                                      .decode = gptq_decode,
                                      .n_parts = 4,
                                      .scales = 3,
                                      .suffixes = suffixes,
                                      .beside = "quantize_config.json",
                                      .config = gptq_config};
