#!/usr/bin/env python3
"""Values of tiny gpt2, llama and qwen2 models from an independent implementation, Hugging Face's
transformers on PyTorch: parameters, logits, loss, every gradient, and the loss over 20 steps of
AdamW. tests/unit/worker/models/test_golden.c compares ours with them.

    apt-get install python3-torch; pip install 'transformers==4.35.2'
    tests/golden/make_transformers.py gpt2 llama        # writes gpt2.safetensors, llama.safetensors beside it
    tests/golden/make_transformers.py qwen2             # was made with torch 2.15.0 and transformers 5.24.0

Only needed to make the files again; the tests read the files.
"""
import json
import pathlib
import struct
import sys

import numpy
import torch
from transformers import (GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, Qwen2Config,
                          Qwen2ForCausalLM)

HERE = pathlib.Path(__file__).parent
ROWS, LENGTH, VOCABULARY, STEPS = 3, 12, 61, 20
RATE, DECAY = 0.003, 0.05


def gpt2():
    return GPT2LMHeadModel(GPT2Config(
        vocab_size=VOCABULARY, n_positions=16, n_embd=16, n_layer=2, n_head=4,
        resid_pdrop=0, embd_pdrop=0, attn_pdrop=0))


def llama():
    return LlamaForCausalLM(LlamaConfig(
        vocab_size=VOCABULARY, max_position_embeddings=16, hidden_size=16, intermediate_size=44,
        num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, rms_norm_eps=1e-5, tie_word_embeddings=False))


def qwen2():
    return Qwen2ForCausalLM(Qwen2Config(
        vocab_size=VOCABULARY, max_position_embeddings=16, hidden_size=16, intermediate_size=44,
        num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, rms_norm_eps=1e-5, tie_word_embeddings=False))


def ours(name):
    """The names that model files have: gpt2's without the prefix of the whole model."""
    return name.removeprefix("transformer.")


def scramble(model):
    """Random values for all, so that no gain is 1, no bias 0 and no activation in its linear part."""
    for parameter in model.parameters():
        with torch.no_grad():
            around = 1.0 if parameter.ndim == 1 and parameter.mean() > 0.5 else 0.0
            parameter.copy_(around + 0.15 * torch.randn_like(parameter))


def write(path, tensors):
    header, data = {}, b""
    for name, values in sorted(tensors.items()):
        raw = values.tobytes()
        header[name] = {"dtype": {"float32": "F32", "int32": "I32"}[str(values.dtype)],
                        "shape": list(values.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def make(name, build):
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(20240607)
    model = build().double()  # the values are those of float64, rounded once
    scramble(model)
    model.load_state_dict({k: v.float().double() if v.is_floating_point() else v
                           for k, v in model.state_dict().items()})
    tokens = torch.randint(VOCABULARY, (ROWS, LENGTH + 1))
    inputs, labels = tokens[:, :-1], tokens[:, 1:]
    out = {"tokens": inputs, "labels": labels}
    for key, parameter in model.named_parameters():
        out["parameter/" + ours(key)] = parameter.detach().clone()

    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=DECAY)
    losses = []
    for step in range(STEPS):
        optimizer.zero_grad()
        logits = model(input_ids=inputs).logits
        loss = torch.nn.functional.cross_entropy(logits.reshape(-1, VOCABULARY), labels.reshape(-1))
        loss.backward()
        if step == 0:
            out["logits"] = logits.detach()
            for key, parameter in model.named_parameters():
                out["gradient/" + ours(key)] = parameter.grad.clone()
        losses.append(loss.item())
        optimizer.step()
    out["losses"] = torch.tensor(losses)
    print(f"{name}: loss {losses[0]:.6f} -> {losses[-1]:.6f}")
    write(HERE / f"{name}.safetensors", {
        key: value.numpy().astype(numpy.float32 if value.is_floating_point() else numpy.int32)
        for key, value in out.items()})


if __name__ == "__main__":
    for kind in sys.argv[1:]:
        make(kind, {"gpt2": gpt2, "llama": llama, "qwen2": qwen2}[kind])
