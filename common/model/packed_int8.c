/* compressed-tensors, "int-quantized": codes of 8 bits in the place of the weight, a scale a row or
 * a group. */
#include "common/model/packed.h"

#include <string.h>

enum { SCALE = 2, HALF = 128 }; /* of a block of int8: its scale; and what is added to a code */

static const char *const suffixes[] = {"weight", "weight_scale"};

static bool int8_takes(const ps_packed_matrix *m)
{
    return !strcmp(m->form.row->name, "int8");
}

static size_t int8_parts(const ps_packed_matrix *m, ps_packed_part out[PS_PACKED_PARTS])
{
    out[0] = (ps_packed_part){suffixes[0], PS_SAFETENSORS_I8, 2, {m->rows, m->columns}};
    out[1] = (ps_packed_part){suffixes[1], PS_SAFETENSORS_F16, 2, {m->rows, ps_packed_groups(m)}};
    return 2;
}

static void int8_pack(const ps_packed_matrix *m, const uint8_t *blocks, uint8_t *const parts[])
{
    uint64_t group = ps_packed_group(m);
    uint8_t *code = parts[0];
    for (uint64_t at = 0; at < m->rows * ps_packed_groups(m); at++) {
        memcpy(parts[1] + at * SCALE, blocks, SCALE);
        blocks += SCALE;
        for (uint64_t i = 0; i < group; i++)
            *code++ = (uint8_t)(*blocks++ - HALF);
    }
}

static ps_form int8_form_of(const ps_packed_part *parts, uint64_t columns, bool symmetric,
                            bool by_rows)
{
    return ps_packed_form(8, symmetric, columns, by_rows ? 0 : parts[1].shape[1]);
}

static ps_status int8_unpack(const ps_packed_matrix *m, bool plain_zeros,
                             const uint8_t *const parts[], uint8_t *blocks)
{
    uint64_t group = ps_packed_group(m);
    const uint8_t *code = parts[0];
    (void)plain_zeros;
    for (uint64_t at = 0; at < m->rows * ps_packed_groups(m); at++) {
        memcpy(blocks, parts[1] + at * SCALE, SCALE);
        blocks += SCALE;
        for (uint64_t i = 0; i < group; i++)
            *blocks++ = (uint8_t)(*code++ + HALF);
    }
    return PS_OK;
}

const ps_packed_row ps_packed_int8 = {.name = "hf-ct",
                                      .forms = "int8/row",
                                      .format = "int-quantized",
                                      .type = "int",
                                      .skips = true,
                                      .takes = int8_takes,
                                      .parts = int8_parts,
                                      .pack = int8_pack,
                                      .form_of = int8_form_of,
                                      .unpack = int8_unpack,
                                      .n_parts = 2,
                                      .scales = 1,
                                      .weight = PS_SAFETENSORS_I8,
                                      .suffixes = suffixes,
                                      .config = ps_packed_ct_config};
