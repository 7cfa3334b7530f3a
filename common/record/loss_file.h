/* loss_file: loss_changes.safetensors, as psd leaves it (docs/record.md), and its parts shared out
 * over the pushes of influence.bin. Bytes are hostile. Plain data; any thread. */
#ifndef PS_RECORD_LOSS_FILE_H
#define PS_RECORD_LOSS_FILE_H

#include "common/record/influence.h"
#include "common/record/loss_segment.h"

#define PS_LOSS_FILE      "loss_changes.safetensors"
#define PS_LOSS_FILE_META "psd.loss_changes" /* its metadata: which units and segments */

typedef struct ps_loss_unit {
    char *tensor;
    uint64_t column_begin, column_end, elements;
} ps_loss_unit;

typedef struct ps_loss_file {
    ps_loss_unit *units;
    size_t n_units;
    ps_loss_segment *segments; /* by version; gradient: as long as the file has one */
    size_t n_segments;
} ps_loss_file;

/* PS_CORRUPT: what is wrong with it. */
PS_MUST_CHECK ps_status ps_loss_file_read(ps_slice bytes, ps_loss_file *out);
void ps_loss_file_free(ps_loss_file *file);

/* One push's share of its segment's change: by ⟨ḡ, Δ⟩ of the sketches, unit by unit; what these
 * together miss of the unit's part is shared out by ‖Δ‖², for so large are their errors. */
typedef struct ps_loss_share {
    size_t segment;
    const ps_influence_push *push; /* for the call */
    size_t number;                 /* of its record, from 1 */
    double change;
} ps_loss_share;
typedef void (*ps_loss_share_fn)(void *user, const ps_loss_share *share);

/* Each push of a segment, in the file's order. *corrected: how much was shared out by ‖Δ‖², as a
 * part of all that moved. Of a record that has not all pushes nothing is: *corrected is what is
 * missing. PS_FAILED_PRECONDITION: the losses have no gradients, or are of another training. */
PS_MUST_CHECK ps_status ps_loss_file_shares(const ps_loss_file *losses, ps_slice influence,
                                            ps_loss_share_fn each, void *user, double *corrected);

#endif
