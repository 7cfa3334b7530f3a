/* artifact_file: files that jobs leave behind (predictions, say), kept as stored_file.h says.
 * Blocks: off the loop. Any thread. */
#ifndef PS_FILES_ARTIFACT_FILE_H
#define PS_FILES_ARTIFACT_FILE_H

#include "server/catalog/artifacts.h"
#include "server/files/stored_file.h"
/* Where an artifact of the job is to be. */
ps_stored_place ps_artifact_place(uint64_t job_id);
/* A file that is complete, and on disk, at place->incoming becomes the job's artifact; one of that
 * name is replaced. PS_NOT_FOUND: no such job. On failure the artifact of before is still there,
 * and what is at `incoming` the caller's to remove; it may be gone. */
PS_MUST_CHECK ps_status ps_artifact_file_adopt(const ps_stored_files *files,
                                               const ps_stored_place *place, uint64_t job_id,
                                               const char *name, uint64_t bytes,
                                               ps_artifact_record **out);
/* The same of one that psd itself has made, beside as many as the job may have. */
PS_MUST_CHECK ps_status ps_artifact_file_adopt_own(const ps_stored_files *files,
                                                   const ps_stored_place *place, uint64_t job_id,
                                                   const char *name, uint64_t bytes);
/* What `fill` writes (stored_file.h) becomes such a one. Messages begin with its name. */
PS_MUST_CHECK ps_status
ps_artifact_file_make(const ps_stored_files *files, uint64_t job_id, const char *name,
                      ps_status (*fill)(void *user, ps_safetensors_sink sink), void *user);
/* For reading, from the start; PS_NOT_FOUND: the job has no such artifact. */
PS_MUST_CHECK ps_status ps_artifact_file_open(const ps_stored_files *files, uint64_t job_id,
                                              const char *name, int *file);

#endif
