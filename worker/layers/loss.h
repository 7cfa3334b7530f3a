/* loss: the table of losses (rows: cross_entropy, squared_error; one file each), and the device
 * memory a loss works in. Value and gradient are computed together: one pass is cheaper than two.
 *
 * A new loss is one file and one line in loss.c.
 */
#ifndef PS_LAYERS_LOSS_H
#define PS_LAYERS_LOSS_H

#include "gpu/op.h"

/* To learn from a teacher, too (ps_distil, gpu/ops.h). */
typedef struct ps_loss_teaching {
    ps_divergence kind;
    float temperature, alpha;
    int64_t top_k;
    bool hidden; /* not its answers but its hidden states are followed: the model's affair; here the
                    labels' gradient is times 1 - alpha */
    /* what it answers to the same rows, F32 [rows,outputs]; not there where a head makes its
     * logits some rows at a time */
    ps_tensor logits;
} ps_loss_teaching;

/* What is to be met, in host memory; either may be NULL. */
typedef struct ps_loss_goal {
    int64_t rows;
    const int32_t *labels;            /* [rows] */
    const float *targets;             /* [rows,outputs] */
    double weight;                    /* the gradient is times this, the value is not */
    const ps_loss_teaching *teaching; /* NULL: there is no teacher */
} ps_loss_goal;

/* An instance's memory, made for its largest batch. */
typedef struct ps_loss {
    const struct ps_loss_row *row;
    int64_t outputs;
    ps_tensor result;  /* F32 [3], 256-byte aligned: the loss, the number correct as an I32, the
                          divergence from a teacher */
    ps_tensor goal;    /* labels, I32 [max_rows], or targets, F32 [max_rows,outputs] */
    ps_tensor indices; /* I32 [max_rows]: the largest output of every row; squared_error alone */
    void *staged;      /* host, F32 [max_rows,outputs]: one-hot rows; squared_error alone */
} ps_loss;

typedef struct ps_loss_value {
    double loss;
    int64_t correct;   /* -1: there were no labels */
    double divergence; /* -1: there was no teacher */
} ps_loss_value;

typedef struct ps_loss_row {
    const char *name;
    /* fewest outputs that make sense */
    int64_t outputs_min;
    bool goal_is_labels; /* else targets */
    bool probabilities;  /* predictions are the softmax of the outputs */
    /* PS_INVALID_ARGUMENT: what the goal lacks, or the row whose label is out of range */
    ps_status (*check)(const ps_loss *l, const ps_loss_goal *goal);
    /* y[rows,outputs] -> the result, and its gradient into dy unless that is NULL. The goal has
     * been checked, and stays as it is until value() returned. */
    void (*run)(ps_stream *s, const ps_loss *l, const ps_loss_goal *goal, const ps_tensor *dy,
                ps_tensor y);
    /* Waits for the device, and says what run computed. */
    ps_status (*value)(ps_stream *s, const ps_loss *l, const ps_loss_goal *goal,
                       ps_loss_value *out);
} ps_loss_row;

extern const ps_loss_row ps_loss_cross_entropy;
extern const ps_loss_row ps_loss_squared_error;

/* "cross_entropy", "squared_error"; NULL is cross_entropy. PS_INVALID_ARGUMENT names what there
 * is, or says that the outputs are too few. */
PS_MUST_CHECK ps_status ps_loss_parse(const char *name, int64_t outputs, const ps_loss_row **out);

/* Takes all memory for batches up to max_rows; PS_NO_MEMORY. */
PS_MUST_CHECK ps_status ps_loss_init(ps_loss *l, const ps_loss_row *row, ps_backend *b,
                                     int64_t max_rows, int64_t outputs);
void ps_loss_fini(ps_loss *l, ps_backend *b);

/* Shared by rows: every label in [0, classes), or PS_INVALID_ARGUMENT with its row. */
PS_MUST_CHECK ps_status ps_loss_check_labels(const int32_t *labels, int64_t rows, int64_t classes);
/* Shared by rows: views of the result. */
ps_tensor ps_loss_result_loss(const ps_loss *l);
ps_tensor ps_loss_result_correct(const ps_loss *l);
ps_tensor ps_loss_result_divergence(const ps_loss *l);
/* Shared by rows and heads: a pass of distillation over rows of logits. teacher and divergence: not
 * looked at where hidden states are followed. */
void ps_loss_distil(ps_stream *s, const ps_loss_teaching *how, const ps_cross_entropy *task,
                    ps_tensor teacher, ps_tensor divergence);

#endif
