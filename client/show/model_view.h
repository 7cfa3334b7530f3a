/* model_view: a stored model as text and as JSON. Pure. */
#ifndef PS_SHOW_MODEL_VIEW_H
#define PS_SHOW_MODEL_VIEW_H

#include "client/show/table.h"
#include "psd/v1/models.pb-c.h"

#include <stdint.h>

extern const char *const ps_model_headers[];
void ps_model_row(ps_table *table, const Psd__V1__Model *model, int64_t now_ms);
/* All that is known, with its tensors below. */
void ps_model_text(ps_buf *out, const ps_style *style, const Psd__V1__Model *model);
void ps_model_json(ps_json_writer *w, const Psd__V1__Model *model);

#endif
