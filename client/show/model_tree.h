/* model_tree: stored models below those that they were made of. Pure. */
#ifndef PS_SHOW_MODEL_TREE_H
#define PS_SHOW_MODEL_TREE_H

#include "client/show/table.h"
#include "psd/v1/models.pb-c.h"

/* models: by name, as Models.List gives them; whatever they say of each other. A model whose parent
 * is not among them begins a tree of its own. */
void ps_model_tree(ps_buf *out, const ps_style *style, Psd__V1__Model *const *models, size_t n);

#endif
