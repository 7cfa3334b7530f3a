/* rows: what the table of consistency models is made of; a model is one file and one line here and
 * in consistency.c. */
#ifndef PS_CONSISTENCY_ROWS_H
#define PS_CONSISTENCY_ROWS_H

#include "server/params/controller.h"

extern const ps_controller_ops ps_controller_asp;
extern const ps_controller_ops ps_controller_bsp;

#endif
