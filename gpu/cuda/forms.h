/* forms: the tables of forms that kernels read, each to a row without a name: form.cu,
 * form_NAME.cu. A new form is a struct and a row in one of them. */
#ifndef PS_CUDA_FORMS_H
#define PS_CUDA_FORMS_H

typedef struct ps_cuda_form ps_cuda_form;

extern const ps_cuda_form ps_cuda_forms_plain[];
extern const ps_cuda_form ps_cuda_forms_integer[];
extern const ps_cuda_form ps_cuda_forms_blocks[];
extern const ps_cuda_form ps_cuda_forms_k[];

#endif
