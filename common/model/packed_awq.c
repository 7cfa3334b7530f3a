/* AWQ, version gemm: codes of 4 bits, eight outputs a word in an order of their own, zeros as they
 * are. */
#include "common/base/buf.h"
#include "common/model/packed.h"

#include <string.h>

enum { BITS = 4, WORD = 8 /* outputs */ };

/* Nibble j of a word is this output of its eight. */
static const uint8_t order[WORD] = {0, 2, 4, 6, 1, 3, 5, 7};

static const char *const suffixes[] = {"qweight", "qzeros", "scales"};

static bool awq_takes(const ps_packed_matrix *m)
{
    return ps_packed_is_words(m) && m->form.row->bits == BITS && m->form.group;
}

static size_t awq_parts(const ps_packed_matrix *m, ps_packed_part out[PS_PACKED_PARTS])
{
    uint64_t groups = ps_packed_groups(m);
    out[0] = (ps_packed_part){suffixes[0], PS_SAFETENSORS_I32, 2, {m->columns, m->rows / WORD}};
    out[1] = (ps_packed_part){suffixes[1], PS_SAFETENSORS_I32, 2, {groups, m->rows / WORD}};
    out[2] = (ps_packed_part){suffixes[2], PS_SAFETENSORS_F16, 2, {groups, m->rows}};
    return 3;
}

/* Where the nibble of an output is, of a line of words. */
static uint64_t place_of(uint64_t row)
{
    uint64_t j = 0;
    while (order[j] != row % WORD)
        j++;
    return row / WORD * WORD + j;
}

static void awq_pack(const ps_packed_matrix *m, const uint8_t *blocks, uint8_t *const parts[])
{
    uint64_t line = m->rows / 2, group = ps_packed_group(m); /* bytes of a line */
    memset(parts[0], 0, (size_t)(m->columns * line));
    memset(parts[1], 0, (size_t)(ps_packed_groups(m) * line));
    for (uint64_t row = 0; row < m->rows; row++)
        for (uint64_t k = 0; k < m->columns; k++) {
            const uint8_t *block = ps_packed_block(m, blocks, row, k / group);
            ps_packed_put(parts[0] + k * line, BITS, place_of(row),
                          ps_packed_code(m, block, k % group));
            if (k % group == 0)
                ps_packed_put(parts[1] + k / group * line, BITS, place_of(row),
                              ps_packed_zero(m, block));
        }
    ps_packed_put_scales(m, blocks, parts[2]);
}

static ps_form awq_form_of(const ps_packed_part *parts, uint64_t columns, bool symmetric,
                           bool by_rows)
{
    return ps_packed_form(BITS, symmetric, columns, by_rows ? 0 : parts[2].shape[0]);
}

static ps_status awq_unpack(const ps_packed_matrix *m, bool plain_zeros,
                            const uint8_t *const parts[], uint8_t *blocks)
{
    uint64_t line = m->rows / 2, group = ps_packed_group(m), groups = ps_packed_groups(m);
    size_t bytes = ps_form_block_bytes(m->form, m->columns);
    ps_status st = PS_OK;
    (void)plain_zeros;
    for (uint64_t at = 0; !st && at < m->rows * groups; at++) {
        uint64_t row = at / groups, g = at % groups;
        uint8_t *block = blocks + at * bytes;
        uint32_t zero = ps_packed_get(parts[1] + g * line, BITS, place_of(row));
        st = ps_packed_put_head(m, block, parts[2] + (g * m->rows + row) * 2, zero);
        for (uint64_t i = 0; !st && i < group; i++)
            ps_packed_put_code(
                m, block, i, ps_packed_get(parts[0] + (g * group + i) * line, BITS, place_of(row)));
    }
    return st;
}

static void awq_config(ps_json_writer *w, const ps_packed_sort *sorts, size_t n,
                       const char *const *others, const char *activations)
{
    const ps_form form = sorts[0].form;
    (void)n, (void)activations;
    ps_json_put_uint(w, "bits", form.row->bits);
    ps_json_put_uint(w, "group_size", form.group);
    ps_json_key(w, "modules_to_not_convert");
    ps_json_array(w);
    for (; *others; others++)
        ps_json_string(w, *others);
    ps_json_array_end(w);
    ps_json_put_string(w, "quant_method", "awq");
    ps_json_put_string(w, "version", "gemm");
    ps_json_put_bool(w, "zero_point", true);
}

const ps_packed_row ps_packed_awq = {.name = "hf-awq",
                                     .forms = "int4 or uint4 in groups",
                                     .one_form = true,
                                     .skips = true,
                                     .takes = awq_takes,
                                     .parts = awq_parts,
                                     .pack = awq_pack,
                                     .form_of = awq_form_of,
                                     .unpack = awq_unpack,
                                     .n_parts = 3,
                                     .scales = 2,
                                     .suffixes = suffixes,
                                     .config = awq_config};
