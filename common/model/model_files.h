/* model_files: how a model's files are come by: as the system has them, or through a row of a disk,
 * one that opens encrypted ones say (common/age/age_disk.h). disk: NULL is the system's. Any thread
 * that the row is for. */
#ifndef PS_MODEL_MODEL_FILES_H
#define PS_MODEL_MODEL_FILES_H

#include "common/base/disk.h"

bool ps_model_file_there(const ps_disk *disk, const char *path);
/* Is it a folder? PS_NOT_FOUND. */
PS_MUST_CHECK ps_status ps_model_file_kind(const ps_disk *disk, const char *path, bool *folder);
/* As ps_regular_open and ps_regular_read; *file is ended by _close. */
PS_MUST_CHECK ps_status ps_model_input_open(const ps_disk *disk, const char *path, int *file,
                                            uint64_t *size);
PS_MUST_CHECK ps_status ps_model_file_read(const ps_disk *disk, int file, const char *path,
                                           uint64_t at, void *out, size_t len);
void ps_model_file_close(const ps_disk *disk, int file);

#endif
