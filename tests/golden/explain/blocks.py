#!/usr/bin/env python3
"""What column blocks of matrices, halves of blocks and heads are worth, from an independent implementation: PyTorch in
float64 with hooks of its own, and shap's Exact, on the model of layers of attributions.py (relu) and on the tiny gpt2 and
llama of tests/golden. tests/unit/worker/explain/test_blocks.c compares ours with them.

    pip install torch==2.15.0 transformers==5.24.0 shap==0.51.0 numpy safetensors
    tests/golden/explain/blocks.py      # writes blocks.safetensors beside it; reads attributions.safetensors

Only needed to make the file again; the test reads the file.
"""
import pathlib
import sys

import numpy
import shap
import torch
from safetensors.numpy import load_file
from torch import nn
from transformers.pytorch_utils import Conv1D

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from make_transformers import gpt2, llama, ours, write  # noqa: E402

BLOCKS, CLASS, LOGIT = 3, 2, 17
out = {}


def cuts(columns, n):
    return [(columns * i // n, columns * (i + 1) // n) for i in range(n)]


def bias_of(module):
    return 0 if module.bias is None else module.bias


def parts_of(module, x, n):
    """What each column block of the stored matrix adds: z = b + Σ parts."""
    weight = module.weight  # Linear [out, in], Conv1D [in, out]: a block is of the last axis either way
    found = []
    for begin, end in cuts(weight.shape[1], n):
        alone = torch.zeros_like(weight)
        alone[:, begin:end] = weight[:, begin:end]
        found.append(x @ (alone if isinstance(module, Conv1D) else alone.T))
    return found


class Model:
    """f of each row, and the modules that multiply, by our names of their weights."""

    def __init__(self, name, model, run):
        self.name, self.model, self.run = name, model, run
        self.modules = {ours(key + ".weight"): m for key, m in model.named_modules()
                        if isinstance(m, (nn.Linear, Conv1D)) and "lm_head" not in key}

    def watched(self, hooks, rows):
        """f with functions in the modules' way: a name -> (module, (inputs, output) -> output)."""
        handles = [m.register_forward_hook(lambda m, given, made, f=f: f(given[0], made)) for m, f in hooks]
        try:
            return self.run(rows)
        finally:
            for handle in handles:
                handle.remove()


def contributions(model, rows):
    kept = {}

    def keep(name):
        def hook(x, z):
            z.retain_grad()
            kept[name] = (x.detach(), z)
            return z
        return hook
    model.watched([(m, keep(name)) for name, m in model.modules.items()], rows).sum().backward()
    for name, (x, z) in kept.items():
        module, g = model.modules[name], z.grad
        parts = parts_of(module, x, BLOCKS)
        assert torch.allclose(bias_of(module) + sum(parts), z, atol=1e-5 if "llama" in model.name else 1e-12)
        each = [(g * part).flatten(1).sum(1) for part in parts]
        bias = (g * bias_of(module)).flatten(1).sum(1)
        total = (g * z).flatten(1).sum(1)
        for what, value in (("contributions", torch.stack(each, 1)), ("bias", bias), ("total", total)):
            out[f"{model.name}/{name}/{what}"] = value
    model.model.zero_grad()


def play(model, rows, at, players, hooks_of):
    """Shapley values of each row, what is lost without each, and f with all and with none."""
    shares, lost, ends = [], [], []
    for row in range(len(rows)):
        def value(coalitions):
            return numpy.array([model.watched(hooks_of(numpy.asarray(c, dtype=bool)), rows[row:row + 1]).item()
                                for c in coalitions])
        everybody, nobody = numpy.ones((1, players)), numpy.zeros((1, players))
        with torch.no_grad():
            shares.append(shap.explainers.Exact(value, shap.maskers.Independent(nobody))(everybody).values[0])
            all_, none = value(everybody)[0], value(nobody)[0]
            lost.append(all_ - value(1 - numpy.eye(players)))
        assert abs(shares[-1].sum() - (all_ - none)) < 1e-10
        ends.append([all_, none])
    for what, value in (("shapley", shares), ("leave_one_out", lost), ("ends", ends)):
        out[f"{model.name}/{at}/{what}"] = torch.tensor(numpy.array(value))


def play_blocks(model, rows, name, n):
    module = model.modules[name]

    def hooks_of(coalition):
        def hook(x, z):
            parts = parts_of(module, x, n)
            return torch.zeros_like(z) + bias_of(module) + sum(p for p, there in zip(parts, coalition) if there)
        return [(module, hook)]
    play(model, rows, name, n, hooks_of)


def play_halves(model, rows, attention, mlps):
    modules = [m for pair in zip(attention, mlps) for m in pair]
    play(model, rows, "layers", len(modules), lambda coalition: [
        (m, lambda x, z: torch.zeros_like(z)) for m, there in zip(modules, coalition) if not there])


def play_heads(model, rows, mixers, heads):
    def hooks_of(coalition):
        def hook(layer, module):
            def mix(x, z):
                kept = x.reshape(*x.shape[:2], heads, -1).clone()
                for head in range(heads):
                    kept[:, :, head] *= float(coalition[layer * heads + head])
                kept = kept.reshape(x.shape)
                return kept @ (module.weight if isinstance(module, Conv1D) else module.weight.T) + bias_of(module)
            return mix
        return [(m, hook(layer, m)) for layer, m in enumerate(mixers)]
    play(model, rows, "heads", len(mixers) * heads, hooks_of)


def layers():
    stored = {key: torch.tensor(value).double() for key, value in load_file(HERE / "attributions.safetensors").items()}
    sizes = (20, 16, 12, 5)
    net = nn.Sequential()
    for i, (inputs, outputs) in enumerate(zip(sizes, sizes[1:])):
        net.add_module(f"layers.{i}".replace(".", "_"), nn.Linear(inputs, outputs))
        if i + 2 < len(sizes):
            net.add_module(f"relu_{i}", nn.ReLU())
    model = Model("mlp", net, lambda rows: net(rows)[:, CLASS])
    model.modules = {key.replace("_", "."): m for key, m in model.modules.items()}
    with torch.no_grad():
        for name, module in model.modules.items():
            module.weight.copy_(stored["mlp/relu/" + name])
            module.bias.copy_(stored["mlp/relu/" + name.replace("weight", "bias")])
    rows = stored["mlp/relu/inputs"]
    contributions(model, rows)
    play_blocks(model, rows, "layers.1.weight", 8)


def language(name, build):
    stored = load_file(HERE.parent / f"{name}.safetensors")
    net = build().double().eval()
    net.set_attn_implementation("eager")
    with torch.no_grad():
        for key, parameter in net.named_parameters():
            parameter.copy_(torch.from_numpy(stored["parameter/" + ours(key)]).double())
    rows = torch.from_numpy(stored["tokens"]).long()
    model = Model(name, net, lambda tokens: net(input_ids=tokens, use_cache=False).logits[:, -1, LOGIT])
    contributions(model, rows)
    if name == "gpt2":
        blocks = net.transformer.h
        mixers, mlps = [b.attn.c_proj for b in blocks], [b.mlp.c_proj for b in blocks]
        play_blocks(model, rows, "h.0.attn.c_attn.weight", 5)
        play_blocks(model, rows, "h.1.mlp.c_fc.weight", 4)
    else:
        blocks = net.model.layers
        mixers, mlps = [b.self_attn.o_proj for b in blocks], [b.mlp.down_proj for b in blocks]
        play_blocks(model, rows, "model.layers.0.self_attn.k_proj.weight", 4)
        play_blocks(model, rows, "model.layers.1.mlp.down_proj.weight", 4)
    play_halves(model, rows, mixers, mlps)
    play_heads(model, rows, mixers, 4)


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    layers()
    language("gpt2", gpt2)
    language("llama", llama)
    write(HERE / "blocks.safetensors",
          {key: numpy.ascontiguousarray(value.detach().numpy().astype(numpy.float32)) for key, value in out.items()})
    print({key: list(value.shape) for key, value in out.items()})
