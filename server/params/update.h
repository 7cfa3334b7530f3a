/* update: how parameters change: by a push that is applied, or by all that were held
 * (accumulator.h). For this folder.
 *
 *     ps_update_enter(store);                 // the gate: no snapshot is taken meanwhile
 *     ps_update_begin(store, n, &update);     // takes the update's number and its learning rate
 *     ps_update_block(&update, block, ...);   // once for each block that changes
 *     ps_update_end(&update);
 *     ps_update_leave(store);
 *
 * Many updates run at the same time, each on its thread.
 */
#ifndef PS_PARAMS_UPDATE_H
#define PS_PARAMS_UPDATE_H

#include "common/base/list.h"
#include "common/base/require.h"
#include "common/codec/codec.h"
#include "server/params/param_store.h"
#include "server/record/record.h"

/* Part of a block's gradient: elements [begin, begin + count) of the block. */
typedef struct ps_block_piece {
    uint32_t begin, count;
    const ps_wire_float *values;
} ps_block_piece;

typedef struct ps_update {
    ps_param_store *store;
    uint64_t version; /* this update's number */
    double rate;
    ps_record_sketch *record; /* of what changes; NULL, from begin on, unless whoever began it says
                                 otherwise, and sees to its end */
    ps_list link;             /* updates under way; the struct must not move */
} ps_update;

void ps_update_enter(ps_param_store *store);
void ps_update_enter_alone(ps_param_store *store); /* when nobody else is in; then _leave */
void ps_update_leave(ps_param_store *store);
/* Is this thread in the store's gate? The snapshot's, for which it is closed, is, too. */
bool ps_update_is_entered(const ps_param_store *store);
/* At the entry of what says (gate). */
#define ps_update_require_entered(store) PS_REQUIRE(ps_update_is_entered(store))
/* elements: of the store's, how many change; so much of a step it is. rows_before: of the job's
 * rows, how many are in the parameters before it. Both are what the schedule goes by. */
void ps_update_begin(ps_param_store *store, uint64_t elements, uint64_t rows_before,
                     ps_update *out);
void ps_update_end(ps_update *update);
/* block: among all of the store. pieces: ascending, not overlapping. The gradient is multiplied by
 * scale. Elements that no piece covers stay as they are, but the block counts one update. */
void ps_update_block(const ps_update *update, uint64_t block, const ps_block_piece *pieces,
                     size_t n, double scale);
uint64_t ps_update_blocks(const ps_param_store *store); /* how many */
uint32_t ps_update_block_elements(const ps_param_store *store, uint64_t block);
uint64_t ps_update_count(ps_param_store *store);          /* the number of the last one begun */
uint64_t ps_update_elements(const ps_param_store *store); /* of all of the store */
uint64_t ps_update_rows(ps_param_store *store); /* that are done, but for those that wait */
double ps_update_clip_norm(const ps_param_store *store); /* 0: none */

#endif
