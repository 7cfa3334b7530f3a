/* model_forms: how psd's model file stores its tensors. One that is in a form (common/form) has
 * dtype U8 and shape [rows, bytes of a row] there, and stands with its own shape in the metadata
 * "psd.forms", a JSON object:
 *
 *     {"h.0.attn.c_attn.weight":{"form":"q4_0","shape":[768,2304],"transposed":true},
 *      "wte.weight":{"form":"int8/128","shape":[50257,768]}}
 *
 * Rows run along the input of a product; so what psd has as [in, out] is stored transposed, as
 * [out, in]. One of {"form":"factors/64"} is F32 of [rows + columns, 64] (common/form/factors.h).
 * Tensors that are not in it are F32 and row-major. Only matrices are in forms. The file
 * is hostile; here its header is judged, and its blocks where they are decoded (form_stream.h).
 * Pure; any thread. */
#ifndef PS_MODEL_MODEL_FORMS_H
#define PS_MODEL_MODEL_FORMS_H

#include "common/base/buf.h"
#include "common/form/form.h"
#include "common/format/safetensors.h"

#define PS_MODEL_META_FORMS "psd.forms"

/* A tensor of the model and how it is stored. */
typedef struct ps_model_form {
    const char *name;                        /* borrowed */
    ps_form form;                            /* row NULL: float32; may have a rank */
    bool transposed;                         /* stored so; in a form only */
    uint32_t n_dims;                         /* in a form: 2 */
    uint64_t shape[PS_SAFETENSORS_MAX_DIMS]; /* of the model's tensor, in psd's order */
} ps_model_form;

/* As it is stored, of one in a form. */
static inline uint64_t ps_model_form_rows(const ps_model_form *t)
{
    return t->shape[t->transposed ? 1 : 0];
}
static inline uint64_t ps_model_form_columns(const ps_model_form *t)
{
    return t->shape[t->transposed ? 0 : 1];
}
uint64_t ps_model_form_numbers(const ps_model_form *t);
uint64_t ps_model_form_bytes(const ps_model_form *t); /* in the file */

/* Every tensor of the file: *out is [file->n_tensors], in the file's order, borrows its names and
 * is the caller's (ps_free). PS_CORRUPT names the tensor: it is neither F32 nor in a form, the form
 * is not known, or does not fit its shape and bytes. */
PS_MUST_CHECK ps_status ps_model_forms_parse(const ps_safetensors *file, ps_model_form **out);

/* The other way: the metadata's value, of those that are in a form; nothing is appended when none
 * is. And a tensor of the file, which borrows the name. */
void ps_model_forms_format(const ps_model_form *tensors, size_t n, ps_buf *out);
ps_safetensors_tensor ps_model_form_stored(const ps_model_form *t);

/* The tensor as its bytes are in the file, none of them turned or multiplied: of factors, those. */
ps_model_form ps_model_form_as_stored(const ps_model_form *t);

/* May all be written as numbers? A few bytes of factors are a matrix of any size: PS_OUT_OF_RANGE
 * beyond PS_MODEL_FORMS_GROWTH times the bytes that they have now (of blocks it is 16 at most). */
#define PS_MODEL_FORMS_GROWTH 256
PS_MUST_CHECK ps_status ps_model_forms_check_growth(const ps_model_form *tensors, size_t n);

/* NULL: there is none. */
const ps_model_form *ps_model_form_find(const ps_model_form *tensors, size_t n, const char *name);

/* What forms there are, the one of most numbers first: "q4_0, int8/128, float32". */
void ps_model_forms_list(const ps_model_form *tensors, size_t n, ps_buf *out);

#endif
