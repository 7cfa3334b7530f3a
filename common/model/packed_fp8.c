/* compressed-tensors, "float-quantized": codes of FP8 (E4M3) in the place of the weight, a float32
 * scale a row. */
#include "common/base/buf.h"
#include "common/model/packed.h"

#include <string.h>

enum { SCALE = 4 };

static const char *const suffixes[] = {"weight", "weight_scale"};

static bool fp8_takes(const ps_packed_matrix *m)
{
    return !strcmp(m->form.row->name, "fp8") && !m->form.group && m->columns % SCALE == 0;
}

static size_t fp8_parts(const ps_packed_matrix *m, ps_packed_part out[PS_PACKED_PARTS])
{
    out[0] = (ps_packed_part){suffixes[0], PS_SAFETENSORS_F8_E4M3, 2, {m->rows, m->columns}};
    out[1] = (ps_packed_part){suffixes[1], PS_SAFETENSORS_F32, 2, {m->rows, 1}};
    return 2;
}

static void fp8_pack(const ps_packed_matrix *m, const uint8_t *blocks, uint8_t *const parts[])
{
    for (uint64_t row = 0; row < m->rows; row++, blocks += SCALE + m->columns) {
        memcpy(parts[0] + row * m->columns, blocks + SCALE, (size_t)m->columns);
        memcpy(parts[1] + row * SCALE, blocks, SCALE);
    }
}

static ps_form fp8_form_of(const ps_packed_part *parts, uint64_t columns, bool symmetric,
                           bool by_rows)
{
    (void)parts, (void)columns;
    return (ps_form){symmetric && by_rows ? ps_form_find("fp8") : NULL, 0};
}

static ps_status fp8_unpack(const ps_packed_matrix *m, bool plain_zeros,
                            const uint8_t *const parts[], uint8_t *blocks)
{
    (void)plain_zeros;
    for (uint64_t row = 0; row < m->rows; row++, blocks += SCALE + m->columns) {
        memcpy(blocks, parts[1] + row * SCALE, SCALE);
        memcpy(blocks + SCALE, parts[0] + row * m->columns, (size_t)m->columns);
    }
    return PS_OK;
}

const ps_packed_row ps_packed_fp8 = {.name = "hf-ct",
                                     .forms = "fp8/row",
                                     .format = "float-quantized",
                                     .type = "float",
                                     .skips = true,
                                     .takes = fp8_takes,
                                     .parts = fp8_parts,
                                     .pack = fp8_pack,
                                     .form_of = fp8_form_of,
                                     .unpack = fp8_unpack,
                                     .n_parts = 2,
                                     .scales = 1,
                                     .weight = PS_SAFETENSORS_F8_E4M3,
                                     .float_scales = true,
                                     .suffixes = suffixes,
                                     .next = &ps_packed_mxfp4,
                                     .config = ps_packed_ct_config};
