/* out_folder: the folder that a model goes out as. It is made under a temporary name beside its own
 * and is there whole or not at all. With force, in a folder that is there already each file
 * replaces the one of its name at the end: all of them, or after a failure none. A crash in that
 * moment leaves old files or new ones, never both, and may leave some of neither; what is missing
 * is in psd.XXXXXX in the folder then, old ones as old.NAME. Not thread-safe (not asserted: it is
 * its writer's alone). */
#ifndef PS_MODEL_OUT_FOLDER_H
#define PS_MODEL_OUT_FOLDER_H

#include "common/base/disk.h"
#include "common/model/model_out.h"

typedef struct ps_out_folder ps_out_folder;

/* Of options: path, disk, ending and force. PS_ALREADY_EXISTS: it is there, and no force. */
PS_MUST_CHECK ps_status ps_out_folder_open(const ps_model_out_options *options,
                                           ps_out_folder **out);
/* Where the file of that name, to which the ending comes, is written; it is one of the folder's
 * from here on. "1_Pooling/config.json" is in a folder of it, which is made. The caller's
 * (ps_free).
 */
char *ps_out_folder_file(ps_out_folder *folder, const char *name);
/* What is there under such a name, and is none of its files, goes when they come, as those do that
 * are replaced: `name` itself, and each STEM-00001-of-00003 with `end` behind it. Readers would
 * take it for a part of what came. */
void ps_out_folder_takes_away(ps_out_folder *folder, const char *name);
void ps_out_folder_takes_parts_away(ps_out_folder *folder, const char *stem, const char *end);
const char *ps_out_folder_unnamed(const ps_out_folder *folder);
/* Was there a file of that name, with the ending or without? */
bool ps_out_folder_had(const ps_out_folder *folder, const char *name, const char *ending);
const char *ps_out_folder_path(const ps_out_folder *folder); /* what it will be called */
/* It has its name. Frees it in any case. PS_INVALID_ARGUMENT: a folder has the name of a file. */
PS_MUST_CHECK ps_status ps_out_folder_finish(ps_out_folder **folder);
void ps_out_folder_drop(ps_out_folder **folder); /* nothing is left of it; NULL is allowed */

/* Which of several files each of n tensors of so many bytes goes into, in their order, so that none
 * has more than `most` unless one tensor has; part is [n]. Returns how many files. */
size_t ps_out_parts(const uint64_t *bytes, size_t n, uint64_t most, size_t *part);

#endif
