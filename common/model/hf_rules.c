/* Happy path: a key is found, and its word is in its list. What is in no table may change what the
 * numbers mean. */
#include "common/model/hf_rules.h"

#define PASSED_OVER(name) \
    {                     \
        .key = (name)     \
    }

static const ps_hf_rule ct_weights[] = {
    {"num_bits", " 4 8 ", PS_HF_W_BITS},
    {"type", " int float ", PS_HF_W_TYPE},
    {"symmetric", " true false ", PS_HF_W_SYMMETRIC},
    {"strategy", " group channel ", PS_HF_W_STRATEGY},
    {"group_size", .field = PS_HF_W_SIZE}, /* as its scales are many */
    {"dynamic", " false "},
    {"actorder", " null static weight "},
    {"block_structure", " null "},
    {"scale_dtype", " null torch.uint8 "}, /* of mxfp4, which has no other */
    {"zp_dtype", " null torch.int8 "},
    PASSED_OVER("observer"),
    PASSED_OVER("observer_kwargs"),
    {NULL},
};

/* For a token at a time nothing is stored. */
static const ps_hf_rule ct_activations[] = {
    {"num_bits", " 8 "},
    {"type", " int float ", PS_HF_A_TYPE},
    {"symmetric", " true "},
    {"strategy", " token "},
    {"group_size", " null "},
    {"dynamic", " true "},
    {"actorder", " null "},
    {"block_structure", " null "},
    {"scale_dtype", " null "},
    {"zp_dtype", " null torch.int8 "},
    PASSED_OVER("observer"),
    PASSED_OVER("observer_kwargs"),
    {NULL},
};

#define FORMATS \
    " pack-quantized int-quantized float-quantized naive-quantized mxfp4-pack-quantized "

static const ps_hf_rule ct_group[] = {
    {"weights", .inside = ct_weights},
    {"input_activations", .inside = ct_activations, .optional = true, .field = PS_HF_A_TYPE},
    {"output_activations", " null "},
    {"format", " null" FORMATS, PS_HF_W_FORMAT},
    PASSED_OVER("targets"), /* tensors say what they are */
    {NULL},
};

static const ps_hf_rule ct_sparsity[] = {
    {"format", " dense "}, /* zeros stand among the others */
    PASSED_OVER("global_sparsity"),
    PASSED_OVER("ignore"),
    PASSED_OVER("registry_requires_subclass"),
    PASSED_OVER("sparsity_structure"),
    PASSED_OVER("targets"),
    {NULL},
};

static const ps_hf_rule ct_keys[] = {
    {"quant_method", " compressed-tensors "},
    {"format", FORMATS "mixed-precision ", PS_HF_KEY_FORMAT},
    {"config_groups", .each = ct_group},
    {"kv_cache_scheme", " null "},
    {"quantization_status", " compressed "},
    {"sparsity_config", .inside = ct_sparsity, .optional = true},
    {"transform_config", .empty = true},
    PASSED_OVER("ignore"),
    PASSED_OVER("global_compression_ratio"),
    PASSED_OVER("version"),
    PASSED_OVER("provider"),
    {NULL},
};

static const ps_hf_rule gptq_keys[] = {
    {"quant_method", " gptq "},
    {"bits", " 2 3 4 8 ", PS_HF_KEY_BITS},
    {"group_size", " -1 32 64 128 256 ", PS_HF_KEY_GROUP},
    {"sym", " true false ", PS_HF_KEY_SYMMETRIC},
    {"desc_act", " true false "}, /* g_idx says whether it did anything */
    {"checkpoint_format", " gptq gptq_v2 ", PS_HF_KEY_CHECKPOINT},
    {"lm_head", " false "},
    {"is_marlin_format", " false "},
    {"act_group_aware", " true false "}, /* how groups were found */
    {"format", " gptq gptq_v2 ", PS_HF_KEY_CHECKPOINT},
    {"method", " gptq "},
    {"pack_dtype", " int32 "},
    {"dynamic", .empty = true},
    PASSED_OVER("true_sequential"),
    PASSED_OVER("static_groups"),
    PASSED_OVER("damp_percent"),
    PASSED_OVER("damp_auto_increment"),
    PASSED_OVER("model_name_or_path"),
    PASSED_OVER("model_file_base_name"),
    PASSED_OVER("model_seqlen"),
    PASSED_OVER("block_name_to_quantize"),
    PASSED_OVER("modules_in_block_to_quantize"),
    PASSED_OVER("dataset"),
    PASSED_OVER("tokenizer"),
    PASSED_OVER("use_exllama"),
    PASSED_OVER("exllama_config"),
    PASSED_OVER("cache_block_outputs"),
    PASSED_OVER("batch_size"),
    PASSED_OVER("pad_token_id"),
    PASSED_OVER("max_input_length"),
    PASSED_OVER("meta"),
    PASSED_OVER("modules_to_not_convert"),
    PASSED_OVER("backend"),
    {NULL},
};

static const ps_hf_rule awq_keys[] = {
    {"quant_method", " awq "},
    {"bits", " 4 ", PS_HF_KEY_BITS},
    {"w_bit", " 4 ", PS_HF_KEY_BITS}, /* as AutoAWQ has it in a file of its own */
    {"group_size", " 32 64 128 256 ", PS_HF_KEY_GROUP},
    {"q_group_size", " 32 64 128 256 ", PS_HF_KEY_GROUP},
    {"zero_point", " true false ", PS_HF_ZERO_POINT},
    {"version", " gemm GEMM "},
    PASSED_OVER("modules_to_not_convert"),
    PASSED_OVER("backend"),
    PASSED_OVER("do_fuse"),
    PASSED_OVER("fuse_max_seq_len"),
    PASSED_OVER("modules_to_fuse"),
    PASSED_OVER("exllama_config"),
    {NULL},
};

const ps_hf_method ps_hf_methods[] = {{"compressed-tensors", NULL, ct_keys},
                                      {"gptq", &ps_packed_gptq, gptq_keys},
                                      {"awq", &ps_packed_awq, awq_keys},
                                      {NULL}};
