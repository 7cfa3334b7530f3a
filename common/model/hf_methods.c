/* Happy path: there is none; the word is looked up, so that the line says what the numbers are
 * instead of those that psd reads. The words are those of transformers 5.24, of vLLM and of their
 * makers. */
#include "common/model/hf_methods.h"

#include <string.h>

static const struct {
    const char *word, *what;
} methods[] = {
    {"bitsandbytes", "NF4, FP4 or LLM.int8 of bitsandbytes"},
    {"fp8", "FP8 with a scale a tensor or a square of weight_block_size, and activations in FP8"},
    {"fbgemm_fp8", "FP8 rows, and activations in FP8"},
    {"mxfp4", "MXFP4 experts, as gpt-oss has them"},
    {"nvfp4", "NVFP4"},
    {"mxfp8", "MXFP8"},
    {"eetq", "int8 in the order of EETQ's kernels"},
    {"hqq", "HQQ, whose zeros are fractions"},
    {"quanto", "quanto's tensors"},
    {"torchao", "torchao's tensors"},
    {"auto-round", "AutoRound's own layout; let it write auto_gptq or auto_awq"},
    {"intel/auto-round", "AutoRound's own layout; let it write auto_gptq or auto_awq"},
    {"vptq", "codebooks of VPTQ"},
    {"aqlm", "codebooks of AQLM"},
    {"higgs", "grids of HIGGS"},
    {"spqr", "SpQR, with outliers apart"},
    {"quip", "QuIP#, turned by Hadamard matrices"},
    {"bitnet", "BitNet's three values, and activations in int8"},
    {"quark", "Quark's layout"},
    {"modelopt", "ModelOpt's layout"},
    {"modelopt_fp4", "NVFP4 of ModelOpt"},
    {"fp_quant", "FP-Quant, turned by Hadamard matrices"},
    {"fouroversix", "NVFP4 with two ranges"},
    {"sinq", "SINQ, with scales of rows and columns"},
    {"metal", "the order of Metal's kernels"},
    {"gguf", "GGUF; give the .gguf file itself"},
    {"marlin", "the order of Marlin's kernels"},
    {"exl2", "ExLlamaV2's layout"},
    {"exl3", "ExLlamaV3's layout"},
    {"squeezellm", "codebooks of SqueezeLLM"},
    {"deepspeedfp", "DeepSpeed's FP6 or FP8"},
    {"omniquant", "OmniQuant's layout"},
    {"qqq", "QQQ, with activations in int8"},
    {"moe_wna16", "experts in few bits"},
};

ps_status ps_hf_methods_refuse(const char *word, const char *allowed)
{
    if (!*word)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "quantization_config: quant_method is missing; allowed: %s", allowed);
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (!strcmp(methods[i].word, word))
            return ps_fail(PS_INVALID_ARGUMENT,
                           "quantization_config: quant_method '%s' (%s) is not read by psd; "
                           "allowed: %s; or have its maker write the model in float16",
                           word, methods[i].what, allowed);
    return ps_fail(PS_INVALID_ARGUMENT,
                   "quantization_config: quant_method '%s' is not known; allowed: %s", word,
                   allowed);
}
