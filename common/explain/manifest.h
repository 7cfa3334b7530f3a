/* manifest: explain.json: what a job of kind explain came to, and where its arrays are
 * (explain.safetensors beside it). Versioned and only ever added to: a reader passes over what it
 * does not know.
 *
 *     {"psd_explain": 1, "job": 7,
 *      "lineage": {"model": {"name", "version", "sha256", "architecture", "tensors": []}, "data",
 *                  "files": [{"path", "sha256"}], "compared_with": {"name", "version", "sha256"},
 *                  "checkpoints": [{"name", "version", "sha256"}],
 *                  "workers": [{"name", "device", "precision"}],
 *                  "spec_sha256", "psd_version", "seed"},
 *      "score", "target", "baseline", "classes", "language",
 *      "results": [{"kind", "method", "arguments": {},
 *                   "arrays": [{"name", "array", "axes": [], "entries": []}],
 *                   "residual": {"relative_median", "relative_max", "tolerance", "met", "unmet"},
 *                   "standard_error", "steps": {"median", "max"}, "evaluations", "seconds"}],
 *      "contents": "rows/features",
 *      "rows": [{"row", "label", "prediction", "target", "confidence", "score"}],
 *      "left_out": {"count", "rows": []}, "warnings": []}
 *
 * Reading takes any bytes: it is a file that others have left. Plain memory, its owner's. */
#ifndef PS_EXPLAIN_MANIFEST_H
#define PS_EXPLAIN_MANIFEST_H

#include "common/base/buf.h"
#include "common/base/slice.h"
#include "common/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PS_EXPLAIN_MANIFEST_VERSION = 1, PS_EXPLANATION_MAX = 64 << 20 /* bytes */ };

/* An array of explain.safetensors. */
typedef struct ps_explanation_array {
    char *name;     /* what it is to its method: "values" */
    char *array;    /* its name in the file: "attributions/0/values" */
    char *axes;     /* "row feature" */
    char **entries; /* what the numbers along its last axis are; none: that goes without saying */
    size_t n_entries;
} ps_explanation_array;

typedef struct ps_explanation_result {
    char *kind;      /* the section of the job file: "attributions" */
    char *method;    /* "integrated_gradients" */
    char *arguments; /* a JSON object */
    ps_explanation_array *arrays;
    size_t n_arrays;
    bool has_residual; /* its axiom can be checked: by how much it does not hold, relative */
    double relative_median, relative_max, tolerance;
    uint64_t unmet;                 /* rows that are not within the tolerance */
    double standard_error;          /* of values, mean over all; NaN: nothing was drawn */
    double steps_median, steps_max; /* NaN: it takes none */
    uint64_t evaluations;           /* rows through the model, forward and backward counted each */
    double seconds;                 /* of workers */
} ps_explanation_result;

typedef struct ps_explanation_row {
    uint64_t row;  /* of data.test, or the prompt's number */
    int64_t label; /* -1: there is none */
    int64_t prediction, target;
    double confidence, score;
} ps_explanation_row;

/* A file of data and its SHA-256, a worker and its device, or a model, its SHA-256 and version. */
typedef struct ps_explanation_source {
    char *name, *said;
    char *version; /* of a model; NULL: of others */
} ps_explanation_source;

typedef struct ps_explanation {
    uint64_t job;
    char *model, *model_version, *architecture;
    char *data; /* the path of what was read; "": prompts */
    char *psd_version;
    /* SHA-256 in hexadecimal digits, of the models' files, as workers read them, and of the job
     * file;
     * "": not known */
    char *model_sha256, *other_sha256, *spec_sha256;
    ps_explanation_source *files; /* of data, but for those too large to be read for it */
    size_t n_files;
    ps_explanation_source *workers; /* that have computed it */
    size_t n_workers;
    ps_explanation_source *checkpoints; /* models that methods went through, in the file's order */
    size_t n_checkpoints;
    uint64_t seed;
    char *score, *target, *baseline; /* as words: "logit", "difference 3 5" */
    bool classes;                    /* predictions are classes, or tokens; else numbers */
    bool language;                   /* rows are tokens */
    char *other, *other_version;     /* that it was compared with; "": none */
    char **tensors;                  /* names of the model's, in the order of an axis "tensor" */
    size_t n_tensors;
    char *contents; /* the array of what is in the rows; "": they are not shown */
    ps_explanation_row *rows;
    size_t n_rows;
    uint64_t left_out; /* rows without a finite score; the first of them: */
    uint64_t *left_out_rows;
    size_t n_left_out_rows;
    ps_explanation_result *results;
    size_t n_results;
    char **warnings;
    size_t n_warnings;
} ps_explanation;

void ps_explanation_free(ps_explanation *manifest); /* its members */
const ps_explanation_array *ps_explanation_find(const ps_explanation_result *result,
                                                const char *name);

void ps_explanation_write(const ps_explanation *manifest, ps_buf *out);
/* PS_CORRUPT: it is no manifest; PS_UNIMPLEMENTED: of a newer version. */
PS_MUST_CHECK ps_status ps_explanation_read(ps_slice json, ps_explanation *out);

#endif
