/* The rows Split (pattern, behavior, invert) and CharDelimiterSplit (delimiter). */
#include "common/base/utf8.h"
#include "common/tokenizer/step_rows.h"

static ps_status read_split(const ps_part *part, ps_step *step)
{
    size_t how = PS_CUT_ISOLATED;
    ps_status st = ps_step_pattern(part, step);
    if (!st)
        st = ps_part_word(part, "behavior", ps_cut_hows, &how);
    step->how = (ps_cut_how)how;
    return st ? st : ps_part_bool(part, "invert", &step->invert);
}

static ps_status cut(const ps_step *step, ps_slice piece, size_t lead, ps_spans *spans,
                     ps_cut_pieces *out)
{
    ps_status st = ps_step_find(step, piece, spans);
    for (size_t i = 0; step->invert && i < spans->n; i++)
        spans->at[i].match = !spans->at[i].match;
    if (!st)
        ps_spans_cut(spans, piece, lead, step->how, out);
    return st;
}

const ps_step_row ps_pre_split = {.type = "Split", .read = read_split, .cut = cut};

static ps_status read_delimiter(const ps_part *part, ps_step *step)
{
    step->how = PS_CUT_REMOVED;
    ps_status st = ps_part_text(part, "delimiter", &step->text);
    ps_slice text = ps_buf_slice(&step->text);
    return st || (text.len && ps_utf8_length(text) == text.len)
               ? st
               : ps_part_fail(part, "delimiter must be one character");
}

const ps_step_row ps_pre_delimiter = {
    .type = "CharDelimiterSplit", .read = read_delimiter, .cut = cut};
