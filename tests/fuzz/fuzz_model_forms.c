/* The metadata psd.forms out of any bytes: tensors that are taken are as many bytes as their forms
 * say, and what is read is written and read again as the same. The file around it is well-formed
 * and has a tensor each that the seeds' forms fit. */
#include "common/base/mem.h"
#include "common/model/model_forms.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static ps_safetensors_tensor stored[] = {
    {.name = "a", .dtype = PS_SAFETENSORS_U8, .n_dims = 2, .shape = {2, 68}},
    {.name = "b", .dtype = PS_SAFETENSORS_F32, .n_dims = 1, .shape = {3}},
    {.name = "c", .dtype = PS_SAFETENSORS_U8, .n_dims = 2, .shape = {2, 66}},
};
enum { TENSORS = sizeof stored / sizeof *stored };

static ps_status parse(const char *text, ps_model_form **out)
{
    ps_safetensors_pair pair = {PS_MODEL_META_FORMS, text};
    return ps_model_forms_parse(
        &(ps_safetensors){
            .tensors = stored, .n_tensors = TENSORS, .metadata = &pair, .n_metadata = *text != 0},
        out);
}

static void check(const ps_model_form *tensors)
{
    for (size_t i = 0; i < TENSORS; i++) {
        ps_safetensors_tensor again = ps_model_form_stored(&tensors[i]);
        require(again.dtype == stored[i].dtype);
        require(!memcmp(again.shape, stored[i].shape, sizeof again.shape));
        require(ps_model_form_bytes(&tensors[i]) ==
                (again.dtype == PS_SAFETENSORS_U8 ? again.shape[0] * again.shape[1] : 12));
    }
    ps_buf text = PS_BUF_EMPTY;
    ps_model_form *same = NULL;
    ps_model_forms_format(tensors, TENSORS, &text);
    require(parse(ps_buf_cstr(&text), &same) == PS_OK);
    for (size_t i = 0; i < TENSORS; i++)
        require(ps_form_same(same[i].form, tensors[i].form) &&
                same[i].transposed == tensors[i].transposed &&
                ps_model_form_numbers(&same[i]) == ps_model_form_numbers(&tensors[i]));
    ps_free(&same);
    ps_buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = ps_alloc(size + 1);
    memcpy(text, data, size);
    ps_model_form *tensors = NULL;
    if (parse(text, &tensors) == PS_OK)
        check(tensors);
    ps_free(&tensors);
    ps_free(&text);
    return 0;
}
