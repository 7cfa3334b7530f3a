/* lineage_view: where a model comes from, as psd keeps it with the model, and as it lies beside an
 * exported one (psd-provenance.json), for people. Pure. */
#ifndef PS_SHOW_LINEAGE_VIEW_H
#define PS_SHOW_LINEAGE_VIEW_H

#include "client/show/table.h"

/* PS_CORRUPT: it is no such record. */
PS_MUST_CHECK ps_status ps_lineage_text(ps_buf *out, const ps_style *style, const char *json);

#endif
