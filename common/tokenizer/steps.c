/* The row of tokenizers that are steps. Happy path of a block: the normalizer's steps change it,
 * added tokens that are looked for in such text are found, what is between them is cut by the
 * pre-tokenizer's steps, and each piece goes to the model.
 *
 * A text is one block unless it is longer than PS_TOKENIZER_MAX_PIECE: then it is cut before a
 * space between two characters that are none, where no common tokenizer has a token over it. It
 * fails when a pattern meets a limit, or memory a normalized text. */
#include "common/base/utf8.h"
#include "common/tokenizer/tokenizer_internal.h"

/* The last place for a cut in the first PS_TOKENIZER_MAX_PIECE bytes. */
static size_t quiet_place(ps_slice text)
{
    size_t at = PS_TOKENIZER_MAX_PIECE;
    for (size_t i = at - 1; i > at / 2; i--)
        if (text.data[i] == ' ' && text.data[i - 1] > ' ' && text.data[i + 1] > ' ')
            return i;
    for (size_t back = 0; back < 3 && (text.data[at] & 0xc0) == 0x80; back++)
        at--;
    return at;
}

static size_t split(ps_slice text, bool whole)
{
    if (text.len > PS_TOKENIZER_MAX_PIECE)
        return quiet_place(text);
    return whole ? text.len : 0;
}

static ps_status check_growth(size_t bytes)
{
    return bytes <= PS_TOKENIZER_MAX_GROWTH
               ? PS_OK
               : ps_fail(PS_RESOURCE_EXHAUSTED, "more than %d bytes", PS_TOKENIZER_MAX_GROWTH);
}

/* What part of a tokenizer made too much of a block of text, or took too long. */
static ps_status name_part(ps_status st, const char *part)
{
    return st == PS_RESOURCE_EXHAUSTED ? ps_wrap(st, "the tokenizer's %s", part) : st;
}

/* After a step changed text to `after`. */
static ps_status follow_lead(const ps_step *step, ps_edges edges, ps_slice text, ps_slice after,
                             ps_spans *spans, size_t *lead)
{
    if (step->row->lead) {
        *lead = step->row->lead(step, spans, *lead);
        return PS_OK;
    }
    ps_buf made = PS_BUF_EMPTY;
    edges.ends &= *lead == text.len;
    ps_status st = step->row->normalize(step, edges, ps_slice_of(text.data, *lead), spans, &made);
    *lead = made.len;
    if (!st && !made.len && after.len && step->row->hands_on)
        (void)ps_step_char(after, lead);
    ps_buf_free(&made);
    return st;
}

ps_status ps_tokenizer_normalize(const ps_tokenizer *t, ps_edges edges, ps_slice text,
                                 ps_buf *spare, ps_spans *spans, size_t *lead, ps_buf *out)
{
    ps_status st = PS_OK;
    ps_buf_clear(out);
    ps_buf_append(out, text.data, text.len);
    for (size_t i = 0; !st && i < t->normalizer.n; i++) {
        const ps_step *step = &t->normalizer.at[i];
        ps_buf was = *out;
        *out = *spare;
        *spare = was;
        ps_buf_clear(out);
        st = step->row->normalize(step, edges, ps_buf_slice(spare), spans, out);
        if (!st && lead && *lead)
            st = follow_lead(step, edges, ps_buf_slice(spare), ps_buf_slice(out), spans, lead);
        if (lead && *lead > out->len) /* what is by itself at no edge may be stripped with others */
            *lead = out->len;
        if (!st)
            st = check_growth(out->len);
    }
    return name_part(st, "normalizer");
}

/* What is between two added tokens. */
static ps_status encode_section(const ps_tokenizer *t, ps_scratch *s, ps_slice text, size_t lead,
                                ps_ids *out)
{
    ps_status st = PS_OK;
    ps_cut_pieces *now = &s->pieces[0], *made = &s->pieces[1];
    ps_cut_pieces_clear(now);
    ps_cut_pieces_add(now, text, lead);
    for (size_t i = 0; !st && i < t->pre_tokenizer.n; i++) {
        const ps_step *step = &t->pre_tokenizer.at[i];
        ps_cut_pieces_clear(made);
        for (size_t p = 0; !st && p < now->n; p++) {
            st = step->row->cut(step, ps_cut_pieces_at(now, p), now->at[p].lead, &s->spans, made);
            if (!st)
                st = check_growth(made->text.len);
        }
        ps_cut_pieces *was = now;
        now = made;
        made = was;
    }
    st = name_part(st, "pre-tokenizer");
    for (size_t p = 0; !st && p < now->n; p++)
        st = t->model->encode(t, s, ps_cut_pieces_at(now, p), out);
    return st;
}

/* The next added token of a normalized text, from *at on; NULL: none. *n: its bytes. */
static const ps_added_token *next_added(const ps_tokenizer *t, ps_slice text, size_t *at, size_t *n)
{
    for (; *at < text.len; ++*at) {
        ps_slice rest = ps_slice_of(text.data + *at, text.len - *at);
        const ps_prefix *found = ps_prefixes_longest(&t->normalized, rest);
        if (!found)
            continue;
        const ps_added_token *token = &t->added[found->value];
        *n = found->text.len;
        if (ps_added_fits(token, ps_slice_of(text.data, *at),
                          ps_slice_of(rest.data + *n, rest.len - *n)))
            return token;
    }
    return NULL;
}

static ps_status encode_with_added(const ps_tokenizer *t, ps_scratch *s, ps_slice text, size_t lead,
                                   ps_ids *out)
{
    const ps_added_token *token;
    ps_status st = PS_OK;
    size_t from = 0;
    do {
        size_t at = from, n = 0;
        token = next_added(t, text, &at, &n);
        size_t end = at;
        if (token && token->lstrip)
            end -= ps_added_spaces(ps_slice_of(text.data + from, at - from), true);
        st = encode_section(t, s, ps_slice_of(text.data + from, end - from), ps_lead_at(lead, from),
                            out);
        if (!token || st)
            break;
        ps_ids_add(out, token->id);
        from = at + n;
        if (token->rstrip)
            from += ps_added_spaces(ps_slice_of(text.data + from, text.len - from), false);
    } while (from < text.len);
    return st;
}

static ps_status encode(const ps_tokenizer *t, ps_scratch *s, const ps_block *block, ps_ids *out)
{
    size_t lead = 0;
    ps_status st = PS_OK;
    ps_slice text = block->text;
    ps_spans_restart(&s->spans);
    if (block->first)
        (void)ps_step_char(text, &lead);
    if (t->normalizer.n) {
        st = ps_tokenizer_normalize(t, block->edges, text, &s->text[0], &s->spans, &lead,
                                    &s->text[1]);
        text = ps_buf_slice(&s->text[1]);
    }
    if (st)
        return st;
    return s->added && t->normalized.n ? encode_with_added(t, s, text, lead, out)
                                       : encode_section(t, s, text, lead, out);
}

const ps_tokenizer_row ps_tokenizer_row_steps = {.split = split, .encode = encode};
