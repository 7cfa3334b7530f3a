/* gguf_files: what a model is written into as GGUF: one file, or a folder of several that are one
 * model (gguf_parts.h), FOLDER/NAME-00001-of-00003.gguf and so on by options->name, one after the
 * other. Private to gguf*.c. Not thread-safe (not asserted: it is its writer's alone). */
#ifndef PS_MODEL_GGUF_FILES_H
#define PS_MODEL_GGUF_FILES_H

#include "common/model/model_out.h"

typedef struct ps_gguf_files ps_gguf_files;

/* Ready for the first one's bytes. n: how many there will be, in a folder if options->split;
 * otherwise 1. */
PS_MUST_CHECK ps_status ps_gguf_files_open(const ps_model_out_options *options, size_t n,
                                           ps_gguf_files **out);
PS_MUST_CHECK ps_status ps_gguf_files_write(ps_gguf_files *files, const void *data, size_t len);
PS_MUST_CHECK ps_status ps_gguf_files_next(ps_gguf_files *files); /* this one is whole */
PS_MUST_CHECK ps_status ps_gguf_files_end(ps_gguf_files *files); /* and all are: they can be read */
const char *ps_gguf_files_unnamed(const ps_gguf_files *files);   /* NULL: a stream */
const char *ps_gguf_files_first(const ps_gguf_files *files);     /* there, what stands for all */
/* After end. Frees it in any case. */
PS_MUST_CHECK ps_status ps_gguf_files_finish(ps_gguf_files **files, uint64_t *bytes);
void ps_gguf_files_drop(ps_gguf_files **files);

#endif
