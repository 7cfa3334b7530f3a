/* hf_places: which tensor of a Hugging Face folder is which of the model's layout. Private to
 * hf_read.c. */
#ifndef PS_MODEL_HF_PLACES_H
#define PS_MODEL_HF_PLACES_H

#include "common/model/hf_quantization.h"
#include "common/model/hf_shards.h"
#include "common/model/model_in.h"

/* Where a tensor of the layout is: one of its shape, or the parts of one that is packed. */
typedef struct ps_hf_place {
    const ps_safetensors_tensor *tensor; /* of a packed one the first part that was found */
    size_t shard;
    struct {
        const ps_safetensors_tensor *tensor;
        size_t shard;
    } parts[PS_PACKED_PARTS]; /* in the order of row, once that is found */
    size_t n_parts;
    const ps_packed_row *row; /* the layout of it */
    ps_packed_matrix packed;  /* columns 0: it is not */
} ps_hf_place;

/* about has its model, and gets the tensors of its layout, and their forms where some are packed;
 * *out, in the layout's order, is the caller's (ps_free). A head that differs from the embedding it
 * is said to be unties a model that may have one. PS_INVALID_ARGUMENT: the tensor and its file. */
PS_MUST_CHECK ps_status ps_hf_places(ps_hf_shards *shards, const ps_hf_quantization *quantization,
                                     ps_model_in_about *about, ps_hf_place **out);

#endif
