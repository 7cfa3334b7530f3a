/* plan: what a job of kind compress will do, before it does anything: which form each tensor gets
 * and why, which tensors are solved from sums over the same inputs, in what turns, and what the new
 * model's file, memory and work come to. A function of the job and of the parent's shapes alone: no
 * data are read. psd checks a job and divides its work by it, workers do what it says, and psctl
 * shows it (submit --dry-run).
 *
 * The rules, in this order:
 *     norms, biases, learnt positions and what `keep` names stay float32
 *     embeddings and head get `embeddings`; a head that is tied is the embedding; always rounded
 *     all other matrices get the scheme by the method; where it is a mix, so do embeddings and head
 *     unless `embeddings` says otherwise
 *     where a row is not whole blocks: a chosen group gives way to the next smaller one and at last
 *     to a row; a block of ggml to the one that llama.cpp takes instead, and at last to float16
 *     where the method has factors for inputs, what makes an input is divided by them, if it can
 *     be: a norm, values for the heads that look at them, what a gate is multiplied with, a layer
 *     before a ReLU; else there are none, and `why` says so
 * Of what is pruned, the new shapes come first, and forms are chosen for them.
 *     what is of a low rank is two matrices where these are smaller than the one, or, merged, one
 *     again, in the form that it gets
 *
 * With a target (compress.quantise.target) a tensor has several forms to choose from. Until it is
 * known what each would cost, which is measured, it has the largest of them, and sizes are at the
 * most; ps_plan_allocate chooses, and ps_plan_settle makes the plan that of a choice. Likewise,
 * where the least numbers of all tensors become 0 (compress.prune.over: model), it is measured how
 * many are how salient in each, and chosen how many of each go.
 *
 * Rows run along the input of a product (model_forms.h). A plan is read-only, but for
 * ps_plan_settle, which nothing else may be beside; any thread.
 */
#ifndef PS_COMPRESS_PLAN_H
#define PS_COMPRESS_PLAN_H

#include "common/base/bits.h"
#include "common/conf/job_spec.h"
#include "common/model/model_forms.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that psd gives the sums of one window unless it is told otherwise; how fast a worker is
 * taken to be. */
#define PS_PLAN_SUM_BYTES (UINT64_C(2) << 30)
#define PS_PLAN_WORK_RATE 20e9 /* operations a second */

enum { PS_PLAN_WHY = 120 };

/* The stored model that is compressed. All is borrowed until the plan is made. */
typedef struct ps_plan_parent {
    const char *name;
    const ps_spec_model *model;
    const ps_model_form *tensors; /* as they are stored; which of those in a form are transposed
                                     the architecture says */
    size_t n;
    uint64_t bytes; /* of its file; 0: not known */
} ps_plan_parent;

/* Units of one layer that several tensors share, and of which some go from all of them. Which stay
 * only the numbers say; how many, the plan. */
typedef struct ps_plan_units {
    size_t layer;
    uint64_t units, left;
    bool named; /* few, and reports say which stay */
    bool moves; /* they are whole layers, the only set: tensors of those that stay move up, and the
                   input is what each layer changes */
    size_t input; /* of the product behind them, of plan->inputs, or PS_PLAN_NO_INPUT */
} ps_plan_units;

/* Where they are in a tensor: unit u is `span` rows (outputs), or columns (inputs), from begin + u
 * · span on, of the parent's. */
typedef struct ps_plan_member {
    size_t units; /* of plan->units */
    bool columns;
    uint64_t begin, span;
} ps_plan_member;

enum { PS_PLAN_MEMBERS = 3 };

/* Saliencies are counted by their sizes: by the upper bits of their float32 (ps_plan_bin_of). */
enum { PS_PLAN_BINS = 4096 };

typedef struct ps_plan_tensor {
    ps_model_form stored; /* of the new model; its name is the plan's */
    ps_model_form from;   /* the parent's: its shape; transposed: of a product, psd has it as [in,
                             out], whatever its form */
    bool solves;          /* workers make its bytes; else they are the parent's */
    ps_plan_member members[PS_PLAN_MEMBERS];
    size_t n_members;            /* 0: nothing of it is removed */
    bool moves;                  /* it is of a layer that stays: of which, the sums say */
    bool zeros;                  /* some of its numbers become 0 (compress.prune): */
    uint64_t n_zeros;            /* so many of the whole; 0: as many of each row, or not known
                                    until ps_plan_settle */
    uint32_t rank;               /* it becomes a product of two of this rank, as which it is stored
                                    where its form has the rank, too. 0: it does not */
    ps_method_needs needs;       /* what has to be known of its input */
    const ps_method_row *method; /* how its codes are found; NULL: it stays float32 */
    bool matrix;                 /* one scale, and zero, for all of its rows */
    bool fell_back;              /* the form is another one than was asked for */
    size_t input; /* its product's, of plan->inputs; PS_PLAN_NO_INPUT: none is summed */
    size_t feeds; /* of a norm that loses channels: the input that it makes, by whose sums the rest
                     is scaled. PS_PLAN_NO_INPUT */
    size_t folds; /* the input by whose factors its rows are divided, from row folds_from
                     on; a norm's numbers, or a bias', are rows of one. PS_PLAN_NO_INPUT */
    uint64_t folds_from;
    uint64_t bytes;                   /* of its data in the new file */
    uint64_t room;                    /* that psd keeps for them: of the largest of its choices */
    ps_form choices[PS_SPEC_SCHEMES]; /* with a target: forms that it may get; until ps_plan_settle
                                         its form is the largest */
    size_t n_choices;
    size_t n_measures; /* numbers that are measured of it before anything is solved: what each
                          choice costs, or PS_PLAN_BINS: how many are how salient; 0: none */
    size_t tie; /* the first of the tensors that get the same choice: of one input (q, k and v; gate
                   and up), which loaders fuse */
    char why[PS_PLAN_WHY]; /* it has this form; "": the job says so */
} ps_plan_tensor;

#define PS_PLAN_NO_INPUT SIZE_MAX

/* What a target comes to. All tensors' data, or what is predicted of the loss, have this much at
 * the most. */
typedef struct ps_plan_target {
    bool asked, by_loss;
    uint64_t bytes; /* 0: not known, as the parent's file is not */
    double loss;    /* or, with share, that share of the parent's loss */
    bool share;
    uint64_t least; /* bytes of all tensors' data in the smallest of their choices */
} ps_plan_target;

/* The input of one product or several (q, k and v; gate and up): what the method knows of it is
 * summed over rows of data. */
typedef struct ps_plan_input {
    const char *name; /* of the first tensor that it is multiplied with */
    size_t layer;     /* block, or layer of an mlp, from 0 */
    uint64_t columns; /* as the parent has them */
    uint64_t numbers; /* of its sums: of Σx² columns; of Σxxᵀ the upper triangle, row by row,
                         columns · (columns + 1) / 2 */
    bool squares;     /* Σx² is all that is summed: no tensor of it needs more */
    bool inverted;    /* a method takes the inverse of its sums */
    bool influence;   /* no input, but what each layer of the model does to the residual stream: Σ
                         over   tokens of 1 − cos(x, y), x what comes into it, y what goes out */

    /* Weights are multiplied by a factor for each column, and what makes the input is divided by
     * it: tensors that `folds`. They have repeat · span columns for each span rows, in turns
     * (worker/compress/scale.h). Both are solved in one turn, so that the model says the same
     * before and after it. */
    bool factors;
    uint64_t span, repeat;
    bool with_last; /* it is summed in one window with the input before it */
} ps_plan_input;

/* Inputs that are summed at a time; then their tensors are solved. With `sequential` a window stays
 * within a layer. */
typedef struct ps_plan_window {
    size_t first, end; /* of plan->inputs */
    uint64_t numbers;  /* of all their sums, once; twice with held-out rows */
} ps_plan_window;

typedef struct ps_plan {
    ps_plan_tensor *tensors; /* in the parent's order */
    size_t n_tensors;
    ps_plan_input *inputs; /* in the order of the forward pass */
    size_t n_inputs;
    ps_plan_window *windows;
    size_t n_windows; /* 0: nothing is calibrated */
    ps_plan_units *units;
    size_t n_units;       /* 0: nothing is removed */
    ps_spec_model *model; /* the new model's section, and as text, where units are removed; NULL:
                             the parent's */
    char *config;

    uint64_t calibration_rows, held_out_rows; /* of data.train, in this order; 0, 0: none */
    uint64_t from;         /* the job whose sums are taken, and no rows; 0: none */
    bool importance;       /* or what a file says of inputs, and workers read; psd has no sums */
    bool rows_said;        /* by the job; else data may have fewer (ps_plan_rows) */
    uint64_t tokens_a_row; /* 1: rows are no sequences */

    bool measures; /* something is chosen by what is measured: */
    ps_plan_target target;
    uint32_t *chosen; /* of each tensor, once settled: one of its choices, or how many of its
                         numbers become 0. NULL: not yet, or nothing is chosen */
    double zeros;     /* the share of all numbers of tensors with zeros that is chosen among all */

    uint64_t parameters, parent_parameters;
    uint64_t parent_data, data; /* bytes of all tensors, before and after */
    uint64_t file_bytes;        /* of the new file: so many, or 8 less, or some 40 where the
                                   parent's has no metadata; 0: that one's were not known */
    uint64_t header_bytes;      /* of it, without what says which tensors there are */
    uint64_t sum_bytes;         /* psd: of the largest window's sums */
    uint64_t psd_bytes;         /* psd: those and the new tensors */
    uint64_t worker_bytes;      /* a worker: the parent, and the largest window or tensor */
    double work;                /* operations of all workers, without evaluation */
    double seconds;             /* that takes, at PS_PLAN_WORK_RATE a worker */

    ps_buf warnings; /* lines, each with its end */
} ps_plan;

/* sum_bytes: what psd may hold for sums; 0: PS_PLAN_SUM_BYTES. PS_FAILED_PRECONDITION: the parent
 * was quantised before. PS_INVALID_ARGUMENT: a tensor has no form of this scheme, and which would
 * do; a pattern of `keep` names nothing; rows are too few for the method. PS_RESOURCE_EXHAUSTED:
 * sums of one input alone are too large. *out is freed with ps_plan_free. */
PS_MUST_CHECK ps_status ps_plan_new(const ps_job_spec *spec, const ps_plan_parent *parent,
                                    uint64_t sum_bytes, ps_plan **out);
void ps_plan_free(ps_plan **plan);

/* measured[i]: of tensor i, [n_measures]: finite, from 0; NULL where there are none. With a target,
 * what each choice costs. parent_loss is for a target that is a share of it. chosen, [n_tensors]:
 * the choices that cost least within the target, or, where the target is a loss, that are smallest
 * within it. PS_INVALID_ARGUMENT: there are none.
 * Of numbers that become 0: how many there are in each bin. chosen: how many of each tensor go, so
 * that they are the least of all; of those in the bin where the border is, of each tensor the same
 * share. PS_INVALID_ARGUMENT: counts that are not of the tensor's numbers. */
PS_MUST_CHECK ps_status ps_plan_allocate(const ps_plan *plan, const double *const *measured,
                                         double parent_loss, uint32_t *chosen);
/* Each tensor gets what is its chosen[i], of n: that form, or so many zeros; and the plan its
 * sizes. May be hostile: PS_INVALID_ARGUMENT, and nothing is changed, when it is not of this plan.
 * Once. */
PS_MUST_CHECK ps_status ps_plan_settle(ps_plan *plan, const uint32_t *chosen, size_t n);

/* Rows of data.train that has `have`: as many of those planned as there are, in the same shares.
 * PS_INVALID_ARGUMENT: fewer than the job says, or none. */
PS_MUST_CHECK ps_status ps_plan_rows(const ps_plan *plan, uint64_t have, uint64_t *calibration,
                                     uint64_t *held_out);

/* Is there a second sum of each input, of what nothing is solved on? Whether a job from which sums
 * are taken has some is known when they are; else they are of no token. */
static inline bool ps_plan_holds_out(const ps_plan *plan)
{
    return plan->held_out_rows || plan->from;
}

/* Is what is known of the inputs there from the beginning? Then nothing is calibrated. */
static inline bool ps_plan_is_given(const ps_plan *plan)
{
    return plan->from || plan->importance;
}

/* May a plan with `from` be made of what that job keeps, whose plan `kept` is, of the same parent?
 * PS_FAILED_PRECONDITION: it has no sums of an input, or only squares where all is needed;
 * PS_INVALID_ARGUMENT: they are of too few tokens for the method. */
PS_MUST_CHECK ps_status ps_plan_check_kept(ps_plan *plan, const ps_plan *kept);

/* Rows and columns of a product that the parent's tensor is; a vector is one column. */
static inline uint64_t ps_plan_from_rows(const ps_plan_tensor *t)
{
    return ps_model_form_rows(&t->from);
}
static inline uint64_t ps_plan_from_columns(const ps_plan_tensor *t)
{
    return t->from.n_dims == 2 ? ps_model_form_columns(&t->from) : 1;
}

/* Rows, or columns, of the parent's tensor that are units', and of them those that stay; of a
 * tensor that has none on that axis both are 0. */
void ps_plan_axis(const ps_plan *plan, const ps_plan_tensor *tensor, bool columns, uint64_t *left,
                  uint64_t *all);

/* The bin of a saliency, which is not negative: they are in the order of its values, 16 to each
 * doubling. */
static inline size_t ps_plan_bin_of(float saliency)
{
    return ps_bits_of_float(saliency) >> 19 & (PS_PLAN_BINS - 1);
}

/* The layer of a window's last input: no layer behind it has to be run for the window. */
size_t ps_plan_window_layer(const ps_plan *plan, const ps_plan_window *window);

#endif
