/* artifact_file: files that jobs leave behind (predictions, say), kept as stored_file.h says.
 * Blocks: off the loop. Any thread. */
#ifndef PS_FILES_ARTIFACT_FILE_H
#define PS_FILES_ARTIFACT_FILE_H

#include "server/catalog/artifacts.h"
#include "server/files/stored_file.h"

/* A file that is complete, and on disk, at data_dir/incoming becomes the job's artifact; one of
 * that name is replaced. PS_NOT_FOUND: no such job. On failure the artifact of before is still
 * there, and incoming is the caller's to remove; it may be gone. */
PS_MUST_CHECK ps_status ps_artifact_file_adopt(const ps_stored_files *files, const char *incoming,
                                               uint64_t job_id, const char *name, uint64_t bytes,
                                               ps_artifact_record **out);
/* The same of one that psd itself has made, beside as many as the job may have. */
PS_MUST_CHECK ps_status ps_artifact_file_adopt_own(const ps_stored_files *files,
                                                   const char *incoming, uint64_t job_id,
                                                   const char *name, uint64_t bytes);
/* For reading, from the start; PS_NOT_FOUND: the job has no such artifact. */
PS_MUST_CHECK ps_status ps_artifact_file_open(const ps_stored_files *files, uint64_t job_id,
                                              const char *name, int *file);

#endif
