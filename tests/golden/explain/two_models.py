#!/usr/bin/env python3
"""How two models differ on the same rows, by other libraries in float64: linear CKA from centred features, and
without bias as the mean over fours of rows; the rank correlation (SciPy) and cosine of Captum's attributions of
both. Models of layers 12-10-8-4 and 12-9-7-4 (relu), and the tiny gpt2 and llama of tests/golden beside themselves
with their two blocks exchanged. tests/unit/worker/explain/test_two_models.c compares ours with them.

    pip install torch==2.15.0 captum==0.9.0 scipy==1.17.1 transformers==5.24.0 safetensors numpy
    tests/golden/explain/two_models.py     # writes two_models.safetensors beside it

Only needed to make the file again; the test reads the file.
"""
import itertools
import math
import pathlib
import sys

import captum.attr
import numpy
import scipy.stats
import torch
from safetensors.numpy import load_file, save_file

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from make_transformers import gpt2, llama, ours  # noqa: E402

ROWS, CLASS, BASELINE, STEPS = 12, 2, 0.3, 50
SEQUENCES, LENGTH, LOGIT = 8, 6, 17

torch.set_default_dtype(torch.float64)
torch.manual_seed(23)
out = {}


def put(name, values):
    out[name] = numpy.ascontiguousarray(numpy.asarray(values), dtype=numpy.float32)


# ---- how alike two layers are ----

def cka(x, y):
    """Kornblith et al. 2019, equation 3, from features."""
    x, y = x - x.mean(0), y - y.mean(0)

    def norm(a, b):
        return numpy.linalg.norm(a.T @ b) ** 2
    return norm(x, y) / math.sqrt(norm(x, x) * norm(y, y))


def hsic(k, l):
    """The mean over fours of different rows (Gretton et al. 2005): no sum over all pairs, as ours has."""
    return numpy.mean([k[i, j] * (l[i, j] + l[q, r] - 2 * l[i, q])
                       for i, j, q, r in itertools.permutations(range(len(k)), 4)])


def debiased(x, y):
    x, y = x - x.mean(0), y - y.mean(0)  # which changes nothing but rounding
    k, l = x @ x.T, y @ y.T
    return hsic(k, l) / math.sqrt(hsic(k, k) * hsic(l, l))


def put_alike(at, mine, its):
    put(at + "cka", [[cka(x, y) for y in its] for x in mine])
    put(at + "cka_debiased", [[debiased(x, y) for y in its] for x in mine])


# ---- how alike two attributions are ----

def put_change(at, a, b):
    a, b = a.detach().numpy(), b.detach().numpy()
    put(at + "rows", [[scipy.stats.spearmanr(x, y).statistic,
                       x @ y / (numpy.linalg.norm(x) * numpy.linalg.norm(y)),
                       numpy.linalg.norm(y - x) / numpy.linalg.norm(x), numpy.linalg.norm(x), numpy.linalg.norm(y)]
                      for x, y in zip(a, b)])
    put(at + "values", b - a)
    put(at + "mean", numpy.mean(b - a, 0))
    put(at + "mean_size", numpy.mean(numpy.abs(b - a), 0))


# ---- models of layers ----

def network(at, sizes):
    parts = []
    for i, (inputs, outputs) in enumerate(zip(sizes, sizes[1:])):
        linear = torch.nn.Linear(inputs, outputs)
        with torch.no_grad():
            for p in linear.parameters():
                p.copy_((torch.randn_like(p) * (1.2 / math.sqrt(inputs) if p.ndim == 2 else 0.4)).float().double())
        put(f"{at}layers.{i}.weight", linear.weight.detach())
        put(f"{at}layers.{i}.bias", linear.bias.detach())
        parts += [linear] + ([torch.nn.ReLU()] if i + 2 < len(sizes) else [])
    return torch.nn.Sequential(*parts)


def layers():
    a, b = network("mlp/a/", (12, 10, 8, 4)), network("mlp/b/", (12, 9, 7, 4))
    x = torch.randn(ROWS, 12).float().double()
    put("mlp/inputs", x)
    with torch.no_grad():
        put_alike("mlp/", *([m[:2](x).numpy(), m[:4](x).numpy()] for m in (a, b)))
    method = captum.attr
    put_change("mlp/gradient_x_input/", *(method.InputXGradient(m).attribute(x.clone(), target=CLASS) for m in (a, b)))
    put_change("mlp/integrated_gradients/", *(method.IntegratedGradients(m).attribute(
        x, baselines=torch.full_like(x, BASELINE), target=CLASS, n_steps=STEPS, method="gausslegendre")
        for m in (a, b)))


# ---- language models ----

def exchanged(name):
    """The name of the same tensor in the other block."""
    for prefix in ("h.", "model.layers."):
        for own, other in (("0", "1"), ("1", "0")):
            if name.startswith(prefix + own):
                return prefix + other + name[len(prefix) + 1:]
    return name


def language(name, build):
    stored = load_file(HERE.parent / f"{name}.safetensors")
    tokens = torch.randint(0, 61, (SEQUENCES, LENGTH))
    put(f"{name}/tokens", tokens)
    streams, found = [], []
    for of in (lambda key: key, exchanged):
        model = build().double().eval()
        model.set_attn_implementation("eager")
        with torch.no_grad():
            for key, p in model.named_parameters():
                p.copy_(torch.from_numpy(stored["parameter/" + of(ours(key))]).double())
        behind = []
        blocks = model.transformer.h if name == "gpt2" else model.model.layers
        handles = [b.register_forward_hook(lambda m, given, made: behind.append(
            (made[0] if isinstance(made, tuple) else made)[:, -1].detach().numpy())) for b in blocks]
        model(tokens)
        for handle in handles:
            handle.remove()
        streams.append(behind)
        x = model.get_input_embeddings()(tokens).detach()
        found.append(captum.attr.InputXGradient(lambda e, m=model: m(inputs_embeds=e).logits[:, -1, LOGIT]).attribute(
            x.requires_grad_()).sum(-1))
    put_alike(f"{name}/", *streams)
    put_change(f"{name}/gradient_x_input/", *found)


if __name__ == "__main__":
    layers()
    language("gpt2", gpt2)
    language("llama", llama)
    save_file(dict(sorted(out.items())), HERE / "two_models.safetensors")
