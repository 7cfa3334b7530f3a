/* recording: a store whose pushes are recorded (server/record/record.h). Nothing of it costs a
 * store that is not. For this folder but for the first two. */
#ifndef PS_PARAMS_RECORDING_H
#define PS_PARAMS_RECORDING_H

#include "server/params/block.h"
#include "server/params/push.h"
#include "server/params/update.h"
#include "server/record/losses.h"
#include "server/record/noise.h"
#include "server/record/record.h"

/* From now on; before the store is used. options: sketch and every are of the job; blocks: off the
 * loop. Fails as ps_record_open. */
PS_MUST_CHECK ps_status ps_param_store_record(ps_param_store *store,
                                              const ps_record_options *options);
ps_record *ps_param_store_recorder(const ps_param_store *store); /* NULL: it does not record */

/* What is measured between waypoints is kept, with sketches of gradients of that shape (NULL:
 * without). Before the store is used. */
void ps_param_store_measure(ps_param_store *store, double tolerance, const ps_sketch *shape);
ps_losses *ps_param_store_losses(const ps_param_store *store); /* NULL: it is not */

/* The gradients' noise is measured from now on; before the store is used. PS_NO_MEMORY. */
PS_MUST_CHECK ps_status ps_param_store_measure_noise(ps_param_store *store);
ps_noise *ps_param_store_noise(const ps_param_store *store); /* NULL: it is not */

/* A push that is applied: is its gradient one of a pair? It is whole, and no other is under way. */
bool ps_recording_pair_begin(ps_param_store *store, const ps_push_header *header, uint64_t elements,
                             ps_noise_pair *out);
void ps_recording_pair_block(ps_param_store *store, ps_noise_pair *pair, uint64_t block,
                             const ps_block_piece *pieces, size_t n);

/* A sketch for an update of this number, or NULL. */
ps_record_sketch *ps_recording_begin(ps_param_store *store, uint64_t number);
/* One for the update of all that are held, or NULL where none of them is recorded. */
ps_record_sketch *ps_recording_begin_held(ps_param_store *store);
/* The block's elements [begin, begin + n) were `before`, and are `after`. */
void ps_recording_change(ps_record_sketch *sketch, const ps_block *block, uint32_t begin,
                         const float *before, const float *after, size_t n);
/* Of a push that is held. */
void ps_recording_hold_block(ps_param_store *store, ps_record_sketch *sketch, uint64_t block,
                             const ps_block_piece *pieces, size_t n, double weight);
/* The push that was applied, or is held: what is known of it. */
ps_influence_push ps_recording_about(ps_param_store *store, const char *worker,
                                     const ps_push_header *header, const ps_push_reply *reply);

#endif
