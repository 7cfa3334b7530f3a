/* change_text: what changed between a model and another one, as text or JSON: a line a tensor, the
 * one that counts most first, with a bar; and what became of the loss and the answers. Of a job of
 * kind explain with compare_to; its files may be any bytes. Pure. One thread (not asserted: psctl
 * has no other). */
#ifndef PS_REPORT_CHANGE_TEXT_H
#define PS_REPORT_CHANGE_TEXT_H

#include "client/show/explain_view.h"

/* Does it compare two models? A second one may also be an autoencoder that it looks through. */
bool ps_change_any(const ps_explain_view *view);
/* Nothing where the job compared no models. At most so many tensors. */
void ps_change_text(ps_buf *out, const ps_style *style, const ps_explain_view *view, size_t most);

/* Members of an object: "tensors", and what each method sums up. */
void ps_change_json(ps_json_writer *w, const ps_explain_view *view);

#endif
