#!/usr/bin/env python3
"""Attributions by other libraries, in float64: Captum, SHAP and zennit, on small models of layers (20-16-12-5,
one of each activation) and on the tiny gpt2 and llama of tests/golden; CP-LRP of the latter by PyTorch's
autograd over models that are written out here (and compared with transformers), with `detach` where its
rules say so.
tests/unit/worker/explain/test_golden_attributions.c compares ours with them.

    pip install torch==2.15.0 captum==0.9.0 shap==0.51.0 zennit==0.5.1 transformers==5.24.0 safetensors numpy
    tests/golden/explain/attributions.py       # writes attributions.safetensors beside it

Only needed to make the file again; the test reads the file.
"""
import math
import pathlib

import captum.attr
import captum.attr._core.deep_lift as deep_lift
import numpy
import shap
import torch
import zennit.rules
from safetensors.numpy import load_file, save_file
from torch import nn
from torch.nn import functional as F
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

HERE = pathlib.Path(__file__).parent
SIZES, ROWS, BASELINE, CLASS = (20, 16, 12, 5), 4, 0.3, 2
LENGTH, TOKEN, LOGIT = 6, 7, 17
STEPS, EPSILON = 50, (1e-6, 0.25)

torch.set_default_dtype(torch.float64)
torch.manual_seed(11)
out = {}


def put(name, values):
    out[name] = numpy.ascontiguousarray(numpy.asarray(values), dtype=numpy.float32)


# ---- models of layers ----

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh,
               "gelu_tanh": lambda: nn.GELU(approximate="tanh"), "silu": nn.SiLU}
for kind in (nn.GELU, nn.SiLU):
    deep_lift.SUPPORTED_NON_LINEAR[kind] = deep_lift.nonlinear


def rounded(tensor):
    """What float32 can hold, so that both sides begin with the same numbers."""
    return tensor.to(torch.float32).to(torch.float64)


def network(activation):
    parts = []
    for i, (inputs, outputs) in enumerate(zip(SIZES, SIZES[1:])):
        parts += [nn.Linear(inputs, outputs)] + ([ACTIVATIONS[activation]()] if i + 2 < len(SIZES) else [])
    model = nn.Sequential(*parts)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(rounded(torch.randn_like(p) * (1.2 / math.sqrt(p.shape[-1]) if p.ndim == 2 else 0.4)))
    return model.eval()


def groups_of(features):
    """Cells of a grid of 2 × 5 over 4 × 5 numbers."""
    return torch.tensor([i // 5 * 2 // 4 * 5 + i % 5 for i in range(features)])


def shares(f, x, baseline, groups):
    """Shapley values of groups: shap's Exact, and its kernel over all coalitions."""
    n = int(groups.max()) + 1

    def value(coalitions):
        chosen = torch.tensor(numpy.asarray(coalitions, dtype=float))[:, groups]
        while chosen.ndim < x.ndim + 1:
            chosen = chosen.unsqueeze(-1)
        return f(chosen * x + (1 - chosen) * baseline).detach().numpy()

    nobody, everybody = numpy.zeros((1, n)), numpy.ones((1, n))
    exact = shap.explainers.Exact(value, shap.maskers.Independent(nobody))(everybody).values[0]
    kernel = shap.KernelExplainer(value, nobody).shap_values(everybody, nsamples=2**n, l1_reg=0)[0]
    assert numpy.abs(exact - kernel).max() < 1e-6
    return exact


def relevance(model, x, epsilon):
    """zennit's rule on each linear layer; activations pass it on. It begins with the logit itself."""
    handles = [zennit.rules.Epsilon(epsilon).register(m) if isinstance(m, nn.Linear) else
               zennit.rules.Pass().register(m) for m in model]
    x = x.clone().requires_grad_()
    y = model(x)
    seed = torch.zeros_like(y)
    seed[:, CLASS] = y[:, CLASS].detach()
    found, = torch.autograd.grad(y, x, seed)
    for handle in handles:
        handle.remove()
    return found


def check_captum_relevance(model, x, epsilon, want):
    for m in model:
        if isinstance(m, nn.Linear):
            m.rule = captum.attr._utils.lrp_rules.EpsilonRule(epsilon)
    got = captum.attr.LRP(model).attribute(x, target=CLASS)
    assert (got - want).abs().max() < 1e-6, (got - want).abs().max()


def conductance(model, x, baseline):
    """Of each activation's outputs: ∫ ∂f/∂a · da/dα dα along the path, with steps so small that the rule does
    not matter."""
    steps, found = 20000, []
    for i, part in enumerate(model):
        if isinstance(part, nn.Linear):
            continue
        alphas = torch.linspace(0, 1, steps + 1).unsqueeze(1)
        a = model[:i + 1](baseline + alphas * (x - baseline)).detach().requires_grad_()
        gradient, = torch.autograd.grad(model[i + 1:](a)[:, CLASS].sum(), a)
        total = ((gradient[1:] + gradient[:-1]) / 2 * (a[1:] - a[:-1])).sum(0).detach()
        found.append(total)
    return found


def layers(name):
    model = network(name)
    x = rounded(torch.randn(ROWS, SIZES[0]))
    baseline = rounded(torch.full((1, SIZES[0]), BASELINE))
    at = f"mlp/{name}/"
    for i, m in enumerate(m for m in model if isinstance(m, nn.Linear)):
        put(f"{at}layers.{i}.weight", m.weight.detach())
        put(f"{at}layers.{i}.bias", m.bias.detach())
    put(at + "inputs", x)
    method = captum.attr
    put(at + "saliency", method.Saliency(model).attribute(x.clone(), target=CLASS).detach())
    put(at + "gradient_x_input", method.InputXGradient(model).attribute(x.clone(), target=CLASS).detach())
    put(at + "integrated_gradients", method.IntegratedGradients(model).attribute(
        x, baselines=baseline, target=CLASS, n_steps=STEPS, method="gausslegendre").detach())
    put(at + "feature_ablation", method.FeatureAblation(model).attribute(x, baselines=baseline, target=CLASS).detach())
    put(at + "occlusion", method.Occlusion(model).attribute(
        x, sliding_window_shapes=(4,), strides=2, baselines=baseline, target=CLASS).detach())
    put(at + "deep_lift", method.DeepLift(model, eps=1e-10).attribute(
        x, baselines=baseline.expand_as(x).clone(), target=CLASS).detach())
    for epsilon in EPSILON:
        found = relevance(model, x, epsilon)
        if name in ("relu", "tanh"):
            check_captum_relevance(model, x, epsilon, found)
        put(f"{at}lrp/{epsilon}", found)
    with torch.no_grad():
        put(at + "shapley", [shares(lambda z: model(z)[:, CLASS], row, baseline[0], groups_of(SIZES[0])) for row in x])
    layer = method.LayerConductance(model, model[1])
    by_captum = layer.attribute(x, baselines=baseline, target=CLASS, n_steps=5000, method="riemann_middle")
    again = torch.stack([conductance(model, row, baseline[0])[0] for row in x])
    assert (by_captum - again).abs().max() < 1e-3 * again.abs().max()
    for i, found in enumerate(zip(*(conductance(model, row, baseline[0]) for row in x))):
        put(f"{at}conductance/{i}", torch.stack(found))


# ---- language models ----

def stop(tensor, yes):
    return tensor.detach() if yes else tensor


def attend(q, k, v, lrp):
    """q, k, v [heads, length, size]; the weights are constants to CP-LRP."""
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    mask = torch.ones(q.shape[-2], q.shape[-2], dtype=torch.bool).tril()
    return stop(scores.masked_fill(~mask, -math.inf).softmax(-1), lrp) @ v


def heads(tensor, n):
    return tensor.view(tensor.shape[0], n, -1).transpose(0, 1)


def flat(tensor):
    return tensor.transpose(0, 1).reshape(tensor.shape[1], -1)


def run_gpt2(p, x, lrp, streams=None):
    """Logits after the last token; x[length, 16] are the tokens' embeddings. streams: a list that what is
    behind each block is put into."""
    def norm(x, at):
        centred = x - x.mean(-1, keepdim=True)
        return centred / stop((centred.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt(), lrp) * p[at + ".weight"] + p[at + ".bias"]

    x = x + p["wpe.weight"][:x.shape[0]]
    for i in range(2):
        at = f"h.{i}."
        packed = norm(x, at + "ln_1") @ p[at + "attn.c_attn.weight"] + p[at + "attn.c_attn.bias"]
        q, k, v = (heads(part, 4) for part in packed.chunk(3, -1))
        x = x + flat(attend(q, k, v, lrp)) @ p[at + "attn.c_proj.weight"] + p[at + "attn.c_proj.bias"]
        pre = norm(x, at + "ln_2") @ p[at + "mlp.c_fc.weight"] + p[at + "mlp.c_fc.bias"]
        post = F.gelu(pre, approximate="tanh")
        post = pre * (post / pre).detach() if lrp else post
        x = x + post @ p[at + "mlp.c_proj.weight"] + p[at + "mlp.c_proj.bias"]
        streams is not None and streams.append(x)
    return norm(x, "ln_f")[-1] @ p["wte.weight"].T


def run_llama(p, x, lrp, streams=None):
    def norm(x, at):
        return x / stop((x.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt(), lrp) * p[at + ".weight"]

    def turn(x):
        angle = torch.arange(x.shape[1]).unsqueeze(1) * 10000.0 ** (-torch.arange(2) / 2)
        a, b = x.chunk(2, -1)
        return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1)

    for i in range(2):
        at = f"model.layers.{i}."
        normed = norm(x, at + "input_layernorm")
        q, k, v = (heads(normed @ p[f"{at}self_attn.{c}_proj.weight"].T, n) for c, n in (("q", 4), ("k", 2), ("v", 2)))
        k, v = (part.repeat_interleave(2, 0) for part in (k, v))
        x = x + flat(attend(turn(q), turn(k), v, lrp)) @ p[at + "self_attn.o_proj.weight"].T
        normed = norm(x, at + "post_attention_layernorm")
        gate = F.silu(normed @ p[at + "mlp.gate_proj.weight"].T)
        x = x + (stop(gate, lrp) * (normed @ p[at + "mlp.up_proj.weight"].T)) @ p[at + "mlp.down_proj.weight"].T
        streams is not None and streams.append(x)
    return norm(x, "model.norm")[-1] @ p["lm_head.weight"].T


def gpt2():
    return GPT2LMHeadModel(GPT2Config(vocab_size=61, n_positions=16, n_embd=16, n_layer=2, n_head=4))


def llama():
    return LlamaForCausalLM(LlamaConfig(
        vocab_size=61, max_position_embeddings=16, hidden_size=16, intermediate_size=44, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, rms_norm_eps=1e-5, tie_word_embeddings=False))


def conservative(run, parameters, x):
    """CP-LRP: [rows, length]."""
    found = []
    for row in x:
        row = row.clone().requires_grad_()
        logit = run(parameters, row, True)[LOGIT]
        gradient, = torch.autograd.grad(logit, row)
        found.append((gradient * row).sum(-1).detach())
    return torch.stack(found)


def stream_conductance(run, parameters, x, baseline):
    """As conductance, of the stream behind each block: [blocks, length]."""
    steps, found, before = 2000, torch.zeros(2, LENGTH), None
    for alpha in torch.linspace(0, 1, steps + 1):
        streams = []
        logit = run(parameters, (baseline + alpha * (x - baseline)).requires_grad_(), False, streams)[LOGIT]
        now = [(y.detach(), g) for y, g in zip(streams, torch.autograd.grad(logit, streams))]
        for i, ((y, g), (y0, g0)) in enumerate(zip(now, before or now)):
            found[i] += ((g + g0) / 2 * (y - y0)).sum(-1)
        before = now
    return found


def exchange(f, table, tokens):
    """All tokens in the place of each: by how much f changes, [length, vocabulary]."""
    changed = tokens.repeat(len(tokens), table.shape[0], 1)
    for t in range(len(tokens)):
        changed[t, :, t] = torch.arange(table.shape[0])
    with torch.no_grad():
        return (f(table[changed.flatten(0, 1)]) - f(table[tokens].unsqueeze(0))).view(len(tokens), -1)


def language(name, build, run):
    stored = load_file(HERE.parent / f"{name}.safetensors")
    parameters = {key.removeprefix("parameter/"): torch.tensor(value).double() for key, value in stored.items()
                  if key.startswith("parameter/")}
    model = build().double().eval()
    model.set_attn_implementation("eager")
    with torch.no_grad():
        for key, p in model.named_parameters():
            p.copy_(parameters[key.removeprefix("transformer.")])
    table = model.get_input_embeddings().weight.detach()
    tokens = torch.tensor(stored["tokens"][:2, :LENGTH]).long()
    x = table[tokens]

    def f(embeddings):
        """transformers turns and norms in float32 even here; so it is what is written out above."""
        return torch.stack([run(parameters, row, False)[LOGIT] for row in embeddings])

    assert (f(x) - model(inputs_embeds=x).logits[:, -1, LOGIT]).abs().max() < 1e-5
    at, method = f"{name}/", captum.attr
    gradient = method.Saliency(f).attribute(x.clone(), abs=False).detach()
    put(at + "gradient", gradient)
    put(at + "saliency", gradient.norm(dim=-1))
    put(at + "gradient_x_input", method.InputXGradient(f).attribute(x.clone()).sum(-1).detach())
    for what, baseline in (("zero", torch.zeros_like(x)), ("token", table[torch.full_like(tokens, TOKEN)]),
                           ("mean", rounded(table.mean(0)).expand_as(x))):
        put(f"{at}integrated_gradients/{what}", method.IntegratedGradients(f).attribute(
            x, baselines=baseline, n_steps=STEPS, method="gausslegendre").sum(-1).detach())
    of_layer = method.LayerIntegratedGradients(lambda t: model(t).logits[:, -1, LOGIT], model.get_input_embeddings())
    again = of_layer.attribute(tokens, baselines=torch.full_like(tokens, TOKEN), n_steps=STEPS, method="gausslegendre")
    assert numpy.abs(again.sum(-1).detach().numpy() - out[at + "integrated_gradients/token"]).max() < 1e-4
    each = torch.arange(LENGTH).view(1, LENGTH, 1).expand(1, LENGTH, 16)
    put(at + "feature_ablation", method.FeatureAblation(f).attribute(x, baselines=0.0, feature_mask=each)[:, :, 0].detach())
    put(at + "occlusion", method.Occlusion(f).attribute(
        x, sliding_window_shapes=(2, 16), strides=(1, 16), baselines=0.0)[:, :, 0].detach())
    put(at + "shapley", [shares(f, row, torch.zeros_like(row), torch.arange(LENGTH)) for row in x])
    put(at + "cp_lrp", conservative(run, parameters, x))
    put(at + "conductance", torch.stack(
        [stream_conductance(run, parameters, row, table[TOKEN].expand_as(row)) for row in x]))
    put(at + "logit", f(x).detach())
    put(at + "exchange", torch.stack([exchange(f, table, row) for row in tokens]))


if __name__ == "__main__":
    for activation in ACTIVATIONS:
        layers(activation)
    language("gpt2", gpt2, run_gpt2)
    language("llama", llama, run_llama)
    save_file(dict(sorted(out.items())), HERE / "attributions.safetensors")
