#!/usr/bin/env python3
"""What transformers says of folders of codes that psd wrote: tests/unit/worker/models/test_hf_quantised.c compares ours
with it, and what psd writes today with the folders.

A small random llama is imported into a psd, made into a form by a job of kind compress, and exported; transformers loads
the folder and computes logits in float32.

    meson compile -C build
    PSD_SOURCE=. PSD_BUILD=build python tests/golden/hf/quantised.py export FOLDER      # needs what the integration tests need
    pip install torch transformers compressed-tensors gptqmodel optimum     # 2.15.0, 5.24.0, 0.20.1, 7.7.0, 2.3.0
    python tests/golden/hf/quantised.py logits FOLDER               # writes FOLDER/logits.safetensors

The folder of the golden files is tests/golden/hf/quantised. Only needed to make them again; the tests read the files.
"""
import contextlib
import json
import pathlib
import struct
import sys

import numpy as np

TOKENS = [[(7 * k + 5 * row + k * k) % 61 for k in range(12)] for row in range(2)]
SIZES = {"vocab_size": 61, "context_length": 16, "hidden_size": 64, "num_layers": 2, "num_heads": 4, "num_kv_heads": 2,
         "intermediate_size": 96}
CONFIG = "{architecture: llama, " + ", ".join(f"{k}: {v}" for k, v in SIZES.items()) + "}"
# folder -> (form of a tensor, format, what psctl export is told besides)
FOLDERS = {
    "ct-int4-g32": ("int4/32", "hf-ct", []),
    "ct-fp8": ("fp8/row", "hf-ct", []),
    "ct-mxfp4": ("mxfp4", "hf-ct", []),
    "ct-int8-a8": ("int8/row", "hf-ct", ["--activations", "int8"]),
    "ct-mixed": ({"q_proj": "int4/32", "k_proj": "int4/32", "v_proj": "int4/32", "o_proj": "fp8/row",
                  "gate_proj": "int8/row", "up_proj": "int8/row", "0.mlp.down_proj": "mxfp4"}, "hf-ct", []),
    "gptq-int4-g32": ("int4/32", "hf-gptq", []),
    "gptq-int8-row": ("int8/row", "hf-gptq", []),
    "gptq-uint4-g32": ("uint4/32", "hf-gptq", []),
    "awq-uint4-g32": ({"": "uint4/32", "1.self_attn.v_proj": None}, "hf-awq", []),
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


def read(path):
    """psd's file: metadata, and name -> (entry of the header, bytes)."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    metadata = header.pop("__metadata__", {})
    return metadata, {name: (t, data[8 + length:][slice(*t["data_offsets"])]) for name, t in header.items()}


def merge(path, files, form_of):
    """A file whose tensors come from files of models in one form each; files[None]: the numbers."""
    header, body, forms = {}, b"", {}
    taken = {name: files[form_of(name)] for name in files[None][1]}
    for name in sorted(taken, key=lambda n: taken[n][1][n][0]["dtype"] != "F32"):
        metadata, tensors = taken[name]
        entry, data = tensors[name]
        header[name] = entry | {"data_offsets": [len(body), len(body) + len(data)]}
        body += data
        said = json.loads(metadata.get("psd.forms", "{}"))
        if name in said:
            forms[name] = said[name]
    header["__metadata__"] = {"psd.model": CONFIG, "psd.forms": json.dumps(forms)}
    text = json.dumps(header)
    path.write_bytes(struct.pack("<Q", len(text)) + text.encode() + body)


def chosen(forms, name):
    """The form of a tensor: of a dict that of the longest key which is in its name."""
    if ".layers." not in name or "layernorm" in name:
        return None
    if isinstance(forms, str):
        return forms
    keys = [key for key in forms if key in name]
    return forms[max(keys, key=len)] if keys else None


def export(folder):
    sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "integration"))
    from harness import Cluster
    folder.mkdir(parents=True, exist_ok=True)
    with Cluster() as cluster:
        cluster.start_server()
        cluster.start_worker("w1")
        write(cluster.dir / "base.safetensors", weights())
        cluster.psctl("import", cluster.dir / "base.safetensors", "base", "--model", CONFIG)
        files = {}
        for form in {None} | {chosen(f, n) for f, *_ in FOLDERS.values() for n in weights()}:
            name = form.replace("/", "-") if form else "base"
            if form:
                word, _, group = form.partition("/")
                quantise = {"scheme": word.removeprefix("u"), "embeddings": "float32"}
                quantise |= {"group": group} if group else {}
                quantise |= {"symmetric": "false"} if word != word.removeprefix("u") else {}
                keys = ", ".join(f"{k}: {v}" for k, v in quantise.items())
                cluster.wait_job(cluster.submit(
                    f"kind: compress\nname: {name}\nmodel_name: base\ncompress:\n  quantise: {{{keys}}}\n"))
            cluster.psctl("export", name, "-o", cluster.dir / f"{name}-out.safetensors")
            files[form] = read(cluster.dir / f"{name}-out.safetensors")
        for name, (forms, form, more) in FOLDERS.items():
            merge(cluster.dir / f"{name}.safetensors", files, lambda tensor: chosen(forms, tensor))
            cluster.psctl("import", cluster.dir / f"{name}.safetensors", name)
            out = ["--format", form, "--dtype", "f16", "--force", *more]
            cluster.psctl("export", name, "-o", cluster.dir / name, *out)
            # once more, with tensors in the order that an import gives them
            cluster.psctl("import", cluster.dir / name, name, "--replace", "--float-activations")
            cluster.psctl("export", name, "-o", folder / name, *out)


def numbers_of(module):
    """The weight [out, in] by the loader's own unpacking: of gptqmodel's modules in float32, for its products are of
    float16; of compressed-tensors' as it is, for they may round what goes into products, and psd does not."""
    import torch
    from gptqmodel.quantization.awq.utils.packing_utils import dequantize_gemm
    if hasattr(module, "quantization_scheme"):
        return module.weight
    if hasattr(module, "dequantize_weight"):
        module.scales = module.scales.float()
        return module.dequantize_weight().T
    if hasattr(module, "qzeros"):
        return dequantize_gemm(qweight=module.qweight, qzeros=module.qzeros, scales=module.scales.float(),
                               bits=module.bits, group_size=module.group_size).T
    return None


def replace(model, numbers, half):
    """Modules become products of float32 with these weights; or of float16, as gptqmodel's for AWQ are, whatever the model is:
    what these say is the same to the bit, and how far it is from float32 is float16's doing. (For GPTQ they are nearer.)"""
    import torch

    class Product(torch.nn.Module):
        def __init__(self, weight):
            super().__init__()
            self.weight = (weight.half() if half else weight).T.contiguous()

        def forward(self, x):
            flat = x.reshape(-1, x.shape[-1]).to(self.weight.dtype)
            return torch.matmul(flat, self.weight).to(x.dtype).reshape(*x.shape[:-1], -1)

    for name, weight in numbers.items():
        parent, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(parent), leaf, Product(weight.detach()))


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
        with torch.no_grad(), contextlib.suppress(RuntimeError):
            model(torch.tensor(TOKENS))  # in a first pass compressed-tensors decompresses, mxfp4 as bfloat16, which
        for module in model.modules():   # holds all of its numbers
            if method["quant_method"] == "compressed-tensors" and hasattr(module, "weight"):
                module.weight.data = module.weight.data.float()
        say = lambda: model(torch.tensor(TOKENS)).logits.float().numpy()
        with torch.no_grad():
            said[path.name] = say()
            numbers = {n: w for n, m in model.named_modules() if (w := numbers_of(m)) is not None}
            if numbers:
                replace(model, numbers, half=False)
                said[path.name + "/float32"] = say()
                print(path.name, "kernels round by", np.abs(said[path.name] - said[path.name + "/float32"]).max())
            if numbers and method["quant_method"] == "awq":
                replace(model, numbers, half=True)
                print(path.name, "kernels differ from float16 by", np.abs(said[path.name] - say()).max())
        print(path.name, "largest logit", np.abs(said[path.name]).max())
    write(folder / "logits.safetensors", said)


if __name__ == "__main__":
    {"export": export, "logits": logits}[sys.argv[1]](pathlib.Path(sys.argv[2]))
