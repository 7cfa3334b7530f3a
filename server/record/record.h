/* record: what each push of a training has really changed, as a sketch (common/record/sketch.h), in
 * a file that grows as pushes come (common/record/influence.h). One of a store that records.
 *
 *     ps_record_begin ─▶ add_change (each block) ─▶ put          a push that is an update
 *     ps_record_begin ─▶ add_gradient (each block) ─▶ hold       a push that waits for others
 *     ps_record_begin ─▶ add_change (each block) ─▶ merge        the update of all that were held:
 *                                                                each gets its share, and is put
 *
 * A sketch is one thread's from begin on, so blocks take no lock here; memory for it is kept and
 * used again. Held pushes and the file have a lock each, held for as long as it takes to write some
 * KB. A file that cannot be written any more, or has reached its budget, ends there, which is told
 * to psd's log; the training goes on.
 *
 * The share of push k of a merged update Δ, unit by unit, with its gradient g, its weight w, the
 * sum W of the weights and the mean gradient ḡ = Σ w g / W:
 *
 *     Δ_k = w/W · (α·g_k + r),   α = ⟨Δ, ḡ⟩ / ⟨ḡ, ḡ⟩,   r = Δ − α·ḡ
 *
 * so that Σ Δ_k = Δ. Under sgd without decay r is 0 and the share exact. What the update does not
 * have of the mean gradient (momentum, decay, a second moment) is nobody's alone: it is shared out
 * by weight, and how much it was is in the record (ps_influence_push.correction).
 */
#ifndef PS_RECORD_RECORD_H
#define PS_RECORD_RECORD_H

#include "common/base/disk.h"
#include "common/record/influence.h"

typedef struct ps_record ps_record;
typedef struct ps_record_sketch ps_record_sketch;

typedef struct ps_record_options {
    const ps_disk *disk; /* borrowed for its life */
    const char *path;    /* of the file */
    uint32_t sketch, every;
    uint64_t budget; /* bytes that the file may have */
    size_t held;     /* bytes of sketches that may wait for their clock; 0: 1 GiB */
    /* 0: a new file, in place of what is there. Else the one that is there is gone on with, as it
     * was when it had so many bytes: what a checkpoint does not have is made again. */
    uint64_t position;
    bool ended; /* ... and had ended there: nothing is written any more */
} ps_record_options;

/* Blocks: off the loop. head: sketch and every are the options'. PS_NO_MEMORY; or as the disk
 * fails. PS_CORRUPT: of a file that is to be gone on with, and is shorter, or of another training.
 */
PS_MUST_CHECK ps_status ps_record_open(const ps_record_options *options,
                                       const ps_influence_head *head, ps_record **out);
void ps_record_free(ps_record **record); /* the file stays */

/* Is the update, or the clock, of this number recorded? */
bool ps_record_is_due(const ps_record *record, uint64_t number);
ps_record_sketch *ps_record_begin(ps_record *record);
void ps_record_add_change(ps_record_sketch *sketch, size_t unit, uint64_t begin,
                          const float *before, const float *after, size_t n);
/* The gradient as it came, times the push's weight. */
void ps_record_add_gradient(ps_record_sketch *sketch, size_t unit, uint64_t begin,
                            const ps_wire_float *values, size_t n, float weight);
/* The sketch is over with these. push is copied. */
void ps_record_put(ps_record *record, ps_record_sketch **sketch, const ps_influence_push *push);
/* There is a limit to what may be held: an update of more pushes is not recorded at all. */
void ps_record_hold(ps_record *record, ps_record_sketch **sketch, const ps_influence_push *push);
bool ps_record_holds(ps_record *record); /* something */
/* version: of the update. Nothing is held afterwards. */
void ps_record_merge(ps_record *record, ps_record_sketch **update, uint64_t version);

const ps_sketch *ps_record_shape(const ps_record *record);

/* Bytes of the file that are of pushes so far. */
uint64_t ps_record_position(ps_record *record);
/* What it was opened with, as far as it is now: opened with these again it goes on from here. disk
 * and path are the caller's to say. */
ps_record_options ps_record_settings(ps_record *record);
/* The file is another's from now on: nothing is written any more. */
void ps_record_take(ps_record *record);
bool ps_record_is_taken(ps_record *record);
/* What was put is on disk. After a failure nothing more is written, and nothing synced: what the
 * disk has of it is good up to its first record that is not whole. */
PS_MUST_CHECK ps_status ps_record_sync(ps_record *record);
/* Why the file has ended before the training; NULL: it has not. The record's, for its life. */
const char *ps_record_ended(ps_record *record);
/* Pushes in the file, of this process. */
uint64_t ps_record_count(ps_record *record);

#endif
