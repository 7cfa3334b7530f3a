/* prediction: the lines of predictions.jsonl, which a predict job leaves: each is an object
 * {"row": 0, "class": 9, "label": "boot", "probabilities": […]}, without a label where classes
 * have no names, or with "outputs" for a model without classes; a
 * number that is not finite is null, and so is the class of such a row.
 * They come in pieces and are turned into a table or JSON as they come. Pure. */
#ifndef PS_SHOW_PREDICTION_H
#define PS_SHOW_PREDICTION_H

#include "client/show/table.h"

#include <stdint.h>

typedef struct ps_predictions {
    uint64_t begin, end; /* rows that are wanted, [begin, end) */
    bool json;
    ps_style style;
    uint64_t line;  /* the next one's number, from 0: the row of lines that do not say theirs */
    uint64_t shown; /* rows written */
    /* What classes are called, if they have names: the caller's, to be set after init. */
    char *const *names;
    size_t n_names;
    size_t class_width; /* columns of the table for them */
    uint64_t nulls;     /* those of them that have a number which is not finite */
    ps_buf rest;        /* of a line whose end has not come */
} ps_predictions;

void ps_predictions_init(ps_predictions *p, uint64_t begin, uint64_t end, bool json,
                         ps_style style);
void ps_predictions_free(ps_predictions *p);
/* What of `bytes` (and of what came before) are whole lines goes to out. PS_END: all rows that are
 * wanted were there. PS_CORRUPT with the line's number. */
PS_MUST_CHECK ps_status ps_predictions_feed(ps_predictions *p, ps_slice bytes, ps_buf *out);
/* After the last piece: a last line without a newline, and the closing brackets. */
PS_MUST_CHECK ps_status ps_predictions_finish(ps_predictions *p, ps_buf *out);
/* Instead, when they do not come to their end: a document that was begun ends, and says why. */
void ps_predictions_break(ps_predictions *p, const char *why, ps_buf *out);

/* "A:B", "A:", ":B", "A": rows [A, B), or the row A. PS_INVALID_ARGUMENT otherwise. */
PS_MUST_CHECK ps_status ps_predictions_rows(const char *text, uint64_t *begin, uint64_t *end);

#endif
