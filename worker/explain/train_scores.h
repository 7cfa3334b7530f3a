/* train_scores: what methods have in common that score rows of data.train (by what training on them
 * does to the model's loss) for each of the job's chosen rows of data.test, the queries. A share
 * has an equal part of data.train; what all of them leave becomes
 *
 *     queries [query]             the row's number
 *     helping, hurting [query, top]  numbers of the rows with the largest scores, above 0, and with
 * the least, below 0; NaN where there are no more helping_scores, hurting_scores [query, top];
 * helping_labels, hurting_labels likewise self_influence [train]      the row's score for itself;
 * NaN where it is not finite strongest, strongest_scores, strongest_labels [rank]  rows of the
 * largest of these, among which those with wrong labels come first scores [query, train]       all
 * of them, with `scores: true` shown_rows [shown], shown [shown, feature]  what is in the rows
 * named above, with rows.show
 *
 * All arrays are float32, so that data.train has at most 2^24 rows. On the task's thread (not
 * asserted: the model asserts it). */
#ifndef PS_EXPLAIN_TRAIN_SCORES_H
#define PS_EXPLAIN_TRAIN_SCORES_H

#include "worker/explain/row_gradients.h"
#include "worker/explain/selection.h"

enum { PS_TRAIN_ROWS_MAX = 1 << 24 };

/* A share of it. */
typedef struct ps_train_scores {
    ps_explaining *x;
    const ps_spec_explain_method *spec;
    ps_row_gradients gradients;
    ps_selection queries;
    uint64_t begin, end;  /* rows of data.train */
    uint64_t *rows;       /* [batch] */
    float *scores;        /* [queries, end − begin]: zeros at first */
    float *self, *labels; /* [end − begin]: likewise */
    bool *odd;            /* [queries]: it has no finite gradient, of one of the models */
} ps_train_scores;

/* PS_OUT_OF_RANGE: more rows than there are numbers for; PS_NO_MEMORY says how much it is and what
 * to lower. Closed in any case. */
PS_MUST_CHECK ps_status ps_train_scores_open(ps_explaining *x, const ps_spec_explain_method *spec,
                                             ps_train_scores *out);
void ps_train_scores_close(ps_train_scores *s);

/* How many models the method goes through, and number i of them, which x->model is from then on:
 * the entry's checkpoints in their order or, where it has none, the job's model. */
static inline size_t ps_train_scores_models(const ps_spec_explain_method *spec)
{
    return spec->n_checkpoints ? spec->n_checkpoints : 1;
}
PS_MUST_CHECK ps_status ps_train_scores_model(ps_train_scores *s, size_t i);

/* Calls back with some queries, or some rows of this share, whose gradients are s->gradients':
 * `first` is the number of the first, of the queries or in the share. */
typedef ps_status (*ps_train_scores_fn)(void *user, size_t first, size_t n);
PS_MUST_CHECK ps_status ps_train_scores_each_query(ps_train_scores *s, ps_gradient_of of,
                                                   ps_train_scores_fn each, void *user);
/* Notes their labels, too. */
PS_MUST_CHECK ps_status ps_train_scores_each_row(ps_train_scores *s, ps_gradient_of of,
                                                 ps_train_scores_fn each, void *user);

/* Leaves scores and self as a share's; queries without a finite gradient have none, which is said.
 */
PS_MUST_CHECK ps_status ps_train_scores_put(ps_train_scores *s, ps_explain_part *out);
/* Of all shares' what stands above. PS_CORRUPT: they are not what shares leave. */
PS_MUST_CHECK ps_status ps_train_scores_finish(const ps_spec_explain_method *spec,
                                               ps_explain_part *merged);

#endif
