/* waypoints: the parameters at some moments of a training, kept until somebody has measured what
 * lies between two of them.
 *
 *     taken ── every so many steps, and when the last row is done ──▶ its segment waits ─▶ out ─▶
 * done
 *
 * A waypoint is the whole store at one instant, as a checkpoint is: the gate is closed, so every
 * update up to its version is in it, in every block, and no other, whoever pushes and in how many
 * parts. It is references to the blocks' buffers: nothing is copied then; an update to a block that
 * one holds goes into a spare buffer (dense_block.h). So waypoints cost memory as parameters
 * change, at most 4 bytes a parameter each, and there are only so many: while all are held, none is
 * taken, and the segment under way grows. A segment that is done frees the waypoint that it begins
 * at. Any thread; one lock, under which only the blocks' are taken. */
#ifndef PS_PARAMS_WAYPOINTS_H
#define PS_PARAMS_WAYPOINTS_H

#include "server/params/pull.h"

typedef struct ps_waypoints ps_waypoints;
typedef struct ps_waypoint ps_waypoint;

/* From one waypoint to the next. */
typedef struct ps_segment {
    uint64_t number;     /* of the waypoint that it begins at, from 1; the other is the next */
    uint64_t begin, end; /* versions */
} ps_segment;

/* Before the store is used: the first is taken now. steps: of a segment; memory: of all waypoints,
 * but there are two at least. PS_NO_MEMORY. */
PS_MUST_CHECK ps_status ps_waypoints_start(ps_param_store *store, uint64_t steps, uint64_t memory);
/* What it was started with. */
void ps_waypoints_settings(const ps_param_store *store, uint64_t *steps, uint64_t *memory);
/* After an update, out of the gate: takes one if it is time. Waits for updates that are under way.
 */
void ps_waypoints_look(ps_param_store *store);
/* For the store's end. */
void ps_waypoints_free(ps_waypoints **waypoints);

/* ---- segments ---- */

/* The first that waits; it is out from now on. */
bool ps_waypoints_take(ps_param_store *store, ps_segment *out);
/* It waits again; or it is done, and *out is what it was. false: it is not out. */
bool ps_waypoints_back(ps_param_store *store, uint64_t number);
bool ps_waypoints_done(ps_param_store *store, uint64_t number, ps_segment *out);
/* Who had it is lost: for which time. It is still out. 0: it is not. */
uint32_t ps_waypoints_lost(ps_param_store *store, uint64_t number);
/* Segments that are not done, of how many that may be. */
void ps_waypoints_count(ps_param_store *store, size_t *left, size_t *most);

/* ---- pulls ---- */

/* Held until it is let go. PS_NOT_FOUND: it is not there, or not any more. */
PS_MUST_CHECK ps_status ps_waypoint_hold(ps_param_store *store, uint64_t number, ps_waypoint **out);
void ps_waypoint_let_go(ps_param_store *store, ps_waypoint **waypoint);
uint64_t ps_waypoint_version(const ps_waypoint *waypoint);
/* As ps_block_view_take, of the block as it was. */
void ps_waypoint_view(ps_param_store *store, const ps_waypoint *waypoint, uint32_t tensor,
                      uint32_t shard, uint32_t block, ps_block_view *out);

#endif
