#!/usr/bin/env python3
"""Influence of windows of tokens on the loss of others, of the tiny gpt2 and llama models of ../gpt2.safetensors and
../llama.safetensors, in float64: the models written out in plain torch (and held against the logits that transformers
has for them, which those files hold), gradients row by row by autograd, and the formulas of TracIn, EK-FAC (factors of the
rows' own labels, "empirical") and TRAK over them. Counted are the matrices of the blocks, each with its bias as a last
column; a row's loss, and margin, is the mean over its tokens. The _3 are of three checkpoints, the first alone is the
others': the sum of TracIn's, and of TRAK both factors as means, each model with its own projection.
tests/unit/worker/explain/test_influence_language.c compares ours with them.

    pip install torch==2.15.0
    tests/golden/explain/influence_language.py     # writes influence_gpt2.safetensors, influence_llama.safetensors beside it

Only needed to make the files again; the test reads the files.
"""
import json
import pathlib
import struct

import torch

from projection import projection

HERE = pathlib.Path(__file__).parent
TRAIN, LENGTH, VOCABULARY, HEADS, SIZE = 30, 12, 61, 4, 4
SKETCH, RIDGE, DAMPING = 64, 0.05, 0.1
CHECKPOINTS = (1.0, 0.5), (0.875, 0.25), (1.125, 2.0)  # what parameters are multiplied with, exactly, and the rate there

torch.set_default_dtype(torch.float64)


def read(path):
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header, out = json.loads(data[8:8 + length]), {}
    for name, said in header.items():
        begin, end = said["data_offsets"]
        kind = {"F32": torch.float32, "I32": torch.int32}[said["dtype"]]
        raw = torch.frombuffer(bytearray(data[8 + length + begin:8 + length + end]), dtype=kind)
        out[name] = raw.reshape(said["shape"]).to(torch.float64 if said["dtype"] == "F32" else torch.int64)
    return out


def write(path, tensors):
    header, data = {}, b""
    for name, values in sorted(tensors.items()):
        flat = values.reshape(-1).tolist()
        whole = values.dtype == torch.int64
        raw = struct.pack(f"<{len(flat)}{'i' if whole else 'f'}", *flat)
        header[name] = {"dtype": "I32" if whole else "F32", "shape": list(values.shape),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


# ---- the models: p[name] are parameters, tokens [length]; logits [length, vocabulary] ----

def attend(q, k, v):
    """[length, heads, size]; each key and value head serves as many of q's."""
    share = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(share, 1), v.repeat_interleave(share, 1)
    logits = torch.einsum("qhd,khd->hqk", q, k) / SIZE ** 0.5
    mask = torch.ones(logits.shape[-2:], dtype=torch.bool).tril()
    return torch.einsum("hqk,khd->qhd", logits.masked_fill(~mask, float("-inf")).softmax(-1), v).flatten(1)


def gpt2(p, tokens):
    def norm(x, name):
        return torch.nn.functional.layer_norm(x, x.shape[-1:], p[name + ".weight"], p[name + ".bias"], 1e-5)

    def product(x, name):
        return x @ p[name + ".weight"] + p[name + ".bias"]

    x = p["wte.weight"][tokens] + p["wpe.weight"][:len(tokens)]
    for layer in ("h.0.", "h.1."):
        q, k, v = (part.unflatten(1, (HEADS, SIZE)) for part in
                   product(norm(x, layer + "ln_1"), layer + "attn.c_attn").chunk(3, 1))
        x = x + product(attend(q, k, v), layer + "attn.c_proj")
        inner = torch.nn.functional.gelu(product(norm(x, layer + "ln_2"), layer + "mlp.c_fc"), approximate="tanh")
        x = x + product(inner, layer + "mlp.c_proj")
    return norm(x, "ln_f") @ p["wte.weight"].T


def llama(p, tokens):
    angles = torch.arange(len(tokens))[:, None] * 10000.0 ** (-torch.arange(0, SIZE, 2) / SIZE)
    cos, sin = (f(angles).repeat(1, 2)[:, None] for f in (torch.cos, torch.sin))

    def turned(x):
        a, b = x.chunk(2, -1)
        return x * cos + torch.cat([-b, a], -1) * sin

    def norm(x, name):
        return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * p[name + ".weight"]

    x = p["model.embed_tokens.weight"][tokens]
    for layer in ("model.layers.0.", "model.layers.1."):
        h = norm(x, layer + "input_layernorm")
        q, k, v = ((h @ p[f"{layer}self_attn.{name}_proj.weight"].T).unflatten(1, (-1, SIZE)) for name in "qkv")
        x = x + attend(turned(q), turned(k), v) @ p[layer + "self_attn.o_proj.weight"].T
        h = norm(x, layer + "post_attention_layernorm")
        gate, up = (h @ p[f"{layer}mlp.{name}_proj.weight"].T for name in ("gate", "up"))
        x = x + (torch.nn.functional.silu(gate) * up) @ p[layer + "mlp.down_proj.weight"].T
    return norm(x, "model.norm") @ p["lm_head.weight"].T


# ---- gradients ----

def loss(logits, labels):
    return torch.nn.functional.cross_entropy(logits, labels)


def margin(logits, labels):
    p = torch.softmax(logits, -1)[torch.arange(len(labels)), labels]
    return torch.log(p / (1 - p)).mean()


def missed(logits, labels):
    return (1 - torch.softmax(logits, -1)[torch.arange(len(labels)), labels]).mean()


class Rows:
    """Gradients of rows, layer by layer: [rows, out, in], a bias as the last of in."""

    def __init__(self, name, model):
        stored = read(HERE.parent / f"{name}.safetensors")
        self.model, self.p = model, {key.removeprefix("parameter/"): value.requires_grad_()
                                     for key, value in stored.items() if key.startswith("parameter/")}
        inside = [key for key in self.p if (key.startswith("h.") or ".layers." in key) and self.p[key].ndim == 2]
        order = ("c_attn", "c_proj", "c_fc", "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
        self.layers = sorted(inside, key=lambda key: (key.split(".layers.")[-1].removeprefix("h.").split(".")[0], "mlp" in key,
                                                      [i for i, part in enumerate(order) if part in key][0]
                                                      if "mlp.c_" not in key else "c_proj" in key))
        self.transposed = name == "gpt2"
        with torch.no_grad():
            off = max((model(self.p, row) - logits).abs().max() for row, logits in zip(stored["tokens"], stored["logits"]))
        assert off < 1e-5, f"{name}: transformers has other logits, by {off}"

    def of(self, tokens, labels, what):
        out, size = [], []
        names = [key for layer in self.layers for key in (layer, layer.replace("weight", "bias")) if key in self.p]
        for row, label in zip(tokens, labels):
            logits = self.model(self.p, row)
            found = dict(zip(names, torch.autograd.grad(what(logits, label), [self.p[key] for key in names])))
            each = []
            for layer in self.layers:
                g, bias = found[layer], found.get(layer.replace("weight", "bias"))
                g = g.T if self.transposed else g
                each.append(g if bias is None else torch.cat([g, bias[:, None]], 1))
            out.append(each)
            size.append(missed(logits.detach(), label))
        return [torch.stack(each) for each in zip(*out)], torch.stack(size)


def factors(rows, tokens, labels):
    """Of each layer Σ a·aᵀ and Σ δ·δᵀ over all tokens, by hooking every product: a perturbation of what it gives."""
    taken, given, keep = {}, {}, {}
    names = {id(rows.p[name]): name for name in rows.layers}
    plain = torch.Tensor.__matmul__

    def watched(x, w):
        base = w._base if w._base is not None else w
        name = names.get(id(base))
        y = plain(x, w)
        if name is None:
            return y
        ones = torch.ones(len(x), 1)
        taken[name] = torch.cat([x.detach(), ones], 1) if rows.transposed else x.detach()
        keep[name] = y
        y.retain_grad()
        return y

    sums = {}
    torch.Tensor.__matmul__ = watched
    try:
        for row, label in zip(tokens, labels):
            value = loss(rows.model(rows.p, row), label)
            value.backward()
            for name in rows.layers:
                a, d = taken[name], keep[name].grad
                was = sums.get(name, (0, 0))
                sums[name] = (was[0] + a.T @ a, was[1] + d.T @ d)
    finally:
        torch.Tensor.__matmul__ = plain
    del given
    return [sums[name] for name in rows.layers]


def ekfac(rows, train, test, tokens, labels):
    total = 0
    for (a, s), g, asked in zip(factors(rows, tokens, labels), train, test):
        qa, qs = torch.linalg.eigh(a)[1], torch.linalg.eigh(s)[1]
        g, asked = qs.T @ g @ qa, qs.T @ asked @ qa
        scale = g.square().mean(0)
        total = total + torch.einsum("qoi,roi->qr", asked / (scale + DAMPING * scale.mean()), g)
    return total


# ---- TRAK ----

def kernel(train, test, draw):
    elements = [g[0].numel() for g in train]
    widths = [min(max(SKETCH * n // sum(elements), 16), n) for n in elements]
    made = [torch.from_numpy(projection(n, width, unit, draw)) for unit, (n, width) in enumerate(zip(elements, widths))]
    a, b = (torch.cat([g.flatten(1) @ s.T for g, s in zip(layers, made)], 1) for layers in (train, test))
    squares = a.T @ a
    squares += RIDGE * squares.trace() / len(squares) * torch.eye(len(squares))
    return b @ torch.linalg.solve(squares, a.T)


def make(name, model):
    torch.manual_seed(11)
    stream = torch.randint(VOCABULARY, (TRAIN * LENGTH + 1,))
    tokens, labels = stream[:-1].reshape(TRAIN, LENGTH), stream[1:].reshape(TRAIN, LENGTH)
    asked = torch.randint(VOCABULARY, (3 * LENGTH + 1,))
    questions = asked[:-1].reshape(3, LENGTH), asked[1:].reshape(3, LENGTH)
    rows = Rows(name, model)
    own, out = rows.p, {"train": stream, "test": asked}
    sums, kernels, missing = [], [], []
    for draw, (scale, rate) in enumerate(CHECKPOINTS):
        rows.p = {key: (scale * value.detach()).requires_grad_() for key, value in own.items()}
        train, _ = rows.of(tokens, labels, loss)
        test, _ = rows.of(*questions, loss)
        margins, miss = rows.of(tokens, labels, margin)
        asked_margins, _ = rows.of(*questions, margin)
        sums.append((rate * sum(torch.einsum("qoi,roi->qr", q, g) for q, g in zip(test, train)),
                     rate * sum(g.square().sum((1, 2)) for g in train)))
        kernels.append(kernel(margins, asked_margins, draw))
        missing.append(miss)
        if draw == 0:
            out.update(tracin=sums[0][0], self=sums[0][1], ekfac=ekfac(rows, train, test, tokens, labels),
                       trak=kernels[0] * miss)
    mean = len(CHECKPOINTS)
    out.update(tracin_3=sum(s for s, _ in sums), self_3=sum(s for _, s in sums),
               trak_3=sum(kernels) / mean * (sum(missing) / mean))
    write(HERE / f"influence_{name}.safetensors", out)
    print(name, [tuple(g.shape[1:]) for g in train])


make("gpt2", gpt2)
make("llama", llama)
