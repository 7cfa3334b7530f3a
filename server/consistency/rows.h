/* rows: what the table of consistency models is made of; a model is one file and one line in
 * common/conf/train_rows.h. */
#ifndef PS_CONSISTENCY_ROWS_H
#define PS_CONSISTENCY_ROWS_H

#include "common/conf/train_rows.h"
#include "server/params/controller.h"

/* One ps_controller_<name> a row. */
#define PS_CONTROLLER_DECLARE(name_, ...) extern const ps_controller_ops ps_controller_##name_;
PS_MODE_ROWS(PS_CONTROLLER_DECLARE)

#endif
