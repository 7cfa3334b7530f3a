/* folder: the files of a model's folder, and their digests, computed on several threads. Blocks;
 * any thread, not on loops (not asserted: nothing here knows of them). */
#ifndef PS_SIGNING_FOLDER_H
#define PS_SIGNING_FOLDER_H

#include "common/signing/manifest.h"

typedef struct ps_folder_file {
    char *path; /* below the folder */
    uint64_t bytes;
} ps_folder_file;

typedef struct ps_folder {
    char *path;
    ps_folder_file *files; /* by path */
    size_t n_files;
} ps_folder;

/* All files below path but those, and what is in folders, of these names below it: a NULL behind
 * the last. PS_INVALID_ARGUMENT: something in it is neither file nor folder (a link, say), or has a
 * name that no model's file may have (manifest.h), or there are too many. */
PS_MUST_CHECK ps_status ps_folder_list(const char *path, const char *const *without,
                                       ps_folder *out);
void ps_folder_free(ps_folder *folder);
/* NULL: there is no such file. */
const ps_folder_file *ps_folder_find(const ps_folder *folder, const char *path);

/* Sets sha256 of every resource: of the bytes from begin to end, or, where end is 0, to the file's
 * end. PS_CORRUPT: a file ends before. */
PS_MUST_CHECK ps_status ps_folder_digest(const ps_folder *folder, ps_resource *resources, size_t n);

#endif
