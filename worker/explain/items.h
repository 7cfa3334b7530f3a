/* items: rows as they were read become what methods are given: the model answers, what is explained
 * of each row is settled, and those whose score is not finite are left out. One thread (not
 * asserted: the model's, which asserts it). */
#ifndef PS_EXPLAIN_ITEMS_H
#define PS_EXPLAIN_ITEMS_H

#include "worker/explain/method.h"

/* As they were read; borrowed. */
typedef struct ps_explain_raw {
    size_t n; /* 1 to x->batch */
    const uint64_t *item, *row;
    const float *features; /* or */
    const int32_t *tokens;
    int64_t length;
    const int32_t *labels; /* NULL: there are none */
    const float *targets;  /* likewise */
} ps_explain_raw;

typedef struct ps_explain_batch {
    ps_explain_items items;
    uint64_t *left_out; /* rows whose score is not finite */
    size_t n_left_out;
    void *memory[10]; /* what items points into */
} ps_explain_batch;

/* items.n may be 0: none is left. Freed with _free, also after a failure. PS_INVALID_ARGUMENT names
 * the row: it has no label. PS_NO_MEMORY; fails as the model does. */
PS_MUST_CHECK ps_status ps_explain_batch_make(ps_explaining *x, const ps_explain_raw *raw,
                                              ps_explain_batch *out);
void ps_explain_batch_free(ps_explain_batch *batch);

#endif
