/* compressed-tensors, "mxfp4-pack-quantized": OCP's MXFP4, two codes of E2M1 a byte, the earlier
 * one lower, and of each 32 of a row the exponent of their scale with 127 added. ggml's blocks have
 * the same exponents and codes, but a byte has code k and code k + 16. Unpacking fails on a scale
 * that is NaN, which the blocks cannot say: 255 is a number there. */
#include "common/model/packed.h"

#include <inttypes.h>
#include <string.h>

enum { GROUP = 32, BYTES = GROUP / 2, NO_NUMBER = 255 /* as an exponent, in OCP's E8M0 */ };

static const char *const suffixes[] = {"weight_packed", "weight_scale"};

static bool mxfp4_takes(const ps_packed_matrix *m)
{
    return !strcmp(m->form.row->name, "mxfp4");
}

static size_t mxfp4_parts(const ps_packed_matrix *m, ps_packed_part out[PS_PACKED_PARTS])
{
    out[0] = (ps_packed_part){suffixes[0], PS_SAFETENSORS_U8, 2, {m->rows, m->columns / 2}};
    out[1] = (ps_packed_part){suffixes[1], PS_SAFETENSORS_U8, 2, {m->rows, m->columns / GROUP}};
    return 2;
}

/* ggml writes an exponent of 255 for a block whose numbers are too small for any: zeros. */
static uint8_t exponent_of(const uint8_t *block)
{
    uint8_t codes = 0;
    for (uint32_t k = 0; k < BYTES; k++)
        codes |= block[1 + k] & 0x77; /* without signs */
    return block[0] == NO_NUMBER && codes == 0 ? 0 : block[0];
}

static void mxfp4_pack(const ps_packed_matrix *m, const uint8_t *blocks, uint8_t *const parts[])
{
    for (uint64_t at = 0; at < m->rows * m->columns / GROUP; at++) {
        const uint8_t *codes = blocks + 1;
        uint8_t *out = parts[0] + at * BYTES;
        parts[1][at] = exponent_of(blocks);
        for (uint32_t k = 0; k < BYTES; k += 2) {
            out[k / 2] = (uint8_t)((codes[k] & 15) | (codes[k + 1] & 15) << 4);
            out[(BYTES + k) / 2] = (uint8_t)(codes[k] >> 4 | (codes[k + 1] >> 4) << 4);
        }
        blocks += 1 + BYTES;
    }
}

static ps_form mxfp4_form_of(const ps_packed_part *parts, uint64_t columns, bool symmetric,
                             bool by_rows)
{
    (void)parts, (void)columns, (void)by_rows;
    return (ps_form){symmetric ? ps_form_find("mxfp4") : NULL, GROUP};
}

static ps_status mxfp4_unpack(const ps_packed_matrix *m, bool plain_zeros,
                              const uint8_t *const parts[], uint8_t *blocks)
{
    (void)plain_zeros;
    for (uint64_t at = 0; at < m->rows * m->columns / GROUP; at++) {
        const uint8_t *low = parts[0] + at * BYTES, *high = low + BYTES / 2;
        if (parts[1][at] == NO_NUMBER)
            return ps_fail(PS_INVALID_ARGUMENT,
                           "row %" PRIu64 " has a scale that is NaN (E8M0 255, at group %" PRIu64
                           ")",
                           at / (m->columns / GROUP), at % (m->columns / GROUP));
        *blocks++ = parts[1][at];
        for (uint32_t k = 0; k < BYTES; k++) {
            uint32_t shift = k % 2 * 4;
            *blocks++ = (uint8_t)((low[k / 2] >> shift & 15) | (high[k / 2] >> shift & 15) << 4);
        }
    }
    return PS_OK;
}

const ps_packed_row ps_packed_mxfp4 = {.name = "hf-ct",
                                       .forms = "mxfp4",
                                       .format = "mxfp4-pack-quantized",
                                       .type = "float",
                                       .skips = true,
                                       .takes = mxfp4_takes,
                                       .parts = mxfp4_parts,
                                       .pack = mxfp4_pack,
                                       .form_of = mxfp4_form_of,
                                       .unpack = mxfp4_unpack,
                                       .n_parts = 2,
                                       .scales = 2,
                                       .suffixes = suffixes,
                                       .config = ps_packed_ct_config};
