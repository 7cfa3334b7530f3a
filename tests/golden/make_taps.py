#!/usr/bin/env python3
"""What passes through tiny gpt2 and llama models, and its gradients, from an independent
implementation, Hugging Face's transformers on PyTorch in float64: the values at every point that
worker/models/tap.h names, the gradient there of one logit at one position, the weights of attention.
The parameters are those of gpt2.safetensors and llama.safetensors beside it (make_transformers.py).
tests/unit/worker/models/test_taps.c compares ours with them.

    pip install torch==2.15.0 transformers==5.24.0 numpy
    tests/golden/make_taps.py       # writes taps_gpt2.safetensors and taps_llama.safetensors beside it

Only needed to make the files again; the tests read the files.
"""
import pathlib

import numpy
import torch
from make_transformers import gpt2, llama, ours, write
from safetensors.numpy import load_file

HERE = pathlib.Path(__file__).parent
LENGTH, POSITION, LOGIT = 5, 3, 17


class Taps:
    """Keeps tensors of one forward pass by name; their gradients come with the backward pass."""

    def __init__(self):
        self.kept = {}

    def keep(self, name, value):
        value = value[0] if isinstance(value, tuple) else value
        value.retain_grad()
        self.kept[name] = value

    def output(self, name, module):
        module.register_forward_hook(lambda m, given, made: self.keep(name, made))

    def input(self, name, module):
        module.register_forward_pre_hook(lambda m, given: self.keep(name, given[0]))


def tap_gpt2(model, taps):
    taps.output("hook_embed", model.transformer.wte)
    taps.output("hook_pos_embed", model.transformer.wpe)
    taps.output("ln_final.hook_normalized", model.transformer.ln_f)
    for i, block in enumerate(model.transformer.h):
        at = f"blocks.{i}."
        taps.input(at + "hook_resid_pre", block.ln_1)
        taps.output(at + "ln1.hook_normalized", block.ln_1)
        taps.output(at + "attn.qkv", block.attn.c_attn)
        taps.input(at + "attn.hook_z", block.attn.c_proj)
        taps.output(at + "hook_attn_out", block.attn.c_proj)
        taps.input(at + "hook_resid_mid", block.ln_2)
        taps.output(at + "ln2.hook_normalized", block.ln_2)
        taps.output(at + "mlp.hook_pre", block.mlp.c_fc)
        taps.input(at + "mlp.hook_post", block.mlp.c_proj)
        taps.output(at + "hook_mlp_out", block.mlp.c_proj)
        taps.output(at + "hook_resid_post", block)


def tap_llama(model, taps):
    taps.output("hook_embed", model.model.embed_tokens)
    taps.output("ln_final.hook_normalized", model.model.norm)
    for i, block in enumerate(model.model.layers):
        at = f"blocks.{i}."
        taps.input(at + "hook_resid_pre", block.input_layernorm)
        taps.output(at + "ln1.hook_normalized", block.input_layernorm)
        taps.output(at + "attn.hook_q", block.self_attn.q_proj)
        taps.output(at + "attn.hook_k", block.self_attn.k_proj)
        taps.output(at + "attn.hook_v", block.self_attn.v_proj)
        taps.input(at + "attn.hook_z", block.self_attn.o_proj)
        taps.output(at + "hook_attn_out", block.self_attn.o_proj)
        taps.input(at + "hook_resid_mid", block.post_attention_layernorm)
        taps.output(at + "ln2.hook_normalized", block.post_attention_layernorm)
        taps.output(at + "mlp.hook_pre", block.mlp.gate_proj)
        taps.output(at + "mlp.hook_pre_linear", block.mlp.up_proj)
        taps.input(at + "mlp.hook_post", block.mlp.down_proj)
        taps.output(at + "hook_mlp_out", block.mlp.down_proj)
        taps.output(at + "hook_resid_post", block)


def split(name, tensor):
    """gpt2's one product is the three of the names."""
    if not name.endswith("attn.qkv"):
        return {name: tensor}
    return {name.replace("qkv", "hook_" + c): part for c, part in zip("qkv", tensor.chunk(3, dim=-1))}


def make(kind, build, tap):
    torch.set_default_dtype(torch.float64)
    stored = load_file(HERE / f"{kind}.safetensors")
    model = build().double().eval()
    model.set_attn_implementation("eager")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.tensor(stored["parameter/" + ours(name)]).double())
    taps = Taps()
    tap(model, taps)
    tokens = torch.tensor(stored["tokens"][:1, :LENGTH]).long()
    result = model(input_ids=tokens, output_attentions=True)
    result.logits[0, POSITION, LOGIT].backward()
    out = {"logits": result.logits.detach()}
    for name, tensor in taps.kept.items():
        gradient = tensor.grad if tensor.grad is not None else torch.zeros_like(tensor)
        out |= {"value/" + key: part.detach() for key, part in split(name, tensor).items()}
        out |= {"gradient/" + key: part for key, part in split(name, gradient).items()}
    for i, weights in enumerate(result.attentions):
        out[f"value/blocks.{i}.attn.hook_pattern"] = weights.detach()
    write(HERE / f"taps_{kind}.safetensors",
          {key: value.contiguous().numpy().astype(numpy.float32) for key, value in out.items()})


if __name__ == "__main__":
    make("gpt2", gpt2, tap_gpt2)
    make("llama", llama, tap_llama)
