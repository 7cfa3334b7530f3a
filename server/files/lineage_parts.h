/* lineage_parts: the parts of a model's record, each written at its place, and what is read of a
 * record that is there. Inside this folder only. */
#ifndef PS_FILES_LINEAGE_PARTS_H
#define PS_FILES_LINEAGE_PARTS_H

#include "common/json/json.h"
#include "common/security/digest.h"
#include "common/signing/model_sign.h"
#include "server/catalog/jobs.h"
#include "server/catalog/models.h"
#include "server/files/stored_file.h"
#include "server/params/param_store.h"

#define PS_LINEAGE_FORMAT PS_PROVENANCE_FORMAT "1"

/* ---- writing: key and value, into the object at hand ---- */

void ps_lineage_put_host(const ps_stored_host *host, ps_json_writer *w);
/* Which job, of whom, with which file; job NULL: none, an import. */
void ps_lineage_put_job(const ps_job_record *job, const ps_model_record *model, ps_json_writer *w);
void ps_lineage_put_data(const ps_stored_host *host, const ps_job_record *job, ps_json_writer *w);
/* Who pushed to the store, which may be NULL, and to that of the stage before, whose record is
 * `earlier` ("": there was none). */
void ps_lineage_put_contributors(const ps_stored_host *host, ps_param_store *store,
                                 const char *earlier, ps_json_writer *w);
void ps_lineage_put_audit(const ps_stored_host *host, ps_json_writer *w);

/* ---- reading a record of ours; of "", or of anything else, nothing is found ---- */

void ps_lineage_sha256(const char *lineage,
                       char out[PS_DIGEST_TEXT]); /* its model's; "": not there */
uint64_t ps_lineage_job(const char *lineage);     /* 0: none */
/* The values of that list, at most `most`, into the array at hand; how many. */
size_t ps_lineage_copy_list(const char *lineage, const char *key, size_t most, ps_json_writer *w);
/* All members but those that ps_lineage_put_data and _audit write, into the object at hand.
 * PS_CORRUPT. */
PS_MUST_CHECK ps_status ps_lineage_copy_others(const char *lineage, ps_json_writer *w);

#endif
