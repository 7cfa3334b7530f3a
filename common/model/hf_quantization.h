/* hf_quantization: quantization_config of a Hugging Face config.json: how its matrices of codes are
 * laid out. A closed set of keys and words: what changes the numbers' meaning and is not computed
 * here (activations in few bits, codes in another order, other formats) is refused by its name.
 * Pure; any thread. Private to hf_*.c and tests. */
#ifndef PS_MODEL_HF_QUANTIZATION_H
#define PS_MODEL_HF_QUANTIZATION_H

#include "common/model/packed.h"

typedef struct ps_hf_quantization {
    const ps_packed_row *row; /* NULL: there is none */
    bool symmetric;           /* every zero is half of the codes */
    bool by_rows;             /* a scale for each row, not for groups in it */
    bool floats;              /* codes are floats */
    bool plain_zeros;         /* GPTQ: zeros are what they are, not less 1 */
} ps_hf_quantization;

/* json: of the whole config.json; hostile. PS_INVALID_ARGUMENT names the key. */
PS_MUST_CHECK ps_status ps_hf_quantization_parse(ps_slice json, ps_hf_quantization *out);

#endif
