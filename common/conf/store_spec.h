/* store_spec: what a parameter store is made from, in the words of a job file: the part of a job's
 * settings that a checkpoint keeps.
 *
 * One line of YAML, a flow mapping: the job file's keys, and those of the train section without
 * `train`. What a line does not have takes its default; so a key that a later psd knows does not
 * make a file of today unreadable.
 */
#ifndef PS_CONF_STORE_SPEC_H
#define PS_CONF_STORE_SPEC_H

#include "common/conf/job_spec.h"

typedef struct ps_store_spec {
    int64_t column_blocks;
    int64_t block_elements; /* of one block; 0: as many as one may have. No key of the job file. */
    ps_spec_optimizer optimizer;
    ps_spec_rate_schedule schedule;
    ps_spec_consistency consistency;
    double clip_norm;
} ps_store_spec;

/* Every key that its optimizer takes; no end of line. */
void ps_store_spec_format(const ps_store_spec *spec, ps_buf *out);
/* yaml is hostile; origin starts the messages. *out is freed with ps_store_spec_free.
 * PS_INVALID_ARGUMENT: "ORIGIN:1: optimizer.momentumm: unknown key; did you mean ...". */
PS_MUST_CHECK ps_status ps_store_spec_parse(ps_slice yaml, const char *origin, ps_store_spec **out);
void ps_store_spec_free(ps_store_spec **spec);

#endif
