/* Happy path: spans are joined in place as the way of cutting has it, and what is left is added.
 * Cannot fail: all is bounded by a block of text. */
#include "common/tokenizer/pieces.h"

#include "common/base/mem.h"

const char *const ps_cut_hows[] = {"Removed",        "Isolated",   "MergedWithPrevious",
                                   "MergedWithNext", "Contiguous", NULL};

void ps_cut_pieces_clear(ps_cut_pieces *p)
{
    ps_buf_clear(&p->text);
    p->n = 0;
}

void ps_cut_pieces_free(ps_cut_pieces *p)
{
    ps_buf_free(&p->text);
    ps_free(&p->at);
    *p = (ps_cut_pieces){0};
}

void ps_cut_pieces_add(ps_cut_pieces *p, ps_slice text, size_t lead)
{
    if (!text.len)
        return;
    if (p->n == p->capacity) {
        p->capacity = p->capacity ? 2 * p->capacity : 64;
        p->at = ps_realloc(p->at, p->capacity * sizeof *p->at);
    }
    p->at[p->n++] = (ps_cut_piece){.at = p->text.len, .len = text.len, .lead = lead};
    ps_buf_append(&p->text, text.data, text.len);
}

void ps_spans_clear(ps_spans *s)
{
    s->n = 0;
    s->end = 0;
}

void ps_spans_free(ps_spans *s)
{
    ps_free(&s->at);
    *s = (ps_spans){0};
}

static void add(ps_spans *s, size_t from, size_t to, bool match)
{
    if (s->n == s->capacity) {
        s->capacity = s->capacity ? 2 * s->capacity : 64;
        s->at = ps_realloc(s->at, s->capacity * sizeof *s->at);
    }
    s->at[s->n++] = (ps_span){.from = from, .to = to, .match = match};
    s->end = to;
}

void ps_spans_match(ps_spans *s, size_t from, size_t to)
{
    if (s->end < from)
        add(s, s->end, from, false);
    add(s, from, to, true);
}

void ps_spans_finish(ps_spans *s, size_t len)
{
    if (s->end < len)
        add(s, s->end, len, false);
}

/* The place of the list that goes with i, in the direction of cutting: a match joins what was
 * before it unless that was a match, too. */
static void join(ps_spans *s, bool backwards)
{
    bool was = false;
    size_t kept = 0;
    for (size_t k = 0; k < s->n; k++) {
        size_t i = backwards ? s->n - 1 - k : k;
        ps_span now = s->at[i];
        size_t last = backwards ? s->n - kept : kept - 1;
        if (now.match && !was && kept) {
            if (backwards)
                s->at[last].from = now.from;
            else
                s->at[last].to = now.to;
        } else {
            s->at[backwards ? s->n - 1 - kept : kept] = now;
            kept++;
        }
        was = now.match;
    }
    if (backwards)
        memmove(s->at, s->at + (s->n - kept), kept * sizeof *s->at);
    s->n = kept;
}

static void join_same(ps_spans *s)
{
    bool was = false;
    size_t kept = 0;
    for (size_t i = 0; i < s->n; i++) {
        ps_span now = s->at[i];
        if (kept && now.match == was)
            s->at[kept - 1].to = now.to;
        else
            s->at[kept++] = now;
        was = now.match;
    }
    s->n = kept;
}

void ps_spans_cut(ps_spans *s, ps_slice text, size_t lead, ps_cut_how how, ps_cut_pieces *out)
{
    if (how == PS_CUT_WITH_PREVIOUS || how == PS_CUT_WITH_NEXT)
        join(s, how == PS_CUT_WITH_NEXT);
    if (how == PS_CUT_CONTIGUOUS)
        join_same(s);
    for (size_t i = 0; i < s->n; i++) {
        ps_span now = s->at[i];
        if (how != PS_CUT_REMOVED || !now.match)
            ps_cut_pieces_add(out, ps_slice_of(text.data + now.from, now.to - now.from),
                              ps_lead_at(lead, now.from));
    }
}
