/* consistency: the table of consistency models (rows: asp, bsp), by name. A row is one file; what
 * one is, says server/params/controller.h. */
#ifndef PS_CONSISTENCY_CONSISTENCY_H
#define PS_CONSISTENCY_CONSISTENCY_H

#include "server/params/controller.h"

/* name NULL: asp. PS_INVALID_ARGUMENT lists the names there are. */
PS_MUST_CHECK ps_status ps_consistency_find(const char *name, const ps_controller_ops **out);

#endif
