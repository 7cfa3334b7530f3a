/* not_a_model: what a file is that was given for a model and is none, told by its first bytes, and
 * what to give instead. Any thread. */
#ifndef PS_MODEL_NOT_A_MODEL_H
#define PS_MODEL_NOT_A_MODEL_H

#include "common/base/foreign.h"

/* first: PS_FOREIGN_BYTES of the file's start, or as many as it has. PS_INVALID_ARGUMENT that
 * begins with path; PS_OK: it is nothing that is known here. */
PS_MUST_CHECK ps_status ps_not_a_model(const char *path, ps_slice first);

/* Of checkpoints of PyTorch, wherever they are met. */
#define PS_PICKLE                                                                          \
    "a checkpoint of PyTorch, a pickle that may run any code when it is read; save it as " \
    "safetensors there: model.save_pretrained(FOLDER), or safetensors.torch.save_file"

#endif
