/* transformer: the decoders of language models. Which tensors an architecture has (common/arch)
 * says what is computed: embeddings, a residual stream through blocks, a last norm, the head with
 * its loss; beside that the memory of it all, and generation with a cache. For the files of this
 * folder.
 *
 *     x0 = embedding(tokens)            [n,C]     n = batch·length, C = hidden_size
 *     x(l+1) = block_l(x(l))            [n,C]     l = 0 .. L-1; transformer_block.c
 *     logits = head(norm(x(L)))         [n,V]
 *
 * Names in shapes: n rows, C hidden, H heads, K key-value heads, D head size, Q = (H + 2K)·D,
 * F intermediate, V vocabulary. All activations are of the model's type, F32 or BF16.
 */
#ifndef PS_MODELS_TRANSFORMER_H
#define PS_MODELS_TRANSFORMER_H

#include "common/arch/layout.h"
#include "worker/layers/attention.h"
#include "worker/layers/head.h"
#include "worker/layers/linear.h"
#include "worker/layers/lora.h"
#include "worker/layers/norm.h"
#include "worker/models/model_row.h"

/* What a block's forward pass leaves for its backward pass. With recompute and without gradients
 * all blocks share all of it but the input. */
typedef struct ps_block_state {
    ps_tensor input;            /* [n,C] the residual stream that comes in */
    ps_tensor normed_attention; /* [n,C] */
    ps_norm_state norm_attention;
    ps_tensor raw; /* [n,(H + K)·D] queries and keys before their norms, if they have any */
    ps_norm_state norm_q, norm_k;
    ps_tensor packed;                   /* [n,Q] queries, keys and values */
    ps_tensor lse;                      /* F32 [batch,H,length] */
    ps_tensor mixed;                    /* [n,H·D] what attention gives */
    ps_tensor said_attention, said_mlp; /* [n,C] what each half gives, where a norm stands behind */
    ps_norm_state norm_after_attention, norm_after_mlp;
    ps_tensor middle;     /* [n,C] the residual stream after attention */
    ps_tensor normed_mlp; /* [n,C] */
    ps_norm_state norm_mlp;
    ps_tensor added_attention,
        added_mlp; /* [n,C] what each half adds up to, where a norm is of it */
    ps_norm_state norm_added_attention, norm_added_mlp;
    ps_tensor hidden; /* [n,F] the mlp's first product */
    ps_tensor up;     /* [n,F] its second one, where it has two */
    ps_tensor active; /* [n,F] after the activation */
} ps_block_state;

/* The parameters of a part: a weight and maybe its bias, of the first block where it is in each. */
typedef struct ps_part_parameters {
    size_t first, count; /* count 0: the architecture has none */
} ps_part_parameters;

/* Adapters beside products of blocks; transformer_lora.c. */
typedef struct ps_transformer_lora {
    int64_t rank; /* 0: there are none */
    float scale, rate;
    size_t *adapter; /* [layout.base]: of a weight that is adapted its A, behind which B is; 0 */
    int64_t widest;  /* of the inputs that go into one */
    ps_tensor between, dbetween; /* [n,rank] */
    ps_tensor dropped;           /* [n,widest], where they drop */
} ps_transformer_lora;

/* Of models that say one thing of each text; encoder.c. Texts lie one behind the other in the n
 * rows of a pass, so that nothing is computed of what fills up the shorter ones. */
typedef struct ps_transformer_texts {
    bool there;
    ps_tensor types, ends; /* I32 [n]: of each token; behind which its text ends (starts: below) */
    ps_tensor firsts;      /* I32 [batch]: the row of each text's first token */
    ps_tensor begins; /* I32 [n]: which text's first token each is; the batch's rows: no one's */
    ps_tensor taken;  /* [batch + 1,C] x(L) of the first tokens; or its gradient, and zeros */
    /* F32, as is all that is computed of them: of one row a text it costs nothing */
    ps_tensor first;                                          /* [batch,C] what was taken */
    ps_tensor pooled, dropped;                                /* [batch,C] */
    ps_tensor dpooled;                                        /* [batch,C] */
    ps_tensor dfirst;                                         /* [batch + 1,C], zeros at the end */
    int32_t *ids_host, *types_host, *starts_host, *ends_host; /* [n] */
    int32_t *begins_host;                                     /* [n] */
    int32_t *firsts_host;                                     /* [batch] */
    int64_t classes;
    float rate; /* of dropout of what the classes are made of */
} ps_transformer_texts;

typedef struct ps_transformer {
    ps_model base;
    ps_model_language size;
    ps_dtype type;

    ps_part_parameters parts[PS_PARTS]; /* HEAD is TOKENS where it is tied */
    size_t block_parameters;            /* of one block */
    uint32_t input_major;               /* bit of each part whose weight is stored [in,out] */
    ps_transformer_lora lora;
    ps_attention_layer attention; /* of blocks whose queries see all; ps_transformer_attention_of */
    ps_tensor local_rope;         /* of those that see a window, where these turn otherwise */
    ps_activation act;            /* f of the MLP */
    float gain_offset;            /* of norms */
    float embedding_scale;        /* 1: none */
    float attention_dropout;      /* of weights, in training */
    ps_head head;

    ps_buffer *memory;          /* of all below */
    ps_block_state *states;     /* [L] */
    ps_attention_cache *caches; /* decode: [L], of max_length positions */
    ps_tensor *kept;            /* [options.n_keep], each [n,C]: x of those layers */
    ps_tensor last;             /* [n,C] x(L) */
    ps_tensor normed;           /* [n,C] */
    ps_norm_state norm_state;
    ps_tensor summed; /* [n,C] what the embedding adds up to, where a norm is of it */
    ps_norm_state norm_embedding;
    ps_transformer_texts texts;
    ps_tensor positions; /* I32 [n] */
    ps_tensor starts;    /* likewise, where the batch has them */
    ps_tensor ones;      /* [n,1], where queries, keys and values have biases of their own */
    /* gradients under way; not with inference */
    ps_tensor dx;      /* [n,C] of the residual stream */
    ps_tensor dbranch; /* [n,C] of a norm's output, or of what a block adds */
    ps_tensor dsaid;   /* [n,C] of what a half gives, where a norm stands behind */
    ps_tensor dbeside; /* [n,C] of what the MLP's norm reads, where that is the block's input */
    ps_tensor dmixed;  /* [n,H·D] */
    ps_tensor dpacked; /* [n,Q] */
    ps_tensor dactive; /* [n,F] */
    ps_tensor delta;   /* F32 [batch,H,length] */
    /* explain */
    ps_tensor picked;     /* some [rows,C] of normed, their gradients, or tokens' embeddings */
    ps_norm_state apart;  /* of rows that are no pass's */
    ps_tensor dgate, dup; /* [n,F]; else in the place of what they are gradients of */
    ps_buffer *patterns;  /* [batch·H·length,length]; NULL: no hook has asked for it */
    size_t pattern_bytes;

    int32_t *positions_host;  /* [n] */
    int64_t batch, length, n; /* of the current pass */
    int64_t before;           /* decode: tokens in the cache; -1: not generating */
    bool dropping;            /* dropout is on in the current pass */
    bool several;             /* rows have several documents in it */
    float beta;               /* of parameters' gradients in the current pass */
    uint64_t passes;          /* training passes so far, for dropout */
} ps_transformer;

/* Rows of the longest prompt that generation takes in one pass. */
enum { PS_EXTEND_ROWS = 256 };
int64_t ps_transformer_max_rows(const ps_transformer *t); /* n of the largest pass */

/* From t->base.input and t->positions_host to t->normed; n, before and the rest are set. */
PS_MUST_CHECK ps_status ps_transformer_run(ps_transformer *t, const ps_model_hooks *hooks);

/* All of backward from t->dx, x(L)'s gradient, on. */
PS_MUST_CHECK ps_status ps_transformer_backward_blocks(ps_transformer *t,
                                                       const ps_model_hooks *hooks);

/* The row's passes; the rest of it is in transformer_init.c. */
PS_MUST_CHECK ps_status ps_transformer_forward(ps_model *m, const ps_model_hooks *hooks);
PS_MUST_CHECK ps_status ps_transformer_loss(ps_model *m, const ps_loss_goal *goal);
PS_MUST_CHECK ps_status ps_transformer_backward(ps_model *m, const ps_model_hooks *hooks);
PS_MUST_CHECK ps_status ps_transformer_attention(ps_model *m, int64_t layer, int64_t row,
                                                 float *out);
/* Where hooks ask for hook_pattern: what attention has left in block l's mixed is made once more,
 * of weights that they see and may replace; the gradient of these, behind dmixed's. */
PS_MUST_CHECK ps_status ps_transformer_show_pattern(ps_transformer *t, int64_t l);
PS_MUST_CHECK ps_status ps_transformer_show_pattern_gradient(ps_transformer *t, int64_t l);
int64_t ps_transformer_tap_columns(const ps_model *m, ps_tap tap);
bool ps_transformer_tap_before(const ps_model *m, size_t i, ps_tap *out);
size_t ps_transformer_taps_behind(const ps_model *m, size_t i, ps_tap *out);
ps_tensor ps_transformer_outputs_at(ps_model *m, ps_tensor ids);
void ps_transformer_seed(ps_model *m, ps_tensor ids, const float *douts, bool first);
ps_tensor ps_transformer_embed(ps_model *m, ps_tensor ids);
ps_tensor ps_transformer_read_out(ps_model *m, const float *x, int64_t n);
void ps_transformer_top(ps_model *m, ps_tensor index);
void ps_transformer_answer(ps_model *m);
ps_tensor ps_transformer_hidden(ps_model *m, int64_t layer);
ps_tensor ps_transformer_room(ps_model *m);
PS_MUST_CHECK ps_status ps_transformer_extend(ps_model *m, const int32_t *tokens, int64_t count,
                                              int64_t before, float *out);

/* Gives every tensor its place and returns the bytes that they take; memory NULL: only counts.
 * transformer_memory.c */
size_t ps_transformer_place(ps_transformer *t, ps_buffer *memory);

/* ---- blocks; transformer_block.c ---- */

/* state.input -> out[n,C]; with out not there it stops when the state is complete. */
PS_MUST_CHECK ps_status ps_transformer_block_forward(ps_transformer *t, int64_t l, ps_tensor out,
                                                     const ps_model_hooks *hooks);
/* t->dx: out's gradient -> the input's, in place. */
PS_MUST_CHECK ps_status ps_transformer_block_backward(ps_transformer *t, int64_t l,
                                                      const ps_model_hooks *hooks);

/* ---- a model of texts; encoder.c ---- */

/* Host memory for its passes, and what is computed beside the blocks; and all of it back. */
PS_MUST_CHECK ps_status ps_transformer_texts_init(ps_transformer *t, const ps_model_config *config);
void ps_transformer_texts_fini(ps_transformer *t);
/* The calls of its row. */
PS_MUST_CHECK ps_status ps_encoder_take(ps_model *m, const ps_model_batch *batch);
PS_MUST_CHECK ps_status ps_encoder_forward(ps_model *m, const ps_model_hooks *hooks);
PS_MUST_CHECK ps_status ps_encoder_loss(ps_model *m, const ps_loss_goal *goal);
PS_MUST_CHECK ps_status ps_encoder_backward(ps_model *m, const ps_model_hooks *hooks);
PS_MUST_CHECK ps_status ps_encoder_states(ps_model *m, float *out);

/* ---- one linear layer; transformer_product.c ---- */

/* What a part's parameters make; what classes are made with is float32. */
ps_linear ps_transformer_linear(const ps_transformer *t, int64_t l, ps_arch_part part);
/* x[n,in] -> y[n,out], whose rows are ld elements apart; 0: dense */
void ps_transformer_product(ps_transformer *t, int64_t l, ps_arch_part part, ps_tensor y,
                            int64_t ld, ps_tensor x);
/* dx[n,in] = dy's + beta · dx */
void ps_transformer_product_backward(ps_transformer *t, int64_t l, ps_arch_part part, ps_tensor dx,
                                     ps_tensor dy, int64_t ld, float beta);
/* The parameters' gradients, which are ready then. */
PS_MUST_CHECK ps_status ps_transformer_weights_backward(ps_transformer *t, int64_t l,
                                                        ps_arch_part part, ps_tensor dy, int64_t ld,
                                                        ps_tensor x, const ps_model_hooks *hooks);

/* ---- for blocks ---- */

bool ps_transformer_has(const ps_transformer *t, ps_arch_part part);
/* The weight, and its bias where it has one, behind it. l counts for parts of blocks alone. */
size_t ps_transformer_parameter(const ps_transformer *t, ps_arch_part part, int64_t l);
/* The first n rows, those of the current pass. */
ps_tensor ps_transformer_rows(const ps_transformer *t, ps_tensor tensor);
/* Waits for the parameters of the parts from first to last of block l. */
PS_MUST_CHECK ps_status ps_transformer_use(ps_transformer *t, int64_t l, ps_arch_part first,
                                           ps_arch_part last, const ps_model_hooks *hooks);
/* Says that the gradients of the part are ready. */
PS_MUST_CHECK ps_status ps_transformer_ready(ps_transformer *t, int64_t l, ps_arch_part part,
                                             const ps_model_hooks *hooks);
/* The layer that a part's parameters make. */
ps_norm_layer ps_transformer_norm(const ps_transformer *t, int64_t l, ps_arch_part part);
/* Of block l, in the current pass; transformer_attention.c. */
ps_attention_layer ps_transformer_attention_of(const ps_transformer *t, int64_t l);
/* packed -> state.mixed */
void ps_transformer_attend(ps_transformer *t, int64_t l);
/* t->dmixed -> t->dpacked */
void ps_transformer_attend_backward(ps_transformer *t, int64_t l);

/* Words of random bits, and so elements, that a branch has. */
#define PS_TRANSFORMER_WORDS (INT64_C(1) << 40)

/* The word that the bits of a branch begin with in this pass. What is in memory is never more than
 * PS_TRANSFORMER_WORDS; attention's weights, which are not, may be (transformer_attention.c).
 * Branches are those of ps_transformer_drop; behind them, of each block, those of the PS_PARTS that
 * may have adapters; and behind these, of each block, attention's weights. */
void ps_transformer_drop_bits(const ps_transformer *t, int64_t branch, uint64_t *seed,
                              uint64_t *offset);
/* Dropout in place where the pass has it. branch 0: of the embedding; 1 + 2l and 2 + 2l: of what
 * block l adds; behind them adapters' and attention's, and of what classes are made of the last,
 * which encoder.c drops. */
void ps_transformer_drop(ps_transformer *t, ps_tensor x, int64_t branch);
/* The gradient of such a branch, of t->dx: in `room`, or t->dx itself where nothing is dropped and
 * nobody may write to it. */
ps_tensor ps_transformer_drop_backward(ps_transformer *t, ps_tensor room, int64_t branch);

/* ---- adapters; transformer_lora.c. Parts without one are left as they are ---- */

/* Behind the model's n tensors: theirs. PS_INVALID_ARGUMENT: nothing is meant by the targets. */
PS_MUST_CHECK ps_status ps_transformer_lora_describe(const ps_model_lora *lora,
                                                     const ps_lm_tensor *tensors, size_t n,
                                                     ps_model_layout *out);
/* Fills t->lora, but for its room. */
void ps_transformer_lora_number(ps_transformer *t, const ps_model_lora *lora,
                                const ps_lm_tensor *tensors, size_t n);
PS_MUST_CHECK ps_status ps_transformer_lora_use(ps_transformer *t, int64_t l, ps_arch_part part,
                                                const ps_model_hooks *hooks);
/* y += */
void ps_transformer_lora_forward(ps_transformer *t, int64_t l, ps_arch_part part, ps_tensor y,
                                 int64_t ld, ps_tensor x);
/* dx += */
void ps_transformer_lora_backward_input(ps_transformer *t, int64_t l, ps_arch_part part,
                                        ps_tensor dx, ps_tensor dy, int64_t ld);
/* Gradients of both, which are ready then. */
PS_MUST_CHECK ps_status ps_transformer_lora_backward(ps_transformer *t, int64_t l,
                                                     ps_arch_part part, ps_tensor dy, int64_t ld,
                                                     ps_tensor x, const ps_model_hooks *hooks);

#endif
