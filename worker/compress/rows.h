/* rows: what the table of solvers is made of: ps_method_NAME in a file of this folder, and a word
 * here. */
#ifndef PS_COMPRESS_ROWS_H
#define PS_COMPRESS_ROWS_H

#include "worker/compress/method.h"

#define PS_SOLVERS(row) row(round) row(search) row(gptq) row(awq) row(smooth) row(hqq)

#define PS_SOLVER_DECLARE(name) extern const ps_method ps_method_##name;
PS_SOLVERS(PS_SOLVER_DECLARE)

#endif
