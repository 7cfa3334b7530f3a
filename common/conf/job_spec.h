/* job_spec: the job file, as psctl, psd and psworker all read it.
 *
 * Every value is within its range after parsing, and every key has a value (the file's or the
 * default); texts are never NULL, an absent one is "". Sections that a kind does not have are NULL.
 * deploy/examples/fashion-mlp.yaml documents the keys.
 */
#ifndef PS_CONF_JOB_SPEC_H
#define PS_CONF_JOB_SPEC_H

#include "common/arch/arch.h"
#include "common/arch/convolution.h"
#include "common/arch/rope.h"
#include "common/base/buf.h"
#include "common/base/slice.h"
#include "common/base/status.h"
#include "common/conf/compare_spec.h"
#include "common/conf/compress_spec.h"
#include "common/conf/conf.h"
#include "common/conf/distil_spec.h"
#include "common/conf/embed_spec.h"
#include "common/conf/explain_spec.h"
#include "common/conf/kind_rows.h"
#include "common/conf/lora_spec.h"
#include "common/conf/record_spec.h"
#include "common/conf/train_rows.h"
#include "common/form/form.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum ps_spec_missing {
    PS_SPEC_MISSING_ERROR,
    PS_SPEC_MISSING_ZERO,
    PS_SPEC_MISSING_MEAN, /* of the input, over the training data */
} ps_spec_missing;

typedef enum ps_spec_activation {
    PS_SPEC_RELU,
    PS_SPEC_GELU,
    PS_SPEC_TANH,
} ps_spec_activation;

typedef enum ps_spec_loss {
    PS_SPEC_CROSS_ENTROPY, /* labels are classes, int32 */
    PS_SPEC_SQUARED_ERROR, /* labels are float targets [rows, last layer] */
} ps_spec_loss;

typedef enum ps_spec_schedule {
    PS_SPEC_CONSTANT,
    PS_SPEC_LINEAR, /* from learning_rate down to final_factor times it, in a straight line */
    PS_SPEC_COSINE, /* the same along half a cosine (Loshchilov and Hutter 2017) */
} ps_spec_schedule;

typedef enum ps_spec_precision {
    PS_SPEC_FLOAT32,
    PS_SPEC_BF16, /* language models: weights and activations; parameters and sums stay float32 */
} ps_spec_precision;

typedef enum ps_spec_durability {
    PS_SPEC_MEMORY,     /* nothing is kept before the job's end */
    PS_SPEC_CHECKPOINT, /* a restart goes on from the last checkpoint */
    PS_SPEC_LOG,        /* known, but refused in this version */
} ps_spec_durability;

/* Inputs of a model that has numbers of each: what a model section may say in a job file's bounds.
 */
enum { PS_SPEC_INPUTS_MAX = 4096, PS_SPEC_ROPE_FACTOR_MAX = 1000000 };
/* Of rope_low_freq_factor, rope_high_freq_factor and both betas. */
#define PS_SPEC_ROPE_TURNS_MIN 1e-3
#define PS_SPEC_ROPE_TURNS_MAX 1e6

/* Keys that the architecture does not have are refused in the file, and hold 0 or the default. */
typedef struct ps_spec_model {
    char *architecture; /* a row of common/arch */
    /* mlp */
    int64_t *layers; /* widths: inputs, hidden ones, outputs; at least 2. Others: none */
    size_t n_layers;
    /* cnn: layers stand behind these, and are the widths that follow: hidden ones, outputs */
    int64_t *image; /* channels, height, width */
    size_t n_image;
    ps_convolution *convolutions;
    size_t n_convolutions;
    unsigned activation; /* ps_spec_activation, after every layer but the last */
    unsigned loss;       /* ps_spec_loss; of language models PS_SPEC_CROSS_ENTROPY, and of those
                            that have no labels PS_SPEC_SQUARED_ERROR */
    char **classes;      /* what the outputs are called, and labels in csv; none: numbers from 0 */
    size_t n_classes;    /* as many as the last layer is wide, or choices.num_classes of encoders */
    /* of each input, in double, before it is narrowed; as many as the first layer is wide, or none:
     * then data.normalise says how inputs are normalised */
    double *input_mean; /* also what stands for one that is missing, when input_missing says so */
    size_t n_input_mean;
    double *input_std; /* inputs become (value - mean) / std; has a mean beside it */
    size_t n_input_std;
    unsigned input_missing; /* ps_spec_missing: what stands for an input that is not there;
                               PS_SPEC_MISSING_ERROR: data.csv.missing says so */
    /* sae: one of both is more than 0 */
    int64_t top_k; /* latents of a row that stay active */
    double l1;     /* what a latent's activity costs, by its length, beside the squared error */
    /* language models, under the names of Hugging Face's LlamaConfig */
    int64_t vocab_size;
    int64_t context_length;    /* tokens of the longest sequence */
    int64_t hidden_size;       /* a multiple of num_heads, unless head_dim is said */
    int64_t num_layers;        /* blocks */
    int64_t num_heads;         /* of queries */
    int64_t num_kv_heads;      /* of keys and values; divides num_heads; gpt2: num_heads */
    int64_t head_dim;          /* numbers of a head; even for RoPE */
    int64_t intermediate_size; /* width of the MLP of a block */
    ps_rope_spec rope;         /* without learnt positions */
    double norm_epsilon;       /* of LayerNorm or RMSNorm */
    bool tie_embeddings;       /* the head is the embedding; gpt2: true */
    ps_arch_choices choices;   /* that its architecture leaves open */
    double dropout;
    char *tokenizer; /* "bytes", "gpt2" (byte-level BPE; its file travels with the model) or "" */
    /* encoders: how a text is embedded */
    unsigned pooling;        /* ps_spec_pooling */
    int64_t max_text_length; /* tokens that are read of a text, at most context_length */
    /* tuned_lens, beside hidden_size and num_layers, which are its base's: the stored model that it
     * was trained on, and SHA-256 of that one's file; "": its training will say */
    char *base, *base_sha256;
} ps_spec_model;

/* What stands for a text, of the numbers that each of its tokens has. */
typedef enum ps_spec_pooling {
    PS_SPEC_POOLING_MEAN, /* their mean */
    PS_SPEC_POOLING_CLS,  /* those of the first */
} ps_spec_pooling;
extern const char *const ps_spec_pooling_words[]; /* "mean", "cls", to a NULL */

typedef struct ps_spec_files {
    char *features; /* absolute path on the workers; "" for format tokens */
    char *labels;   /* "" for csv (a column), for tokens and for predict */
    char *tokens;   /* absolute path; format tokens alone, "" otherwise */
} ps_spec_files;

/* Only one of them is said. */
typedef struct ps_spec_label_column {
    char *any;     /* a name of the header line, or else "last", "first" or a number from 0 */
    char *name;    /* of the header line; "": not said */
    int64_t index; /* from 0; -1: not said */
} ps_spec_label_column;

typedef struct ps_spec_csv {
    ps_spec_label_column label_column;
    int64_t targets;  /* columns from there on that are labels (label_column last: the last) */
    bool header;      /* the first line names the columns */
    char *delimiter;  /* one character, or "tab" */
    unsigned missing; /* ps_spec_missing: what stands for a feature that is not there */
} ps_spec_csv;

typedef enum ps_spec_normalise_from {
    PS_SPEC_NORMALISE_JOB,  /* the numbers below */
    PS_SPEC_NORMALISE_DATA, /* mean and standard deviation of each input over the training data */
} ps_spec_normalise_from;

typedef struct ps_spec_normalise {
    unsigned from; /* ps_spec_normalise_from */
    double scale;  /* values are multiplied by it; 0: 1/255 for idx files of bytes, else 1 */
    double mean;   /* then (value - mean) / std */
    double std;
} ps_spec_normalise;

/* Of format activations: what a stored model makes of the rows of the files, which are of another
 * format, and all else of `data` is about them. */
typedef struct ps_spec_activations {
    char *model;   /* the stored model's name */
    char *format;  /* of the files */
    char *point;   /* a kind of points, by its short name (worker/models/tap.h); "": what blocks, or
                      activations, give */
    int64_t layer; /* from 0 */
    int64_t rows;  /* of the files, only the first so many; 0: all */
} ps_spec_activations;

typedef enum ps_spec_documents {
    PS_SPEC_TOGETHER, /* a row is one text, wherever documents begin in it */
    PS_SPEC_APART,    /* tokens see those of their own document alone */
} ps_spec_documents;

typedef struct ps_spec_data {
    char *format; /* "idx", "csv", "tokens", "activations": a row of the worker's table of readers
                   */
    ps_spec_activations *activations; /* of that format; NULL otherwise */
    ps_spec_files *train;             /* kind train; NULL otherwise */
    ps_spec_files *test;              /* what is read; may be NULL for train */
    ps_spec_csv csv;
    ps_spec_normalise normalise;
    int64_t sequence_length; /* tokens: of a row; 0: the model's context_length */
    unsigned documents;      /* tokens: ps_spec_documents */
} ps_spec_data;

typedef struct ps_spec_optimizer {
    char *name; /* a row of the table of optimizers (train_rows.h), which says whose these are: */
    double learning_rate;
    double weight_decay;
    bool decay_bias_and_norm; /* false: weight_decay is for matrices and embeddings alone */
    PS_OPTIMIZER_MEMBERS      /* of others than the row's they are the defaults */
} ps_spec_optimizer;

typedef struct ps_spec_rate_schedule {
    unsigned name;        /* ps_spec_schedule */
    int64_t warmup_steps; /* updates over which the rate climbs from 0 in a straight line */
    double final_factor;  /* where linear and cosine end, as a share of learning_rate */
} ps_spec_rate_schedule;

typedef struct ps_spec_consistency {
    char *mode;        /* a row of the table of modes (train_rows.h) */
    int64_t staleness; /* of bounded modes; 0 for others */
} ps_spec_consistency;

/* How numbers are written on the wire: rows of the table of codecs. */
typedef struct ps_spec_codec {
    char *gradients;
    char *parameters; /* when they are pulled: one without state */
} ps_spec_codec;

typedef struct ps_spec_train {
    int64_t epochs;
    int64_t batch_size; /* rows a batch, on each worker */
    int64_t accumulate; /* batches a gradient */
    unsigned precision; /* ps_spec_precision */
    bool recompute;     /* language models: activations are computed again for the backward pass */
    int64_t seed;       /* of initial weights and of the shuffle */
    ps_spec_optimizer optimizer;
    ps_spec_rate_schedule schedule;
    ps_spec_consistency consistency;
    double clip_norm; /* gradients are scaled down to this L2 norm; 0: not */
    ps_spec_codec codec;
    bool keep_moments; /* the gradients' variances, by the optimizer, become an artifact */
    char *weights; /* the form of the blocks' matrices to who computes, "int4"; "float32": none */
    int64_t group; /* of it, where it is to be chosen: one of ps_form_groups */
    ps_spec_lora *lora; /* adapters of the stored model alone are trained; NULL: all of it is, */
    char **freeze;      /* but what these mean (ps_spec_freeze_means), of a stored model, too */
    size_t n_freeze;
} ps_spec_train;

/* Tokens that a job may generate: psd keeps them until the job has ended, and then in its result.
 */
enum { PS_GENERATE_TOKENS_MAX = 1 << 17 };

/* How a worker keeps the keys and values of a text's tokens. */
typedef enum ps_spec_cache {
    PS_SPEC_CACHE_USUAL, /* as wide as the narrowest of the model's matrices needs it */
    PS_SPEC_CACHE_FLOAT32,
    PS_SPEC_CACHE_BF16,
    PS_SPEC_CACHE_INT8, /* with a scale a head and token */
} ps_spec_cache;

/* How matrices that are float32 in a model are held. */
typedef enum ps_spec_weights { PS_SPEC_WEIGHTS_STORED, PS_SPEC_WEIGHTS_BF16 } ps_spec_weights;

/* How the model goes on with a prompt. */
typedef struct ps_spec_generate {
    int64_t *prompt; /* tokens; at least one */
    size_t n_prompt;
    int64_t max_tokens; /* to generate at most */
    double temperature; /* logits are divided by it; 0: the likeliest token, always */
    int64_t top_k;      /* only so many of the likeliest; 0: all */
    double top_p;       /* only the likeliest that make up this share; 1: all */
    int64_t seed;
    unsigned weights; /* ps_spec_weights */
    int64_t *stop;    /* tokens that end it, and are no part of the output */
    size_t n_stop;
    unsigned cache; /* ps_spec_cache */
} ps_spec_generate;

/* Which rows of the data, counted from 0; what the data does not have of them is left out. */
typedef struct ps_spec_rows {
    int64_t begin;
    int64_t end; /* behind the last one; 0: to the end of the data */
} ps_spec_rows;

typedef struct ps_spec_shards {
    int64_t rows_per_task; /* rows a lease; 0: psd chooses */
} ps_spec_shards;

typedef struct ps_spec_checkpoint {
    bool said;         /* the file has `every`; without, psd's own interval counts */
    uint64_t every_ms; /* between checkpoints; 0: only at the end */
} ps_spec_checkpoint;

/* Of the page that psctl report makes. */
typedef struct ps_spec_report {
    uint64_t budget; /* bytes of it at most */
} ps_spec_report;

typedef struct ps_job_spec {
    unsigned kind;              /* its place in ps_kind_rows; see ps_job_spec_kind */
    char *name;                 /* of the job, and of the model a train job makes: [a-z0-9._-] */
    char *model_name;           /* the stored model; "" for train */
    char *initialize_from;      /* train: start from this stored model; "": from random weights */
    char *model_version;        /* of either: this one of that name, or the job is refused; "": the
                                   one of the moment of submission */
    ps_spec_model *model;       /* train (with initialize_from only as ps_job_spec_parse_from knows
                                   the stored one, or the file has it); NULL otherwise */
    ps_spec_data data;          /* of a kind that has none: format is tokens, and no more */
    ps_spec_train *train;       /* train; NULL otherwise */
    ps_spec_distil *distil;     /* train, compress: who teaches it; NULL: nobody */
    ps_spec_record *record;     /* train: what of it is kept; NULL: nothing */
    ps_spec_generate *generate; /* generate; NULL otherwise */
    ps_spec_embed *embed;       /* embed; NULL otherwise */
    ps_spec_compress *compress; /* compress; NULL otherwise */
    ps_spec_compare *compare;   /* compare; NULL otherwise */
    ps_spec_explain *explain;   /* explain; NULL otherwise */
    ps_spec_report report;      /* explain, train */
    ps_spec_rows rows;          /* of data.test */
    int64_t workers;            /* leases go to so many at most; workers may come and go */
    int64_t min_workers;        /* the job starts when so many are there */
    ps_spec_shards shards;
    int64_t column_blocks; /* how many column blocks each matrix is cut into, 1..64 */
    unsigned durability;   /* ps_spec_durability */
    ps_spec_checkpoint checkpoint;
} ps_job_spec;

/* yaml is hostile; file_name is for messages ("job.yaml:7: train.epochs: ..."). *out is freed with
 * ps_job_spec_free. PS_INVALID_ARGUMENT says line, key and what is allowed. Any thread. */
PS_MUST_CHECK ps_status ps_job_spec_parse(ps_slice yaml, const char *file_name, ps_job_spec **out);
/* The same of a job that begins from a stored model (initialize_from), of which `config` is the
 * configuration: without a model section the job has that; a section must say the same, in all but
 * dropout. Other jobs are not touched by config; "": as ps_job_spec_parse. */
PS_MUST_CHECK ps_status ps_job_spec_parse_from(ps_slice yaml, const char *file_name,
                                               const char *config, ps_job_spec **out);
/* The same, where only the file says which model it is: config_of() is asked for its configuration,
 * which is borrowed until this returns, when all else is checked. Its failure is returned; doc is
 * for the lines of those. */
typedef ps_status (*ps_job_spec_config_of)(void *user, const ps_job_spec *spec,
                                           const ps_conf_doc *doc, const char **config);
PS_MUST_CHECK ps_status ps_job_spec_parse_using(ps_slice yaml, const char *file_name,
                                                ps_job_spec_config_of config_of, void *user,
                                                ps_job_spec **out);
void ps_job_spec_free(ps_job_spec **spec);
/* What the plan of a training job found in its data: the job's model section once more, whole,
 * with what the file leaves to the data (what the outputs are called, numbers of the inputs). Is
 * the section in text (hostile) that? *out is freed with ps_spec_model_free. PS_INVALID_ARGUMENT:
 * it is another model, or lacks what the job needs. */
PS_MUST_CHECK ps_status ps_job_spec_settled(const ps_job_spec *spec, ps_slice text,
                                            ps_spec_model **out);
/* Has the model the numbers of its inputs that the job's data need, and no others? */
PS_MUST_CHECK ps_status ps_job_spec_check_inputs(const ps_job_spec *spec,
                                                 const ps_spec_model *model);
/* The settled section takes the place of the spec's; after a failure the spec is as it was. */
PS_MUST_CHECK ps_status ps_job_spec_settle(ps_job_spec *spec, ps_slice text);
/* The stored model that the job works on or begins from; "": none. */
const char *ps_job_spec_uses(const ps_job_spec *spec);

/* For tests and tools: the schema alone, without the rules across keys. */
extern const ps_conf_schema ps_job_schema;
/* The section generate, for flags: each of its keys on its own (ps_conf_set). */
extern const ps_conf_schema ps_generate_schema;

/* A model section on its own, as stored models carry it: a flow mapping,
 * "{architecture: mlp, layers: [784, 10], activation: relu, loss: cross_entropy}"; format writes
 * every key that the architecture has, but those that say what they say unwritten.
 * parse: bytes are hostile, origin starts the messages; *out is freed with ps_spec_model_free. */
PS_MUST_CHECK ps_status ps_spec_model_parse(ps_slice yaml, const char *origin, ps_spec_model **out);
void ps_spec_model_free(ps_spec_model **model);
void ps_spec_model_format(const ps_spec_model *model, ps_buf *out);
/* The number of a key of the section, "num_heads", its flag or its word. */
typedef struct ps_spec_number {
    bool is_real, is_flag;
    const char *word; /* of a word; NULL: it is none */
    int64_t whole;    /* of a flag 0 or 1 */
    double real;
} ps_spec_number;
ps_spec_number ps_spec_model_number(const ps_spec_model *model, const char *name);
/* Heads are not hidden_size / num_heads numbers, which is what programs take that are not told. */
bool ps_spec_model_has_own_heads(const ps_spec_model *model);
/* It gives back the numbers that it takes, and so has no labels: what is an autoencoder. */
bool ps_spec_model_is_coder(const ps_spec_model *model);
/* It takes the residual stream of a language model, its base, at all layers: a tuned lens. */
bool ps_spec_model_is_lens(const ps_spec_model *model);
/* It learns from what it is given alone: one of both. */
bool ps_spec_model_unlabelled(const ps_spec_model *model);
/* It takes images: a network of convolutions. */
bool ps_spec_model_is_images(const ps_spec_model *model);
/* Of one of these: its image, and how many numbers of it come to the first of layers. */
ps_image_size ps_spec_model_image(const ps_spec_model *model);
int64_t ps_spec_model_features(const ps_spec_model *model);
/* Of models of layers, cnn among them: how many linear layers there are, and how many numbers come
 * to layer i, from 0; i as many as there are: how many it gives. */
size_t ps_spec_model_linears(const ps_spec_model *model);
int64_t ps_spec_model_width(const ps_spec_model *model, size_t i);
/* Numbers of a row that it takes; 0: it takes tokens. */
int64_t ps_spec_model_inputs(const ps_spec_model *model);
/* Is the language model `base`, called `name`, of the shape that the lens is for?
 * PS_INVALID_ARGUMENT. */
PS_MUST_CHECK ps_status ps_spec_lens_match(const ps_spec_model *lens, const ps_spec_model *base,
                                           const char *name);
/* The format of a job's files: data.format, or of activations that of what these are made of. */
const char *ps_spec_data_files_format(const ps_spec_data *data);
/* Can the stored model `origin` make what the job's data are to be, for its `model`? Others than
 * jobs with format activations: PS_OK. PS_INVALID_ARGUMENT. */
PS_MUST_CHECK ps_status ps_spec_activations_match(const ps_job_spec *spec,
                                                  const ps_spec_model *model,
                                                  const ps_spec_model *origin);
/* It reads tokens, and has no layers: it says which may follow, */
bool ps_spec_model_is_language(const ps_spec_model *model);
/* or one thing of a whole text. */
bool ps_spec_model_is_encoder(const ps_spec_model *model);
bool ps_spec_model_reads_tokens(const ps_spec_model *model); /* one of both */
/* Does a training of `model` that begins from `origin` put classes behind it? Their tensors begin
 * as new ones do. */
bool ps_spec_model_adds_classes(const ps_spec_model *model, const ps_spec_model *origin);
/* Of models that tell classes apart, layers and encoders: how many outputs there are. */
int64_t ps_spec_model_outputs(const ps_spec_model *model);

/* The form that matrices of blocks are trained in; row NULL: none. */
ps_form ps_spec_train_form(const ps_spec_train *train);
/* The same of one whose rows have so many columns: the group becomes smaller where it has to; row
 * NULL: no group divides them. */
ps_form ps_spec_train_form_of(const ps_spec_train *train, uint64_t columns);

/* Rows of one gradient. */
uint64_t ps_spec_step_rows(const ps_spec_train *train);

/* What its kind is. */
const ps_kind_row *ps_job_spec_kind(const ps_job_spec *spec);
/* Is the kind for models of this architecture? */
bool ps_kind_takes(const ps_kind_row *kind, const ps_spec_model *model);

/* What its consistency mode means; of a parsed job never NULL. */
const ps_mode_row *ps_spec_mode(const ps_spec_train *train);

/* A model or job name: 1..64 of [a-z0-9._-], first a letter or digit. */
bool ps_job_spec_name_ok(const char *name);
const char *ps_spec_missing_name(unsigned missing); /* "error", "zero" */

#endif
