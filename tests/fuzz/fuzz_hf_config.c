/* A config.json out of any bytes: refused, or a model whose own config.json, with what came beside
 * it, is the same model, and whose layout has names that GGUF can hold. */
#include "common/base/mem.h"
#include "common/model/hf_config.h"
#include "common/model/hf_kept.h"
#include "common/model/lm_layout.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_layout(const ps_spec_model *model)
{
    ps_lm_tensor *tensors = NULL;
    size_t n = 0;
    ps_lm_layout(model, &tensors, &n);
    for (size_t i = 0; i < n; i++)
        if (!tensors[i].n_dims || !tensors[i].shape[0] || strlen(tensors[i].gguf) > 63)
            abort();
    ps_free(&tensors);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ps_spec_model *model = NULL, *again = NULL;
    if (ps_hf_config_parse(ps_slice_of(data, size), &model) != PS_OK)
        return 0;
    ps_buf json = PS_BUF_EMPTY, once = PS_BUF_EMPTY, twice = PS_BUF_EMPTY;
    ps_token_ids ids = {0}, ids_again = {0};
    if (ps_token_ids_read(ps_slice_of(data, size), &ids) != PS_OK)
        ids = (ps_token_ids){0};
    ps_buf kept = PS_BUF_EMPTY;
    ps_hf_kept_read(ps_slice_of(data, size), ps_arch_find(model->architecture), &kept);
    ps_hf_config_write(model, "float32", &ids, NULL, kept.len ? ps_buf_cstr(&kept) : NULL, &json);
    ps_buf_free(&kept);
    if (ps_token_ids_read(ps_buf_slice(&json), &ids_again) != PS_OK ||
        memcmp(&ids.of[PS_TOKEN_EOS].n, &ids_again.of[PS_TOKEN_EOS].n, sizeof ids.of[0].n) != 0)
        abort();
    if (ps_hf_config_parse(ps_buf_slice(&json), &again) != PS_OK)
        abort();
    ps_spec_model_format(model, &once);
    ps_spec_model_format(again, &twice);
    if (strcmp(ps_buf_cstr(&once), ps_buf_cstr(&twice)) != 0)
        abort();
    check_layout(model);
    ps_spec_model_free(&model);
    ps_spec_model_free(&again);
    ps_buf_free(&json);
    ps_buf_free(&once);
    ps_buf_free(&twice);
    return 0;
}
