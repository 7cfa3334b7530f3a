/* optimizer: the table of update rules (rows: common/conf/train_rows.h). A row is one file; a rule
 * turns parameters θ, a gradient g and its own state into new parameters. The state is kept beside
 * each block of parameters and is bytes to everybody else: a rule says how many and lays them out.
 *
 * Step functions are pure and vectorised; any thread. in and out may be the same buffer, or not
 * overlap: so a block is updated in place or into a spare one.
 */
#ifndef PS_OPTIM_OPTIMIZER_H
#define PS_OPTIM_OPTIMIZER_H

#include "common/base/status.h"
#include "common/codec/codec.h"
#include "common/conf/train_rows.h"

#include <stdint.h>

/* As in the job file; a rule ignores what it does not use. */
typedef struct ps_optimizer_config {
    const char *name; /* a row of the table; NULL: sgd */
    double learning_rate;
    double weight_decay; /* 0 where the block does not decay: a rule need not ask */
    PS_OPTIMIZER_MEMBERS
} ps_optimizer_config;

/* One application to one block. */
typedef struct ps_optimizer_step {
    double rate;           /* of the schedule, at this update */
    double gradient_scale; /* g is multiplied by it first (clipping, mean of workers) */
    uint64_t count;        /* this is the block's count-th update, from 1 (bias correction) */
} ps_optimizer_step;

/* What it changes: elements [begin, begin + count) of a block of `elements`. */
typedef struct ps_optimizer_part {
    size_t elements, begin, count;
    const float *in; /* count of them, as out and g */
    float *out;
    const ps_wire_float *g; /* as it was received, aligned to nothing */
    void *state;            /* of the whole block, 64-byte aligned; NULL without one */
} ps_optimizer_part;

typedef struct ps_optimizer {
    const char *name;
    /* Which layout the state has, as checkpoints say it: a number that no other has or had (the
     * next is 6). A changed layout is another number. */
    uint32_t state_format;
    size_t (*state_bytes)(size_t elements); /* beside a block of so many; NULL: none */
    /* NULL: all bytes 0 */
    void (*state_init)(const ps_optimizer_config *config, void *state, size_t elements);
    void (*step)(const ps_optimizer_config *config, const ps_optimizer_step *step,
                 const ps_optimizer_part *part);
    /* What the rule knows of the variance of g (g scaled as in `step`), per element of a block that
     * has had `count` updates, from 1, without bias: times the number of rows that a gradient is
     * the mean of, the diagonal of the empirical Fisher information. The square of the mean is no
     * part of it: times that number it would be no curvature, but as much as one (with Adam's v
     * alone a third too much on a trained model). Of a rule that keeps no mean of g, the mean of
     * g². NULL: nothing. */
    void (*second_moment)(const ps_optimizer_config *config, const void *state, size_t elements,
                          uint64_t count, float *out);
} ps_optimizer;

size_t ps_optimizer_state_bytes(const ps_optimizer *rule, size_t elements);
/* What a checkpoint holds replaces it, so that a key that only this looks at needs no place in a
 * checkpoint's configuration. */
void ps_optimizer_state_init(const ps_optimizer *rule, const ps_optimizer_config *config,
                             void *state, size_t elements);

/* The row of that name, with the values that it takes checked. PS_INVALID_ARGUMENT lists the names
 * there are, or says which value and what is allowed. */
PS_MUST_CHECK ps_status ps_optimizer_find(const ps_optimizer_config *config,
                                          const ps_optimizer **out);

#endif
