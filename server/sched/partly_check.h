/* partly_check: of a job that trains a part of a stored model (train.freeze) or adapters beside it
 * (train.lora), whether what its words mean is there; known when it is submitted. Reads the
 * catalog: never under the scheduler's mutex (not asserted here: as job_file.h). */
#ifndef PS_SCHED_PARTLY_CHECK_H
#define PS_SCHED_PARTLY_CHECK_H

#include "common/conf/job_spec.h"
#include "server/catalog/catalog.h"

/* version: of spec->initialize_from. PS_INVALID_ARGUMENT with file, line and key: a word that means
 * nothing of the model, or nothing is left to be trained. Any other job is fine. */
PS_MUST_CHECK ps_status ps_partly_check(ps_catalog *catalog, const ps_job_spec *spec,
                                        const char *version, const ps_conf_doc *doc);

#endif
