/* reader: a table of file formats, and the data set that one of them opened.
 *
 * A data set is rows of float32 features, or of tokens, with labels. Opening reads the files (plain
 * or .gz) into memory, checked and bounded, or maps them; reading a row converts and normalises it.
 * Errors name file and byte or line. A new format is one file and one row in reader.c.
 *
 * An open data set is read-only: several threads may read from it.
 */
#ifndef PS_WORKER_DATA_READER_H
#define PS_WORKER_DATA_READER_H

#include "common/base/status.h"
#include "common/conf/job_spec.h"
#include "worker/data/normaliser.h"

typedef enum ps_label_kind {
    PS_LABELS_NONE,    /* predict */
    PS_LABELS_CLASSES, /* int32, [rows] */
    PS_LABELS_REALS,   /* float32, [rows, targets] */
    PS_LABELS_NEXT,    /* int32, [rows, tokens]: the token after each */
} ps_label_kind;

/* Numbers of each feature, by which they are normalised, or that stand for one that is missing. */
typedef struct ps_feature_numbers {
    size_t n;           /* as many as there are features, or the file is refused; 0: none */
    const double *mean; /* [n] */
    const double *std;  /* [n]; NULL: as data.normalise says */
} ps_feature_numbers;

typedef struct ps_dataset ps_dataset;
struct ps_dataset_source; /* activations.h */

typedef struct ps_dataset_options {
    const ps_spec_data *data;   /* format, csv, normalise */
    const ps_spec_files *files; /* the paths */
    ps_label_kind labels;
    int64_t classes;  /* CLASSES: labels must be 0..classes-1; 0: any */
    int64_t vocab;    /* tokens likewise */
    bool texts;       /* of tokens: a row is a document, of at most `features` tokens (texts.h) */
    int64_t features; /* what the model takes; 0: any. Without labels, the label columns of a csv
                       * file are left out when the number of columns says that they are there */
    ps_image_size image; /* what the model takes; 0 channels: no image. A file that says how its
                            rows are shaped must say the same */
    uint64_t max_bytes;  /* in memory; 0: 16 GiB */
    /* CLASSES in csv: what labels are called, each once; none: numbers from 0. Must outlive the
     * call that opens. */
    char *const *class_names;
    size_t n_class_names;
    unsigned missing;           /* ps_spec_missing, for csv; MEAN: `numbers` has them */
    ps_feature_numbers numbers; /* must outlive the data set */
    /* Format activations: who makes them, for the call that opens; NULL for others. */
    const struct ps_dataset_source *source;
} ps_dataset_options;

/* Files are opened as named: the caller has checked them against data_roots. */
PS_MUST_CHECK ps_status ps_dataset_open(const ps_dataset_options *options, ps_dataset **out);
void ps_dataset_close(ps_dataset **dataset);

size_t ps_dataset_rows(const ps_dataset *dataset);
size_t ps_dataset_features(const ps_dataset *dataset); /* floats or tokens a row */
bool ps_dataset_has_tokens(const ps_dataset *dataset);
ps_label_kind ps_dataset_labels(const ps_dataset *dataset);
size_t ps_dataset_targets(const ps_dataset *dataset);  /* REALS: floats a row; else 0 */
int64_t ps_dataset_classes(const ps_dataset *dataset); /* CLASSES: largest label + 1; else 0 */

size_t ps_dataset_label_bytes(const ps_dataset *dataset); /* of one row; 0: NONE */

/* Rows by number, in the order asked. features: float [n, features], or int32 tokens. labels: int32
 * [n] for CLASSES, float [n, targets] for REALS, int32 [n, features] for NEXT; not touched for NONE
 * or when NULL. PS_OUT_OF_RANGE names the row; PS_CORRUPT a token that the vocabulary does not
 * have.
 */
PS_MUST_CHECK ps_status ps_dataset_read(const ps_dataset *dataset, const uint64_t *rows, size_t n,
                                        void *features, void *labels);

/* Whether documents in rows of tokens are apart (data.documents). */
bool ps_dataset_is_apart(const ps_dataset *dataset);
/* Then, of each token of these rows, the number of the token of its row that its document begins
 * with: int32 [n, features]. Fails as ps_dataset_read. */
PS_MUST_CHECK ps_status ps_dataset_read_starts(const ps_dataset *dataset, const uint64_t *rows,
                                               size_t n, int32_t *starts);

struct ps_survey_wants; /* survey.h */
struct ps_survey;

/* PS_INVALID_ARGUMENT when the file has another number of features than was asked for: for readers
 * that need to know before they have read it. The message does not name the file. */
PS_MUST_CHECK ps_status ps_dataset_check_features(const ps_dataset_options *options,
                                                  size_t features);

/* A row of the table. state is the format's own. */
typedef struct ps_dataset_shape {
    size_t rows, features, targets;
    int64_t classes;
} ps_dataset_shape;

typedef struct ps_reader {
    const char *name; /* as in the job file's data.format */
    /* normaliser: as the job says; a scale of 0 becomes the file's own. Every feature is finite
     * once it is normalised, and every label, or it fails. */
    ps_status (*open)(const ps_dataset_options *options, ps_normaliser *normaliser,
                      ps_dataset_shape *shape, void **state);
    void (*close)(void *state);
    /* One row, normalised. label as in ps_dataset_read, or NULL. */
    void (*row)(const void *state, const ps_normaliser *normaliser, size_t row, float *features,
                void *label);
    /* What survey.h says; NULL: there is nothing to find. */
    ps_status (*survey)(const ps_dataset_options *options, struct ps_survey_wants wants,
                        struct ps_survey *out);
    /* Instead, where rows are tokens. */
    ps_status (*tokens)(const void *state, size_t row, int32_t *tokens, int32_t *next);
    ps_status (*starts)(const void *state, size_t row, int32_t *starts);
} ps_reader;

/* What a message adds to a label that is one more than allowed. */
#define PS_LABELS_FROM_ONE "; classes count from 0: do these count from 1?"

const ps_reader *ps_reader_find(const char *name); /* NULL when there is none */

#endif
