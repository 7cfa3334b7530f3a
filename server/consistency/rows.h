/* rows: what the table of consistency models is made of; a model is one file and one line here and
 * in controller.c. */
#ifndef PS_CONSISTENCY_ROWS_H
#define PS_CONSISTENCY_ROWS_H

#include "server/consistency/controller.h"

extern const ps_controller_ops ps_controller_asp;
extern const ps_controller_ops ps_controller_bsp;

#endif
