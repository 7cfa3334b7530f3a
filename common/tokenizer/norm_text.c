/* The rows Replace (pattern, content), Prepend (prepend) and Strip (strip_left, strip_right). */
#include "common/tokenizer/classes.h"
#include "common/tokenizer/step_rows.h"

static ps_status put(ps_buf *out, const void *data, size_t len)
{
    return ps_buf_append_limited(out, data, len, PS_TOKENIZER_MAX_GROWTH);
}

/* ---- Replace: text or regex becomes with ---- */

static ps_status read_replace(const ps_part *part, ps_step *step)
{
    ps_status st = ps_step_pattern(part, step);
    return st ? st : ps_part_text(part, "content", &step->with);
}

static ps_status replace(const ps_step *step, ps_edges edges, ps_slice text, ps_spans *spans,
                         ps_buf *out)
{
    ps_status st = ps_step_find(step, text, spans);
    for (size_t i = 0; !st && i < spans->n; i++) {
        ps_span s = spans->at[i];
        st = s.match ? put(out, step->with.data, step->with.len)
                     : put(out, text.data + s.from, s.to - s.from);
    }
    return st;
}

/* What comes in stands where the last character of the match stood. */
static size_t lead_of(const ps_step *step, const ps_spans *spans, size_t lead)
{
    size_t made = 0;
    for (size_t i = 0; i < spans->n && spans->at[i].from < lead; i++) {
        ps_span s = spans->at[i];
        if (!s.match)
            made += (s.to < lead ? s.to : lead) - s.from;
        else if (s.to <= lead)
            made += step->with.len;
    }
    return made;
}

const ps_step_row ps_norm_replace = {
    .type = "Replace", .read = read_replace, .normalize = replace, .lead = lead_of};

/* ---- Prepend: with goes before a text ---- */

/* An empty one has `tokenizers` write the first character twice. */
static ps_status read_prepend(const ps_part *part, ps_step *step)
{
    ps_status st = ps_part_text(part, "prepend", &step->with);
    return st || step->with.len ? st : ps_part_fail(part, "prepend is empty");
}

static ps_status prepend(const ps_step *step, ps_edges edges, ps_slice text, ps_spans *spans,
                         ps_buf *out)
{
    if (edges.begins && text.len)
        ps_buf_append(out, step->with.data, step->with.len);
    return put(out, text.data, text.len);
}

const ps_step_row ps_norm_prepend = {.type = "Prepend", .read = read_prepend, .normalize = prepend};

/* ---- Strip: is[0] from the left, is[1] from the right ---- */

static ps_status read_strip(const ps_part *part, ps_step *step)
{
    step->is[0] = step->is[1] = true;
    ps_status st = ps_part_bool(part, "strip_left", &step->is[0]);
    return st ? st : ps_part_bool(part, "strip_right", &step->is[1]);
}

static ps_status strip(const ps_step *step, ps_edges edges, ps_slice text, ps_spans *spans,
                       ps_buf *out)
{
    bool left = step->is[0] && edges.begins, right = step->is[1] && edges.ends;
    size_t from = SIZE_MAX, to = 0, n = 0;
    for (size_t at = 0; at < text.len; at += n) {
        if (ps_class_space(ps_step_char(ps_slice_of(text.data + at, text.len - at), &n)))
            continue;
        from = at < from ? at : from;
        to = at + n;
    }
    from = left ? from : 0;
    to = right ? to : text.len;
    return from < to ? put(out, text.data + from, to - from) : PS_OK;
}

const ps_step_row ps_norm_strip = {.type = "Strip", .read = read_strip, .normalize = strip};
