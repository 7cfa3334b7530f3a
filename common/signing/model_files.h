/* model_files: which files of a model's folder a signature is about, and what is told of them.
 * Inside this folder only. */
#ifndef PS_SIGNING_MODEL_FILES_H
#define PS_SIGNING_MODEL_FILES_H

#include "common/signing/bundle.h"
#include "common/signing/folder.h"
#include "common/signing/model_sign.h"

/* FOLDER/model.sig, or the one that was named. The caller's. */
char *ps_model_signature_path(const char *folder, const char *signature);
/* Of a signature's path, the path of what is beside it for SLSA: model.slsa.sig. The caller's. */
char *ps_model_slsa_path(const char *signature);
/* Where the file is, or will be, below the folder, or NULL: elsewhere. The caller's. */
PS_MUST_CHECK ps_status ps_model_below(const char *folder, const char *file, char **out);
/* The last part of the folder's path; "model" where it has none. The caller's. */
char *ps_model_folder_name(const char *folder);
/* Those names, and those below the folder of the signature and of what is beside it for SLSA, if
 * they are in there: for ps_folder_list. PS_INVALID_ARGUMENT: such a one is a link, or no file. */
PS_MUST_CHECK ps_status ps_model_left_out(const char *folder, const char *signature,
                                          const char *const *names, char ***out);
void ps_model_left_out_free(char ***names);
/* The bundle in that file. PS_CORRUPT: it is none; ps_bundle_free it otherwise. */
PS_MUST_CHECK ps_status ps_model_read_bundle(const char *path, ps_bundle *out);
/* root, files, bytes, shards, provenance. */
void ps_model_signed_count(const ps_folder *folder, const ps_manifest *manifest,
                           ps_model_signed *out);

#endif
