/* The row FixedLength (length): pieces of so many characters, the last of what is left. number:
 * length. */
#include "common/tokenizer/step_rows.h"

static ps_status read_length(const ps_part *part, ps_step *step)
{
    enum { USUAL = 5 };
    step->number = USUAL;
    ps_status st = ps_part_uint(part, "length", &step->number);
    return st || step->number ? st : ps_part_fail(part, "length must be 1 or more");
}

static ps_status cut(const ps_step *step, ps_slice piece, size_t lead, ps_spans *spans,
                     ps_cut_pieces *out)
{
    uint64_t characters = 0;
    size_t start = 0, n = 0;
    for (size_t at = 0; at < piece.len;) {
        (void)ps_step_char(ps_slice_of(piece.data + at, piece.len - at), &n);
        at += n;
        if (++characters % step->number && at < piece.len)
            continue;
        ps_cut_pieces_add(out, ps_slice_of(piece.data + start, at - start),
                          ps_lead_at(lead, start));
        start = at;
    }
    return PS_OK;
}

const ps_step_row ps_pre_fixed_length = {.type = "FixedLength", .read = read_length, .cut = cut};
