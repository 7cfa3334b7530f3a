/* block_map: where blocks differ: a row a block, a column a matrix, coloured by a quantity. Pure.
 * One thread (not asserted: psctl has no other). */
#ifndef PS_REPORT_BLOCK_MAP_H
#define PS_REPORT_BLOCK_MAP_H

#include "client/report/quantity.h"
#include "common/base/buf.h"
#include "common/json/json.h"

enum { PS_BLOCK_MAP_CELLS = 4000 }; /* more are not drawn */

/* Do blocks differ in the bytes of a matrix? Otherwise a map says nothing. */
bool ps_block_map_differs(const ps_graph *graph);
size_t ps_block_map_cells(const ps_graph *graph);

/* An <svg>, cells with the ids "cell-BLOCK-NODE"; scale: of the graph's drawing. */
void ps_block_map_svg(ps_buf *out, const ps_graph *graph, const ps_scale *scale);
/* Members of an object: of each cell, the values of every quantity. */
void ps_block_map_values(ps_json_writer *w, const ps_graph *graph);

#endif
