/* pieces: a text that is cut, as the steps of a tokenizer hand it on: each step reads one list and
 * fills another. Private to common/tokenizer; one thread (not asserted: an encoder's alone). */
#ifndef PS_TOKENIZER_PIECES_H
#define PS_TOKENIZER_PIECES_H

#include "common/base/buf.h"

typedef struct ps_cut_piece {
    size_t at, len; /* in text */
    size_t lead;    /* how many bytes at its start are of the first character of the text */
} ps_cut_piece;

typedef struct ps_cut_pieces {
    ps_buf text; /* of all */
    ps_cut_piece *at;
    size_t n, capacity;
} ps_cut_pieces;

void ps_cut_pieces_clear(ps_cut_pieces *pieces);
void ps_cut_pieces_free(ps_cut_pieces *pieces);
/* An empty one is none. */
void ps_cut_pieces_add(ps_cut_pieces *pieces, ps_slice text, size_t lead);
static inline ps_slice ps_cut_pieces_at(const ps_cut_pieces *pieces, size_t i)
{
    return ps_slice_of(pieces->text.data + pieces->at[i].at, pieces->at[i].len);
}

/* The lead of what is left of a piece from `at` on. */
static inline size_t ps_lead_at(size_t lead, size_t at)
{
    return at < lead ? lead - at : 0;
}

/* ---- where a pattern matches ---- */

typedef struct ps_span {
    size_t from, to;
    bool match;
} ps_span;

/* All of a text, matches and what lies between. */
typedef struct ps_spans {
    ps_span *at;
    size_t n, capacity;
    size_t end;            /* where the last one ends */
    double seconds, until; /* of the thread's processor, for patterns; 0: the usual (regex.h) */
} ps_spans;

/* Patterns may take as long again: a block of text is new. */
static inline void ps_spans_restart(ps_spans *spans)
{
    spans->until = 0;
}

void ps_spans_clear(ps_spans *spans);
void ps_spans_free(ps_spans *spans);
/* The next match, and before it what lies between. */
void ps_spans_match(ps_spans *spans, size_t from, size_t to);
/* The rest of a text of len bytes. */
void ps_spans_finish(ps_spans *spans, size_t len);

/* What becomes of a match. */
typedef enum ps_cut_how {
    PS_CUT_REMOVED,
    PS_CUT_ISOLATED,
    PS_CUT_WITH_PREVIOUS,
    PS_CUT_WITH_NEXT,
    PS_CUT_CONTIGUOUS, /* matches that follow one another are one piece */
} ps_cut_how;

extern const char *const ps_cut_hows[]; /* as in files; NULL at the end */

/* Appends the pieces that the spans make of text; changes the spans. */
void ps_spans_cut(ps_spans *spans, ps_slice text, size_t lead, ps_cut_how how, ps_cut_pieces *out);

#endif
