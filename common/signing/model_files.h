/* model_files: which files of a model's folder a signature is about, and what is told of them.
 * Inside this folder only. */
#ifndef PS_SIGNING_MODEL_FILES_H
#define PS_SIGNING_MODEL_FILES_H

#include "common/signing/folder.h"
#include "common/signing/model_sign.h"

/* FOLDER/model.sig, or the one that was named. The caller's. */
char *ps_model_signature_path(const char *folder, const char *signature);
/* The last part of the folder's path; "model" where it has none. The caller's. */
char *ps_model_folder_name(const char *folder);
/* Those names, and the signature's own below the folder, if it is in there: for ps_folder_list. */
PS_MUST_CHECK ps_status ps_model_left_out(const char *folder, const char *signature,
                                          const char *const *names, char ***out);
void ps_model_left_out_free(char ***names);
/* root, files, bytes, shards, provenance. */
void ps_model_signed_count(const ps_folder *folder, const ps_manifest *manifest,
                           ps_model_signed *out);

#endif
