/* hf_part: the object of a config.json that describes the model of a known architecture. It is the
 * whole, or, of a model that sees images as well, its text_config: psd reads the part of such a
 * model that reads texts. Private to hf_*.c. Any thread. */
#ifndef PS_MODEL_HF_PART_H
#define PS_MODEL_HF_PART_H

#include "common/arch/arch.h"
#include "common/base/slice.h"
#include "common/base/status.h"

#include <stdbool.h>

typedef struct ps_hf_part {
    ps_slice json; /* of the bytes given */
    const ps_arch *arch;
    bool inner; /* it is text_config */
} ps_hf_part;

/* json is hostile; no more of it is looked at than model_type and where text_config is.
 * PS_INVALID_ARGUMENT, PS_CORRUPT: no object, a type that is none of ps_archs, or text_config has
 * another than its own. */
PS_MUST_CHECK ps_status ps_hf_part_find(ps_slice json, ps_hf_part *out);

#endif
