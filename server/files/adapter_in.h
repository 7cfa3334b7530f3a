/* adapter_in: an adapter of PEFT (common/model/peft.h) that was trained elsewhere, and came up as a
 * file: it becomes a stored model, another stored one with the adapter in it. Blocks: off the loop.
 * Any thread. */
#ifndef PS_FILES_ADAPTER_IN_H
#define PS_FILES_ADAPTER_IN_H

#include "server/catalog/models.h"
#include "server/files/stored_file.h"

/* What it is to be. */
typedef struct ps_adapter_in {
    const char *name, *owner;
    const char *base;   /* the model that it is for: the version of now */
    const char *config; /* adapter_config.json; hostile */
    bool replaces;
} ps_adapter_in;

/* The file at place->incoming is adapter_model.safetensors with its numbers in float32, hostile; it
 * is gone afterwards. PS_NOT_FOUND: the base; PS_INVALID_ARGUMENT: what of the adapter does not fit
 * it, or is more than an adapter; PS_FAILED_PRECONDITION: the base is no language model. Else as
 * ps_model_file_adopt. */
PS_MUST_CHECK ps_status ps_adapter_in_adopt(const ps_stored_files *files,
                                            const ps_stored_place *place, const ps_adapter_in *in,
                                            ps_model_record **out);

#endif
