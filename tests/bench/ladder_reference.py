#!/usr/bin/env python3
"""Some rows of the ladder once more, in numpy and float64, on the model that psd's jobs had: which numbers go, or which
form each matrix gets, by the textbook's rule; and what that adds to the loss.

    tests/bench/ladder_reference.py MODEL.safetensors MOMENTS.safetensors TEST.tokens ROW ...

MODEL is a gpt2 as `psctl export` writes it, MOMENTS what its job left (`psctl fetch JOB moments.safetensors`), TEST tokens of
16 bits. It prints a line of JSON for each ROW: the loss, what is added to the parent's, the standard error of that (of the
differences of rows of 128 tokens), and what was chosen. Nothing of psd's is used: quantisers, knapsack (all sums, not a
price), importance and the model itself are written here. Needs numpy; tests/bench/ladder --reference PYTHON calls it.

    ffn-RATIO-RULE       units of the MLPs removed: magnitude, moments: by Σ w² or Σ v·w² of the columns behind them;
                         group-magnitude, group-moments: of all their numbers, bias and rows too
    uniform-BITS-GROUP   each matrix rounded in groups of GROUP numbers, of a row or of the whole matrix (row, matrix), with a
                         zero; symmetric-BITS-GROUP without one
    mixed-BITS-RULE      forms of psd's list, as many bytes as BITS and a zero take in groups of 64, with the least sum of
                         squared errors (magnitude) or of ½·N·v·Δw² (moments)
    codes-BITS-RULE      as a paper counts: 2 to 6 and 8 bits, of which BITS are the mean; scales and zeros cost nothing
"""
import json
import pathlib
import re
import struct
import sys

import numpy as np

GROUP, WINDOW, CHUNK = 64, 128, 37


def read(path):
    data = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    metadata = header.pop("__metadata__", {})
    out = {}
    for name, t in header.items():
        begin, end = (8 + length + o for o in t["data_offsets"])
        if t["dtype"] == "BF16":
            numbers = (np.frombuffer(data[begin:end], "<u2").astype("<u4") << 16).view("<f4")
        else:
            numbers = np.frombuffer(data[begin:end], "<f4")
        out[name] = numbers.reshape(t["shape"]).astype(np.float64)
    return out, metadata


def windows(path):
    tokens = np.frombuffer(pathlib.Path(path).read_bytes()[64:], "<u2").astype(np.int64)
    rows = (len(tokens) - 1) // WINDOW
    return tokens[np.arange(rows)[:, None] * WINDOW + np.arange(WINDOW + 1)]


# ---- the model ----

def norm(x, gain, bias, epsilon):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + epsilon) * gain + bias


def attention(x, heads):
    n, length, width = x.shape[0], x.shape[1], x.shape[2] // 3
    q, k, v = (part.reshape(n, length, heads, -1).transpose(0, 2, 1, 3) for part in np.split(x, 3, -1))
    scores = q @ k.transpose(0, 1, 3, 2) / np.sqrt(width // heads)
    scores[..., ~np.tril(np.ones((length, length), bool))] = -np.inf
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    return (scores / scores.sum(-1, keepdims=True) @ v).transpose(0, 2, 1, 3).reshape(n, length, width)


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x * x * x)))


def row_losses(w, config, rows):
    """[rows]: the mean over a row's tokens."""
    out = []
    for part in np.array_split(rows, -(-len(rows) // CHUNK)):
        inputs, targets = part[:, :-1], part[:, 1:]
        x = w["wte.weight"][inputs] + w["wpe.weight"][:WINDOW]
        for i in range(config["num_layers"]):
            def product(y, name):
                return y @ w[f"h.{i}.{name}.weight"] + w[f"h.{i}.{name}.bias"]

            def normed(y, name):
                return norm(y, w[f"h.{i}.{name}.weight"], w[f"h.{i}.{name}.bias"], config["norm_epsilon"])
            x = x + product(attention(product(normed(x, "ln_1"), "attn.c_attn"), config["num_heads"]), "attn.c_proj")
            x = x + product(gelu(product(normed(x, "ln_2"), "mlp.c_fc")), "mlp.c_proj")
        logits = norm(x, w["ln_f.weight"], w["ln_f.bias"], config["norm_epsilon"]) @ w["wte.weight"].T
        most = logits.max(-1, keepdims=True)
        sums = np.log(np.exp(logits - most).sum(-1)) + most[..., 0]
        out.append((sums - np.take_along_axis(logits, targets[..., None], -1)[..., 0]).mean(-1))
    return np.concatenate(out)


def matrices(config):
    return [f"h.{i}.{name}.weight" for i in range(config["num_layers"])
            for name in ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")]


# ---- units removed ----

def without_units(w, v, config, ratio, rule):
    out, gone = dict(w), []
    for i in range(config["num_layers"]):
        up, bias, down = (f"h.{i}.mlp.{name}" for name in ("c_fc.weight", "c_fc.bias", "c_proj.weight"))

        def counts(name):
            return w[name]**2 * (v[name] if "moments" in rule else 1)
        importance = counts(down).sum(1)
        if rule.startswith("group"):
            importance = importance + counts(up).sum(0) + counts(bias)
        least = importance.argsort(kind="stable")[:int(len(importance) * ratio)]
        out[down] = w[down].copy()
        out[down][least] = 0
        gone.append(sorted(int(u) for u in least))
    return out, gone


# ---- forms: codes and scales of numbers in groups, [groups, numbers in one] ----

def half(x):
    return x.astype(np.float16).astype(np.float64)


def nearest(x, scale, zero, least, most):
    codes = np.clip(np.rint(x / np.where(scale > 0, scale, 1)) + zero, least, most) - zero
    return scale * codes


def symmetric(x, bits):
    scale = half(np.abs(x).max(1, keepdims=True) / ((2**bits - 1) / 2 if bits < 8 else 127))
    return nearest(x, scale, 0, -2**(bits - 1) + (bits == 8), 2**(bits - 1) - 1)


def affine(x, bits):
    """Min and max, the zero rounded to a whole code."""
    steps = 2**bits - 1
    least, most = np.minimum(x.min(1, keepdims=True), 0), np.maximum(x.max(1, keepdims=True), 0)
    scale = (most - least) / steps
    return nearest(x, scale, np.clip(np.rint(-least / scale), 0, steps), 0, steps)


def q5_0(x, _):
    x = x.reshape(-1, 32)
    largest = np.take_along_axis(x, np.abs(x).argmax(1)[:, None], 1)
    d = half(largest / -16)
    codes = np.minimum(31, np.trunc(x / np.where(largest, largest / -16, 1) + 16.5))
    return (d * (codes - 16)).reshape(-1, GROUP)


PSD = {"int2": (symmetric, 2, 2.25), "uint2": (affine, 2, 2.5), "int3": (symmetric, 3, 3.25), "uint3": (affine, 3, 3.5),
       "int4": (symmetric, 4, 4.25), "uint4": (affine, 4, 4.5), "q5_0": (q5_0, 5, 5.5), "int8": (symmetric, 8, 8.25)}
CODES = {f"uint{b}": (affine, b, b) for b in (2, 3, 4, 5, 6, 8)}


def in_form(w, form, group=GROUP):
    how, bits, _ = form
    group = {"row": w.shape[0], "matrix": w.size}.get(group) or int(group)
    return how(w.T.reshape(-1, group), bits).reshape(w.T.shape).T  # groups run along a product's inputs


def cheapest(losses, costs, most):
    """The choice of each with the least sum of losses whose costs, whole numbers, are no more than most: all sums."""
    best = {0: (0.0, [])}
    for loss, cost in zip(losses, costs):
        after = {}
        for spent, (sum_, chosen) in best.items():
            for k, (more, price) in enumerate(zip(loss, cost)):
                at = spent + price
                if at <= most and (at not in after or sum_ + more < after[at][0]):
                    after[at] = (sum_ + more, chosen + [k])
        best = after
    return min(best.values())[1]


def mixed(w, v, config, bits, rule, forms):
    names = matrices(config)
    made = [[in_form(w[n], form) for form in forms.values()] for n in names]
    losses = [[((m - w[n])**2 * (v[n] if rule == "moments" else 1)).sum() for m in of] for n, of in zip(names, made)]
    unit = np.gcd.reduce([w[n].size for n in names])
    costs = [[round(4 * cost * w[n].size / unit) for *_, cost in forms.values()] for n in names]
    chosen = cheapest(losses, costs, round(4 * bits * sum(w[n].size for n in names) / unit))
    out = w | {n: made[i][k] for i, (n, k) in enumerate(zip(names, chosen))}
    return out, {n: list(forms)[k] for n, k in zip(names, chosen)}


def make(row, w, v, config):
    kind, amount, *rule = row.split("-", 2)
    if kind == "ffn":
        return without_units(w, v, config, float(amount) / 100, rule[0])
    if kind in ("uniform", "symmetric"):
        form = (affine if kind == "uniform" else symmetric, int(amount), 0)
        return w | {n: in_form(w[n], form, *rule) for n in matrices(config)}, None
    if kind == "mixed":
        return mixed(w, v, config, float(amount) + 0.5, rule[0], PSD)
    if kind == "codes":
        return mixed(w, v, config, float(amount), rule[0], CODES)
    sys.exit(f"ladder_reference: {row} is no row; see --help")


def main():
    if len(sys.argv) < 5 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    w, metadata = read(sys.argv[1])
    v, _ = read(sys.argv[2])
    config = {key: float(value) for key, value in re.findall(r"(\w+): ([\d.e+-]+)[,}]", metadata["psd.model"])}
    config = {"norm_epsilon": 1e-5} | config | {key: int(config[key]) for key in ("num_layers", "num_heads")}
    rows = windows(sys.argv[3])
    parent = row_losses(w, config, rows)
    for row in sys.argv[4:]:
        child, chosen = make(row, w, v, config)
        losses = row_losses(child, config, rows)
        more = losses - parent
        print(json.dumps({"row": row, "loss": losses.mean(), "added": more.mean(),
                          "error": more.std(ddof=1) / len(more)**0.5, "chosen": chosen}), flush=True)


main()
