/* compress_spec: section `compress` of a job file: how a stored model becomes a smaller one. Its
 * parts are steps, done in the order of the members, and each is its own section: its keys and its
 * rules are a file (compress_quantise.c), a member here, and a word in PS_COMPRESS_PARTS
 * (compress_keys.h). A key that would be without effect is refused. Any thread.
 */
#ifndef PS_CONF_COMPRESS_SPEC_H
#define PS_CONF_COMPRESS_SPEC_H

#include "common/conf/compress_rows.h"
#include "common/conf/conf.h"
#include "common/form/form.h"
#include "common/form/mix.h"

#include <stdint.h>

/* Of data.train, what methods that calibrate see. */
typedef struct ps_spec_calibrate {
    int64_t rows;    /* from the beginning; 0: 128 sequences of tokens, 4096 rows of other data */
    double held_out; /* share of them that nothing is solved on: errors are measured there */
    bool sequential; /* what a layer is calibrated on comes from the compressed layers before it */
    bool keep;       /* the sums become an artifact (common/compress/calibration.h) */
    int64_t from;    /* the job whose sums these are: nothing is calibrated; 0: none */
} ps_spec_calibrate;

/* What one scale, and one zero, is for. */
typedef enum ps_spec_group {
    PS_GROUP_USUAL,  /* a row with 8 bits, 128 numbers with fewer */
    PS_GROUP_MATRIX, /* a whole tensor: each of its rows says the same */
    PS_GROUP_ROW,
    PS_GROUP_256, /* numbers of a row; from here on in the order of ps_form_groups */
    PS_GROUP_128,
    PS_GROUP_64,
    PS_GROUP_32,
} ps_spec_group;

/* What is to come of it; then each tensor's form is one of scheme's, chosen by what the others
 * would cost. One of them is said. */
typedef struct ps_spec_target {
    double bits;   /* of a number of those tensors, on average, scales included; 0: not said */
    uint64_t size; /* bytes of the file, at most; 0 */
    char *loss;    /* how much of it may be added, by what is predicted: "0.01", "+0.5%"; "" */
} ps_spec_target;

enum { PS_SPEC_SCHEMES = 8 };

typedef struct ps_spec_quantise {
    char **scheme; /* a form, "q4_0", or a mix, "q4_k_m"; what is both is the form. With a target
                      forms, to choose from */
    size_t n_scheme;
    ps_spec_target *target; /* NULL: not said */
    char *method;           /* a row of the table of methods (compress_rows.h) */
    unsigned group;         /* ps_spec_group; of integer forms */
    bool symmetric;         /* of int8 … int2; false: with a zero, uint8 … uint2 */
    double damp;            /* of gptq: added to the diagonal of ΣXXᵀ, as a share of its mean */
    char *embeddings;       /* the form of embeddings and head; "usual": of at least 8 bits */
    char **keep;            /* patterns of names of tensors that stay float32 */
    size_t n_keep;
} ps_spec_quantise;

/* What it costs that numbers of a matrix are not what they were. */
typedef enum ps_spec_saliency {
    PS_SALIENCY_USUAL,   /* activations where the method looks at data, magnitude else */
    PS_SALIENCY_MOMENTS, /* ½·N·v·Δw², v of the parent's training: the loss that is predicted */
    PS_SALIENCY_ACTIVATIONS, /* the share of the power of the product's output that is lost */
    PS_SALIENCY_MAGNITUDE,   /* Δw² */
} ps_spec_saliency;

/* What is really removed, a row each (common/compress/prune_row.h):
 *     ffn   units of the MLP of each block of a language model
 *     rows  units of the hidden layers of an mlp
 *     heads groups of heads of the attention of each block
 *     layers  whole blocks
 *     hidden  channels of the residual stream, one set for all blocks
 */
#define PS_PRUNE_REMOVED(X) \
    X(FFN, ffn)             \
    X(ROWS, rows)           \
    X(HEADS, heads)         \
    X(LAYERS, layers)       \
    X(HIDDEN, hidden)

typedef enum ps_prune_what {
#define X(upper, lower) PS_PRUNE_##upper,
    PS_PRUNE_REMOVED(X)
#undef X
        PS_PRUNE_UNSTRUCTURED, /* from here on nothing is removed, but becomes 0: numbers of each
                                * row,
                                */
    PS_PRUNE_2OF4,             /* or two of each four that follow one another in a row */
} ps_prune_what;

/* What a unit counts for: the sum of w² of its numbers; the power of what it adds to the product
 * behind it; the sum of w²·v, v of the parent's training: what the loss would rise by. */
typedef enum ps_prune_by {
    PS_PRUNE_BY_MAGNITUDE,
    PS_PRUNE_BY_ACTIVATION,
    PS_PRUNE_BY_MOMENTS,
} ps_prune_by;

/* Among which numbers the least of `unstructured` are sought. */
typedef enum ps_prune_over {
    PS_PRUNE_OVER_ROW, /* each row loses as many */
    PS_PRUNE_OVER_TENSOR,
    PS_PRUNE_OVER_MODEL, /* all tensors' together: which loses how many only the numbers say */
} ps_prune_over;

/* What is left of a matrix makes good what went with its columns, or stays what it was. */
typedef enum ps_prune_repair { PS_PRUNE_REPAIR_NONE, PS_PRUNE_REPAIR_SQUARES } ps_prune_repair;

typedef struct ps_spec_prune {
    unsigned what;   /* ps_prune_what */
    double ratio;    /* the share that goes; above 0, below 1 */
    unsigned by;     /* ps_prune_by */
    unsigned repair; /* ps_prune_repair */
    unsigned over;   /* ps_prune_over */
} ps_spec_prune;

typedef enum ps_lowrank_what {
    PS_LOWRANK_ALL, /* every matrix of a layer, or of a block */
    PS_LOWRANK_FFN, /* of a language model's blocks */
    PS_LOWRANK_ATTENTION,
} ps_lowrank_what;

/* Matrices become products of two thinner ones (worker/compress/lowrank.h). */
typedef struct ps_spec_lowrank {
    double rank;   /* from 1: itself; below: a share of a matrix's smaller side */
    unsigned what; /* ps_lowrank_what */
    bool whiten;   /* outputs lose least, by what calibration sees; else the weights */
    bool merged;   /* stored multiplied, as matrices of the shape they had; else as the two */
} ps_spec_lowrank;

/* By how much the new model may be worse on data.test; it is not kept when it is worse. */
typedef struct ps_spec_limits {
    double loss;     /* its loss may be so much greater; -1: not said */
    double accuracy; /* its accuracy so much less; -1: not said */
} ps_spec_limits;

typedef struct ps_spec_compress {
    ps_spec_calibrate calibrate;
    ps_spec_prune *prune;       /* NULL: not said */
    ps_spec_lowrank *lowrank;   /* likewise */
    ps_spec_quantise *quantise; /* likewise */
    char *importance; /* the path of llama.cpp's importance matrix, in place of a calibration; "" */
    ps_spec_limits limits;
    unsigned saliency;       /* ps_spec_saliency */
    bool allow_overlap;      /* rows of data.train may be rows of data.test, too */
    bool requantise;         /* though the parent's numbers were rounded before */
    bool distilled;          /* of a job in stages, in the last: it was trained before */
    ps_spec_quantise *later; /* of a job in stages, in those before (job_stages.h): quantise, for
                                which what is left is to be whole blocks. NULL: none */
} ps_spec_compress;

extern const ps_conf_schema ps_compress_schema;

/* Of the section as a whole: never PS_SALIENCY_USUAL. */
ps_spec_saliency ps_spec_compress_saliency(const ps_spec_compress *compress);
/* target.loss of a section that was checked: that much, or that share of the parent's loss. */
double ps_spec_target_loss(const ps_spec_target *target, bool *share);

/* The form that scheme i means. */
ps_form ps_spec_quantise_choice(const ps_spec_quantise *quantise, size_t i);
/* The form of most tensors by the first scheme, symmetric and group; of an integer form its group
 * is 0 for PS_GROUP_MATRIX too. Of a section that was checked. */
ps_form ps_spec_quantise_form(const ps_spec_quantise *quantise);
/* The scheme as a mix; NULL: it is a form. */
const ps_mix *ps_spec_quantise_mix(const ps_spec_quantise *quantise);
static inline bool ps_spec_prune_is_zeros(const ps_spec_prune *prune)
{
    return prune->what >= PS_PRUNE_UNSTRUCTURED;
}
extern const char *const ps_prune_what_words[], *const ps_prune_by_words[]; /* each to a NULL */
/* Does it need data.train? */
bool ps_spec_prune_calibrates(const ps_spec_prune *prune);
/* The section's word for what it needs of the moments of the parent's training; NULL: nothing. */
const char *ps_spec_compress_moments(const ps_spec_compress *compress);
/* Does the section need data.train? */
bool ps_spec_compress_calibrates(const ps_spec_compress *compress);

#endif
