/* The row Nmt, of Google's translation models: most control characters go, and line ends, joiners,
 * marks and U+2581 become spaces. */
#include "common/tokenizer/step_rows.h"

static bool goes(uint32_t cp)
{
    return (cp >= 0x01 && cp <= 0x08) || cp == 0x0b || (cp >= 0x0e && cp <= 0x1f) || cp == 0x7f ||
           cp == 0x8f || cp == 0x9f;
}

static bool is_space(uint32_t cp)
{
    return cp == '\t' || cp == '\n' || cp == '\f' || cp == '\r' || cp == 0x1680 ||
           (cp >= 0x200b && cp <= 0x200f) || cp == 0x2028 || cp == 0x2029 || cp == 0x2581 ||
           cp == 0xfeff || cp == 0xfffd;
}

static ps_status normalize(const ps_step *step, ps_edges edges, ps_slice text, ps_spans *spans,
                           ps_buf *out)
{
    for (size_t at = 0, n = 0; at < text.len; at += n) {
        uint32_t cp = ps_step_char(ps_slice_of(text.data + at, text.len - at), &n);
        if (is_space(cp))
            ps_buf_putc(out, ' ');
        else if (!goes(cp))
            ps_buf_append(out, text.data + at, n);
    }
    return PS_OK;
}

const ps_step_row ps_norm_nmt = {.type = "Nmt", .normalize = normalize};
