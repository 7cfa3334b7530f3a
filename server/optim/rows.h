/* rows: what the table of optimizers is made of; a rule is one file and one line here and in
 * optimizer.c. */
#ifndef PS_OPTIM_ROWS_H
#define PS_OPTIM_ROWS_H

#include "server/optim/optimizer.h"

extern const ps_optimizer ps_optimizer_sgd;
extern const ps_optimizer ps_optimizer_momentum;
extern const ps_optimizer ps_optimizer_adamw;
extern const ps_optimizer ps_optimizer_adamw8bit;

/* For check functions: rate and decay are what all rules have. */
PS_MUST_CHECK ps_status ps_optimizer_check_common(const ps_optimizer_config *config);

/* For step functions of rules whose state is arrays of floats [k][elements]: the part's place in
 * the k-th. */
float *ps_optimizer_floats(const ps_optimizer_part *part, unsigned k);

#endif
