/* rows: what the table of optimizers is made of; a rule is one file and one line in
 * common/conf/train_rows.h. */
#ifndef PS_OPTIM_ROWS_H
#define PS_OPTIM_ROWS_H

#include "common/conf/train_rows.h"
#include "server/optim/optimizer.h"

/* One ps_optimizer_<name> a row. */
#define PS_OPTIMIZER_DECLARE(name_, ...) extern const ps_optimizer ps_optimizer_##name_;
PS_OPTIMIZER_ROWS(PS_OPTIMIZER_DECLARE)

/* For step functions of rules whose state is arrays of floats [k][elements]: the part's place in
 * the k-th. */
float *ps_optimizer_floats(const ps_optimizer_part *part, unsigned k);

#endif
