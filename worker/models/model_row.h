/* model_row: what an architecture provides, and what all of them share. For the files of this
 * folder; others see model.h.
 *
 * A row's create makes its own struct with a ps_model as its first member, calls
 * ps_model_base_init, and takes the rest of its memory. A new architecture is one file and one line
 * in model.c.
 */
#ifndef PS_MODELS_MODEL_ROW_H
#define PS_MODELS_MODEL_ROW_H

#include "worker/layers/loss.h"
#include "worker/models/model.h"

typedef struct ps_model_row {
    const char *architecture;
    /* Checks the whole configuration; on success the layout has been added to with
     * ps_model_layout_add. */
    ps_status (*describe)(const ps_model_config *config, ps_model_layout *out);
    ps_status (*create)(ps_backend *backend, const ps_model_config *config,
                        const ps_model_options *options, ps_model **out);
    void (*free)(ps_model *m);
    /* The passes, over m->rows rows; the batch has been checked and its features are in m->input.
     * Hooks are never NULL; their members are called through ps_model_use and ps_model_ready. */
    ps_status (*forward)(ps_model *m, const ps_model_hooks *hooks);
    ps_status (*backward)(ps_model *m, const ps_model_hooks *hooks);
} ps_model_row;

extern const ps_model_row ps_model_mlp;

/* What has been done with the current batch: each pass needs the one before it. */
typedef enum ps_model_stage {
    PS_MODEL_EMPTY,
    PS_MODEL_FORWARD, /* the outputs are there */
    PS_MODEL_LOSS,    /* the output's gradient is there, over the outputs */
} ps_model_stage;

struct ps_model {
    const ps_model_row *row;
    ps_backend *backend; /* borrowed */
    ps_stream *stream;
    ps_model_options options;
    ps_model_layout layout;
    ps_buffer *parameter_memory;
    ps_buffer *gradient_memory; /* NULL: inference */
    ps_tensor *parameters;      /* [layout.count], views into the two */
    ps_tensor *gradients;
    uint64_t memory; /* bytes of device memory */

    int64_t inputs, outputs;
    ps_tensor input;  /* [max_batch,inputs]; made by the row */
    ps_tensor output; /* [max_batch,outputs]; made by the row. loss leaves its gradient here */
    ps_loss loss;

    ps_model_stage stage;
    int64_t rows;      /* of the current batch */
    ps_loss_goal goal; /* of the batch whose loss was computed last */
};

/* Layout, stream, parameters and gradients (all zero), loss. On failure nothing is left over. */
PS_MUST_CHECK ps_status ps_model_base_init(ps_model *m, const ps_model_row *row,
                                           ps_backend *backend, const ps_model_config *config,
                                           const ps_model_options *options);
void ps_model_base_fini(ps_model *m);

void ps_model_layout_add(ps_model_layout *layout, const ps_model_parameter_spec *spec);

/* Calls the hook for one parameter, if there is one. */
PS_MUST_CHECK ps_status ps_model_use(const ps_model_hooks *hooks, size_t parameter);
PS_MUST_CHECK ps_status ps_model_ready(const ps_model_hooks *hooks, size_t parameter);

/* Places tensors one after the other in a buffer that is made later: each *offset is aligned, and
 * ends as the bytes needed. */
size_t ps_model_place(size_t *offset, int64_t elements);

#endif
