"""A model of GPT-2's shape (124M) with random weights, as a Hugging Face folder: gpt2.py FOLDER

For how large a report of such a model is, and how long it takes (docs/explain.md):

    gpt2.py folder && psctl import folder gpt2-random && psctl submit job.yaml && psctl report gpt2-why -o page.html
    walk.py page.html
"""
import json
import pathlib
import struct
import sys

import numpy as np

if len(sys.argv) != 2:
    sys.exit(__doc__)
LAYERS, WIDTH, WORDS, LENGTH = 12, 768, 50257, 1024
folder, rng = pathlib.Path(sys.argv[1]), np.random.default_rng(1)
folder.mkdir(parents=True, exist_ok=True)
(folder / "config.json").write_text(json.dumps({
    "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": WORDS, "n_positions": LENGTH, "n_ctx": LENGTH,
    "n_embd": WIDTH, "n_layer": LAYERS, "n_head": 12, "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5,
    "bos_token_id": WORDS - 1, "eos_token_id": WORDS - 1, "tie_word_embeddings": True, "torch_dtype": "float32"}))


def noise(deviation, *shape):
    return rng.standard_normal(shape, np.float32) * np.float32(deviation)


def norm(name):
    return {f"{name}.weight": np.ones(WIDTH, np.float32), f"{name}.bias": np.zeros(WIDTH, np.float32)}


tensors = {"wte.weight": noise(0.05, WORDS, WIDTH), "wpe.weight": noise(0.02, LENGTH, WIDTH), **norm("ln_f")}
for i in range(LAYERS):
    tensors |= norm(f"h.{i}.ln_1") | norm(f"h.{i}.ln_2")
    for name, rows, columns in (("attn.c_attn", 1, 3), ("attn.c_proj", 1, 1), ("mlp.c_fc", 1, 4), ("mlp.c_proj", 4, 1)):
        tensors[f"h.{i}.{name}.weight"] = noise(0.06, rows * WIDTH, columns * WIDTH)
        tensors[f"h.{i}.{name}.bias"] = np.zeros(columns * WIDTH, np.float32)
head, at = {}, 0
for name, tensor in tensors.items():
    head[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [at, at + tensor.nbytes]}
    at += tensor.nbytes
text = json.dumps(head).encode()
with open(folder / "model.safetensors", "wb") as out:
    out.write(struct.pack("<Q", len(text)) + text)
    for tensor in tensors.values():
        out.write(tensor.tobytes())
