"""Tiny random models as Hugging Face folders: numpy and the documented formats alone, the same bytes each time.

    write(folder, "gpt2", "llama", "qwen2" or "gemma3", dtype="F32", shards=1, prefix="", extras=False, tied=False, tokenizer=None)

returns the tensors as float32, under the names that psd gives them. `python3 make.py FOLDER` writes one of each.
"""
import json
import pathlib
import shutil
import struct
import sys

import numpy

SIZES = {"vocab": 1003, "context": 40, "hidden": 64, "layers": 2, "heads": 4, "kv": 2, "inner": 96}
CONFIG = {
    "gpt2": {"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_positions": 40, "n_ctx": 40, "n_embd": 64,
             "n_layer": 2, "n_head": 4, "n_inner": None, "vocab_size": 1003, "activation_function": "gelu_new",
             "layer_norm_epsilon": 1e-05, "resid_pdrop": 0.1, "embd_pdrop": 0.1, "attn_pdrop": 0.1,
             "bos_token_id": 0, "eos_token_id": 0, "task_specific_params": {"text-generation": {"max_length": 50}}},
    "llama": {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "intermediate_size": 96,
              "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 1003,
              "max_position_embeddings": 40, "rms_norm_eps": 1e-06, "rope_theta": 500000.0, "rope_scaling": None,
              "hidden_act": "silu", "attention_bias": False, "tie_word_embeddings": False, "head_dim": 16},
    "qwen2": {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": 64, "intermediate_size": 96,
              "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 1003,
              "max_position_embeddings": 40, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "hidden_act": "silu",
              "sliding_window": 40, "max_window_layers": 2, "use_sliding_window": False, "tie_word_embeddings": False},
    # as Gemma3ForConditionalGeneration is published: with what says nothing left out of text_config
    "gemma3": {"architectures": ["Gemma3ForConditionalGeneration"], "boi_token_index": 99, "eoi_token_index": 100,
               "eos_token_id": [1, 106], "image_token_index": 101, "initializer_range": 0.02, "mm_tokens_per_image": 4,
               "model_type": "gemma3",
               "text_config": {"hidden_size": 64, "intermediate_size": 96, "model_type": "gemma3_text", "num_hidden_layers": 2,
                               "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 1003,
                               "max_position_embeddings": 40, "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
                               "sliding_window": 1024, "sliding_window_pattern": 2},
               "vision_config": {"hidden_size": 16, "model_type": "siglip_vision_model", "num_hidden_layers": 1}},
}


def shapes(architecture, tied=False):
    s = SIZES
    h, inner, kv = s["hidden"], 4 * s["hidden"] if architecture == "gpt2" else s["inner"], s["hidden"] // s["heads"] * s["kv"]
    if architecture == "gpt2":
        out = {"wte.weight": (s["vocab"], h), "wpe.weight": (s["context"], h)}
        for i in range(s["layers"]):
            block = {"ln_1.weight": (h,), "ln_1.bias": (h,), "attn.c_attn.weight": (h, 3 * h), "attn.c_attn.bias": (3 * h,),
                     "attn.c_proj.weight": (h, h), "attn.c_proj.bias": (h,), "ln_2.weight": (h,), "ln_2.bias": (h,),
                     "mlp.c_fc.weight": (h, inner), "mlp.c_fc.bias": (inner,), "mlp.c_proj.weight": (inner, h),
                     "mlp.c_proj.bias": (h,)}
            out.update({f"h.{i}.{name}": shape for name, shape in block.items()})
        return out | {"ln_f.weight": (h,), "ln_f.bias": (h,)}
    out = {"model.embed_tokens.weight": (s["vocab"], h)}
    for i in range(s["layers"]):
        block = {"input_layernorm.weight": (h,), "self_attn.q_proj.weight": (h, h), "self_attn.k_proj.weight": (kv, h),
                 "self_attn.v_proj.weight": (kv, h), "self_attn.o_proj.weight": (h, h),
                 "post_attention_layernorm.weight": (h,), "mlp.gate_proj.weight": (inner, h),
                 "mlp.up_proj.weight": (inner, h), "mlp.down_proj.weight": (h, inner)}
        if architecture == "gemma3":
            block |= {"self_attn.q_norm.weight": (h // s["heads"],), "self_attn.k_norm.weight": (h // s["heads"],),
                      "pre_feedforward_layernorm.weight": (h,), "post_feedforward_layernorm.weight": (h,)}
        if architecture == "qwen2":
            block |= {"self_attn.q_proj.bias": (h,), "self_attn.k_proj.bias": (kv,), "self_attn.v_proj.bias": (kv,)}
        out.update({f"model.layers.{i}.{name}": shape for name, shape in block.items()})
    out["model.norm.weight"] = (h,)
    return out if tied else out | {"lm_head.weight": (s["vocab"], h)}


def encode(values, dtype):
    """float32 to the bytes of a dtype, and the float32 that those bytes mean."""
    if dtype == "F32":
        return values.astype("<f4").tobytes(), values
    if dtype == "F16":
        half = values.astype("<f2")
        return half.tobytes(), half.astype("f4")
    bits = values.view("u4")
    upper = ((bits + 0x7fff + (bits >> 16 & 1)) >> 16).astype("<u2")  # to nearest, ties to even
    return upper.tobytes(), (upper.astype("u4") << 16).view("f4")


def write_safetensors(path, tensors, dtype):
    """tensors: name -> bytes, shape, maybe a dtype of its own; in an order that is not that of the model."""
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name in sorted(tensors):
        data, shape, *own = tensors[name]
        header[name] = {"dtype": own[0] if own else dtype, "shape": list(shape), "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(tensors[n][0] for n in sorted(tensors)))


def read_safetensors(path):
    """name -> dtype and raw bytes as an array of the shape; and the metadata."""
    data = pathlib.Path(path).read_bytes()
    size = struct.unpack_from("<Q", data)[0]
    header = json.loads(data[8:8 + size])
    types = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}
    out = {}
    for name, about in header.items():
        if name != "__metadata__":
            begin, end = about["data_offsets"]
            values = numpy.frombuffer(data[8 + size + begin:8 + size + end], types[about["dtype"]])
            out[name] = about["dtype"], values.reshape(about["shape"])
    return out, header.get("__metadata__", {})


def change(path, tensors):
    """Puts these tensors into a file: name -> bytes, shape, maybe a dtype; None takes one out."""
    data = pathlib.Path(path).read_bytes()
    size = struct.unpack_from("<Q", data)[0]
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__", None)
    old = {n: (data[8 + size + h["data_offsets"][0]:8 + size + h["data_offsets"][1]], h["shape"], h["dtype"])
           for n, h in header.items()}
    write_safetensors(pathlib.Path(path), {n: t for n, t in (old | tensors).items() if t}, "F32")


def write(folder, architecture, dtype="F32", shards=1, prefix="", extras=False, tied=False, tokenizer=None, config=None):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True)
    draw, means, tensors = numpy.random.Generator(numpy.random.PCG64(11)), {}, {}
    for name, shape in shapes(architecture, tied).items():
        values = draw.standard_normal(shape, dtype="f4")
        values.flat[0] = 0.0
        values.flat[1] = 1e-6  # below the smallest normal number of F16
        data, means[name] = encode(values, dtype)
        tensors[prefix + name] = data, shape
    if extras and architecture == "gpt2":
        for i in range(SIZES["layers"]):
            tensors[f"{prefix}h.{i}.attn.bias"] = encode(numpy.ones((1, 1, 40, 40), "f4"), dtype)[0], (1, 1, 40, 40)
            tensors[f"{prefix}h.{i}.attn.masked_bias"] = encode(numpy.full((1,), -1e4, "f4"), dtype)[0], (1,)
    if extras and architecture == "gemma3":
        for name in ("vision_tower.vision_model.post_layernorm.weight", "multi_modal_projector.mm_soft_emb_norm.weight"):
            tensors[name] = encode(numpy.ones((16,), "f4"), dtype)[0], (16,)
    elif extras:
        embedding = prefix + "wte.weight" if architecture == "gpt2" else "model.embed_tokens.weight"
        if architecture == "gpt2" or tied:
            tensors["lm_head.weight"] = tensors[embedding]
    described = CONFIG[architecture] | ({"tie_word_embeddings": True} if tied else {}) | (config or {})
    (folder / "config.json").write_text(json.dumps(described, indent=2) + "\n")
    if shards == 1:
        write_safetensors(folder / "model.safetensors", tensors, dtype)
    else:
        names, where = list(tensors), {}
        for i in range(shards):
            file = f"model-{i + 1:05}-of-{shards:05}.safetensors"
            write_safetensors(folder / file, {n: tensors[n] for n in names[i::shards]}, dtype)
            where.update({n: file for n in names[i::shards]})
        (folder / "model.safetensors.index.json").write_text(
            json.dumps({"metadata": {"total_size": sum(len(t[0]) for t in tensors.values())}, "weight_map": where}))
    for file in tokenizer or []:
        shutil.copy(file, folder)
    return means


if __name__ == "__main__":
    for kind in CONFIG:
        write(pathlib.Path(sys.argv[1]) / kind, kind)
