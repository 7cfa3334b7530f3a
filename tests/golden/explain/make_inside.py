#!/usr/bin/env python3
"""What is inside tiny gpt2 and llama models, from an independent implementation: Hugging Face's
transformers on PyTorch in float64, with hooks of PyTorch alone. The parameters and tokens are those
of ../gpt2.safetensors and ../llama.safetensors (make_transformers.py); what is explained is logit
TARGET after the last token of each row. tests/unit/worker/explain/test_inside_*.c compare ours.

    pip install torch==2.15.0 transformers==5.24.0 numpy safetensors
    tests/golden/explain/make_inside.py     # writes inside_gpt2.safetensors, inside_llama.safetensors beside it

Only needed to make the files again; the tests read the files.
"""
import pathlib
import sys

import numpy
import torch
from safetensors.numpy import load_file
from transformers import AttentionInterface

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from make_transformers import gpt2, llama, ours, write  # noqa: E402

TARGET = 17
WATCH = {}  # what passes through attention's weights: layer -> a function of [rows, heads, queries, keys]


def watched(module, query, key, value, attention_mask, **rest):
    """Attention written out, whose weights may be replaced."""
    key, value = (x.repeat_interleave(query.shape[1] // x.shape[1], 1) for x in (key, value))
    logits = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
    mask = torch.ones(logits.shape[-2:], dtype=torch.bool).tril()
    weights = logits.masked_fill(~mask, float("-inf")).softmax(-1)
    weights = WATCH.get(module.layer_idx, lambda p: p)(weights)
    return (weights @ value).transpose(1, 2), weights


AttentionInterface.register("watched", watched)


class Inside:
    """A model, and where its parts are."""

    def __init__(self, name, build):
        torch.set_default_dtype(torch.float64)
        stored = load_file(HERE.parent / f"{name}.safetensors")
        self.model = build().double().eval()
        self.model.set_attn_implementation("eager")
        with torch.no_grad():
            for key, parameter in self.model.named_parameters():
                parameter.copy_(torch.from_numpy(stored["parameter/" + ours(key)]).double())
        self.tokens = torch.from_numpy(stored["tokens"]).long()
        if name == "gpt2":
            self.blocks, self.norm = self.model.transformer.h, self.model.transformer.ln_f
            self.embed, self.positions = self.model.transformer.wte, self.model.transformer.wpe
            self.mix = [b.attn.c_proj for b in self.blocks]
        else:
            self.blocks, self.norm = self.model.model.layers, self.model.model.norm
            self.embed, self.positions = self.model.model.embed_tokens, None
            self.mix = [b.self_attn.o_proj for b in self.blocks]
        self.mlps = [b.mlp for b in self.blocks]
        self.layers, self.heads = len(self.blocks), 4
        self.unembed = self.model.lm_head.weight

    def mix_weight(self, layer):
        """[heads · width, hidden]"""
        weight = self.mix[layer].weight
        return weight if self.positions is not None else weight.T

    def points(self):
        """What may be replaced: (kind, layer) -> how to hook it."""
        out = {}
        for layer in range(self.layers):
            out["resid_pre", layer] = (self.blocks[layer], True)
            out["z", layer] = (self.mix[layer], True)
            out["attn_out", layer] = (self.mix[layer], False)
            out["mlp_out", layer] = (self.mlps[layer], False)
        return out

    def run(self, tokens, change=None):
        """Logits of each row's last token. change: (kind, layer) -> a function of what is there."""
        handles = []
        for at, function in (change or {}).items():
            module, before = self.points()[at]
            if before:
                handles.append(module.register_forward_pre_hook(
                    lambda m, given, kw, f=function: ((f(given[0]),) + given[1:], kw), with_kwargs=True))
            else:
                handles.append(module.register_forward_hook(lambda m, given, made, f=function: f(made)))
        out = self.model(input_ids=tokens, output_attentions=True, use_cache=False)
        for handle in handles:
            handle.remove()
        self.attentions = out.attentions
        return out.logits[:, -1]

    def keep(self, tokens):
        """What passes through every point."""
        kept = {}

        def keeper(at):
            def keep(value):
                if value.requires_grad:
                    value.retain_grad()
                kept[at] = value
                return value
            return keep
        logits = self.run(tokens, {at: keeper(at) for at in self.points()})
        return kept, logits


def lens(inside, out):
    streams = []
    handles = [b.register_forward_hook(lambda m, given, made: streams.append(
        (made[0] if isinstance(made, tuple) else made)[:, -1])) for b in inside.blocks]
    kept, _ = inside.keep(inside.tokens)
    for handle in handles:
        handle.remove()
    streams.insert(0, kept["resid_pre", 0][:, -1])
    out["lens"] = torch.stack([inside.norm(x) @ inside.unembed.T for x in streams], 1)
    return streams[-1], kept


def direct(inside, last, kept, out):
    """((c - mean c) · rstd * gain) · w, the deviation being that of the last residual."""
    centred = inside.positions is not None
    mean = last.mean(-1, keepdim=True) if centred else 0
    variance = (last - mean).square().mean(-1, keepdim=True)
    rstd = 1 / torch.sqrt(variance + 1e-5)
    w = inside.unembed[TARGET]

    def of(part):
        return (((part - part.mean(-1, keepdim=True)) if centred else part) * rstd * inside.norm.weight) @ w
    rows, layers, heads = len(last), inside.layers, inside.heads
    out["direct/embed"] = of(inside.embed(inside.tokens[:, -1]))
    if centred:
        out["direct/pos_embed"] = of(inside.positions.weight[inside.tokens.shape[1] - 1].expand(rows, -1))
        out["direct/norm_bias"] = (inside.norm.bias @ w).expand(rows)
        out["direct/attention_bias"] = torch.stack([of(inside.mix[l].bias.expand(rows, -1))
                                                    for l in range(layers)], 1)
    out["direct/mlp"] = torch.stack([of(kept["mlp_out", l][:, -1]) for l in range(layers)], 1)
    by_head = torch.zeros(rows, layers, heads)
    for l in range(layers):
        z = kept["z", l][:, -1].reshape(rows, heads, -1)
        weight = inside.mix_weight(l).reshape(heads, z.shape[-1], -1)
        for h in range(heads):
            by_head[:, l, h] = of(z[:, h] @ weight[h])
    out["direct/heads"] = by_head
    total = sum(v.reshape(rows, -1).sum(1) for k, v in out.items() if k.startswith("direct/"))
    assert torch.allclose(total, inside.run(inside.tokens)[:, TARGET], atol=1e-12)


def attention(inside, out):
    inside.run(inside.tokens)
    out["attention"] = torch.stack(inside.attentions, 1)  # [rows, layers, heads, queries, keys]
    product = torch.eye(inside.tokens.shape[1])
    for weights in inside.attentions:
        product = (0.5 * weights.mean(1) + 0.5 * torch.eye(weights.shape[-1])) @ product
    out["rollout"] = product[:, -1]


def ablation(inside, out):
    kept, logits = inside.keep(inside.tokens)
    rows, length = inside.tokens.shape
    for kind in ("zero", "mean"):
        effect = torch.zeros(rows, inside.layers, inside.heads)
        for l in range(inside.layers):
            for h in range(inside.heads):
                def change(z, l=l, h=h):
                    z = z.reshape(rows, length, inside.heads, -1).clone()
                    z[:, :, h] = z[:, :, h].mean((0, 1)) if kind == "mean" else 0
                    return z.reshape(rows, length, -1)
                effect[:, l, h] = (logits - inside.run(inside.tokens, {("z", l): change}))[:, TARGET]
        out["ablation/" + kind] = effect
    out["ablation/resample"] = torch.stack([without(inside, kept, logits, other) for other in range(rows)])


def without(inside, kept, logits, other):
    """What each row loses when a head gives what it gives for row `other`: [rows, layers, heads]."""
    rows, length = inside.tokens.shape
    effect = torch.zeros(rows, inside.layers, inside.heads)
    for l in range(inside.layers):
        for h in range(inside.heads):
            def change(z, l=l, h=h):
                z = z.reshape(rows, length, inside.heads, -1).clone()
                z[:, :, h] = kept["z", l][other].reshape(length, inside.heads, -1)[:, h]
                return z.reshape(rows, length, -1)
            effect[:, l, h] = (logits - inside.run(inside.tokens, {("z", l): change}))[:, TARGET]
    return effect


def patching(inside, out):
    clean, corrupt = inside.tokens[:1], inside.tokens[1:2]
    kept, logits = inside.keep(clean)
    there, ours_ = inside.keep(corrupt)
    best, worst = logits[0, TARGET], ours_[0, TARGET]
    worst.backward()
    length = clean.shape[1]
    for kind in ("resid_pre", "z", "attn_out", "mlp_out"):
        heads = inside.heads if kind == "z" else 1
        exact, linear = (torch.zeros(inside.layers, length, heads) for _ in range(2))
        for l in range(inside.layers):
            good, bad = kept[kind, l].detach(), there[kind, l]
            width = good.shape[-1] // heads
            for t in range(length):
                for h in range(heads):
                    part = slice(h * width, (h + 1) * width)

                    def change(x, t=t, part=part, good=good):
                        x = x.clone()
                        x[:, t, part] = good[:, t, part]
                        return x
                    made = inside.run(corrupt, {(kind, l): change})[0, TARGET]
                    exact[l, t, h] = (made - worst) / (best - worst)
                    linear[l, t, h] = (bad.grad[0, t, part] @ (good - bad)[0, t, part]) / (best - worst)
        out["patch/" + kind], out["attribution/" + kind] = exact, linear
    out["patch/ends"] = torch.stack([best, worst])
    patterns(inside, clean, corrupt, out)


def patterns(inside, clean, corrupt, out):
    """The same of attention's weights: of each head and query its row of them."""
    inside.model.set_attn_implementation("watched")

    def keep(tokens, kept):
        def keeper(layer):
            def keep(p):
                p.retain_grad()
                kept[layer] = p
                return p
            return keep
        WATCH.update({layer: keeper(layer) for layer in range(inside.layers)})
        score = inside.run(tokens)[0, TARGET]
        WATCH.clear()
        return score
    good, bad = {}, {}
    best, worst = keep(clean, good), keep(corrupt, bad)
    assert torch.allclose(torch.stack([best, worst]), out["patch/ends"], atol=1e-5)
    worst.backward()
    length = clean.shape[1]
    exact, linear = (torch.zeros(inside.layers, length, inside.heads) for _ in range(2))
    for l in range(inside.layers):
        for t in range(length):
            for h in range(inside.heads):
                def change(p, l=l, t=t, h=h):
                    p = p.clone()
                    p[:, h, t] = good[l].detach()[:, h, t]
                    return p
                WATCH[l] = change
                exact[l, t, h] = (inside.run(corrupt)[0, TARGET] - worst) / (best - worst)
                WATCH.clear()
                linear[l, t, h] = bad[l].grad[0, h, t] @ (good[l] - bad[l])[0, h, t] / (best - worst)
    out["patch/pattern"], out["attribution/pattern"] = exact, linear
    inside.model.set_attn_implementation("eager")


def make(name, build):
    inside, out = Inside(name, build), {}
    last, kept = lens(inside, out)
    direct(inside, last, kept, out)
    attention(inside, out)
    ablation(inside, out)
    patching(inside, out)
    write(HERE / f"inside_{name}.safetensors",
          {key: numpy.ascontiguousarray(value.detach().numpy().astype(numpy.float32)) for key, value in out.items()})
    print(name, {k: list(v.shape) for k, v in out.items()})


if __name__ == "__main__":
    make("gpt2", gpt2)
    make("llama", llama)
