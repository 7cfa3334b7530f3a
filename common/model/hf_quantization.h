/* hf_quantization: quantization_config of a Hugging Face config.json, or quantize_config.json
 * beside it: how a folder's matrices of codes are laid out. A closed set of keys and words: what
 * changes the numbers' meaning and is not computed here (codes in another order, other formats,
 * other methods) is refused by its name. Which matrices are of codes, and of how many bits, their
 * tensors say. Pure; any thread. Private to hf_*.c and tests. */
#ifndef PS_MODEL_HF_QUANTIZATION_H
#define PS_MODEL_HF_QUANTIZATION_H

#include "common/model/packed.h"

enum { PS_HF_ROWS = 5, PS_HF_WORD = 32 };

/* Keys by which two files can contradict each other. */
typedef enum ps_hf_said {
    PS_HF_METHOD,
    PS_HF_BITS,
    PS_HF_GROUP,
    PS_HF_SYMMETRIC,
    PS_HF_CHECKPOINT,
    PS_HF_SAID
} ps_hf_said;

typedef struct ps_hf_quantization {
    const ps_packed_row *rows[PS_HF_ROWS + 1]; /* that matrices may be in, to a NULL; none: there is
                                                  no quantization_config */
    bool symmetric;   /* every zero is half of the codes, where there are no zeros to say so */
    bool by_rows;     /* a scale for each row, not for groups in it; */
    bool mixed;       /* both: then one scale a row is one for the row */
    bool plain_zeros; /* GPTQ: zeros are what they are, not less 1 */
    const char *activations; /* "int8", "fp8": what goes into products is rounded to that, a token
                                at a time, which psd does not do; NULL: it is not */
    char said[PS_HF_SAID][PS_HF_WORD]; /* as words; "": nothing */
} ps_hf_quantization;

/* Files beside config.json that say how a folder is quantised, as older tools and others write
 * them; to one without a name. */
typedef struct ps_hf_beside {
    const char *file;
    const char *method; /* when it does not say so; NULL: psd does not read its layout, */
    const char *tool;   /* this one's */
} ps_hf_beside;
extern const ps_hf_beside ps_hf_besides[];

/* json: of the whole config.json; hostile. PS_INVALID_ARGUMENT names the key. */
PS_MUST_CHECK ps_status ps_hf_quantization_parse(ps_slice json, ps_hf_quantization *out);
/* Of a file that is nothing but the keys, as quantize_config.json: method is what it is of when it
 * does not say so. */
PS_MUST_CHECK ps_status ps_hf_quantization_parse_file(ps_slice json, const char *method,
                                                      ps_hf_quantization *out);
/* Do both say the same, where both say something? PS_INVALID_ARGUMENT: by which key they do not.
 * Where a does not say how zeros stand, and b does, a takes that: tools write it into one or both
 * files. */
PS_MUST_CHECK ps_status ps_hf_quantization_join(ps_hf_quantization *a, const ps_hf_quantization *b);

#endif
