/* quantity: what a graph can be coloured by: a row each, so that another is a row. Pure. One thread
 * (not asserted: psctl has no other). */
#ifndef PS_REPORT_QUANTITY_H
#define PS_REPORT_QUANTITY_H

#include "client/report/fold.h"
#include "client/report/palette.h"
#include "client/show/human.h"

typedef struct ps_quantity {
    const char *name;                     /* of --colour */
    const char *title;                    /* "bytes as stored" */
    const char *unit;                     /* in JSON: "byte" */
    bool additive;                        /* parts of it are a share of the whole */
    bool log;                             /* from colour to colour it is multiplied */
    bool with_sign;                       /* blue and orange about 0 */
    double (*of)(const ps_fold_sum *sum); /* NAN: there is none */
    ps_human (*text)(double value);
} ps_quantity;

/* Every row, to a NULL, and their names; the first is the default. */
extern const ps_quantity *const ps_quantities[];
extern const char *const ps_quantity_names[];
const ps_quantity *ps_quantity_find(const char *name); /* NULL: there is none */

ps_human ps_flops_text(double flops); /* "663 kFLOP"; "" for 0 */

/* Between which values the nodes' colours are, of one of each (ps_fold_node.one). */
typedef struct ps_scale {
    const ps_quantity *quantity;
    double least, most; /* both finite; of log quantities more than 0 */
    bool any;           /* a node has the quantity */
} ps_scale;
ps_scale ps_scale_of(const ps_quantity *quantity, const ps_fold *fold);
/* 0 to 1; NAN: it has no colour. */
double ps_scale_place(const ps_scale *scale, double value);
ps_rgb ps_scale_colour(const ps_scale *scale, double place); /* of a place, 0 to 1 */

#endif
