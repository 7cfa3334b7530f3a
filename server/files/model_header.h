/* model_header: a model's file up to where its numbers begin: the header, and how each tensor is
 * stored. Private to this folder. Blocks: off the loop. Any thread. */
#ifndef PS_FILES_MODEL_HEADER_H
#define PS_FILES_MODEL_HEADER_H

#include "common/base/disk.h"
#include "common/model/model_forms.h"

typedef struct ps_model_header {
    ps_safetensors *file;
    ps_model_form *tensors; /* [file->n_tensors], in the order of the file */
} ps_model_header;

/* file: open at its start, and behind the header afterwards. PS_CORRUPT: what is wrong with it. */
PS_MUST_CHECK ps_status ps_model_header_read(const ps_disk *disk, int file, ps_model_header *out);
void ps_model_header_free(ps_model_header *header); /* of zeros is nothing */

#endif
