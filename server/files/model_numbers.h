/* model_numbers: what psd asks of the numbers of a model before it keeps it, whoever sent it.
 * Private to this folder. Blocks: off the loop. Any thread. */
#ifndef PS_FILES_MODEL_NUMBERS_H
#define PS_FILES_MODEL_NUMBERS_H

#include "common/base/disk.h"
#include "common/format/safetensors.h"

/* file: open behind the header; all tensors are F32. PS_INVALID_ARGUMENT with tensor and element:
 * a number is not finite. */
PS_MUST_CHECK ps_status ps_model_numbers_check(const ps_disk *disk, int file,
                                               const ps_safetensors *header);

#endif
