/* manifest_of: what all parts of a job of kind explain came to, as its manifest and its file of
 * arrays. */
#ifndef PS_TASKS_MANIFEST_OF_H
#define PS_TASKS_MANIFEST_OF_H

#include "common/conf/job_spec.h"
#include "common/explain/manifest.h"
#include "psd/v1/workers.pb-c.h"
#include "worker/explain/method.h"
#include "worker/explain/part_file.h"

typedef struct ps_explanation_of {
    const ps_job_spec *job;
    const ps_spec_model *model;
    uint64_t job_id;
    const char *version;       /* of the stored model */
    const char *other_version; /* of the one that it is compared with; "": none */
    const Psd__V1__Task *task; /* which versions its checkpoints have */
    const char *psd_version;   /* of this program */
    const char *job_file;      /* as it was submitted */
    const ps_explain_parts *parts;
    const ps_model_layout *layout; /* the model's parameters */
} ps_explanation_of;

/* *out is freed with ps_explanation_free. */
void ps_explanation_make(const ps_explanation_of *of, ps_explanation *out);
/* The file: float32, under the names that the manifest has. */
PS_MUST_CHECK ps_status ps_explanation_arrays(const ps_spec_explain *spec,
                                              const ps_explain_parts *parts,
                                              ps_safetensors_sink sink);

#endif
