/* signed_view: what was signed, or found to be, for people and as JSON. Pure. */
#ifndef PS_SHOW_SIGNED_VIEW_H
#define PS_SHOW_SIGNED_VIEW_H

#include "client/show/table.h"
#include "common/signing/model_sign.h"

/* what: "signed", "verified". */
void ps_signed_text(ps_buf *out, const ps_style *style, const char *what, const char *folder,
                    const ps_model_signed *model);
void ps_signed_json(ps_json_writer *w, const char *what, const char *folder,
                    const ps_model_signed *model);

#endif
