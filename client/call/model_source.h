/* model_source: a file or folder that somebody names on the command line for a model: "-" is
 * standard input, and what is encrypted by age is opened with the identities of a file. One thread
 * (not asserted: psctl has no other). */
#ifndef PS_CALL_MODEL_SOURCE_H
#define PS_CALL_MODEL_SOURCE_H

#include "common/age/age_disk.h"
#include "common/base/disk.h"
#include "common/base/status.h"

typedef struct ps_model_source {
    char *path;          /* to be opened by */
    const ps_disk *disk; /* on this one (model/model_files.h); NULL: files are as they are */
    /* private */
    ps_age_identities *identities;
    ps_age_disk *age;
} ps_model_source;

/* identity: NULL for none. Always followed by clear. */
PS_MUST_CHECK ps_status ps_model_source_open(const char *path, const char *identity,
                                             ps_model_source *out);
/* The folder, the caller's, whose config.json says which model this file of safetensors, which does
 * not, is the weights of. NULL: it is no such file, or there is none. */
char *ps_model_source_folder(const ps_model_source *source);
void ps_model_source_clear(ps_model_source *source);

#endif
