/* model_row: what a family of architectures provides, and what all of them share. For the files of
 * this folder; others see model.h.
 *
 * A row's create makes its own struct with a ps_model as its first member, calls
 * ps_model_base_init, and takes the rest of its memory. There is one for each family of
 * architectures (common/arch); a new architecture of a family needs nothing here.
 */
#ifndef PS_MODELS_MODEL_ROW_H
#define PS_MODELS_MODEL_ROW_H

#include "common/base/one_thread.h"
#include "gpu/ops.h"
#include "worker/layers/loss.h"
#include "worker/models/model.h"

typedef ps_status ps_model_pass_fn(ps_model *m, const ps_model_hooks *hooks);
typedef struct ps_model_row {
    /* Checks the whole configuration; on success the layout has been added to with
     * ps_model_layout_add. */
    ps_status (*describe)(const ps_model_config *config, ps_model_layout *out);
    ps_status (*create)(ps_backend *backend, const ps_model_config *config,
                        const ps_model_options *options, ps_model **out);
    void (*free)(ps_model *m);
    /* Checks the batch's tokens and puts them where forward reads them; NULL: all rows are as long,
     * and go into m->input. */
    ps_status (*take)(ps_model *m, const ps_model_batch *batch);
    /* The passes, over m->rows rows (of m->length tokens); the batch has been checked and its
     * features or tokens are in m->input. Hooks are never NULL; their members are called through
     * ps_model_use and ps_model_ready. */
    ps_model_pass_fn *forward;
    /* Checks the goal, and leaves the loss in m->loss and what backward begins with. NULL: m->loss
     * over m->output, whose gradient replaces it. m->teacher, if there is one, has had forward. */
    ps_status (*loss)(ps_model *m, const ps_loss_goal *goal);
    ps_model_pass_fn *backward;
    /* Waits for the device, and says what loss computed; NULL: what m->loss has. */
    ps_status (*result)(ps_model *m, ps_model_result *out);
    /* The largest outputs that forward found, into index, I32 [rows] or [rows · length]; NULL:
     * those of m->output. */
    void (*top)(ps_model *m, ps_tensor index);
    /* What forward found, into m->output [rows,outputs]; NULL: forward did that. */
    void (*answer)(ps_model *m);
    /* As ps_model_extend, checked; NULL: the model does not generate. */
    ps_status (*extend)(ps_model *m, const int32_t *tokens, int64_t count, int64_t before,
                        float *out);
    /* The output of hidden layer `layer` of the current pass, [rows or tokens,width]; of a model
     * for inference one of options.keep. A layer that there is. */
    ps_tensor (*hidden)(ps_model *m, int64_t layer);
    /* Memory as large as any of these; of a model that is trained, between two passes. */
    ps_tensor (*room)(ps_model *m);
    /* With options.explain, of rows ids I32 [n] of the batch, or of its tokens, n at most the rows
     * of m->points. The outputs there, F32 [n,outputs]; */
    ps_tensor (*outputs_at)(ps_model *m, ps_tensor ids);
    /* and douts[n,outputs], added to what backward begins with; first: that is 0 so far. */
    void (*seed)(ps_model *m, ps_tensor ids, const float *douts, bool first);
    /* Rows of the tokens' table, F32 [n,hidden_size]; NULL: the model takes no tokens. */
    ps_tensor (*embed)(ps_model *m, ps_tensor ids);
    /* As ps_model_read_out, n at most the rows of m->points: the outputs, F32 [n,outputs]; NULL
     * with embed. */
    ps_tensor (*read_out)(ps_model *m, const float *x, int64_t n);
    /* As ps_model_states; NULL: it is none of texts. */
    ps_status (*states)(ps_model *m, float *out);
    /* As ps_model_attention, of a layer that there is; NULL: the model has none. */
    ps_status (*attention)(ps_model *m, int64_t layer, int64_t row, float *out);
    /* As the calls of model.h; false: parameter i is in no product. */
    int64_t (*tap_columns)(const ps_model *m, ps_tap tap);
    bool (*tap_before)(const ps_model *m, size_t i, ps_tap *out);
    size_t (*taps_behind)(const ps_model *m, size_t i, ps_tap *out);
    bool takes_tokens;
    bool labels_rows; /* and yet a label is of a row, not of a token */
} ps_model_row;

extern const ps_model_row ps_model_mlp;
extern const ps_model_row ps_model_transformer;
extern const ps_model_row ps_model_encoder;
extern const ps_model_row ps_model_sae;
extern const ps_model_row ps_model_tuned_lens;

/* What has been done with the current batch: each pass needs the one before it. */
typedef enum ps_model_stage {
    PS_MODEL_EMPTY,
    PS_MODEL_FORWARD, /* the outputs are there */
    PS_MODEL_LOSS,    /* the output's gradient is there, over the outputs */
} ps_model_stage;

struct ps_model {
    ps_one_thread mine;
    const ps_model_row *row;
    ps_backend *backend; /* borrowed */
    ps_stream *stream;
    ps_model_options options;
    ps_model_layout layout;
    ps_buffer *parameter_memory;
    ps_buffer *gradient_memory; /* NULL: it is not trained */
    ps_buffer *weight_memory;   /* NULL unless options.bf16 */
    ps_tensor *parameters;      /* [layout.count], views into the three */
    ps_tensor *gradients;       /* NULL: it is not trained */
    ps_tensor *weights;         /* what is computed with: the parameters, or their bfloat16 */
    ps_form_matrix *forms; /* [layout.count]: the parameters that are in one; others have no row */
    int64_t *ranks;        /* [layout.count]: of parameters that are two factors, F32
                            * [out + in,rank] (worker/layers/linear.h); else 0 */
    ps_buffer *between_memory; /* what is between two factors; NULL: none are */
    ps_tensor between;
    bool *stale;     /* [layout.count]: weights[i] is to be made of parameters[i] */
    uint64_t memory; /* bytes of device memory */

    int64_t inputs, outputs;
    ps_tensor input;  /* [max_batch,inputs], or I32 tokens; made by the row */
    ps_tensor output; /* [max_batch,outputs]; made by the row. loss leaves its gradient here */
    ps_loss loss;

    /* with options.explain, made by the row */
    ps_tensor points;         /* I32: as many as are asked for at a time */
    ps_tensor input_gradient; /* F32 [max_batch,inputs], or [tokens,hidden_size] */
    ps_tensor first_gradient; /* of a batch with first, [max_batch,columns] */
    ps_tensor embeddings;     /* [tokens,hidden_size]: where those of the batch are put; of models
                                 of layers [max_batch,columns]: what the first one gives */
    int32_t *points_host;     /* as points */

    ps_model_stage stage;
    int64_t rows, length;              /* of the current batch */
    const int32_t *starts;             /* likewise; NULL: it has none */
    bool embedded;                     /* it has embeddings, or first, in their place */
    bool train, add_gradients;         /* likewise */
    ps_loss_goal goal;                 /* of the batch whose loss was computed last */
    const ps_model_hooks *watching;    /* of the pass that is running, where they are to see it */
    ps_loss_teaching teaching;         /* its goal's */
    ps_model *teacher;                 /* of the current batch; NULL: none */
    const ps_model_teaching *followed; /* hidden states are; NULL: none */
};

/* Layout, stream, parameters and gradients (all zero), loss. On failure nothing is left over. */
PS_MUST_CHECK ps_status ps_model_base_init(ps_model *m, const ps_model_row *row,
                                           ps_backend *backend, const ps_model_config *config,
                                           const ps_model_options *options);
void ps_model_base_fini(ps_model *m);
/* Then, of a model that multiplies with at most so many rows: room for between two factors. */
PS_MUST_CHECK ps_status ps_model_make_between(ps_model *m, int64_t rows);

/* Marks what the configuration freezes. PS_INVALID_ARGUMENT: a word that means nothing, all of it,
 * half of a norm, or an architecture of which nothing can be. */
PS_MUST_CHECK ps_status ps_model_freeze(const ps_model_config *config, ps_model_layout *layout);

void ps_model_layout_add(ps_model_layout *layout, const ps_model_parameter_spec *spec);

/* The gradient of hidden layer `layer`'s output in dx is complete but for what the teacher's hidden
 * states add, which this does. */
void ps_model_follow(ps_model *m, int64_t layer, ps_tensor dx);
/* Both have had forward: how far hidden states are from the teacher's, into m->loss's divergence.
 */
void ps_model_compare(ps_model *m);

/* Calls the hook for one parameter, if there is one; then its weight is up to date. */
PS_MUST_CHECK ps_status ps_model_use(ps_model *m, const ps_model_hooks *hooks, size_t parameter);
PS_MUST_CHECK ps_status ps_model_ready(const ps_model_hooks *hooks, size_t parameter);
/* Runs a pass of the row, watched by the hooks (NULL: there are none). */
PS_MUST_CHECK ps_status ps_model_pass(ps_model *m, ps_model_pass_fn *pass,
                                      const ps_model_hooks *hooks);
/* The pass is at that point: who watches may read x[rows,columns] and write to it. ld: elements
 * from one row to the next, 0 where they are dense. Likewise of a gradient on the way back. */
void ps_model_at(const ps_model *m, ps_tap_kind kind, int64_t layer, ps_tensor x, int64_t ld);
void ps_model_gradient_at(const ps_model *m, ps_tap_kind kind, int64_t layer, ps_tensor dx,
                          int64_t ld);
/* Are gradients shown to somebody, who may write to them? */
bool ps_model_shows_gradients(const ps_model *m);
/* With options.explain: room on the host for as many points as the row has on the device. */
PS_MUST_CHECK ps_status ps_model_make_points(ps_model *m);
/* PS_INVALID_ARGUMENT: the first of n that is no token of the vocabulary. */
PS_MUST_CHECK ps_status ps_model_check_tokens(const ps_model *m, const int32_t *tokens, int64_t n);

/* Places tensors one after the other in a buffer that is made later: each *offset is aligned, and
 * ends as the bytes needed. */
size_t ps_model_place(size_t *offset, int64_t elements, ps_dtype dtype);

#endif
