/* optimizer: the table of update rules (rows: sgd, momentum, adamw). A row is one file; a rule
 * turns parameters θ, a gradient g and its own state (slots: floats beside every parameter) into
 * new parameters.
 *
 * Step functions are pure and vectorised; any thread. in and out may be the same buffer, or not
 * overlap: so a block is updated in place or into a spare one.
 */
#ifndef PS_OPTIM_OPTIMIZER_H
#define PS_OPTIM_OPTIMIZER_H

#include "common/base/status.h"
#include "common/codec/codec.h"

#include <stdint.h>

/* As in the job file; a rule ignores what it does not use. */
typedef struct ps_optimizer_config {
    const char *name; /* a row of the table; NULL: sgd */
    double learning_rate;
    double momentum; /* momentum: μ in [0, 1) */
    bool nesterov;
    double beta1; /* adamw, in [0, 1) */
    double beta2;
    double epsilon; /* adamw, > 0 */
    double weight_decay;
} ps_optimizer_config;

/* One application to one block. */
typedef struct ps_optimizer_step {
    double rate;           /* of the schedule, at this update */
    double gradient_scale; /* g is multiplied by it first (clipping, mean of workers) */
    uint64_t count;        /* this is the block's count-th update, from 1 (bias correction) */
} ps_optimizer_step;

enum { PS_OPTIMIZER_SLOTS_MAX = 2 };

typedef struct ps_optimizer {
    const char *name;
    unsigned slots; /* floats of state for every parameter; all start at 0 */
    /* PS_INVALID_ARGUMENT says which value, and what is allowed. */
    PS_MUST_CHECK ps_status (*check)(const ps_optimizer_config *config);
    /* n elements; slot[i] for i < slots. */
    void (*step)(const ps_optimizer_config *config, const ps_optimizer_step *step, size_t n,
                 const float *in, float *out, const ps_wire_float *g,
                 float *slot[PS_OPTIMIZER_SLOTS_MAX]);
} ps_optimizer;

/* The row of that name with its values checked; PS_INVALID_ARGUMENT lists the names there are. */
PS_MUST_CHECK ps_status ps_optimizer_find(const ps_optimizer_config *config,
                                          const ps_optimizer **out);

#endif
