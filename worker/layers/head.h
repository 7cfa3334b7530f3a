/* head: the last layer of a language model with its loss: logits = x·Wᵀ, cross-entropy, and the
 * gradients of both, some rows at a time. So the logits of a whole batch, rows × vocabulary, are
 * never in memory together. Only enqueues. */
#ifndef PS_LAYERS_HEAD_H
#define PS_LAYERS_HEAD_H

#include "worker/layers/loss.h"

typedef struct ps_head {
    ps_tensor weight;          /* T [vocabulary,columns] */
    ps_form_matrix form;       /* where it is there, in the weight's place; only losses then */
    bool exact;                /* of products with a form (gpu/ops.h) */
    ps_tensor weight_gradient; /* F32, the same shape; not there: none is wanted */
    float softcap;             /* logits are softcap · tanh(logit / softcap) (Gemma 2); 0: not */
    ps_tensor logits;          /* F32 [rows at a time,vocabulary] */
    ps_tensor dlogits; /* T, the same shape; logits' own memory where T is F32, and softcap 0 */
} ps_head;

/* How many rows at a time: what fits PS_HEAD_BYTES, at least 1 and at most `rows`. */
#define PS_HEAD_BYTES (INT64_C(128) << 20)
int64_t ps_head_rows(int64_t rows, int64_t vocabulary);

/* What a teacher makes of the same rows: its logits are made beside the student's, in its head's
 * own memory. */
typedef struct ps_head_teacher {
    const ps_head *head;         /* of its own vocabulary and columns; for losses */
    ps_tensor x;                 /* T [rows,columns]; complete when the loss is enqueued */
    ps_tensor divergence;        /* F32 [1] */
    const ps_loss_teaching *how; /* its logits are not looked at */
} ps_head_teacher;

typedef struct ps_head_pass {
    ps_tensor x;                    /* T [rows,columns] */
    ps_tensor dx;                   /* T, the same shape: x's gradient, unless not there */
    ps_tensor labels;               /* I32 [rows], -1: left out */
    ps_tensor loss, correct;        /* F32 [1], I32 [1]: as ps_cross_entropy's, of all rows */
    float scale;                    /* of loss and gradients: 1/rows for their mean */
    float beta;                     /* weight_gradient = its gradient + beta · weight_gradient */
    const ps_head_teacher *teacher; /* NULL: there is none */
} ps_head_pass;
void ps_head_loss(ps_stream *s, const ps_head *h, const ps_head_pass *p);

/* dx[rows,columns] = dlogits[rows,vocabulary] · W, all T; of logits before softcap, which
 * ps_head_uncap makes of those behind it, in place: logits are these. */
void ps_head_backward_input(ps_stream *s, const ps_head *h, ps_tensor dx, ps_tensor dlogits);

void ps_head_uncap(ps_stream *s, const ps_head *h, ps_tensor dlogits, ps_tensor logits);

/* index I32 [rows] = the largest logit of every row of x. */
void ps_head_top(ps_stream *s, const ps_head *h, ps_tensor index, ps_tensor x);

/* y F32 [rows,vocabulary] = x·Wᵀ, for rows of x that are ld_x elements apart (0: dense). */
void ps_head_logits(ps_stream *s, const ps_head *h, ps_tensor y, ps_tensor x, int64_t ld_x);

#endif
