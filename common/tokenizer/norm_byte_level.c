/* The row ByteLevel of normalizers: bytes become the letters that stand for them. */
#include "common/tokenizer/byte_text.h"
#include "common/tokenizer/step_rows.h"

static ps_status normalize(const ps_step *step, ps_edges edges, ps_slice text, ps_spans *spans,
                           ps_buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t letter[4];
        ps_buf_append(out, letter, ps_byte_text(text.data[i], letter));
    }
    return PS_OK;
}

const ps_step_row ps_norm_byte_level = {.type = "ByteLevel", .normalize = normalize};
