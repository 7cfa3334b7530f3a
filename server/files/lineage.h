/* lineage: where a model comes from, as one JSON object that is kept with its version (the
 * catalog's model_version.lineage) and leaves with it as psd-provenance.json (docs/files.md): the
 * job file, the models that it began from, by digest, with what these came from; the files of data,
 * as workers say; who pushed, and how often; the checkpoint and the audit log's head at that
 * moment. What it says is of its time: a job, a parent or a checkpoint that is deleted later stays
 * in it.
 *
 * Blocks: off the loop. Any thread. */
#ifndef PS_FILES_LINEAGE_H
#define PS_FILES_LINEAGE_H

#include "common/base/buf.h"
#include "common/security/digest.h"
#include "server/catalog/models.h"
#include "server/files/stored_file.h"
#include "server/params/param_store.h"
#include "server/sched/job_file.h"

/* What a model was made of. Zeroes: it was imported as it is. */
typedef struct ps_lineage_from {
    const ps_job_file *job;
    ps_param_store *store;           /* whose pushes made it */
    uint64_t checkpoint;             /* the last one of the job; 0: none */
    const char *base, *base_version; /* without a job: the model that an adapter was added to */
    const char *parent_sha256; /* of the model that it began from; NULL: looked up, or computed */
} ps_lineage_from;

enum { PS_LINEAGE_ANCESTORS = 64 }; /* that are told, the nearest first */

/* Sets record->lineage; all else of it is set, path and bytes, too, but for what its job's tests
 * have come to. sha256 is its file's. */
PS_MUST_CHECK ps_status ps_lineage_write(const ps_stored_files *files, ps_model_record *record,
                                         const char *sha256, const ps_lineage_from *from);
/* When a version that was drafted becomes a model: what is known of its data by now, and the audit
 * log's head of now. A version without a record stays without. */
PS_MUST_CHECK ps_status ps_lineage_renew(const ps_stored_files *files, const char *version);
/* SHA-256 of a stored file. */
PS_MUST_CHECK ps_status ps_lineage_digest(const ps_stored_files *files, const char *path,
                                          char out[PS_DIGEST_TEXT]);
/* The same of one that is open; it is read from its start to its end. */
PS_MUST_CHECK ps_status ps_lineage_digest_open(const ps_disk *disk, int file,
                                               char out[PS_DIGEST_TEXT]);

#endif
