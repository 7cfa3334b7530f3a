#!/usr/bin/env python3
"""What transformers says of folders of codes that psd wrote: tests/unit/worker/models/test_hf_quantised.c compares ours
with it, and what psd writes today with the folders.

A small random llama is imported into a psd, made into a form by a job of kind compress, and exported; transformers loads
the folder and computes logits in float32.

    meson compile -C build
    PSD_BUILD=build tests/golden/hf/quantised.py export FOLDER      # needs what the integration tests need
    pip install torch transformers compressed-tensors gptqmodel optimum     # 2.15.0, 5.24.0, 0.20.1, 7.7.0, 2.3.0
    tests/golden/hf/quantised.py logits FOLDER                      # writes FOLDER/logits.safetensors

The folder of the golden files is tests/golden/hf/quantised. Only needed to make them again; the tests read the files.
"""
import json
import pathlib
import struct
import sys

import numpy as np

TOKENS = [[(7 * k + 5 * row + k * k) % 61 for k in range(12)] for row in range(2)]
SIZES = {"vocab_size": 61, "context_length": 16, "hidden_size": 64, "num_layers": 2, "num_heads": 4, "num_kv_heads": 2,
         "intermediate_size": 96}
# folder -> (scheme, symmetric, group, format, dtype)
FOLDERS = {
    "ct-int4-g32": ("int4", True, 32, "hf-ct", "f16"),
    "ct-int8-row": ("int8", True, "row", "hf-ct", "f16"),
    "ct-fp8": ("fp8", True, "row", "hf-ct", "f16"),
    "gptq-int4-g32": ("int4", True, 32, "hf-gptq", "f16"),
    "gptq-int8-row": ("int8", True, "row", "hf-gptq", "f16"),
    "gptq-uint4-g32": ("int4", False, 32, "hf-gptq", "f16"),
    "awq-uint4-g32": ("int4", False, 32, "hf-awq", "f16"),
    "awq-int4-g32": ("int4", True, 32, "hf-awq", "f16"),
}


def weights():
    rng = np.random.default_rng(11)
    h, inner, keys = SIZES["hidden_size"], SIZES["intermediate_size"], SIZES["hidden_size"] // 2
    block = {"input_layernorm": (h,), "self_attn.q_proj": (h, h), "self_attn.k_proj": (keys, h),
             "self_attn.v_proj": (keys, h), "self_attn.o_proj": (h, h), "post_attention_layernorm": (h,),
             "mlp.gate_proj": (inner, h), "mlp.up_proj": (inner, h), "mlp.down_proj": (h, inner)}
    shapes = {"model.embed_tokens.weight": (61, h), "model.norm.weight": (h,), "lm_head.weight": (61, h)}
    shapes |= {f"model.layers.{i}.{name}.weight": shape for i in range(SIZES["num_layers"]) for name, shape in block.items()}
    # numbers of float16, so that what stays a number is the same in every folder
    return {name: (rng.normal(0, 0.1, shape) + (len(shape) == 1)).astype("<f2").astype("<f4") for name, shape in shapes.items()}


def write(path, tensors):
    header, body = {}, b""
    for name, values in sorted(tensors.items()):
        kind = {"float32": "F32", "int32": "I32"}[values.dtype.name]
        header[name] = {"dtype": kind, "shape": list(values.shape), "data_offsets": [len(body), len(body) + values.nbytes]}
        body += np.ascontiguousarray(values).tobytes()
    text = json.dumps(header)
    text += " " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text.encode() + body)


def export(folder):
    sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "integration"))
    from harness import Cluster
    folder.mkdir(parents=True, exist_ok=True)
    config = "{architecture: llama, " + ", ".join(f"{k}: {v}" for k, v in SIZES.items()) + "}"
    with Cluster() as cluster:
        cluster.start_server()
        cluster.start_worker("w1")
        write(cluster.dir / "base.safetensors", weights())
        cluster.psctl("import", cluster.dir / "base.safetensors", "base", "--model", config)
        for name, (scheme, symmetric, group, form, dtype) in FOLDERS.items():
            more = "" if scheme in ("fp8", "mxfp4") else f", symmetric: {str(symmetric).lower()}"
            cut = "" if scheme == "mxfp4" else f", group: {group}"
            cluster.wait_job(cluster.submit(
                f"kind: compress\nname: {name}\nmodel_name: base\ncompress:\n"
                f"  quantise: {{scheme: {scheme}{cut}{more}, embeddings: float32}}\n"))
            cluster.psctl("export", name, "-o", folder / name, "--format", form, "--dtype", dtype, "--force")


def numbers_of(module):
    """The weight [out, in] of gptqmodel's modules by gptqmodel's own unpacking, but in float32: its products are of
    float16."""
    import torch
    from gptqmodel.quantization.awq.utils.packing_utils import dequantize_gemm
    if hasattr(module, "dequantize_weight"):
        module.scales = module.scales.float()
        return module.dequantize_weight().T
    if hasattr(module, "qzeros"):
        return dequantize_gemm(qweight=module.qweight, qzeros=module.qzeros, scales=module.scales.float(),
                               bits=module.bits, group_size=module.group_size).T
    return None


def as_linear(model):
    """All of them become torch's; how many there were."""
    import torch
    found = {name: w for name, module in model.named_modules() if (w := numbers_of(module)) is not None}
    for name, weight in found.items():
        parent, _, leaf = name.rpartition(".")
        linear = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False)
        linear.weight.data = weight.contiguous()
        setattr(model.get_submodule(parent), leaf, linear)
    return len(found)


def logits(folder):
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.utils.quantization_config import AwqConfig, GPTQConfig
    said = {"tokens": np.array(TOKENS, "<i4")}
    for path in sorted(p.parent for p in folder.glob("*/config.json")):
        method = AutoConfig.from_pretrained(path).quantization_config
        more = {"gptq": lambda: GPTQConfig(bits=method["bits"], backend="gptq_torch"),
                "awq": lambda: AwqConfig(backend="torch_awq")}.get(method["quant_method"])
        model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32,
                                                     **({"quantization_config": more()} if more else {})).eval()
        say = lambda: model(torch.tensor(TOKENS)).logits.float().numpy()
        with torch.no_grad():
            said[path.name] = say()
            if as_linear(model):
                said[path.name + "/float32"] = say()
                print(path.name, "kernels round by", np.abs(said[path.name] - said[path.name + "/float32"]).max())
        print(path.name, "largest logit", np.abs(said[path.name]).max())
    write(folder / "logits.safetensors", said)


if __name__ == "__main__":
    {"export": export, "logits": logits}[sys.argv[1]](pathlib.Path(sys.argv[2]))
