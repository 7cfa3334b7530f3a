/* explain_view: what a job of kind explain came to, as text: for each row what the model says of
 * it, and what of the row made it say so, as bars with a sign; of language models the tokens,
 * coloured. Both files are others' and may be any bytes. Pure. */
#ifndef PS_SHOW_EXPLAIN_VIEW_H
#define PS_SHOW_EXPLAIN_VIEW_H

#include "client/show/table.h"
#include "common/explain/manifest.h"
#include "common/format/safetensors.h"

typedef struct ps_explain_view {
    const ps_explanation *manifest;
    const ps_safetensors *file; /* the header of the arrays, */
    ps_slice arrays;            /* and the whole file */
    char *const *names;         /* of outputs; NULL: numbers */
    size_t n_names;
    /* Appends what a token stands for; NULL: its number is all that is known. */
    void (*token)(void *user, uint32_t id, ps_buf *out);
    void *user;
    size_t rows, strongest; /* that are shown, at most: of a job, and of a row */
    const uint64_t *chosen; /* [n_chosen] places of the manifest's rows; NULL: all of them */
    size_t n_chosen;
} ps_explain_view;

/* How many rows may be shown, and the place of one of them among the manifest's. */
static inline size_t ps_rows_shown(const ps_explain_view *view)
{
    return view->chosen ? view->n_chosen : view->manifest->n_rows;
}
static inline size_t ps_row_shown(const ps_explain_view *view, size_t i)
{
    return view->chosen ? (size_t)view->chosen[i] : i;
}

void ps_explain_text(ps_buf *out, const ps_style *style, const ps_explain_view *view);

#endif
