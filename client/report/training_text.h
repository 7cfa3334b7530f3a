/* training_text: a training's record for a terminal, and for programs. Pure. One thread (not
 * asserted: psctl has no other). */
#ifndef PS_REPORT_TRAINING_TEXT_H
#define PS_REPORT_TRAINING_TEXT_H

#include "client/report/training.h"
#include "client/show/table.h"

/* The loss as a line of blocks, what it changed through as bars, workers, and the noise. */
void ps_training_text(ps_buf *out, const ps_style *style, const ps_training *training);
/* As the value of a key: {"job", "segments": [{"begin", "end", "loss_begin", "loss_end"}],
 * "tensors": [{"name", "change", "by_segment": []}], "workers", "shards", "noise_scale"}. */
void ps_training_json(ps_json_writer *w, const ps_training *training);

#endif
