/* record_spec: section `record` of a job file that trains: what of the training is kept beside its
 * model (docs/record.md). Any thread. */
#ifndef PS_CONF_RECORD_SPEC_H
#define PS_CONF_RECORD_SPEC_H

#include "common/conf/conf.h"

#include <stdint.h>

typedef struct ps_job_spec ps_job_spec;

/* What each push has changed, as a sketch: the artifact influence.bin. */
typedef struct ps_spec_record_influence {
    int64_t sketch;  /* numbers of a push, a byte each */
    int64_t every;   /* update of which one is recorded */
    uint64_t budget; /* bytes of the file: it ends there */
} ps_spec_record_influence;

/* How the loss of some rows of the training data has changed, and through which parameters: the
 * artifacts loss_changes.safetensors and loss_changes.json. */
typedef struct ps_spec_record_losses {
    int64_t probe_rows;
    int64_t every;    /* steps of a segment */
    double tolerance; /* by how much of a segment's change what is shared out may miss it */
    uint64_t memory;  /* bytes of parameters that wait for a worker; then segments are longer */
} ps_spec_record_losses;

typedef struct ps_spec_record {
    ps_spec_record_influence *influence; /* NULL: none */
    ps_spec_record_losses *loss_changes; /* NULL: none */
    bool noise_scale;                    /* of the gradients: the artifact noise_scale.json */
} ps_spec_record;

extern const ps_conf_key ps_spec_record_keys[];

/* Rules across keys, for job_check.c. */
PS_MUST_CHECK ps_status ps_spec_record_check(const ps_job_spec *spec, const ps_conf_doc *doc);

#endif
