/* models: the rows of stored models in the catalog; the tensors' data is in a file beside it.
 *
 * A model is a name, and what the name means now: a version of it. Each version is a row of its
 * own, and known by its file's path, which is never used again. A row is there from before its file
 * has that name until after the file is gone:
 *
 *     added ─▶ (file placed) ─▶ published: the name's ─▶ replaced, or deleted ─▶ (no job uses it)
 *       ╰───────────── crash, failure ─────────────▶ unused ─▶ (file removed) ─▶ forgotten
 *
 * A version that a job uses which has not ended (ps_job_record.model_version, others) is not
 * unused, nor is the last one that a job of kind compress has made, which it evaluates before
 * it is published.
 */
#ifndef PS_CATALOG_MODELS_H
#define PS_CATALOG_MODELS_H

#include "common/form/form.h"
#include "common/format/metric_list.h"
#include "server/catalog/catalog.h"

#include <stdbool.h>
#include <stdint.h>

#define PS_MODEL_RANK_MAX 8 /* dimensions of a tensor in the catalog */

typedef struct ps_model_tensor {
    char *name;
    uint32_t rank;
    uint64_t shape[PS_MODEL_RANK_MAX];
    ps_form form; /* that it is stored in; row NULL: float32 */
} ps_model_tensor;

/* Texts are owned and never NULL. */
typedef struct ps_model_record {
    char *name;
    char *config; /* the architecture: a flow mapping of YAML */
    uint64_t parameters;
    uint64_t bytes;        /* of the file */
    uint64_t tensor_bytes; /* of the tensors in it */
    char *forms;           /* that these are in, by how many numbers are: "q4_0, float32" */
    uint64_t job_id;       /* that trained it; 0: imported */
    char *parent;          /* what that job worked on or began from, or an adapter was added to, */
    char *parent_version;  /* though it may be gone by now: its name and version. "": nothing. Of a
                              job the catalog knows it, whatever is said here */
    char *owner;           /* who submitted that job, or imported it: an identity; "": not known */
    int64_t created_ms;
    bool has_test;
    double test_loss;
    ps_metric_list test_metrics;
    char *path; /* the version: its safetensors file, relative to psd's data folder */
    ps_model_tensor *tensors;
    size_t n_tensors; /* 0 in a list */
    char *lineage; /* where it comes from, JSON: what _add writes; NULL or "": not known. Read with
                      ps_catalog_model_lineage: NULL in what is got and listed here */
} ps_model_record;

void ps_model_record_free(ps_model_record **record);

/* A new version, which no name means yet. */
PS_MUST_CHECK ps_status ps_catalog_model_add(ps_catalog *catalog, const ps_model_record *record);
/* What it came to on test data, when it had been added before that. */
PS_MUST_CHECK ps_status ps_catalog_model_tested(ps_catalog *catalog, const char *path, double loss,
                                                const ps_metric_list *metrics);
/* Of a version: where it comes from, freed by the caller; "": not known, of a psd of before.
 * PS_NOT_FOUND. */
PS_MUST_CHECK ps_status ps_catalog_model_lineage(ps_catalog *catalog, const char *path, char **out);
PS_MUST_CHECK ps_status ps_catalog_model_set_lineage(ps_catalog *catalog, const char *path,
                                                     const char *lineage);
/* From now on the name means this version of it, and the one before has none. */
PS_MUST_CHECK ps_status ps_catalog_model_publish(ps_catalog *catalog, const char *name,
                                                 const char *path);
/* PS_NOT_FOUND: "model 'x' does not exist". */
PS_MUST_CHECK ps_status ps_catalog_model_get(ps_catalog *catalog, const char *name,
                                             ps_model_record **out);
/* This version of it, though the name may mean another by now; "": as ps_catalog_model_get.
 * PS_NOT_FOUND. */
PS_MUST_CHECK ps_status ps_catalog_model_version(ps_catalog *catalog, const char *name,
                                                 const char *version, ps_model_record **out);
/* A NULL-terminated array by name, without tensors: those whose name comes after `after` (""
 * all), at most `limit` (0: all). */
PS_MUST_CHECK ps_status ps_catalog_model_list(ps_catalog *catalog, const char *after, size_t limit,
                                              ps_model_record ***out);
PS_MUST_CHECK ps_status ps_catalog_model_count(ps_catalog *catalog, uint64_t *out);
void ps_model_records_free(ps_model_record ***records);
/* The name means nothing any more. PS_NOT_FOUND. */
PS_MUST_CHECK ps_status ps_catalog_model_delete(ps_catalog *catalog, const char *name);

/* The first version that neither a name nor a job needs, of those whose path comes after `after`
 * ("": of all); freed by the caller. PS_END: there is none. */
PS_MUST_CHECK ps_status ps_catalog_model_unused(ps_catalog *catalog, const char *after,
                                                char **path);
/* Its file is gone. A version that a name means stays. */
PS_MUST_CHECK ps_status ps_catalog_model_forget(ps_catalog *catalog, const char *path);
/* Is there a version of this path? */
PS_MUST_CHECK ps_status ps_catalog_model_known(ps_catalog *catalog, const char *path, bool *known);

/* PS_FAILED_PRECONDITION, naming the first tensor that differs, when a stored model of that name
 * has other tensors than these (in any order); PS_OK when it has the same or does not exist. */
PS_MUST_CHECK ps_status ps_catalog_model_fits(ps_catalog *catalog, const char *name,
                                              const ps_model_tensor *tensors, size_t n);

#endif
