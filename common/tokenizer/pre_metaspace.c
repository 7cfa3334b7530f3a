/* The row Metaspace (replacement, prepend_scheme or add_prefix_space, split): spaces become a
 * letter, one stands before a text, and pieces begin with it. text: a space; with: the letter;
 * is[0]: split; number: the scheme. */
#include "common/base/utf8.h"
#include "common/tokenizer/step_rows.h"

enum { ALWAYS, FIRST, NEVER };

static ps_status read_metaspace(const ps_part *part, ps_step *step)
{
    static const char *const schemes[] = {"always", "first", "never", NULL};
    bool prefix = true;
    size_t scheme = ALWAYS;
    ps_buf_puts(&step->with, "\xe2\x96\x81");
    step->is[0] = true;
    ps_status st = ps_part_text(part, "replacement", &step->with);
    if (!st && (!step->with.len || ps_utf8_length(ps_buf_slice(&step->with)) != step->with.len))
        st = ps_part_fail(part, "replacement must be one character");
    if (!st)
        st = ps_part_bool(part, "split", &step->is[0]);
    if (!st)
        st = ps_part_bool(part, "add_prefix_space", &prefix); /* what files of before 2024 have */
    scheme = prefix ? ALWAYS : NEVER;
    if (!st)
        st = ps_part_word(part, "prepend_scheme", schemes, &scheme);
    step->number = scheme;
    return st;
}

static bool starts_with(ps_slice text, const ps_buf *with)
{
    return text.len >= with->len && !memcmp(text.data, with->data, with->len);
}

static void replace(const ps_step *step, ps_slice piece, size_t lead, ps_buf *out)
{
    bool wanted = step->number == ALWAYS || (step->number == FIRST && lead);
    bool there = piece.len && (piece.data[0] == ' ' || starts_with(piece, &step->with));
    if (wanted && !there)
        ps_buf_append(out, step->with.data, step->with.len);
    for (size_t i = 0; i < piece.len; i++)
        if (piece.data[i] == ' ')
            ps_buf_append(out, step->with.data, step->with.len);
        else
            ps_buf_append(out, &piece.data[i], 1);
}

static ps_status cut(const ps_step *step, ps_slice piece, size_t lead, ps_spans *spans,
                     ps_cut_pieces *out)
{
    ps_buf made = PS_BUF_EMPTY;
    replace(step, piece, lead, &made);
    size_t start = 0;
    for (size_t at = 1; step->is[0] && at < made.len; at++) {
        ps_slice rest = ps_slice_of(made.data + at, made.len - at);
        if (!starts_with(rest, &step->with))
            continue;
        ps_cut_pieces_add(out, ps_slice_of(made.data + start, at - start), ps_lead_at(lead, start));
        start = at;
    }
    ps_cut_pieces_add(out, ps_slice_of(made.data + start, made.len - start),
                      ps_lead_at(lead, start));
    ps_buf_free(&made);
    return PS_OK;
}

const ps_step_row ps_pre_metaspace = {.type = "Metaspace", .read = read_metaspace, .cut = cut};
