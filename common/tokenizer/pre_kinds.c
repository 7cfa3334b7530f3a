/* The rows that cut by kinds of characters: Digits (individual_digits), Punctuation (behavior),
 * Whitespace, WhitespaceSplit and BertPreTokenizer. */
#include "common/tokenizer/classes.h"
#include "common/tokenizer/step_rows.h"

/* ---- Digits ---- */

static ps_status read_digits(const ps_part *part, ps_step *step)
{
    bool individual = false;
    ps_status st = ps_part_bool(part, "individual_digits", &individual);
    step->how = individual ? PS_CUT_ISOLATED : PS_CUT_CONTIGUOUS;
    return st;
}

static ps_status cut_digits(const ps_step *step, ps_slice piece, size_t lead, ps_spans *spans,
                            ps_cut_pieces *out)
{
    ps_spans_of_kind(piece, ps_class_number, spans);
    ps_spans_cut(spans, piece, lead, step->how, out);
    return PS_OK;
}

const ps_step_row ps_pre_digits = {.type = "Digits", .read = read_digits, .cut = cut_digits};

/* ---- Punctuation ---- */

static ps_status read_punctuation(const ps_part *part, ps_step *step)
{
    size_t how = PS_CUT_ISOLATED;
    ps_status st = ps_part_word(part, "behavior", ps_cut_hows, &how);
    step->how = (ps_cut_how)how;
    return st;
}

static ps_status cut_punctuation(const ps_step *step, ps_slice piece, size_t lead, ps_spans *spans,
                                 ps_cut_pieces *out)
{
    ps_spans_of_kind(piece, ps_class_punctuation, spans);
    ps_spans_cut(spans, piece, lead, step->how, out);
    return PS_OK;
}

const ps_step_row ps_pre_punctuation = {
    .type = "Punctuation", .read = read_punctuation, .cut = cut_punctuation};

/* ---- Whitespace: \w+|[^\w\s]+ are the pieces ---- */

typedef enum kind { SPACE, WORD, OTHER } kind;

static kind kind_of(uint32_t cp)
{
    return ps_class_word(cp) ? WORD : ps_class_space(cp) ? SPACE : OTHER;
}

static ps_status cut_words(const ps_step *step, ps_slice piece, size_t lead, ps_spans *spans,
                           ps_cut_pieces *out)
{
    size_t start = 0, n = 0;
    kind was = SPACE;
    for (size_t at = 0; at <= piece.len; at += n) {
        bool end = at == piece.len;
        n = 1;
        kind now =
            end ? SPACE : kind_of(ps_step_char(ps_slice_of(piece.data + at, piece.len - at), &n));
        if (now == was && !end)
            continue;
        if (was != SPACE)
            ps_cut_pieces_add(out, ps_slice_of(piece.data + start, at - start),
                              ps_lead_at(lead, start));
        start = at;
        was = now;
    }
    return PS_OK;
}

const ps_step_row ps_pre_whitespace = {.type = "Whitespace", .cut = cut_words};

/* ---- WhitespaceSplit ---- */

static ps_status cut_spaces(const ps_step *step, ps_slice piece, size_t lead, ps_spans *spans,
                            ps_cut_pieces *out)
{
    ps_spans_of_kind(piece, ps_class_space, spans);
    ps_spans_cut(spans, piece, lead, PS_CUT_REMOVED, out);
    return PS_OK;
}

const ps_step_row ps_pre_whitespace_split = {.type = "WhitespaceSplit", .cut = cut_spaces};

/* ---- BertPreTokenizer: spaces go, punctuation stands alone ---- */

static ps_status cut_bert(const ps_step *step, ps_slice piece, size_t lead, ps_spans *spans,
                          ps_cut_pieces *out)
{
    size_t start = 0, n = 0;
    for (size_t at = 0; at < piece.len; at += n) {
        uint32_t cp = ps_step_char(ps_slice_of(piece.data + at, piece.len - at), &n);
        bool space = ps_class_space(cp), alone = !space && ps_class_punctuation(cp);
        if (!space && !alone)
            continue;
        ps_cut_pieces_add(out, ps_slice_of(piece.data + start, at - start),
                          ps_lead_at(lead, start));
        if (alone)
            ps_cut_pieces_add(out, ps_slice_of(piece.data + at, n), ps_lead_at(lead, at));
        start = at + n;
    }
    ps_cut_pieces_add(out, ps_slice_of(piece.data + start, piece.len - start),
                      ps_lead_at(lead, start));
    return PS_OK;
}

const ps_step_row ps_pre_bert = {.type = "BertPreTokenizer", .cut = cut_bert};
