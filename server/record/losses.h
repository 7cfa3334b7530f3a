/* losses: what was measured of a training between its waypoints (common/record/loss_segment.h), in
 * memory until the training is done, and in its checkpoints: so what a restart takes back it takes
 * back here, too. Any thread; one lock, held for as long as a table is copied. */
#ifndef PS_RECORD_LOSSES_H
#define PS_RECORD_LOSSES_H

#include "common/record/loss_segment.h"

typedef struct ps_losses ps_losses;

/* gradient_bytes: of a segment's sketch; 0: none is kept. */
void ps_losses_create(double tolerance, size_t units, size_t gradient_bytes, ps_losses **out);
void ps_losses_free(ps_losses **losses);

size_t ps_losses_units(const ps_losses *losses);
size_t ps_losses_gradient_bytes(const ps_losses *losses);
double ps_losses_tolerance(const ps_losses *losses);
/* Takes over what it points to. What is kept must fit a checkpoint: when it is full, which psd's
 * log tells once, a segment is dropped, and none need be measured. */
void ps_losses_put(ps_losses *losses, ps_loss_segment *segment);
bool ps_losses_is_full(ps_losses *losses);

void ps_losses_save(ps_losses *losses, ps_buf *out);
/* Into a fresh one. PS_CORRUPT. */
PS_MUST_CHECK ps_status ps_losses_load(ps_losses *losses, ps_cursor *from);

/* By version; when nothing is put any more. */
const ps_loss_segment *ps_losses_list(ps_losses *losses, size_t *n);

#endif
