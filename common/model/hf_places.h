/* hf_places: which tensor of a Hugging Face folder is which of the model's layout. Private to
 * hf_read.c. */
#ifndef PS_MODEL_HF_PLACES_H
#define PS_MODEL_HF_PLACES_H

#include "common/model/hf_shards.h"
#include "common/model/model_in.h"

/* Where a tensor of the layout is. */
typedef struct ps_hf_place {
    const ps_safetensors_tensor *tensor;
    size_t shard;
} ps_hf_place;

/* about has its model, and gets the tensors of its layout; *out, in the layout's order, is the
 * caller's (ps_free). A head that differs from the embedding it is said to be unties a model that
 * may have one. PS_INVALID_ARGUMENT: the tensor and its file. */
PS_MUST_CHECK ps_status ps_hf_places(ps_hf_shards *shards, ps_model_in_about *about,
                                     ps_hf_place **out);

#endif
