#!/usr/bin/env python3
"""What Hugging Face's PEFT makes of low-rank adapters beside the tiny models of ../gpt2.safetensors and its neighbours: A
and B with random values, the loss of their tokens, the gradients of both.
tests/unit/worker/models/test_lora.c compares ours with them.

    pip install torch transformers peft         # made with torch 2.15.0, transformers 5.24.0, peft 0.21.2
    tests/golden/lora/make.py                   # writes gpt2.safetensors, llama.safetensors, qwen2.safetensors

Only needed to make the files again; the tests read the files.
"""
import pathlib
import sys

import numpy
import torch
from peft import LoraConfig, get_peft_model

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE.parent)]
import make_transformers as base  # noqa: E402
from safetensors.numpy import load_file  # noqa: E402

RANK, ALPHA = 3, 5
TARGETS = {"gpt2": ["c_attn", "mlp.c_proj"], "llama": "all-linear", "qwen2": ["q_proj", "v_proj"]}


def make(name):
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(20261202)
    golden = load_file(HERE.parent / f"{name}.safetensors")
    model = getattr(base, name)().double()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(golden["parameter/" + base.ours(key)]))
    adapted = get_peft_model(model, LoraConfig(
        r=RANK, lora_alpha=ALPHA, target_modules=TARGETS[name], task_type="CAUSAL_LM", fan_in_fan_out=name == "gpt2"),
        autocast_adapter_dtype=False).double()
    trained = {key: p for key, p in adapted.named_parameters() if p.requires_grad}
    with torch.no_grad():
        for parameter in trained.values():
            parameter.copy_((0.3 * torch.randn_like(parameter)).float().double())
    tokens, labels = (torch.from_numpy(golden[key]).long() for key in ("tokens", "labels"))
    logits = adapted(input_ids=tokens).logits
    loss = torch.nn.functional.cross_entropy(logits.reshape(-1, base.VOCABULARY), labels.reshape(-1))
    loss.backward()
    out = {"loss": loss.detach().reshape(1)}
    for key, parameter in trained.items():
        own = base.ours(key.removeprefix("base_model.model.")).replace(".default", "")
        out["parameter/" + own] = parameter.detach()
        out["gradient/" + own] = parameter.grad
    print(f"{name}: loss {loss.item():.6f}, {len(trained)} tensors")
    base.write(HERE / f"{name}.safetensors", {key: v.numpy().astype(numpy.float32) for key, v in out.items()})


if __name__ == "__main__":
    for kind in TARGETS:
        make(kind)
