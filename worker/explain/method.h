/* method: the contract of a method that explains: what it is given, and what it leaves. A method is
 * one file of this folder, which ends with its row, a word in rows.h, and a line in
 * common/conf/explain_rows.h, which says its section, its keys, and what it needs.
 *
 * A task has some of the job's items (chosen rows of data.test, or prompts) and takes them through
 * every method that goes by rows, some items at a time:
 *
 *     st = method->prepare(x, spec, &state);                 // once a task
 *     st = method->run(x, spec, state, &items, part);        // for every few items, in their order
 *     method->free(state);
 *
 * What run leaves in `part` is, by name, an array of its items (one row each, put behind those of
 * the call before) or sums over items (added, in float64). Parts of all tasks are merged in the
 * order of items, rows behind rows and sums by addition; then, once, without a model,
 *
 *     st = method->finish(x, spec, merged);                  // NULL: it stays as it is
 *
 * Which items come together in a run depends on the job alone, never on who computes them: so
 * results are the same bits with one worker and with many. What is drawn is drawn by the item
 * (ps_explain_rng), never by the run.
 *
 * A method of several passes (explain_rows.h) is run again over everything when what it left has
 * been merged and finished: x->pass says in which it is, x->before has what it left. One with the
 * trait SHARED has no items: run is called once a task with items NULL, and does its share x->share
 * of PS_EXPLAIN_SHARES.
 *
 * Inputs are numbers: of models of layers the features, [inputs]; of language models the tokens'
 * embeddings, [length, hidden], positions not included. So most methods need not know of which
 * family the model is: a point has x->width(items) numbers, the baseline likewise, a gradient too;
 * ps_explain_fold makes of those what is left for a row, a number a feature or a token.
 *
 * All on the thread of the task (not asserted: it is the model's, which asserts it).
 */
#ifndef PS_EXPLAIN_METHOD_H
#define PS_EXPLAIN_METHOD_H

#include "common/base/rng.h"
#include "worker/data/reader.h"
#include "worker/explain/part.h"
#include "worker/explain/scoring.h"
#include "worker/models/model.h"

#include <math.h>

typedef struct ps_explain_baseline ps_explain_baseline;
typedef struct ps_explain_other ps_explain_other;

/* What all methods of a task share. Read, but for `evaluations`. */
typedef struct ps_explaining {
    const ps_job_spec *job;
    const ps_spec_explain *spec;     /* the job's section */
    const ps_spec_model *model_spec; /* the model's shape and classes */
    const char *sha256;              /* of the model's file */
    ps_model *model;                 /* for inference with option explain; NULL in finish */
    bool language;                   /* it takes tokens */
    int64_t inputs;                  /* numbers of a row's features; or of a token's embedding */
    int64_t outputs;                 /* classes, tokens or numbers of a row's answer */
    size_t batch;                    /* rows that the model takes at once */
    const ps_dataset *test, *train;  /* NULL: the job has none, or no method looks at it */
    const ps_explain_baseline *baseline; /* baseline.h */
    const ps_explain_other *other;       /* other.h; NULL: the job has one model */
    /* The model has the numbers of this one of spec->checkpoints from now on, until run returns:
     * several take the memory of one. user is that of check. Fails as reading a stored model does.
     * NULL: the job has no checkpoints. */
    ps_status (*become)(void *user, const ps_spec_explain_checkpoint *checkpoint);
    /* The influence.bin of the training that the job asks about, whole; NULL: it asks about none.
     * user is that of check. PS_NOT_FOUND: the training has left none. */
    ps_status (*record)(void *user, ps_buf *out);
    size_t method;                 /* the number of the method that runs, of the job */
    unsigned pass;                 /* from 0 */
    const ps_explain_part *before; /* what it left in the pass before; NULL in the first */
    unsigned share;                /* of a method with trait SHARED: below PS_EXPLAIN_SHARES */
    uint64_t evaluations; /* rows that went through the model, forward and backward counted each */
    /* Is the task to end? To be asked between batches; ps_explain_evaluate does. Of finish, too. */
    ps_status (*check)(void *user);
    void *user;
} ps_explaining;

/* Some items, all of one length. Borrowed for the call. */
typedef struct ps_explain_items {
    size_t n;              /* 1 to x->batch */
    const uint64_t *item;  /* [n]: its number in the job, ascending */
    const uint64_t *row;   /* [n]: of data.test; or the prompt's number */
    const float *features; /* [n, inputs]; NULL: a language model's */
    const int32_t *tokens; /* [n, length]; NULL: others */
    int64_t length;        /* tokens; 1 of others */
    const float *points;   /* [n, width]: what the model computes with: features or embeddings;
                              NULL: the job has no method for which embeddings are needed */
    const int32_t *labels; /* [n]: class, or the token that follows; -1: there is none */
    const float *targets;  /* [n, outputs]: labels that are numbers; NULL: there are none */
    const ps_explain_goal *goals; /* [n]: what is explained of each: f */
    const float *logits;          /* [n, outputs]: the model's answer, of tokens after the last */
    const double *scores;         /* [n]: f of that; finite: others are left out beforehand */
} ps_explain_items;

/* Numbers of a point. */
static inline size_t ps_explain_width(const ps_explaining *x, const ps_explain_items *items)
{
    return (size_t)x->inputs * (size_t)items->length;
}
/* Numbers that are left for a row: features or tokens. */
static inline size_t ps_explain_features(const ps_explaining *x, const ps_explain_items *items)
{
    return (size_t)(x->language ? items->length : x->inputs);
}

/* What the numbers along an array's last axis are, for reports: "mean", "deviation". */
typedef struct ps_explain_entries {
    const char *array;        /* its name; of the last one NULL */
    const char *const *names; /* ended by NULL */
} ps_explain_entries;

typedef struct ps_explain_method {
    const char *name;                  /* as in explain_rows.h */
    const ps_explain_entries *entries; /* of arrays whose last axis is a list; NULL: of none */
    /* Looks at the arguments and the model, and takes the memory that run needs. *state is freed
     * with `free`, also after a failure if it is set. May be NULL. */
    ps_status (*prepare)(ps_explaining *x, const ps_spec_explain_method *spec, void **state);
    ps_status (*run)(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                     const ps_explain_items *items, ps_explain_part *out);
    void (*free)(void *state); /* NULL: free(), which takes NULL */
    ps_status (*finish)(ps_explaining *x, const ps_spec_explain_method *spec,
                        ps_explain_part *merged);
} ps_explain_method;

/* NULL: there is none. */
const ps_explain_method *ps_explain_method_find(const char *name);
/* Every row, to a NULL. */
extern const ps_explain_method *const ps_explain_methods[];

/* A stream of its own for the method that runs and this item. */
void ps_explain_rng(const ps_explaining *x, uint64_t item, ps_rng *out);

/* The larger of two residuals: one that is NaN is, and stays so, where fmax would forget it. */
static inline double ps_explain_worse(double a, double b)
{
    return isnan(a) || a > b ? a : b;
}

/* ---- many points through the model ---- */

/* Points that are made, one by one, as the model takes them, and what comes of them. */
typedef struct ps_explain_points {
    size_t n;
    bool tokens;    /* language models: make writes tokens, int32 [length], not embeddings */
    bool first;     /* models of layers: make writes what the first layer gives, not what it takes
                       (first_layer.h): where that is known its products are saved */
    bool gradients; /* wanted, too; not with tokens */
    /* Writes point i, and whose f it is to be seen by: the number below items->n. */
    void (*make)(void *user, size_t i, void *point, size_t *item);
    /* Is given, in order, f at point i, and ∇f by what was made, as wide as that; NULL unless
     * wanted. */
    void (*take)(void *user, size_t i, double score, const float *gradient);
    void *user;
    /* Of both passes of every batch, whose rows are points in their order; NULL: none. What a hook
     * fails with it keeps: whoever set it looks when all is done. */
    const ps_model_hooks *hooks;
} ps_explain_points;

/* Fails as the model does, and as x->check. A score may be anything, NaN included. */
PS_MUST_CHECK ps_status ps_explain_evaluate(ps_explaining *x, const ps_explain_items *items,
                                            const ps_explain_points *points);

/* [width] in float64 to a number a feature or token: features as they are; of a token the sum over
 * its embedding. */
void ps_explain_fold(const ps_explaining *x, const ps_explain_items *items, const double *wide,
                     float *out);

#endif
