/* sae_summary: what method sae (sae.c) makes of its rows and sums when all are there. Pure. One
 * thread (not asserted: plain data of its caller). */
#ifndef PS_EXPLAIN_SAE_SUMMARY_H
#define PS_EXPLAIN_SAE_SUMMARY_H

#include "worker/explain/method.h"

/* What run leaves as sums: `totals` [TOTALS], `channel_sums` [column, 2], Σx and Σx²,
 * `feature_sums` [feature, OF_FEATURE]; and rows `row_feature`, `row_activity` and `row_position`
 * [row, top]. */
enum {
    PS_SAE_ROWS,
    PS_SAE_SQUARES, /* Σ‖x − x̂‖² */
    PS_SAE_ACTIVE,  /* features, in all rows */
    PS_SAE_LABELLED,
    PS_SAE_CLEAN, /* losses, in the order of what `losses` says */
    PS_SAE_AGAIN,
    PS_SAE_ZEROS,
    PS_SAE_TOTALS
};
enum { PS_SAE_COUNT, PS_SAE_STRENGTH, PS_SAE_OF_FEATURE };

/* As `finish` of a method. */
PS_MUST_CHECK ps_status ps_sae_finish(ps_explaining *x, const ps_spec_explain_method *spec,
                                      ps_explain_part *merged);

#endif
