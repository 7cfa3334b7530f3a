/* The row UnicodeScripts: a piece ends where another script begins. A space, and what is not in the
 * table, is of any script; what stands before the first of one is left out, as the library has
 * it. */
#include "common/tokenizer/scripts_table.h"
#include "common/tokenizer/step_rows.h"

enum { ANY, SYMBOL = 2 }; /* as digits are */

static uint32_t script_of(uint32_t cp)
{
    size_t low = 0, high = sizeof script_starts / sizeof *script_starts;
    if (cp >= 0x110000)
        return SYMBOL;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (cp < script_starts[middle] >> 8)
            high = middle;
        else
            low = middle;
    }
    return script_starts[low] & 0xff;
}

static ps_status cut(const ps_step *step, ps_slice piece, size_t lead, ps_spans *spans,
                     ps_cut_pieces *out)
{
    uint32_t last = ANY;
    size_t start = 0, n = 0;
    for (size_t at = 0; at < piece.len; at += n) {
        uint32_t script = script_of(ps_step_char(ps_slice_of(piece.data + at, piece.len - at), &n));
        if (script == ANY || script == last)
            continue;
        if (last != ANY)
            ps_cut_pieces_add(out, ps_slice_of(piece.data + start, at - start),
                              ps_lead_at(lead, start));
        last = script;
        start = at;
    }
    if (last != ANY)
        ps_cut_pieces_add(out, ps_slice_of(piece.data + start, piece.len - start),
                          ps_lead_at(lead, start));
    return PS_OK;
}

const ps_step_row ps_pre_unicode_scripts = {.type = "UnicodeScripts", .cut = cut};
