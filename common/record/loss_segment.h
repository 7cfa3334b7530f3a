/* loss_segment: how the loss of the probe rows changed between two moments of a training, and
 * through which column blocks (loss-change allocation: Lan and others 2019, arXiv 1909.01440, by
 * Simpson's rule along the straight line between the two):
 *
 *     part of a unit = ∫ ⟨∇L(θ(s)), Δθ⟩ ds over the unit,   Σ parts = loss_end − loss_begin
 *
 * up to the rule's error, which is known because both losses are. A worker says it as the JSON
 * report of its task, psd keeps it. Plain data; any thread. */
#ifndef PS_RECORD_LOSS_SEGMENT_H
#define PS_RECORD_LOSS_SEGMENT_H

#include "common/base/buf.h"
#include "common/record/sketch.h"

typedef struct ps_loss_segment {
    uint64_t begin, end; /* versions; not in the report: psd knows them */
    double loss_begin, loss_end;
    uint32_t gradients; /* that were computed */
    bool met;           /* the residual is within the tolerance */
    double *parts;      /* [units] */
    /* Of the mean gradient along the segment, a sketch: of each unit its scale, f32, and its
     * codes, as in influence.bin; 0 bytes: none is kept. */
    uint8_t *gradient;
    size_t gradient_bytes;
} ps_loss_segment;

void ps_loss_segment_free(ps_loss_segment *segment);
/* loss_end − loss_begin − Σ parts */
double ps_loss_segment_residual(const ps_loss_segment *segment, size_t units);

/* Bytes of a gradient's sketch of that shape, and such bytes of numbers, and back. */
size_t ps_loss_gradient_bytes(const ps_sketch *shape);
void ps_loss_gradient_write(const ps_sketch *shape, const float *numbers, uint8_t *out);
void ps_loss_gradient_read(const ps_sketch *shape, const uint8_t *bytes, float *numbers);

/* Bytes of a report at most. */
size_t ps_loss_report_most(size_t units, size_t gradient_bytes);
void ps_loss_report_write(const ps_loss_segment *segment, size_t units, ps_buf *json);
/* json is hostile. gradient_bytes: that it must have. PS_INVALID_ARGUMENT. */
PS_MUST_CHECK ps_status ps_loss_report_read(ps_slice json, size_t units, size_t gradient_bytes,
                                            ps_loss_segment *out);

#endif
