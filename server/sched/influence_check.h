/* influence_check: what psd knows beforehand of a job that asks which rows, or which pushes, taught
 * a model its answers: whether the record that it asks about is there, and whether its data.train
 * is what the model was trained on. Reads the catalog: never under the scheduler's mutex (not
 * asserted here: as job_file.h). */
#ifndef PS_SCHED_INFLUENCE_CHECK_H
#define PS_SCHED_INFLUENCE_CHECK_H

#include "common/conf/job_spec.h"
#include "server/catalog/catalog.h"

/* PS_FAILED_PRECONDITION: a training that explain.influence names has left no record; PS_NOT_FOUND:
 * there is no such job. */
PS_MUST_CHECK ps_status ps_influence_check_records(ps_catalog *catalog, const ps_job_spec *spec);

/* The line that people are to read of data.train, where a method scores its rows: that the training
 * of this version of a model, the job's own or a checkpoint, had other files, or that nobody knows.
 * "": it had the same, by their names, or the job scores no rows. The caller's. */
char *ps_influence_check_data(ps_catalog *catalog, const ps_job_spec *spec, const char *model,
                              const char *version);

#endif
