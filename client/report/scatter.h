/* scatter: rows as marks in a plane, a colour and a shape for each label. Pure. One thread (not
 * asserted: psctl has no other). */
#ifndef PS_REPORT_SCATTER_H
#define PS_REPORT_SCATTER_H

#include "client/report/numbers.h"

enum { PS_SCATTER_LABELS_MOST = 24 }; /* more: all marks are the same */

/* The labels of an explanation's first rows, each once. */
typedef struct ps_labels {
    int64_t label[PS_SCATTER_LABELS_MOST]; /* ascending */
    size_t n;                              /* 0: none, or too many */
} ps_labels;
ps_labels ps_labels_of(const ps_explanation *manifest, uint64_t rows);

typedef struct ps_scatter {
    const char *title;
    const char *across, *up; /* what the axes are */
    uint64_t n;              /* rows, the first of the explanation; not more than it has */
    const double *x, *y;     /* [n]; those that are not finite are passed over */
} ps_scatter;

/* A figure, and folded behind it where each label's rows are on the mean. */
void ps_scatter_html(ps_buf *out, const ps_explain_view *view, const ps_labels *labels,
                     const ps_scatter *scatter);
/* What the marks mean. */
void ps_scatter_legend(ps_buf *out, const ps_explain_view *view, const ps_labels *labels);

#endif
