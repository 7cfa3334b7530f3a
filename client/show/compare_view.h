/* compare_view: what a job of kind compare has found, as text. What psd says of it may be anything.
 * Pure. */
#ifndef PS_SHOW_COMPARE_VIEW_H
#define PS_SHOW_COMPARE_VIEW_H

#include "client/show/json_fields.h"
#include "client/show/table.h"
#include "psd/v1/models.pb-c.h"

/* models: both, as psd knows them; result: Job.result. PS_CORRUPT: it does not say. */
PS_MUST_CHECK ps_status ps_compare_text(ps_buf *out, const ps_style *style,
                                        const Psd__V1__Model *const models[2], const char *result);

/* What a worker says that lies between two models; NaN: not said. */
typedef struct ps_compared_side {
    double loss, perplexity, accuracy, tokens_a_second, rows_a_second, generated_a_second;
} ps_compared_side;

typedef struct ps_compared {
    ps_compared_side model, other;
    double samples, loss_difference, loss_difference_error, divergence, divergence_error, same_top;
    /* of a job that compresses; "": not said */
    char test_sha256[PS_FIELD_TEXT], calibration_sha256[PS_FIELD_TEXT];
    double shared_rows; /* of the calibration, that are rows of the test */
} ps_compared;

extern const ps_compared ps_compared_nothing;

/* PS_CORRUPT: it is none; out is then what was read until there. */
PS_MUST_CHECK ps_status ps_compared_read(ps_json_reader *json, ps_compared *out);
/* A field "+0.0021 ± 0.0004"; none where the value is not known. */
void ps_compared_field(ps_table *table, const ps_style *style, const char *label, double value,
                       double error, bool difference);

#endif
