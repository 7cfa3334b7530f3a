#!/usr/bin/env python3
"""Compares what make_inside.py wrote of the tiny gpt2, by PyTorch's hooks alone, with TransformerLens: the lens, what parts
add to the logit, attention, what is lost without a head, and patching.

    pip install torch==2.15.0 transformers==5.24.0 transformer_lens==4.3.0 numpy safetensors
    tests/golden/explain/check_inside.py       # prints the largest difference of each, and fails above 1e-4

TransformerLens computes in float32 here: that is how far digits go."""
import pathlib
import sys
import tempfile

import numpy
import torch
from safetensors.numpy import load_file
from transformer_lens.model_bridge import TransformerBridge

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from make_transformers import gpt2, ours  # noqa: E402

TARGET, LAYERS, HEADS = 17, 2, 4


def opened(folder):
    """(the model as TransformerLens has it, tokens)"""
    stored = load_file(HERE.parent / "gpt2.safetensors")
    model = gpt2()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(stored["parameter/" + ours(key)]))
    model.save_pretrained(folder)
    bridge = TransformerBridge.boot_transformers(folder, device="cpu", dtype=torch.float32, hf_model=model.float())
    return bridge, torch.from_numpy(stored["tokens"]).long()


def lens(bridge, cache):
    streams = [cache["blocks.0.hook_resid_pre"]] + [cache[f"blocks.{i}.hook_resid_post"] for i in range(LAYERS)]
    return torch.stack([bridge.unembed(bridge.ln_final(x))[:, -1] for x in streams], 1)


def direct(bridge, cache):
    """By TransformerLens' own decomposition and its frozen norm, whose gain it takes to be in the head already."""
    parts, labels = cache.get_full_resid_decomposition(expand_neurons=False, return_labels=True, pos_slice=-1)
    scaled = cache.apply_ln_to_stack(parts, layer=-1, pos_slice=-1) * bridge.original_model.transformer.ln_f.weight
    worth = scaled @ bridge.original_model.lm_head.weight[TARGET]
    found = dict(zip(labels, worth))
    return {"direct/heads": torch.stack([torch.stack([found[f"L{i}H{h}"] for h in range(HEADS)], -1) for i in range(LAYERS)], 1),
            "direct/mlp": torch.stack([found[f"{i}_mlp_out"] for i in range(LAYERS)], -1),
            "direct/embed": found["embed"], "direct/pos_embed": found["pos_embed"]}


def ablation(bridge, tokens, logits, kind):
    effect = torch.zeros(len(tokens), LAYERS, HEADS)
    for layer in range(LAYERS):
        for head in range(HEADS):
            def change(z, hook, head=head):
                z = z.clone()
                part = z.view(*z.shape[:2], HEADS, -1)
                part[:, :, head] = part[:, :, head].mean((0, 1)) if kind == "mean" else 0
                return z
            without = bridge.run_with_hooks(tokens, fwd_hooks=[(f"blocks.{layer}.attn.hook_z", change)])
            effect[:, layer, head] = (logits - without[:, -1])[:, TARGET]
    return effect


def patching(bridge, tokens, kind):
    """[layers, length, heads or 1]: a position (a head) of the clean row in the corrupt one."""
    clean, corrupt = tokens[:1], tokens[1:2]
    logits, kept = bridge.run_with_cache(clean)
    best, worst = logits[0, -1, TARGET], bridge(corrupt)[0, -1, TARGET]
    names = {"resid_pre": "hook_resid_pre", "z": "attn.hook_z", "attn_out": "hook_attn_out", "mlp_out": "hook_mlp_out"}
    heads, length = HEADS if kind == "z" else 1, tokens.shape[1]
    found = torch.zeros(LAYERS, length, heads)
    for layer in range(LAYERS):
        name = f"blocks.{layer}.{names[kind]}"
        for t in range(length):
            for head in range(heads):
                def change(x, hook, t=t, head=head, good=kept[name]):
                    x = x.clone()
                    x.view(1, length, heads, -1)[:, t, head] = good.reshape(1, length, heads, -1)[:, t, head]
                    return x
                made = bridge.run_with_hooks(corrupt, fwd_hooks=[(name, change)])
                found[layer, t, head] = (made[0, -1, TARGET] - worst) / (best - worst)
    return found


def main():
    golden, worst = load_file(HERE / "inside_gpt2.safetensors"), {}

    def compare(name, found):
        assert found.shape == golden[name].shape, (name, found.shape, golden[name].shape)
        worst[name] = float(numpy.abs(found.numpy() - golden[name]).max())

    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        bridge, tokens = opened(folder)
        logits, cache = bridge.run_with_cache(tokens)
        compare("lens", lens(bridge, cache))
        assert (logits[:, -1] - lens(bridge, cache)[:, -1]).abs().max() < 1e-5
        for name, found in direct(bridge, cache).items():
            compare(name, found)
        compare("attention", torch.stack([cache[f"blocks.{i}.attn.hook_pattern"] for i in range(LAYERS)], 1))
        for kind in ("zero", "mean"):
            compare("ablation/" + kind, ablation(bridge, tokens, logits[:, -1], kind))
        for kind in ("resid_pre", "z", "attn_out", "mlp_out"):
            compare("patch/" + kind, patching(bridge, tokens, kind))
    for name, value in worst.items():
        print(f"{name:24} {value:.1e}")
    assert max(worst.values()) < 1e-4, worst


if __name__ == "__main__":
    main()
