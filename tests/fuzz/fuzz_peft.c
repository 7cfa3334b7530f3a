/* An adapter_config.json out of any bytes, beside a header that fits a small model: refused with a
 * reason, or the adapters of that header, each with a scale that is a number. */
#include "common/base/mem.h"
#include "common/model/peft.h"

#include <math.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MODEL                                                                                 \
    "{architecture: llama, vocab_size: 9, context_length: 8, hidden_size: 8, num_layers: 1, " \
    "num_heads: 2, intermediate_size: 8}"
#define HALF(half, rows, columns, offsets)                                                     \
    "\"base_model.model.model.layers.0.mlp.up_proj.lora_" half                                 \
    ".weight\":{\"dtype\":\"F32\",\"shape\":[" rows "," columns "],\"data_offsets\":[" offsets \
    "]}"
#define HEAD "{" HALF("A", "2", "8", "0,64") "," HALF("B", "8", "2", "64,128") "}"

static ps_safetensors *header(void)
{
    ps_safetensors *file = NULL;
    ps_buf head = PS_BUF_EMPTY;
    ps_buf_put_u64le(&head, sizeof HEAD - 1);
    ps_buf_puts(&head, HEAD);
    if (ps_safetensors_parse(ps_buf_slice(&head), UINT64_MAX, &file) != PS_OK)
        abort();
    ps_buf_free(&head);
    return file;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ps_spec_model *model = NULL;
    ps_peft_pair *pairs = NULL;
    size_t n = 0;
    if (ps_spec_model_parse(ps_slice_str(MODEL), "model", &model) != PS_OK)
        abort();
    ps_safetensors *file = header();
    if (ps_peft_read(model, ps_slice_of(data, size), file, &pairs, &n) == PS_OK &&
        (n != 1 || !isfinite(pairs[0].scale)))
        abort();
    ps_free(&pairs);
    ps_safetensors_free(&file);
    ps_spec_model_free(&model);
    return 0;
}
