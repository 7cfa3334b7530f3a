/* hidden: what the layers of a model make of rows, at one kind of point (tap.h) in all of them. For
 * methods that look inside. One thread (not asserted: the model's, which asserts it). */
#ifndef PS_EXPLAIN_HIDDEN_H
#define PS_EXPLAIN_HIDDEN_H

#include "worker/explain/method.h"
#include "worker/models/tap.h"

typedef struct ps_explain_hidden {
    ps_tap_kind kind;
    size_t layers;
    size_t *columns; /* [layers]: channels of each */
    size_t widest, total;
} ps_explain_hidden;

/* point: a short name of tap.h; "" or NULL: what activations give (models of layers), or the stream
 * behind each block. PS_INVALID_ARGUMENT: there is no such point, or not in this model. Freed with
 * _free. */
PS_MUST_CHECK ps_status ps_explain_hidden_open(const ps_explaining *x, const char *point,
                                               ps_explain_hidden *out);
void ps_explain_hidden_free(ps_explain_hidden *hidden);

/* One pass forward; `see` is given each layer in its order: values[rows, columns[layer]] of the
 * items, or of all their tokens, good for the call. Fails as the model does. */
PS_MUST_CHECK ps_status ps_explain_hidden_pass(
    ps_explaining *x, const ps_explain_items *items, const ps_explain_hidden *hidden,
    void (*see)(void *user, size_t layer, const float *values, size_t rows), void *user);

/* ---- kept until all are there ---- */

/* Items by whose number and above none is kept: what compares all rows takes rows² memory. */
enum {
    PS_EXPLAIN_KEPT_ROWS = 1024,
    PS_EXPLAIN_KEPT_LAYERS = 1024, /* a model has no more; pairs of layers are compared */
};

/* Of these items, those that are kept. */
size_t ps_explain_keep_count(const ps_explain_items *items);
/* One vector an item, of its last token, of all layers one behind the other, as `activations` with
 * the prefix before it ("other_"; "" is usual). */
PS_MUST_CHECK ps_status ps_explain_keep(ps_explaining *x, const ps_explain_hidden *hidden,
                                        const ps_explain_items *items, const char *prefix,
                                        ps_explain_part *out);
/* prepare, run and free of a method (its key is `point`) whose finish has that, and drops it; a
 * warning where there are more rows than are kept. */
PS_MUST_CHECK ps_status ps_explain_keep_prepare(ps_explaining *x,
                                                const ps_spec_explain_method *spec, void **state);
PS_MUST_CHECK ps_status ps_explain_keep_run(ps_explaining *x, const ps_spec_explain_method *spec,
                                            void *state, const ps_explain_items *items,
                                            ps_explain_part *out);
void ps_explain_keep_free(void *state);

/* What has been kept, in finish. Borrowed from the part. */
typedef struct ps_explain_kept {
    size_t rows, layers, total;
    const float *channels; /* [layers] */
    const float *values;   /* [rows, total] */
} ps_explain_kept;

/* false: no row is there, or these are not what run leaves, as more than PS_EXPLAIN_KEPT_ROWS or
 * _LAYERS. */
bool ps_explain_kept_of(const ps_explain_part *merged, const char *prefix, ps_explain_kept *out);
static inline size_t ps_explain_kept_columns(const ps_explain_kept *kept, size_t layer)
{
    return (size_t)kept->channels[layer];
}
/* Layer's part into out[rows, columns]. */
void ps_explain_kept_layer(const ps_explain_kept *kept, size_t layer, float *out);
/* The same, less its mean over rows; of what its rows are to each other, k[rows, rows].
 * PS_NO_MEMORY. */
PS_MUST_CHECK ps_status ps_explain_kept_kernel(const ps_explain_kept *kept, size_t layer,
                                               double *k);
void ps_explain_kept_drop(ps_explain_part *merged, const char *prefix); /* channels stay */

#endif
