#!/usr/bin/env python3
"""Influence of rows of training on the loss of others, by other libraries in float64, of a model of layers
(10-8-6-4, relu): Captum's TracInCP; Kronfluence's scores without curvature ("identity", the same number) and
with EK-FAC, whose factors are of the rows' own labels ("empirical"), since drawn ones would be others; and TRAK
(its formula, in numpy, of gradients that torch makes row by row), projected as docs/record.md says.
tests/unit/worker/explain/test_influence.c compares ours with them.

    pip install torch==2.15.0 captum==0.9.0 safetensors numpy; pip install --no-deps kronfluence==1.0.1
    tests/golden/explain/influence.py       # writes influence.safetensors beside it

Only needed to make the file again; the test reads the file.
"""
import pathlib
import tempfile

import numpy
import torch
from captum.influence import TracInCP
from kronfluence.analyzer import Analyzer, prepare_model
from kronfluence.arguments import FactorArguments, ScoreArguments
from kronfluence.task import Task
from safetensors.numpy import save_file
from torch.nn.functional import cross_entropy

from projection import projection

SIZES, TRAIN, TEST, SKETCH, RIDGE, RATE = (10, 8, 6, 4), 40, 5, 64, 0.05, 0.5

torch.set_default_dtype(torch.float64)
torch.manual_seed(7)


def made():
    layers = []
    for n, m in zip(SIZES, SIZES[1:]):
        layers += [torch.nn.Linear(n, m), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


model = made()
with torch.no_grad():
    for p in model.parameters():
        p.copy_((1.2 * torch.randn_like(p) / p.shape[-1] ** 0.5).float().double())
x = torch.randn(TRAIN + TEST, SIZES[0]).float().double()
y = torch.arange(TRAIN + TEST) % SIZES[-1]
train, test = torch.utils.data.TensorDataset(x[:TRAIN], y[:TRAIN]), torch.utils.data.TensorDataset(x[TRAIN:], y[TRAIN:])


def by_captum():
    with tempfile.NamedTemporaryFile() as file:
        torch.save(model.state_dict(), file.name)

        def load(into, path):
            into.load_state_dict(torch.load(path))
            return RATE

        tracin = TracInCP(made(), train, [file.name], checkpoints_load_func=load,
                          loss_fn=torch.nn.CrossEntropyLoss(reduction="sum"), batch_size=8, sample_wise_grads_per_batch=True)
        return tracin.influence((x[TRAIN:], y[TRAIN:])), tracin.self_influence(None)


class Classes(Task):
    def compute_train_loss(self, batch, model, sample=False):
        return cross_entropy(model(batch[0]), batch[1], reduction="sum")

    def compute_measurement(self, batch, model):
        return self.compute_train_loss(batch, model)


def by_kronfluence(strategy):
    with tempfile.TemporaryDirectory() as folder:
        task = Classes()
        other = made()
        other.load_state_dict(model.state_dict())
        analyzer = Analyzer("golden", prepare_model(other, task), task, cpu=True, output_dir=folder,
                            disable_tqdm=True)
        how = FactorArguments(strategy=strategy, use_empirical_fisher=True, covariance_module_partitions=1)
        for name in ("activation_covariance_dtype", "gradient_covariance_dtype", "lambda_dtype",
                     "per_sample_gradient_dtype", "eigendecomposition_dtype"):
            setattr(how, name, torch.float64)
        score = ScoreArguments(damping_factor=None)
        for name in ("score_dtype", "per_sample_gradient_dtype", "precondition_dtype"):
            setattr(score, name, torch.float64)
        analyzer.fit_all_factors("f", train, factor_args=how, per_device_batch_size=8)
        analyzer.compute_pairwise_scores("s", "f", test, train, score_args=score, per_device_query_batch_size=5,
                                         per_device_train_batch_size=8)
        return analyzer.load_pairwise_scores("s")["all_modules"]


# ---- TRAK ----

def margin_gradients(rows):
    """Layer by layer [rows, out, in + 1], a layer's bias as its last column; and 1 - p."""
    layers, missed = [[] for _ in SIZES[1:]], []
    for i in rows:
        z = model(x[i:i + 1])[0]
        p = torch.softmax(z, 0)[y[i]]
        margin = torch.log(p / (1 - p))
        g = torch.autograd.grad(margin, list(model.parameters()))
        for layer, (weight, bias) in enumerate(zip(g[::2], g[1::2])):
            layers[layer].append(torch.cat([weight, bias[:, None]], 1).numpy())
        missed.append(1 - p.item())
    return [numpy.array(layer) for layer in layers], numpy.array(missed)


def by_trak():
    shapes = [(m, n + 1) for n, m in zip(SIZES, SIZES[1:])]
    all_elements = sum(a * b for a, b in shapes)
    projections = []
    for unit, (a, b) in enumerate(shapes):
        width = min(max(SKETCH * a * b // all_elements, 16), a * b)
        projections.append(projection(a * b, width, unit))

    def project(layers):
        return numpy.concatenate([g.reshape(len(g), -1) @ s.T for g, s in zip(layers, projections)], 1)

    g_train, missed = margin_gradients(range(TRAIN))
    g_test, _ = margin_gradients(range(TRAIN, TRAIN + TEST))
    a, b = project(g_train), project(g_test)
    kernel = a.T @ a
    kernel += RIDGE * numpy.trace(kernel) / len(kernel) * numpy.eye(len(kernel))
    return b @ numpy.linalg.solve(kernel, a.T) * missed


scores, self_influence = by_captum()
identity = by_kronfluence("identity")
assert abs(RATE * identity - scores).max() < 1e-9, "two libraries differ"
out = {"train_x": x[:TRAIN], "train_y": y[:TRAIN], "test_x": x[TRAIN:], "test_y": y[TRAIN:], "tracin": scores,
       "self": self_influence, "ekfac": by_kronfluence("ekfac"), "trak": by_trak()}
for i, layer in enumerate(layer for layer in model if isinstance(layer, torch.nn.Linear)):
    out[f"layers.{i}.weight"], out[f"layers.{i}.bias"] = layer.weight.detach(), layer.bias.detach()
save_file({name: numpy.ascontiguousarray(numpy.asarray(value), dtype=numpy.float32) for name, value in out.items()},
          pathlib.Path(__file__).parent / "influence.safetensors")
