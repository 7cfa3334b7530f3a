/* ops: what a backend can compute: the arguments of its operations, and the table of them.
 *
 * Types. T is F32 or BF16, the same for all tensors of a call that are marked T; sums are kept in
 * float32 or better whatever T is. Gradients of parameters, statistics and losses are F32, indices
 * I32. Rows of a matrix lie one after the other unless a leading dimension (ld, in elements) is
 * given. A tensor whose buffer is NULL is not there; which may be so is said.
 *
 * Arguments have been checked by gpu/op_*.c (shapes, types, bounds: a wrong one is our own bug),
 * and sizes are > 0. Callers use those calls, not this table. Where a source is named, the
 * operation is that one's, so that models of the ecosystem compute here what they compute there.
 *
 * A new operation is one more type and word here, one checked call in gpu/op_*.c, one function a
 * backend. Whatever changes the table raises PS_BACKEND_API, since it crosses a plugin border.
 */
#ifndef PS_GPU_OPS_H
#define PS_GPU_OPS_H

#include "common/form/form.h"
#include "gpu/backend.h"
#include "gpu/ops_image.h"

/* C[m,n] = alpha · op(A)[m,k] · op(B)[k,n] + beta · C, op(X) = X or its transpose; `batch` of them,
 * `stride_*` elements apart. ld*: elements from one stored row to the next, so A is stored as
 * [m,k] with ld_a >= k, or, transposed, as [k,m] with ld_a >= m. beta 0 never reads C (it may
 * hold NaN). Shapes of the tensors are not looked at, only their address, type and buffer. A and B
 * are T, C is T or F32. */
typedef struct ps_gemm {
    bool transpose_a, transpose_b;
    int64_t m, n, k;
    float alpha, beta;
    ps_tensor a, b, c;
    int64_t ld_a, ld_b, ld_c;
    int64_t batch; /* 1: plain */
    int64_t stride_a, stride_b, stride_c;
} ps_gemm;

typedef enum ps_activation {
    PS_ACTIVATION_RELU, /* max(x, 0); gradient 0 at 0, as PyTorch */
    PS_ACTIVATION_GELU, /* x·Φ(x), the exact one by erf (PyTorch's default approximate='none') */
    PS_ACTIVATION_TANH,
    PS_ACTIVATION_GELU_TANH, /* 0.5·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))): GPT-2's "gelu_new" */
    PS_ACTIVATION_SILU,      /* x·sigmoid(x) */
    PS_ACTIVATION_COUNT
} ps_activation;

/* Softmax cross-entropy and its gradient in one pass.
 *     loss    = (add ? loss : 0) + scale · Σ over rows of -log softmax(logits)[label]
 *     correct = (add ? correct : 0) + rows whose largest logit (the first of equals) is the label's
 *     dlogits = scale · (softmax - onehot)
 * A row whose label is -1 is left out: no loss, gradient 0. So the mean over n rows is scale 1/n,
 * also in several calls of some rows each. */
typedef struct ps_cross_entropy {
    ps_tensor loss;    /* F32 [1] */
    ps_tensor correct; /* I32 [1] */
    ps_tensor
        dlogits; /* T [rows,classes]; may be logits' own memory if T is F32; may be not there */
    ps_tensor logits; /* F32 [rows,classes] */
    ps_tensor labels; /* I32 [rows], each in [-1, classes): the caller has checked */
    float scale;
    bool add;
} ps_cross_entropy;

/* How far a student's answer q is from its teacher's p; each is 0 where they are the same. */
typedef enum ps_divergence {
    PS_DIVERGENCE_KL,         /* Σ p·log(p/q) (Hinton 2015) */
    PS_DIVERGENCE_REVERSE_KL, /* Σ q·log(q/p) (Gu 2023) */
    PS_DIVERGENCE_JSD, /* ½·Σ p·log(p/m) + ½·Σ q·log(q/m), m = (p+q)/2 (Agarwal 2023) */
    PS_DIVERGENCE_COUNT
} ps_divergence;

/* Cross-entropy, and how far the logits are from a teacher's, in one pass (Hinton 2015). With
 *     p = softmax(teacher / temperature), q = softmax(logits / temperature)
 * each over the first min(classes, teacher's classes) alone, what one has beyond them being
 * padding, and D the divergence between both: loss, correct as of task divergence = (task.add ?
 * divergence : 0) + task.scale · Σ over rows of D dlogits    = task.scale · the gradient, by the
 * logits, of (1 - alpha) · -log softmax(logits)[label] + alpha · temperature² · D A row whose label
 * is -1 is left out of all. top_k, unless 0: D is between as many classes as the teacher's largest
 * logits are, with those that equal the least of them, and one more, which stands for all the rest.
 */
typedef struct ps_distil {
    ps_cross_entropy task;
    ps_tensor teacher;    /* F32 [rows, teacher's classes]; not the memory of logits or dlogits */
    ps_tensor divergence; /* F32 [1] */
    ps_divergence kind;
    float temperature; /* > 0 */
    float alpha;       /* in [0, 1] */
    int64_t top_k;
} ps_distil;

/* y[rows,columns] = (x - mean) · rstd · gain + bias, row by row; rstd = 1/√(variance + epsilon),
 * variance over all columns (not columns - 1). Ba, Kiros, Hinton 2016; PyTorch's LayerNorm.
 * RMSNorm: mean 0, rstd = 1/√(mean of x² + epsilon), no bias. Zhang, Sennrich 2019.
 *
 * each > 0: rows are parts of longer ones, as the heads of queries and keys are: `each` lie one
 * after the other, and row r of x begins at element r / each · ld_x + r % each · columns, of y
 * likewise. rows is a multiple of each. 0: all are dense, and ld_* are not looked at. */
typedef struct ps_norm {
    ps_tensor y, x; /* T [rows,columns]; y may be x's memory, with the same ld */
    ps_tensor gain; /* T [columns] */
    ps_tensor bias; /* T [columns]; rmsnorm: not there */
    ps_tensor mean; /* F32 [rows]; for the backward pass; rmsnorm: not there */
    ps_tensor rstd; /* F32 [rows]; likewise */
    float epsilon;
    float gain_offset; /* the gain is this much more than `gain`: 1 of Gemma, 0 of others */
    int64_t each, ld_x, ld_y;
} ps_norm;

typedef struct ps_norm_backward {
    ps_tensor dx;          /* T [rows,columns] = its gradient, or += where add_dx: then it is the
                              residual's gradient, and not dy's memory; else it may be */
    ps_tensor dgain;       /* F32 [columns] = its gradient + beta · dgain (0: not read); not there:
                              the input's gradient alone is computed */
    ps_tensor dbias;       /* F32 [columns], likewise, there where dgain is; rmsnorm: not there */
    ps_tensor dy, x, gain; /* T, as the forward pass had them */
    ps_tensor mean, rstd;  /* as it left them */
    float beta;
    bool add_dx;
    bool constant_rstd; /* of dx: as if rstd, not the mean, were a constant (Ali 2022): of rmsnorm
                           Σ x·dx = Σ y·dy then */
    float gain_offset;  /* these as the forward pass had them */
    int64_t each, ld_x;
    int64_t ld_dy; /* of dy and of dx */
} ps_norm_backward;

/* Rotary positions (Su 2021) in place, in the halves' form of Llama and of Hugging Face: with
 * i < n/2 and angle a(p,i) of position p,
 *     x[i], x[i + n/2] = x[i]·cos a - x[i + n/2]·sin a,
 *                        x[i + n/2]·cos a + x[i]·sin a
 * for every head, of which the first n = rotary_dim numbers turn and the others stay as they are
 * (GPT-NeoX); inverse (the gradient) turns the other way. */
typedef struct ps_rope {
    ps_tensor x;         /* T; row r, head h begins at element r·ld + h·head_dim */
    ps_tensor positions; /* I32 [rows], each in [0, positions of the table) */
    ps_tensor
        table; /* F32 [positions, rotary_dim/2, 2]: cos and sin (yarn: each times its factor) */
    int64_t rows, heads, head_dim, ld;
    int64_t rotary_dim; /* even, at most head_dim; 0: head_dim */
    bool inverse;
} ps_rope;

/* y = softmax(scale · q·kᵀ)·v for each sequence and head, without the matrix of scores in memory
 * (Dao 2022: one pass with a running maximum). Grouped queries (Ainslie 2023): head h reads the
 * keys of h / (heads / kv_heads).
 *
 * A sequence has `queries` rows of q and y, and `keys` rows of k and v, >= queries; query t stands
 * at position keys - queries + t. causal: it sees the keys up to its own position, else all;
 * window, starts and ends leave some of these out. One that sees none has y 0, lse -∞ and no
 * gradients. Row r of sequence b: q and y (b·queries + r), k and v (b·key_rows + r), each times its
 * ld; head h is h·head_dim further on. So q, k and v may be parts of one packed row, and k and v a
 * cache with room for key_rows rows. */
typedef struct ps_attention {
    int64_t batch, queries, keys, key_rows;
    int64_t heads, kv_heads, head_dim; /* heads % kv_heads == 0 */
    int64_t ld_q, ld_k, ld_v, ld_y;
    ps_tensor y, q; /* T */
    ps_tensor k, v; /* T; beside q of F32 also BF16, or I8: what is meant is each times its scale */
    ps_tensor k_scales, v_scales; /* with I8: F32 [batch,key_rows,kv_heads]; else not there */
    ps_tensor lse; /* F32 [batch,heads,queries]: log Σ e^(scale·q·k); for the backward pass; may
                      be not there */
    float scale;   /* 1/√head_dim, or what the model says */
    bool causal;
    int64_t window; /* causal: that many keys, of which its own position's is the last (Mistral); 0:
                       all up to it */
    float softcap;  /* scores are softcap·tanh(scale·q·k / softcap) (Gemma 2); 0: scale·q·k */
    ps_tensor starts, ends; /* I32 [batch,queries], in [0, keys]: query t sees no key before its
                               start, none from its end on: documents in one row, or padding; each
                               may be not there */
    float dropout; /* of the weights, once they are a softmax: ps_dropout's rate (GPT-2). Key j's
                      for query t is number dropout_offset + ((batch·heads + head)·queries + t)·keys
                      + j under dropout_seed. 0: none */
    uint64_t dropout_seed, dropout_offset;
} ps_attention;

/* Rows of keys, or of values, become part of a cache that ps_attention reads: y[rows,columns] = x,
 * rounded as ps_cast and ps_quantise do, by `block` numbers. */
typedef struct ps_cache_rows {
    ps_tensor y;      /* T; of x in F32 also BF16, or I8; dense */
    ps_tensor scales; /* with I8: F32 [rows, columns / block]; else not there */
    ps_tensor x;      /* T; rows are ld_x elements apart */
    int64_t rows, columns, ld_x;
    int64_t block; /* of I8: the numbers that share a scale, a head's; divides columns */
} ps_cache_rows;

/* dq, dk, dv are overwritten; each has the lds of q, k, v, which are T. forward's arguments as they
 * were. */
typedef struct ps_attention_backward {
    const ps_attention *forward; /* lse is there; keys == key_rows == queries */
    ps_tensor dq, dk, dv;        /* T */
    ps_tensor dy;                /* T, with y's ld */
    ps_tensor delta;             /* F32 [batch,heads,queries]: memory to work in */
} ps_attention_backward;

/* The weights of attention, which its passes never have in memory:
 *     p[batch,heads,queries,columns] = e^(score - lse)
 * of the keys that a query sees, in float32, before their dropout; 0 for the others and for columns
 * past the last key. y, of forward's arguments, and v are not looked at. */
typedef struct ps_attention_weights {
    const ps_attention *forward; /* as they were; lse is there, and k is T */
    ps_tensor p;                 /* F32; columns >= keys */
} ps_attention_weights;

/* Inverted dropout: y = x / (1 - rate) where a random word says so, else 0. Element i's word
 * depends on (seed, offset + i) alone, so the same call on dy is the gradient, and nothing is kept.
 * It is the same on all backends: with j = offset + i, word j % 4 of Philox 4x32-10 (Salmon 2011)
 * of the counter (j / 4, 0) under the key seed, both 64 bits with the low half first. The element
 * is dropped where its word < rate · 2^32 (rounded down). y may be x's memory. */
typedef struct ps_dropout {
    ps_tensor y, x; /* T */
    float rate;     /* in [0, 1) */
    uint64_t seed, offset;
} ps_dropout;

/* One step of AdamW (Loshchilov and Hutter 2019; as PyTorch's), all F32 [n]:
 *     θ -= rate·decay·θ;  m = β1·m + (1-β1)·g;  v = β2·v + (1-β2)·g²
 *     θ -= rate · (m / (1 - β1^step)) / (√(v / (1 - β2^step)) + epsilon) */
typedef struct ps_adamw {
    ps_tensor parameter, m, v, gradient;
    float rate, beta1, beta2, epsilon, decay;
    int64_t step; /* from 1 */
} ps_adamw;

/* Of each row of z the k largest of the numbers that are above 0, of equal ones those that stand
 * first; all others become 0 (Makhzani and Frey 2013, k-sparse autoencoders), and NaN stays NaN,
 * beside them. So the gradient is that of relu, by y. */
typedef struct ps_topk {
    ps_tensor y, z;     /* F32 [rows,columns]; not the same memory */
    ps_tensor left_out; /* F32 [columns]: where it is above 0 the column is 0; may be not there */
    int64_t k;          /* from 1; columns or more: all that are above 0 */
} ps_topk;

/* A matrix whose rows are in a form (common/form/form.h): for inference, which computes with the
 * bytes of a model's file. By value; owns nothing. */
typedef struct ps_form_matrix {
    ps_tensor bytes; /* U8 [rows, ps_form_row_bytes(form, columns)] */
    ps_form form;    /* row NULL: there is no such matrix */
    int64_t columns;
} ps_form_matrix;

/* y[rows,out] = x[rows,in]·wᵀ + beta·y, w [out,in]; beta 0 does not read y. ld_*: elements from one
 * row to the next.
 *
 * exact: numbers of w are those that the form's decode says (or their BF16 where T is), and x is as
 * it is: what a model says is what its file says. Else a backend may round x to 8 bits in blocks of
 * 32 numbers or more: each x is then off by at most 1/254 of its block's largest |x|, which leaves
 * the errors of a product of n terms at about 0.4 % · √(1/12) of its terms' size, whatever n.
 * Several times faster where the processor multiplies bytes. */
typedef struct ps_form_product {
    ps_tensor y; /* T or F32 */
    ps_tensor x; /* T */
    const ps_form_matrix *w;
    int64_t rows, ld_y, ld_x;
    float beta;
    bool exact;
} ps_form_product;

/* ---- the operations ---- */

typedef void ps_gemm_fn(ps_stream *s, const ps_gemm *g);

/* y[rows,columns] += bias[columns], for every row; T */
typedef void ps_bias_add_fn(ps_stream *s, ps_tensor y, ps_tensor bias);
/* dbias[columns] = sum over rows of dy[rows,columns] + beta · dbias; dy T, dbias F32 */
typedef void ps_bias_backward_fn(ps_stream *s, ps_tensor dbias, ps_tensor dy, float beta);

/* y = f(x), dx = dy · f'(x), element by element; T. y may be x's own memory, dx may be dy's.
 * The gradient takes f's input x and output y, and each kind reads what it needs: relu and
 * tanh y only, the others x only; so the first two may run in place. */
typedef void ps_activation_fn(ps_stream *s, ps_activation kind, ps_tensor y, ps_tensor x);
typedef void ps_activation_backward_fn(ps_stream *s, ps_activation kind, ps_tensor dx, ps_tensor dy,
                                       ps_tensor x, ps_tensor y);
/* y = f(gate) · up (Shazeer 2020), element by element; T. f is any of them but tanh: of silu this
 * is SwiGLU, of gelu and gelu_tanh GeGLU. dgate may be gate's memory and dup may be up's. */
typedef void ps_gated_fn(ps_stream *s, ps_activation kind, ps_tensor y, ps_tensor gate,
                         ps_tensor up);
typedef void ps_gated_backward_fn(ps_stream *s, ps_activation kind, ps_tensor dgate, ps_tensor dup,
                                  ps_tensor dy, ps_tensor gate, ps_tensor up);

/* y = cap · tanh(x / cap), element by element; T. y may be x's memory. */
typedef void ps_softcap_fn(ps_stream *s, ps_tensor y, ps_tensor x, float cap);
/* dx = dy · (1 - (y / cap)²), y the result; dx and dy T, and dx may be dy's memory; y T or F32. */
typedef void ps_softcap_backward_fn(ps_stream *s, ps_tensor dx, ps_tensor dy, ps_tensor y,
                                    float cap);

typedef void ps_cross_entropy_fn(ps_stream *s, const ps_cross_entropy *c);
typedef void ps_distil_fn(ps_stream *s, const ps_distil *d);
/* loss[1] = mean over all elements of (y - target)², dy = 2 (y - target) / elements; F32. dy
 * may be y's own memory, and may be not there. */
typedef void ps_squared_error_fn(ps_stream *s, ps_tensor loss, ps_tensor dy, ps_tensor y,
                                 ps_tensor target);
/* y[rows,classes] = softmax of every row of x; F32; y may be x's own memory */
typedef void ps_softmax_fn(ps_stream *s, ps_tensor y, ps_tensor x);
/* index I32 [rows] = where each row of x[rows,columns] is largest, the first of equals; F32 */
typedef void ps_argmax_fn(ps_stream *s, ps_tensor index, ps_tensor x);

/* y[rows,columns] = (add ? y : 0) + table[ids[row], columns]; T; ids I32 [rows] in the table */
typedef void ps_embedding_fn(ps_stream *s, ps_tensor y, ps_tensor table, ps_tensor ids, bool add);
/* dtable[ids[row], columns] += dy[row, columns]; dy T, dtable F32 */
typedef void ps_embedding_backward_fn(ps_stream *s, ps_tensor dtable, ps_tensor dy, ps_tensor ids);

typedef void ps_layernorm_fn(ps_stream *s, const ps_norm *n);
typedef void ps_layernorm_backward_fn(ps_stream *s, const ps_norm_backward *n);
typedef void ps_rmsnorm_fn(ps_stream *s, const ps_norm *n);
typedef void ps_rmsnorm_backward_fn(ps_stream *s, const ps_norm_backward *n);

typedef void ps_rope_fn(ps_stream *s, const ps_rope *r);
typedef void ps_attention_fn(ps_stream *s, const ps_attention *a);
typedef void ps_attention_backward_fn(ps_stream *s, const ps_attention_backward *a);
typedef void ps_attention_weights_fn(ps_stream *s, const ps_attention_weights *w);
typedef void ps_cache_rows_fn(ps_stream *s, const ps_cache_rows *c);

/* y = a + b; T; y may be either's memory */
typedef void ps_add_fn(ps_stream *s, ps_tensor y, ps_tensor a, ps_tensor b);
typedef void ps_dropout_fn(ps_stream *s, const ps_dropout *d);
typedef void ps_scale_fn(ps_stream *s, ps_tensor x, float a); /* x *= a; T */

/* F32, all of them */
typedef void ps_fill_fn(ps_stream *s, ps_tensor x, float value);
typedef void ps_axpy_fn(ps_stream *s, ps_tensor y, float a, ps_tensor x); /* y += a·x */
/* out[1] = (add ? out : 0) + sum of squares of x, added up in float64 */
typedef void ps_squared_norm_fn(ps_stream *s, ps_tensor out, ps_tensor x, bool add);
/* x *= min(1, limit / √squared_norm[0]): clipping by a norm that stays on the device */
typedef void ps_clip_norm_fn(ps_stream *s, ps_tensor x, ps_tensor squared_norm, float limit);
/* out I32 [1] = 1 when no element of x is NaN or infinite, else 0 */
typedef void ps_all_finite_fn(ps_stream *s, ps_tensor out, ps_tensor x);
typedef void ps_adamw_fn(ps_stream *s, const ps_adamw *a);

/* F32, all of them: what an autoencoder of few active latents needs. */
typedef void ps_topk_fn(ps_stream *s, const ps_topk *t);
/* norms[rows] = the length of each row of x[rows,columns] */
typedef void ps_row_norms_fn(ps_stream *s, ps_tensor norms, ps_tensor x);
/* dx[row] += dnorms[row] / norms[row] · x[row]: its gradient; nothing where the norm is 0 */
typedef void ps_row_norms_backward_fn(ps_stream *s, ps_tensor dx, ps_tensor dnorms, ps_tensor norms,
                                      ps_tensor x);
/* out I32 [1] = how many elements of x are above 0 */
typedef void ps_count_positive_fn(ps_stream *s, ps_tensor out, ps_tensor x);

/* y = the convolution of x */
typedef void ps_conv_fn(ps_stream *s, const ps_conv *c);
/* y is given as a gradient, and x becomes its own; bias is not looked at. */
typedef void ps_conv_backward_input_fn(ps_stream *s, const ps_conv *c);
/* y is given as a gradient; weight and bias become theirs + beta times what they hold (0: not
 * read). */
typedef void ps_conv_backward_weight_fn(ps_stream *s, const ps_conv *c);
typedef void ps_pool_fn(ps_stream *s, const ps_pool *p);
/* y is given as a gradient, with the forward pass's index, and x becomes its own. */
typedef void ps_pool_backward_fn(ps_stream *s, const ps_pool *p);
typedef void ps_group_norm_fn(ps_stream *s, const ps_group_norm *n);
typedef void ps_group_norm_backward_fn(ps_stream *s, const ps_group_norm_backward *n);

/* Between F32 and BF16 either way, or a plain copy; to BF16 the nearest, ties to even; a NaN
 * stays one. No overlap. */
typedef void ps_cast_fn(ps_stream *s, ps_tensor y, ps_tensor x);
/* For each `block` elements of x F32 [n] (the last may be shorter): scales F32 [blocks] =
 * largest |x| / 127, q I8 [n] = x / scale, rounded to the nearest, ties to even; a block of
 * zeros has scale 0, and one with NaN or infinity a scale that is no number. x = q · scale is the
 * way back. */
typedef void ps_quantise_fn(ps_stream *s, ps_tensor q, ps_tensor scales, ps_tensor x,
                            int64_t block);
typedef void ps_dequantise_fn(ps_stream *s, ps_tensor x, ps_tensor q, ps_tensor scales,
                              int64_t block);

/* Puts the bytes of a matrix, as they are in files, into the order in which the backend reads them,
 * in place: once, before it is used in the two that follow. */
typedef void ps_form_arrange_fn(ps_stream *s, const ps_form_matrix *m);
typedef void ps_form_product_fn(ps_stream *s, const ps_form_product *p);
/* y[rows,columns] = (add ? y : 0) + table[ids[row], columns]; y T; ids I32 [rows] in the table */
typedef void ps_form_embedding_fn(ps_stream *s, ps_tensor y, const ps_form_matrix *table,
                                  ps_tensor ids, bool add);

/* All of them: each is a member of the table, a checked call ps_op_NAME (gpu/op.h), and ps_cpu_NAME
 * and ps_cuda_NAME, of type ps_NAME_fn. */
#define PS_OPERATIONS(X)    \
    X(gemm)                 \
    X(bias_add)             \
    X(bias_backward)        \
    X(activation)           \
    X(activation_backward)  \
    X(gated)                \
    X(gated_backward)       \
    X(softcap)              \
    X(softcap_backward)     \
    X(cross_entropy)        \
    X(squared_error)        \
    X(softmax)              \
    X(argmax)               \
    X(embedding)            \
    X(embedding_backward)   \
    X(layernorm)            \
    X(layernorm_backward)   \
    X(rmsnorm)              \
    X(rmsnorm_backward)     \
    X(rope)                 \
    X(attention)            \
    X(attention_backward)   \
    X(attention_weights)    \
    X(cache_rows)           \
    X(add)                  \
    X(dropout)              \
    X(fill)                 \
    X(axpy)                 \
    X(scale)                \
    X(squared_norm)         \
    X(clip_norm)            \
    X(all_finite)           \
    X(adamw)                \
    X(cast)                 \
    X(quantise)             \
    X(dequantise)           \
    X(form_arrange)         \
    X(form_product)         \
    X(form_embedding)       \
    X(distil)               \
    X(topk)                 \
    X(row_norms)            \
    X(row_norms_backward)   \
    X(count_positive)       \
    X(conv)                 \
    X(conv_backward_input)  \
    X(conv_backward_weight) \
    X(pool)                 \
    X(pool_backward)        \
    X(group_norm)           \
    X(group_norm_backward)

struct ps_backend_ops {
    void (*close)(ps_backend *b);

    /* Memory, 256-byte aligned, contents undefined. PS_NO_MEMORY names the bytes asked for. */
    ps_status (*buffer_new)(ps_backend *b, size_t bytes, ps_buffer **out);
    void (*buffer_free)(ps_backend *b, ps_buffer *buffer);
    /* A part of it may never be used (ps_buffer_new_sparse); NULL: it is all the same here. */
    void (*buffer_sparse)(ps_backend *b, ps_buffer *buffer);
    /* Host memory that copies to and from the device can use while the host goes on (pinned). */
    ps_status (*host_new)(ps_backend *b, size_t bytes, void **out);
    void (*host_free)(ps_backend *b, void *memory);

    ps_status (*stream_new)(ps_backend *b, ps_stream **out);
    ps_status (*stream_new_copies)(ps_backend *b, ps_stream **out); /* without memory to work in */
    void (*stream_free)(ps_stream *s);                              /* waits for what is enqueued */
    ps_status (*stream_sync)(ps_stream *s);
    ps_status (*event_new)(ps_backend *b, ps_event **out);
    void (*event_free)(ps_backend *b, ps_event *e);
    void (*event_record)(ps_stream *s, ps_event *e);
    void (*event_wait)(ps_stream *s, ps_event *e);       /* what s does next comes after e */
    ps_status (*event_sync)(ps_backend *b, ps_event *e); /* blocks the host */

    /* Host memory must stay as it is until the stream (or an event recorded after the copy) is
     * synchronised. copy_to_host does so itself; copy_to_host_async leaves it to the caller, and
     * dst is from host_new. */
    void (*copy_to_device)(ps_stream *s, ps_tensor dst, const void *src, size_t bytes);
    ps_status (*copy_to_host)(ps_stream *s, void *dst, ps_tensor src, size_t bytes);
    void (*copy_to_host_async)(ps_stream *s, void *dst, ps_tensor src, size_t bytes);
    void (*copy)(ps_stream *s, ps_tensor dst, ps_tensor src, size_t bytes); /* no overlap */

#define X(name) ps_##name##_fn *name;
    PS_OPERATIONS(X)
#undef X
};

#endif
