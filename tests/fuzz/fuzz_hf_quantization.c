/* quantization_config out of any bytes: refused with a message of one line, or one of the layouts
 * that there are. And any shapes of parts: a form that they are said to be of has parts. */
#include "common/model/hf_quantization.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_shapes(const ps_packed_row *row, const uint8_t *data, size_t size)
{
    uint64_t numbers[2 * PS_PACKED_PARTS + 1] = {0};
    memcpy(numbers, data, size < sizeof numbers ? size : sizeof numbers);
    ps_packed_part parts[PS_PACKED_PARTS] = {{0}};
    for (size_t k = 0; k < PS_PACKED_PARTS; k++)
        memcpy(parts[k].shape, &numbers[2 * k], sizeof parts[k].shape);
    ps_packed_matrix m = {.rows = 64, .columns = numbers[2 * PS_PACKED_PARTS] % 4096 + 1};
    for (int symmetric = 0; symmetric < 2; symmetric++) {
        m.form = row->form_of(parts, m.columns, symmetric, size % 2);
        if (m.form.row && ps_form_divides(m.form, m.columns) && row->takes(&m))
            require(row->parts(&m, parts) == row->n_parts);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ps_hf_quantization found;
    ps_status st = ps_hf_quantization_parse(ps_slice_of(data, size), &found);
    require(st == PS_OK || st == PS_INVALID_ARGUMENT);
    require(!st || !strchr(ps_error_message(), '\n') || memchr(data, '\\', size));
    for (size_t i = 0; !st && found.rows[i]; i++)
        check_shapes(found.rows[i], data, size);
    check_shapes(&ps_packed_gptq, data, size);
    ps_hf_quantization beside;
    st = ps_hf_quantization_parse_file(ps_slice_of(data, size), "gptq", &beside);
    require(st == PS_OK || st == PS_INVALID_ARGUMENT);
    if (!st)
        require(ps_hf_quantization_join(&beside, &beside) == PS_OK);
    return 0;
}
