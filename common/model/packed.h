/* packed: how folders of Hugging Face hold matrices of codes, one row each:
 *
 *     compressed-tensors   pack-quantized: weight_packed I32 [out, in·b/32], weight_scale F16
 *                          [out, in/g], weight_shape I64 [2], maybe weight_zero_point I32
 *                          [out·b/32, in/g]; float-quantized: weight F8_E4M3 [out, in],
 *                          weight_scale F32 [out, 1]; int-quantized: weight I8 [out, in],
 *                          weight_scale F16 [out, in/g]; mxfp4-pack-quantized: weight_packed U8
 *                          [out, in/2], weight_scale U8 [out, in/32]
 *     GPTQ                 qweight I32 [in·b/32, out], qzeros I32 [in/g, out·b/32], scales F16
 *                          [in/g, out], g_idx I32 [in]; zeros less 1, but "gptq_v2"
 *     AWQ (gemm)           qweight I32 [in, out/8], qzeros I32 [in/g, out/8], scales F16
 *                          [in/g, out]
 *
 * b bits a code, lowest first, g columns a group. In psd such a matrix is in an integer form
 * (common/form), [out, in], whose codes and scales are the same numbers: nothing is rounded here.
 * A row is a file, and a word in what its method reads (hf_quantization.c). Pure; any thread.
 * Private to common/model.
 */
#ifndef PS_MODEL_PACKED_H
#define PS_MODEL_PACKED_H

#include "common/form/form.h"
#include "common/format/safetensors.h"
#include "common/json/json.h"

enum { PS_PACKED_PARTS = 4 };

/* A matrix as psd stores it. */
typedef struct ps_packed_matrix {
    ps_form form;
    uint64_t rows, columns;
} ps_packed_matrix;

/* A tensor that stands for it, or for a part of it. */
typedef struct ps_packed_part {
    const char *suffix; /* behind the module's name: "qweight" */
    ps_safetensors_dtype dtype;
    uint32_t n_dims;
    uint64_t shape[2];
} ps_packed_part;

typedef struct ps_packed_row ps_packed_row;

/* The matrices of a model that are in one form, for what a folder says of them. */
typedef struct ps_packed_sort {
    const ps_packed_row *row;
    ps_form form;
    const char *const *modules; /* their modules' names, to a NULL */
} ps_packed_sort;

struct ps_packed_row {
    const char *name;          /* of the format */
    const char *forms;         /* that it holds, for messages */
    const char *format, *type; /* words of compressed-tensors; NULL: of another method */
    bool one_form;             /* all matrices of a model must be in the same */
    bool skips;                /* some of a block may stay numbers */
    bool (*takes)(const ps_packed_matrix *m);
    /* Of a matrix that it takes; returns how many. */
    size_t (*parts)(const ps_packed_matrix *m, ps_packed_part out[PS_PACKED_PARTS]);
    /* blocks: all of it. parts: of the sizes above. */
    void (*pack)(const ps_packed_matrix *m, const uint8_t *blocks, uint8_t *const parts[]);
    /* The form that tensors of these shapes are of, in the order of parts; row NULL: none. */
    ps_form (*form_of)(const ps_packed_part *parts, uint64_t columns, bool symmetric, bool by_rows);
    /* The way back; scales of one type. plain_zeros: of GPTQ, not less 1. PS_INVALID_ARGUMENT:
     * zeros, or an order of groups, that the form has not. */
    PS_MUST_CHECK ps_status (*unpack)(const ps_packed_matrix *m, bool plain_zeros,
                                      const uint8_t *const parts[], uint8_t *blocks);
    /* All numbers [rows, columns], of parts with F32 scales; for an order of groups that no form
     * has. NULL: there is none. PS_INVALID_ARGUMENT: a group that is not there. */
    PS_MUST_CHECK ps_status (*decode)(const ps_packed_matrix *m, bool plain_zeros,
                                      const uint8_t *const parts[], float *out);
    size_t n_parts, scales;      /* how many there are, and which are the scales: any floats;
                                    n_parts: those are as the layout has them */
    ps_safetensors_dtype weight; /* of the part "weight", of layouts that have one */
    bool float_scales;           /* F32 in `parts` of unpack, else F16 */
    const ps_packed_row *next;   /* the layout for other forms under the same name; NULL */
    const char *const *suffixes;
    const char *beside; /* a file that has quantization_config once more; NULL: none */
    /* The members of quantization_config; sorts: at least one, of a row with one_form that one.
     * others: names of modules that a loader would take for packed, and that are not, to a NULL.
     * activations: what goes into products is to be rounded to this, a token at a time; NULL: it is
     * not. */
    void (*config)(ps_json_writer *w, const ps_packed_sort *sorts, size_t n,
                   const char *const *others, const char *activations);
};

extern const ps_packed_row ps_packed_ct, ps_packed_ct_zeros, ps_packed_fp8, ps_packed_int8,
    ps_packed_mxfp4, ps_packed_gptq, ps_packed_awq;

/* config of all rows of compressed-tensors. */
void ps_packed_ct_config(ps_json_writer *w, const ps_packed_sort *sorts, size_t n,
                         const char *const *others, const char *activations);

uint64_t ps_packed_bytes(const ps_packed_part *part);

/* ---- what the rows have in common ---- */

/* Columns of a group; groups of a row. */
uint64_t ps_packed_group(const ps_packed_matrix *m);
uint64_t ps_packed_groups(const ps_packed_matrix *m);
/* An integer form whose rows, and columns, of codes are whole 32-bit words. */
bool ps_packed_is_words(const ps_packed_matrix *m);
const uint8_t *ps_packed_block(const ps_packed_matrix *m, const uint8_t *blocks, uint64_t row,
                               uint64_t group);
/* Of a block: the scale's bits, the zero (of a symmetric form half of the codes), code i from 0. */
uint16_t ps_packed_scale(const uint8_t *block);
uint32_t ps_packed_zero(const ps_packed_matrix *m, const uint8_t *block);
uint32_t ps_packed_code(const ps_packed_matrix *m, const uint8_t *block, uint64_t i);
/* Are all zeros whole numbers? Where one is not, no layout here can say it. */
bool ps_packed_zeros_are_whole(const ps_packed_matrix *m, const uint8_t *blocks);
/* Whole zeros: is each one of the codes? A block's may lie beyond; the layouts give it a code's
 * bits. */
bool ps_packed_zeros_are_codes(const ps_packed_matrix *m, const uint8_t *blocks);
/* A row's codes one behind the other, columns · bits / 8 bytes. */
void ps_packed_codes(const ps_packed_matrix *m, const uint8_t *blocks, uint64_t row, uint8_t *out);
uint32_t ps_packed_get(const uint8_t *stream, uint32_t bits, uint64_t i);
/* A form of so many bits and groups a row, 0: of whole rows; row NULL: there is none. */
ps_form ps_packed_form(uint64_t bits, bool symmetric, uint64_t columns, uint64_t groups);
/* A block's head and, from zeros on, its codes. */
PS_MUST_CHECK ps_status ps_packed_put_head(const ps_packed_matrix *m, uint8_t *block,
                                           const uint8_t *scale, uint32_t zero);
void ps_packed_put_code(const ps_packed_matrix *m, uint8_t *block, uint64_t i, uint32_t code);
/* Code i of a stream that began as zeros. */
void ps_packed_put(uint8_t *stream, uint32_t bits, uint64_t i, uint32_t code);
/* Every scale, [groups, rows]. */
void ps_packed_put_scales(const ps_packed_matrix *m, const uint8_t *blocks, uint8_t *out);

#endif
