/* explain_spec: section `explain` of a job file: which rows or prompts, what of the model's answer
 * to them is explained, against what, and by which methods. A method, and a key that it is the
 * first to have, are lines of explain_rows.h. Any thread. */
#ifndef PS_CONF_EXPLAIN_SPEC_H
#define PS_CONF_EXPLAIN_SPEC_H

#include "common/conf/conf.h"
#include "common/conf/explain_rows.h"

typedef struct ps_job_spec ps_job_spec;
typedef struct ps_spec_model ps_spec_model;

typedef enum ps_explain_show {
    PS_EXPLAIN_SHOW_USUAL, /* prompts are shown, which the job file has anyway; rows of data not */
    PS_EXPLAIN_SHOW_YES,
    PS_EXPLAIN_SHOW_NO,
} ps_explain_show;

enum {
    PS_EXPLAIN_ITEMS_MAX = 1 << 16, /* rows of a job */
    PS_EXPLAIN_ITEMS = 64,          /* when the job does not say how many */
    PS_EXPLAIN_PROMPTS_MAX = 1024,
    PS_EXPLAIN_METHODS_MAX = 32, /* of a section */
};

/* Of data.test: a range, or a sample. */
typedef struct ps_spec_explain_rows {
    int64_t first, count; /* count 0: a sample */
    int64_t sample;       /* so many, drawn by the seed; settled: 0 with a range */
    unsigned show;        /* ps_explain_show: may artifacts hold what is in the rows? */
} ps_spec_explain_rows;

typedef enum ps_explain_target_kind {
    PS_EXPLAIN_PREDICTED, /* the largest output */
    PS_EXPLAIN_LABEL,     /* the label's; of language models that of the token that follows */
    PS_EXPLAIN_CLASS,     /* an output, by its number */
    PS_EXPLAIN_DIFFERENCE /* one output less another */
} ps_explain_target_kind;

typedef struct ps_spec_explain_target {
    unsigned of;         /* as written; kind counts */
    int64_t number;      /* CLASS; -1: not said */
    int64_t *difference; /* DIFFERENCE: two */
    size_t n_difference;
    unsigned kind; /* ps_explain_target_kind, settled */
} ps_spec_explain_target;

/* A function f of the logits z, and of the target t (less that of the other one). */
typedef enum ps_explain_score {
    PS_EXPLAIN_LOGIT,           /* z_t; of squared_error the output itself */
    PS_EXPLAIN_LOG_PROBABILITY, /* log softmax(z)_t */
    PS_EXPLAIN_PROBABILITY,     /* softmax(z)_t */
    PS_EXPLAIN_LOSS,            /* −log softmax(z)_t; of squared_error the mean of (z − y)² */
} ps_explain_score;

/* What stands for an input that says nothing. */
typedef enum ps_explain_baseline_kind {
    PS_EXPLAIN_ZERO, /* 0, as the model is given it (normalised); of tokens an embedding of zeros */
    PS_EXPLAIN_MEAN, /* of the rows of data.test, of language models of the vocabulary's embeddings
                        (at most PS_EXPLAIN_MEAN_ROWS, the first) */
    PS_EXPLAIN_USUAL, /* ZERO, of language models MEAN: the job says nothing */
    PS_EXPLAIN_VALUE, /* the same number everywhere, as the model is given it */
    PS_EXPLAIN_TOKEN,
    PS_EXPLAIN_ROW, /* that row of data.test */
} ps_explain_baseline_kind;

enum { PS_EXPLAIN_MEAN_ROWS = 1 << 16 };

typedef struct ps_spec_explain_baseline {
    unsigned of;   /* as written; kind counts */
    double value;  /* VALUE */
    int64_t token; /* TOKEN */
    int64_t row;   /* ROW */
    unsigned kind; /* ps_explain_baseline_kind, settled */
} ps_spec_explain_baseline;

/* Features that are taken together: players of a game, or what is hidden at once. */
typedef struct ps_spec_explain_features {
    int64_t *grid; /* rows and columns of a grid over the input; none: every feature, or token, is
                      one of its own */
    size_t n_grid;
    int64_t *shape; /* rows and columns of the input; none: it is square */
    size_t n_shape;
} ps_spec_explain_features;

extern const ps_conf_key ps_spec_explain_features_keys[];

/* What stands in the place of what a head gives. */
typedef enum ps_explain_replace {
    PS_EXPLAIN_REPLACE_MEAN, /* of all rows of the job */
    PS_EXPLAIN_REPLACE_ZERO,
    PS_EXPLAIN_REPLACE_RESAMPLE, /* what it gives for another row */
} ps_explain_replace;

/* Parts that a game is between: column blocks of a matrix, halves of blocks, heads. */
typedef enum ps_explain_players {
    PS_EXPLAIN_PLAYERS_BLOCKS,
    PS_EXPLAIN_PLAYERS_LAYERS,
    PS_EXPLAIN_PLAYERS_HEADS,
} ps_explain_players;

/* Two rows of tokens whose inside is exchanged. */
typedef struct ps_spec_explain_patch {
    int64_t *clean, *corrupt; /* of one length */
    size_t n_clean, n_corrupt;
    char **points; /* kinds of points, by their short names (worker/models/tap.h) */
    size_t n_points;
    int64_t exact_top; /* so many are run again */
} ps_spec_explain_patch;

extern const ps_conf_key ps_spec_explain_patch_keys[];

/* One of several stored models, all of one shape, over which a method sums or averages. */
typedef struct ps_spec_explain_checkpoint {
    char *model;
    char *version; /* this one of that name, or the job is refused; "": the one of now */
    double rate;   /* tracin: of the training at that point, settled: else the entry's */
} ps_spec_explain_checkpoint;

extern const ps_conf_key ps_spec_explain_checkpoint_keys[];

#define PS_EXPLAIN_INT_MEMBER(key_, ...)  int64_t key_;
#define PS_EXPLAIN_REAL_MEMBER(key_, ...) double key_;
#define PS_EXPLAIN_FLAG_MEMBER(key_, ...) bool key_;
#define PS_EXPLAIN_WORD_MEMBER(key_, ...) unsigned key_;
#define PS_EXPLAIN_TEXT_MEMBER(key_, ...) char *key_;
#define PS_EXPLAIN_INTS_MEMBER(key_, ...) \
    int64_t *key_;                        \
    size_t n_##key_;
#define PS_EXPLAIN_MAP_MEMBER(key_, type_, ...) type_ key_;
#define PS_EXPLAIN_MAPS_MEMBER(key_, type_, ...) \
    type_ *key_;                                 \
    size_t n_##key_;

/* One entry of a section: a method and its arguments. Keys that it does not take have their
 * defaults. */
typedef struct ps_spec_explain_method {
    char *method; /* a row of explain_rows.h, of this section */
    PS_EXPLAIN_KEY_ROWS(PS_EXPLAIN_INT_MEMBER, PS_EXPLAIN_REAL_MEMBER, PS_EXPLAIN_FLAG_MEMBER,
                        PS_EXPLAIN_WORD_MEMBER, PS_EXPLAIN_TEXT_MEMBER, PS_EXPLAIN_INTS_MEMBER,
                        PS_EXPLAIN_MAP_MEMBER, PS_EXPLAIN_MAPS_MEMBER)
} ps_spec_explain_method;

typedef struct ps_spec_explain_prompt {
    int64_t *tokens;
    size_t n_tokens;
} ps_spec_explain_prompt;

#define PS_EXPLAIN_SECTION_MEMBER(name) \
    ps_spec_explain_method *name;       \
    size_t n_##name;

typedef struct ps_spec_explain {
    ps_spec_explain_rows rows;
    ps_spec_explain_prompt *prompts; /* language models: in place of rows of data.test */
    size_t n_prompts;
    char *compare_to; /* another stored model, which some methods look at; "": none */
    ps_spec_explain_target target;
    unsigned score; /* ps_explain_score */
    ps_spec_explain_baseline baseline;
    PS_EXPLAIN_SECTIONS(PS_EXPLAIN_SECTION_MEMBER)
    int64_t batch; /* rows that the model takes at once; 0: what is usual */
    int64_t seed;  /* of the sample and of all that is drawn */
} ps_spec_explain;

extern const ps_conf_key ps_spec_explain_keys[];
/* The section on its own, for flags and tests. */
extern const ps_conf_schema ps_explain_schema;

/* All entries of all sections, one behind the other: results, arrays and stages know a method by
 * this number. */
size_t ps_spec_explain_count(const ps_spec_explain *explain);
const ps_spec_explain_method *ps_spec_explain_at(const ps_spec_explain *explain, size_t i);
/* Its row; of a parsed job never NULL. */
const ps_explain_row *ps_spec_explain_row(const ps_spec_explain *explain, size_t i);
/* Rows or prompts of the job, at most: what data.test does not have of them is left out. */
uint64_t ps_spec_explain_items(const ps_spec_explain *explain);
int64_t ps_spec_explain_longest(const ps_spec_explain *explain); /* tokens of a prompt; 0: none */
/* Tokens of the longest row that a method makes by itself, or has in its entry, for a model with
 * that context; 0: none does. */
int64_t ps_spec_explain_own_longest(const ps_spec_explain *explain, int64_t context_length);
bool ps_spec_explain_shows(const ps_spec_explain *explain); /* what is in them */
/* The number of the attribution that an entry with the key `of` is about: the first of that name,
 * or the first. false: this job has none; never once it has been checked. */
bool ps_spec_explain_of(const ps_spec_explain *explain, const ps_spec_explain_method *method,
                        size_t *out);
/* The second stored model of the job: compare_to, or the autoencoder that a method looks through;
 * "": none. */
const char *ps_spec_explain_second(const ps_spec_explain *explain);
/* A rule across keys, for explain_check.c. */
PS_MUST_CHECK ps_status ps_spec_explain_second_check(const ps_spec_explain *explain,
                                                     const ps_conf_doc *doc);
/* An entry as one JSON object: its method and the keys that the method takes. */
void ps_spec_explain_arguments(const ps_spec_explain_method *method, ps_buf *json);
const char *ps_explain_score_name(unsigned score);   /* "logit" */
const char *ps_explain_target_name(unsigned kind);   /* "predicted" */
const char *ps_explain_baseline_name(unsigned kind); /* "zero" */
/* USUAL is told by the model: whatever goes by the kind asks here. */
unsigned ps_explain_baseline_settled(const ps_spec_explain_baseline *baseline, bool language);

/* Fills what is settled, and a method's own defaults. Before the checks. */
void ps_spec_explain_settle(ps_spec_explain *explain, const ps_conf_doc *doc);
/* Rules across keys, for job_check.c: of the file alone, and of the file and its model. A job that
 * explains nothing: PS_OK. */
PS_MUST_CHECK ps_status ps_spec_explain_check(const ps_job_spec *spec, const ps_conf_doc *doc);
PS_MUST_CHECK ps_status ps_spec_explain_match(const ps_job_spec *spec, const ps_spec_model *model,
                                              const ps_conf_doc *doc);

/* Rules of lists of checkpoints, for explain_check.c, and for who knows one of the models: it is of
 * the shape of the job's. */
PS_MUST_CHECK ps_status ps_spec_explain_check_checkpoints(const ps_job_spec *spec,
                                                          const ps_conf_doc *doc);
PS_MUST_CHECK ps_status ps_spec_explain_match_checkpoint(const ps_spec_model *model,
                                                         const ps_spec_model *checkpoint);
/* Bytes that the entry leaves for its next pass, of trak: a number for each two of a sketch, of
 * each model; 0: none. */
uint64_t ps_spec_explain_between(const ps_spec_explain_method *method);

/* What _check asks of explain.influence. */
PS_MUST_CHECK ps_status ps_spec_explain_check_influence(const ps_job_spec *spec,
                                                        const ps_conf_doc *doc);

#endif
