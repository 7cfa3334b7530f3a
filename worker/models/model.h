/* model: one model of an architecture of common/arch, ready to be trained on a device.
 *
 * A training step, on the thread that owns the model:
 *
 *     ps_model_forward(m, &batch, &hooks);  // hooks.before_use(i) first, for each parameter
 *     ps_model_loss(m, &batch);             // the loss and its gradient at the output
 *     ps_model_backward(m, &hooks);         // hooks.gradient_ready(i), last layer first
 *     ps_model_result_get(m, &result);      // waits for the device: loss, correct
 *
 * An explanation (option explain) begins at outputs instead, and ends at the input:
 *
 *     ps_model_forward(m, &batch, &hooks);
 *     ps_model_outputs_at(m, points, n, out);            // logits, where they are wanted
 *     ps_model_backward_at(m, points, n, douts, &hooks); // again, as often as there are questions
 *     ps_model_input_gradient(m)
 *
 * Parameters are numbered from 0 in the order of ps_model_layout. The trainer fills
 * ps_model_parameter(m, i) (all of them before the first forward) and reads
 * ps_model_gradient(m, i). All memory is taken in ps_model_create; a step allocates nothing.
 */
#ifndef PS_MODELS_MODEL_H
#define PS_MODELS_MODEL_H

#include "common/arch/arch.h"
#include "common/arch/convolution.h"
#include "common/arch/rope.h"
#include "common/base/status.h"
#include "common/form/form.h"
#include "gpu/ops.h"
#include "worker/models/tap.h"

typedef struct ps_model ps_model;

/* The sizes of a language model, under Hugging Face's names. */
typedef struct ps_model_language {
    int64_t vocab_size, context_length; /* tokens that there are, and of the longest sequence */
    int64_t hidden_size, num_layers, num_heads;
    int64_t num_kv_heads;
    int64_t head_dim; /* 0: hidden_size / num_heads */
    int64_t intermediate_size;
    ps_rope_spec rope; /* without learnt positions */
    double norm_epsilon;
    double dropout;          /* of embeddings and of what each block adds, in training */
    bool tie_embeddings;     /* the embedding is the head's weight, too */
    ps_arch_choices choices; /* that the architecture leaves open */
} ps_model_language;

/* Low-rank adapters beside products of a language model (common/arch/lora.h); borrowed likewise. */
typedef struct ps_model_lora {
    int64_t rank; /* 0: no adapters */
    double scale, dropout;
    const char *const *targets; /* words of ps_lora_means */
    size_t n_targets;
} ps_model_lora;

/* What to build; borrowed for the call. Names are those of the job file. */
typedef struct ps_model_config {
    const char *architecture; /* a row of common/arch */
    const int64_t *layers;    /* mlp: sizes from input to output, 2 to PS_MODEL_LAYERS_MAX of them;
                                 sae:    inputs, latents, inputs */
    size_t layer_count;
    ps_image_size image;                /* cnn: what an image is */
    const ps_convolution *convolutions; /* cnn: these come first, and layers are the widths behind
                                           them, hidden ones and outputs, at least 1 */
    size_t convolution_count;
    double dropout;             /* cnn: of what comes to each of layers, in training */
    const char *activation;     /* "relu", "gelu", "tanh", "gelu_tanh", "silu"; NULL: relu */
    const char *loss;           /* "cross_entropy", "squared_error"; NULL: cross_entropy */
    int64_t top_k;              /* sae: latents of a row that stay active; 0: as many as are */
    double l1;                  /* sae: what they cost; 0 with top_k */
    ps_model_language language; /* language models; tuned_lens: hidden_size, num_layers; cnn:
                                   norm_epsilon */
    ps_model_lora lora;         /* language models: all else is frozen, and of a stored model */
    const char *const *freeze;  /* parameters that are, by words of ps_spec_freeze_means; not of sae
                                   and tuned_lens */
    size_t n_freeze;
} ps_model_config;

#define PS_MODEL_LAYERS_MAX 256
#define PS_MODEL_BATCH_MAX  (INT64_C(1) << 24)
/* Elements of one layer's side, and of one parameter: kept below what 32-bit BLAS can index. */
#define PS_MODEL_SIDE_MAX      (INT64_C(1) << 24)
#define PS_MODEL_PARAMETER_MAX (INT64_C(1) << 40)

typedef enum ps_init_kind {
    PS_INIT_ZEROS,
    PS_INIT_ONES,
    PS_INIT_UNIFORM, /* in [-scale, scale) */
    PS_INIT_NORMAL,  /* mean 0, deviation scale */
} ps_init_kind;

/* What it is to the model; psd tells by it which parameters weight decay is for. */
typedef enum ps_parameter_role {
    PS_ROLE_MATRIX, /* of a linear layer, the head included */
    PS_ROLE_EMBEDDING,
    PS_ROLE_BIAS,
    PS_ROLE_NORM, /* gain and bias of a norm */
} ps_parameter_role;

/* One parameter, as data: psd can create and initialise it without knowing any model. */
typedef struct ps_model_parameter_spec {
    char name[64]; /* as in the state dict of PyTorch: "layers.0.weight" */
    char as[64];   /* begins as the parameter of this name, of the same shape; "": on its own */
    int rank;
    int64_t shape[PS_TENSOR_RANK_MAX];
    ps_init_kind init;
    float scale;
    ps_parameter_role role;
    bool input_major; /* a layer's weight is stored [in,out]; in a form it is not: rows of a form
                         are of one output each */
    bool of_block;    /* a matrix of a layer, or of a block of a language model: what may be
                         trained in a form */
    bool frozen;      /* it is not trained, and has no gradient */
} ps_model_parameter_spec;

typedef struct ps_model_layout {
    ps_model_parameter_spec *parameters;
    size_t count;
    size_t base; /* with adapters: the first so many are those of a stored model's file, and frozen.
                    Else 0. psd's store has what is not frozen alone */
} ps_model_layout;

/* The parameters that a stored model's file has: all, or those that are adapted. Borrows. */
ps_model_layout ps_model_layout_stored(const ps_model_layout *layout);

int64_t ps_model_parameter_elements(const ps_model_parameter_spec *spec);

/* Checks the configuration (PS_INVALID_ARGUMENT: which key, what is allowed) and lists its
 * parameters, in the order of the forward pass. Free with ps_model_layout_free. */
PS_MUST_CHECK ps_status ps_model_describe(const ps_model_config *config, ps_model_layout *out);
void ps_model_layout_free(ps_model_layout *layout);

/* Learning from another model's answers, too (gpu/ops.h, ps_distil). */
typedef struct ps_model_teaching {
    ps_model *teacher; /* of this one's family and backend, for inference; it is given each batch,
                          and must hold what this one's batches are */
    ps_divergence kind;
    double temperature, alpha;
    int64_t top_k;
    /* Not 0: what is followed is not the teacher's answer but its hidden states: layer
     * of_student[i] (from 1) is to be as its of_teacher[i], of the same width, which the teacher
     * keeps (ps_model_options.keep). The divergence is the mean of the squared differences. */
    size_t n_hidden;
    const int64_t *of_student, *of_teacher;
} ps_model_teaching;

/* Rows of host memory; borrowed until ps_model_result_get, ps_model_predict or the next forward.
 * cross_entropy needs labels. squared_error needs targets, or labels: those stand for a one-hot
 * row, or for the number itself where the model has one output. Language models take tokens, and a
 * label for each: the token that follows it, or -1 for one that does not count. Models of texts
 * take tokens, and a label a row, as those of layers. */
#define PS_MODEL_SECOND (INT32_C(1) << 29)
typedef struct ps_model_batch {
    int64_t rows;          /* 1 to max_batch */
    const float *features; /* [rows, inputs] */
    const float *first;    /* explain: [rows, columns of layers.0.pre] in the features' place: what
                              the first layer gives, whose product is not computed then,
                              nor that of the way back */
    const int32_t
        *tokens; /* [rows, length]; of a model of texts a row may be shorter, and ends before
                    its first -1; PS_MODEL_SECOND is added to those of a second text */
    const float *embeddings; /* explain: [rows, length, hidden_size] in the tokens' place: what
                                their table has, without positions. tokens is NULL then */
    int64_t length;          /* tokens a row, 1 to max_length */
    const int32_t *starts;   /* [rows, length]: the token of its row that each one's document begins
                                with, itself or one before it: it sees none before that one, and
                                positions count from there; or NULL: rows are one document each.
                                With tokens, and without hooks that ask for patterns */
    const int32_t *labels;   /* [rows], or [rows, length]; or NULL */
    const float *targets;    /* [rows, outputs] or NULL */
    /* cross_entropy: loss runs the teacher over the batch, and the gradient is of both; NULL: of
     * the labels alone */
    const ps_model_teaching *teaching;

    /* Training alone; zeros are one batch a step. */
    bool train;         /* dropout is on */
    bool add_gradients; /* to those of the batches before: gradient accumulation */
    double weight;      /* the loss's gradient is times this: 1/batches of a step; 0: 1 */
} ps_model_batch;

/* Called on the thread of the pass; each member may be NULL, and so may the table. */
typedef struct ps_model_hooks {
    /* Before forward uses parameter i: may block until a pull has filled it. *changed, false at
     * first: it has been written since the last time. A failure ends the pass, and forward returns
     * it. */
    ps_status (*before_use)(void *user, size_t parameter, bool *changed);
    /* A forward pass is at a point of it (tap.h): x[rows, columns] is there, rows being those of
     * the batch, or its tokens, ld elements apart, in the model's type. What is enqueued on
     * ps_model_stream now may read it and write to it: the pass goes on with what it then is.
     * Nothing later may, its memory is used again. What the hook fails with it keeps, and says when
     * before_use is called next. Not in ps_model_extend. */
    void (*at)(void *user, ps_tap tap, ps_tensor x, int64_t ld);
    /* A backward pass is there with the loss's gradient, or that of backward_at, by what `at` saw,
     * likewise; not with recompute. What replaced x counts as what the layer before has made: who
     * put in a constant writes zeros. embed and pos_embed share one gradient. */
    void (*gradient_at)(void *user, ps_tap tap, ps_tensor dx, int64_t ld);
    /* Passes of language models stop at hook_pattern, too, whose x[rows of the batch · heads ·
     * length, length] has of each row and head what each of its tokens takes of each: written to,
     * it is what z is made of. Its gradient is shown, not taken up, and after a pass in which x was
     * written there is none. Memory for it is taken by the first such pass: PS_NO_MEMORY. */
    bool patterns;
    /* backward_at: the deviations that norms divide by are constants (gpu/ops.h). */
    bool constant_rstd;
    /* Gradient i is complete in the model's stream: it may be read at once where the backend is
     * host_addressable; elsewhere record an event on ps_model_stream and wait for it. It stays as
     * it is until the next backward. A failure ends the pass. */
    ps_status (*gradient_ready)(void *user, size_t parameter);
    void *user;
} ps_model_hooks;

/* What an architecture says beside the loss: "l0", a mean over the batch's rows. */
typedef struct ps_model_measure {
    const char *name; /* static; NULL ends the list */
    double value;
} ps_model_measure;

enum { PS_MODEL_MEASURES = 4 };

typedef struct ps_model_result {
    double loss; /* mean over the batch (squared_error: over all its elements) */
    int64_t rows;
    int64_t labels;    /* rows, or tokens, that had one */
    int64_t correct;   /* of these, how often the largest output was the label's; -1 when there were
                          none */
    double divergence; /* from the teacher's answers, its mean as the loss's; -1: no teacher */
    ps_model_measure measures[PS_MODEL_MEASURES + 1];
} ps_model_result;

/* PS_NO_MEMORY when the device cannot hold it, PS_INVALID_ARGUMENT as ps_model_describe. Borrows
 * the backend, which must outlive it. inference: no gradients are kept and backward must not be
 * called. Parameters are zero until they are filled. */
typedef struct ps_model_options {
    int64_t max_batch;  /* rows of the largest batch, at least 1 */
    int64_t max_length; /* language models and those of texts: tokens of the longest row; 0:
                           context_length */
    int64_t max_tokens; /* those of texts: of a whole batch, at least max_length; 0: max_batch times
                           max_length */
    bool inference;
    bool bf16;      /* models that read tokens: weights and activations are rounded to bfloat16 for
                       computing;      parameters and gradients stay float32 */
    bool recompute; /* language models: of a block only the input is kept, and the rest computed
                       again for the backward pass: a third more work, far less memory */
    bool decode;    /* language models: ps_model_extend may be called; inference is set as well */
    ps_dtype cache; /* with decode: how keys and values of the tokens so far are kept, F32 (with
                       bf16: as bfloat16), BF16, or, without bf16, I8 with a scale a head */
    bool explain;   /* activations are kept as in training, which there is none of: parameters have
                       no gradients, and nothing is dropped. For the calls from ps_model_outputs_at
                       on. Alone: not with inference, bf16, recompute, decode or forms */
    uint64_t seed;  /* of dropout */
    const int64_t *keep; /* inference: hidden layers, from 1, of which forward leaves the outputs;
                            must outlive the model */
    size_t n_keep;
    ps_model *base; /* tuned_lens: the language model whose last norm and head it is read out by,
                       of the same backend, float32; it is read alone, and must outlive the lens.
                       NULL: ps_model_loss must not be called */
    const ps_form *forms; /* [parameters of the layout], borrowed for the call: the form that each
                             is kept in, matrices alone, and with a rank those of blocks; row NULL:
                             float32. NULL: all float32. With inference. PS_INVALID_ARGUMENT for
                             one that does not fit */
    bool exact; /* products with forms are not rounded further (gpu/ops.h): to tell what a model's
                   file says; else the faster for it */
} ps_model_options;
PS_MUST_CHECK ps_status ps_model_create(ps_backend *backend, const ps_model_config *config,
                                        const ps_model_options *options, ps_model **out);
void ps_model_free(ps_model **m); /* NULL is nothing */

/* The instance's own; valid until ps_model_free. */
const ps_model_layout *ps_model_parameters(const ps_model *m);
/* The number of the parameter of that name; PS_NOT_FOUND. */
PS_MUST_CHECK ps_status ps_model_find(const ps_model *m, const char *name, size_t *out);
/* F32, shape as in the layout; or in a form, as in files: U8 [rows, bytes of a row], its rows the
 * layout's, or the layout's columns of a weight that is input_major; or as two factors, F32
 * [outputs + inputs, rank]. */
ps_tensor ps_model_parameter(const ps_model *m, size_t i);
ps_tensor ps_model_gradient(const ps_model *m, size_t i); /* likewise; not with inference; of one
                                                             that is frozen it is not there */
/* Parameters have been written otherwise than as before_use says: all of each that is in a form,
 * whose bytes are put into another order, in place, before they are first used. */
void ps_model_refresh(ps_model *m);
ps_stream *ps_model_stream(const ps_model *m);
int64_t ps_model_inputs(const ps_model *m);  /* numbers of a row of features; 0: takes tokens */
int64_t ps_model_outputs(const ps_model *m); /* classes, tokens, or numbers of a row of targets */
uint64_t ps_model_memory(const ps_model *m); /* bytes of device memory it holds */

/* Numbers of a row at a point of its passes; 0: this model has no such point. */
int64_t ps_model_tap_columns(const ps_model *m, ps_tap tap);
/* The point whose x the product with weight i is of: x·wᵀ; where it is tied, the head's.
 * PS_INVALID_ARGUMENT: parameter i is in no product. */
PS_MUST_CHECK ps_status ps_model_tap_before(const ps_model *m, size_t i, ps_tap *out);
enum { PS_MODEL_TAPS_BEHIND = 3 };
/* Where what that product gives is, its bias included: how many points, side by side, into out; 0:
 * parameter i is in none, or in one that has no point: the head's, and those behind which a norm
 * comes before the points do. */
size_t ps_model_taps_behind(const ps_model *m, size_t i, ps_tap out[PS_MODEL_TAPS_BEHIND]);

/* PS_INVALID_ARGUMENT for a batch that does not fit the model (rows, missing labels, a label out of
 * range: which row); nothing is computed then. */
PS_MUST_CHECK ps_status ps_model_forward(ps_model *m, const ps_model_batch *batch,
                                         const ps_model_hooks *hooks);
PS_MUST_CHECK ps_status ps_model_loss(ps_model *m, const ps_model_batch *batch);
PS_MUST_CHECK ps_status ps_model_backward(ps_model *m, const ps_model_hooks *hooks);
PS_MUST_CHECK ps_status ps_model_result_get(ps_model *m, ps_model_result *out);

/* After forward, which stays as it is: the largest output of every row, or token, into out[rows] or
 * [rows, length]; under cross_entropy alone. Waits for the device. */
PS_MUST_CHECK ps_status ps_model_top(ps_model *m, int32_t *out);

/* forward, and then what it says of every row into out[rows, outputs]: probabilities that add up to
 * 1 under cross_entropy (of the token after the row), the outputs themselves under squared_error.
 * PS_FAILED_PRECONDITION: a model of texts that has no classes. Waits for the device. */
PS_MUST_CHECK ps_status ps_model_predict(ps_model *m, const ps_model_batch *batch,
                                         const ps_model_hooks *hooks, float *out);

/* After forward of a model of texts, which stays as it is: what its last block gives, into
 * out[tokens of the batch, hidden_size], where one text lies behind the other. Not with bf16. Waits
 * for the device. */
PS_MUST_CHECK ps_status ps_model_states(ps_model *m, float *out);

/* Generation, with option decode: `count` tokens more of one sequence that had `before` of them so
 * far (0 begins anew), and the logits after the last, out[outputs]. Keys and values of what was
 * said before stay on the device. PS_OUT_OF_RANGE: longer than max_length. Waits for the device. */
PS_MUST_CHECK ps_status ps_model_extend(ps_model *m, const int32_t *tokens, int64_t count,
                                        int64_t before, float *out);

/* ---- with option explain ---- */

/* Where a model has one vector of outputs: a row, and of a language model a token of it. */
typedef struct ps_model_point {
    int64_t row, position; /* of models of layers: position 0 */
} ps_model_point;

/* After forward, which stays as it is: the outputs at n points (logits; of squared_error the
 * numbers themselves) into out[n, outputs]. Waits for the device. */
PS_MUST_CHECK ps_status ps_model_outputs_at(ps_model *m, const ps_model_point *points, size_t n,
                                            float *out);
/* After forward, and again for other gradients: from douts[n, outputs], the gradients at n points
 * (0 at all others; those of a point that stands there twice are added), to the input's. before_use
 * and gradient_ready are not called. Waits until douts has been read. */
PS_MUST_CHECK ps_status ps_model_backward_at(ps_model *m, const ps_model_point *points, size_t n,
                                             const float *douts, const ps_model_hooks *hooks);
/* What the last backward_at has made, complete in the model's stream: F32 [rows, inputs], or of the
 * tokens' embeddings (as in ps_model_batch.embeddings) [rows · length, hidden_size], or of the
 * batch's `first`, as that is. Before any pass it tells the width alone. */
ps_tensor ps_model_input_gradient(const ps_model *m);
/* After forward: the weights of attention of block `layer` for one row of the batch, what
 * TransformerLens calls hook_pattern, into out[num_heads, length, length]: what each query (second)
 * takes of each key. PS_INVALID_ARGUMENT: no such block. Waits for the device. */
PS_MUST_CHECK ps_status ps_model_attention(ps_model *m, int64_t layer, int64_t row, float *out);
/* What the table has for n tokens of a language model, into out[n, hidden_size]; a pass stays as it
 * is. PS_INVALID_ARGUMENT: a token that there is not. Waits for the device. */
PS_MUST_CHECK ps_status ps_model_embed(ps_model *m, const int32_t *tokens, size_t n, float *out);
/* What the last norm, with statistics of their own, and the head of a language model make of n
 * vectors x[n, hidden_size] of the residual stream, into out[n, outputs]; a pass stays as it is.
 * Waits for the device. */
PS_MUST_CHECK ps_status ps_model_read_out(ps_model *m, const float *x, size_t n, float *out);

#endif
