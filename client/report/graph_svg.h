/* graph_svg: a folded graph as a picture: the residual stream as a line on the left, what is added
 * to it beside it, each matrix to scale (by logarithms of its sides), cut into its column blocks
 * and coloured by a quantity. Pure. One thread (not asserted: psctl has no other). */
#ifndef PS_REPORT_GRAPH_SVG_H
#define PS_REPORT_GRAPH_SVG_H

#include "client/report/measured.h"
#include "common/base/buf.h"

/* An <svg> element with a title and a description; node i of the fold has the id "node-i". alone: a
 * document of its own, with its styles and the colours' scale. measured, unless NULL: coloured by
 * that in the place of the quantity, part by part. */
void ps_graph_svg(ps_buf *out, const char *name, const ps_fold *fold, const ps_quantity *quantity,
                  const ps_measured *measured, bool alone);
/* The scale as a strip, 260 wide, an <svg> with the id "legend". */
void ps_legend_svg(ps_buf *out, const ps_scale *scale);

#endif
