/* train_rows: the tables of optimizers and of consistency modes: their names, the keys of the job
 * file that each takes, and what a mode means for whoever is not its controller. The schema, the
 * checks and the texts of errors of common/conf are made from them, and so are psd's own tables
 * (server/optim, server/consistency), whose rows carry the same names and do the work. A new
 * optimizer is a line here and a file there. A setting that an optimizer is the first to have
 * is a line here, too: all that reads, checks, copies, stores or restores settings goes by it.
 * Read-only; any thread.
 */
#ifndef PS_CONF_TRAIN_ROWS_H
#define PS_CONF_TRAIN_ROWS_H

#include "common/base/buf.h"
#include "common/base/status.h"

#include <stdbool.h>

/* ROW(name, traits, keys besides those that all have): each with its default where it is not the
 * usual one, nor 0. The keys are rows of the second table below. */
#define PS_OPTIMIZER_ROWS(ROW)                                         \
    ROW(sgd, .squares = false, {NULL})                                 \
    ROW(momentum, .squares = false, {"momentum"}, {"nesterov"})        \
    ROW(adamw, .squares = true, {"beta1"}, {"beta2"}, {"epsilon"})     \
    ROW(adamw8bit, .squares = true, {"beta1"}, {"beta2"}, {"epsilon"}) \
    ROW(lion, .squares = false, {"beta1"}, {"beta2", 0.99})            \
    ROW(adagrad, .squares = true, {"epsilon", 1e-10}, {"initial_accumulator"})

/* ROW(name, traits) */
#define PS_MODE_ROWS(ROW)    \
    ROW(asp, .waits = false) \
    ROW(bsp, .waits = true, .merges = true)

/* Of the keys below train.optimizer those that only some optimizers take. REAL(key, default, least,
 * most); FLAG(key, default). Each is a member of that name of ps_spec_optimizer and of
 * ps_optimizer_config. */
#define PS_OPTIMIZER_KEY_ROWS(REAL, FLAG) \
    REAL(momentum, "0.9", 0, 0.9999999)   \
    FLAG(nesterov, "false")               \
    REAL(beta1, "0.9", 0, 0.9999999)      \
    REAL(beta2, "0.999", 0, 0.9999999)    \
    REAL(epsilon, "1e-8", 1e-30, 1)       \
    REAL(initial_accumulator, "0", 0, 1e6)

/* Their members of a struct. */
#define PS_OPTIMIZER_REAL_MEMBER(key_, ...) double key_;
#define PS_OPTIMIZER_FLAG_MEMBER(key_, ...) bool key_;
#define PS_OPTIMIZER_MEMBERS \
    PS_OPTIMIZER_KEY_ROWS(PS_OPTIMIZER_REAL_MEMBER, PS_OPTIMIZER_FLAG_MEMBER)

#define PS_ROW_COUNT(...) +1

enum {
    PS_OPTIMIZERS = 0 PS_OPTIMIZER_ROWS(PS_ROW_COUNT),
    PS_MODES = 0 PS_MODE_ROWS(PS_ROW_COUNT),
    PS_OPTIMIZER_KEYS = 6, /* that a row may have */
};

typedef struct ps_optimizer_key {
    const char *name; /* below train.optimizer */
    double usual;     /* its default for this optimizer; 0: the schema's */
} ps_optimizer_key;

typedef struct ps_optimizer_row {
    const char *name;
    bool squares; /* its state has the mean square of each element's gradient */
    ps_optimizer_key keys[PS_OPTIMIZER_KEYS + 1]; /* ended by one without a name */
} ps_optimizer_row;

typedef struct ps_mode_row {
    const char *name;
    bool waits;   /* a worker that has ended its clock may have to wait for others */
    bool merges;  /* all gradients of a clock make one update: psd clips it, keeps 4 bytes a
                     parameter for it, and an epoch begins when the one before is merged */
    bool bounded; /* it takes train.consistency.staleness */
} ps_mode_row;

/* By name; NULL: there is none. */
const ps_optimizer_row *ps_optimizer_row_find(const char *name);
const ps_mode_row *ps_mode_row_find(const char *name);
bool ps_optimizer_row_has(const ps_optimizer_row *row, const char *key);
/* "adamw and adamw8bit": those that take the key; and those with squares. */
void ps_optimizer_owners(const char *key, ps_buf *out);
void ps_optimizer_squaring(ps_buf *out);
/* "a, b and c": of a list that ends with NULL. */
void ps_names_list(const char *const *names, ps_buf *out);
/* PS_INVALID_ARGUMENT: "WHAT: there is no NAME; there are a, b and c". */
PS_MUST_CHECK ps_status ps_names_unknown(const char *what, const char *name,
                                         const char *const *names);

/* In the order of the tables, ended by NULL. */
extern const char *const ps_optimizer_names[];
extern const char *const ps_mode_names[];

#endif
