#!/usr/bin/env python3
"""Influence over three checkpoints of a model of layers (10-8-6-4, relu), by other libraries in float64: Captum's TracInCP,
which sums over checkpoints at the rate of each, and dattri's TRAKAttributor, which takes the means of both factors of
TRAK; it is given the projections that docs/record.md says, another draw for each checkpoint, and rows scaled so that its
ridge is a share of their mean square. The rows are those of influence.safetensors.
tests/unit/worker/explain/test_influence.c compares ours with them.

    pip install torch==2.15.0 captum==0.9.0 safetensors numpy; pip install --no-deps dattri==0.3.0
    tests/golden/explain/influence_checkpoints.py   # writes influence_checkpoints.safetensors beside it

Only needed to make the file again; the test reads the file.
"""
import pathlib
import tempfile

import dattri.algorithm.trak
import numpy
import torch
from captum.influence import TracInCP
from dattri.task import AttributionTask
from safetensors.numpy import load_file, save_file
from torch.nn.functional import cross_entropy

from projection import projection

HERE = pathlib.Path(__file__).parent
SIZES, TRAIN, SKETCH, RIDGE, RATES = (10, 8, 6, 4), 40, 64, 0.05, (0.5, 0.25, 2.0)

torch.set_default_dtype(torch.float64)
torch.manual_seed(9)
rows = load_file(HERE / "influence.safetensors")
train_x, test_x = (torch.from_numpy(rows[name]).double() for name in ("train_x", "test_x"))
train_y, test_y = (torch.from_numpy(rows[name]).long() for name in ("train_y", "test_y"))
train = torch.utils.data.TensorDataset(train_x, train_y)
test = torch.utils.data.TensorDataset(test_x, test_y)


def made():
    layers = []
    for n, m in zip(SIZES, SIZES[1:]):
        layers += [torch.nn.Linear(n, m), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    with torch.no_grad():
        for p in model.parameters():
            p.copy_((1.2 * torch.randn_like(p) / p.shape[-1] ** 0.5).float().double())
    return model


models = [made() for _ in RATES]
model = made()


def by_captum():
    files = {}
    with tempfile.TemporaryDirectory() as folder:
        for i, (one, rate) in enumerate(zip(models, RATES)):
            path = f"{folder}/{i}"
            torch.save(one.state_dict(), path)
            files[path] = rate

        def load(into, path):
            into.load_state_dict(torch.load(path))
            return files[path]

        tracin = TracInCP(model, train, list(files), checkpoints_load_func=load,
                          loss_fn=torch.nn.CrossEntropyLoss(reduction="sum"), batch_size=8, sample_wise_grads_per_batch=True)
        return tracin.influence((test_x, test_y)), tracin.self_influence(None)


def probability(params, row):
    z = torch.func.functional_call(model, params, (row[0][None],))
    return torch.exp(-cross_entropy(z, row[1][None]))


def margin(params, row):
    p = probability(params, row)
    return torch.log(p) - torch.log(1 - p)


class Projected:
    """In place of dattri's random projection; what comes first of each checkpoint are all rows of training."""

    def __init__(self):
        shapes = [(m, n + 1) for n, m in zip(SIZES, SIZES[1:])]
        elements = sum(a * b for a, b in shapes)
        self.made, self.scale = [], {}
        for draw in range(len(RATES)):
            columns = []
            for unit, (a, b) in enumerate(shapes):
                width = min(max(SKETCH * a * b // elements, 16), a * b)
                s = projection(a * b, width, unit, draw).reshape(width, a, b)
                columns.append((s[:, :, :-1].reshape(width, -1), s[:, :, -1]))  # the weight's, the bias's
            height, at = sum(len(s) for s, _ in columns), 0
            whole = []
            for weight, bias in columns:
                block = numpy.zeros((height, weight.shape[1] + bias.shape[1]))
                block[at:at + len(weight)] = numpy.concatenate([weight, bias], 1)
                at += len(weight)
                whole.append(block)
            self.made.append(torch.from_numpy(numpy.concatenate(whole, 1)))

    def __call__(self, features, batch_size, **_):
        return self.project

    def project(self, gradients, ensemble_id):
        out = gradients @ self.made[ensemble_id].T
        if ensemble_id not in self.scale:
            self.scale[ensemble_id] = out.square().sum(0).mean().sqrt()
        return out / self.scale[ensemble_id]


def by_dattri():
    dattri.algorithm.trak.random_project = Projected()
    task = AttributionTask(loss_func=lambda params, row: margin(params, row).squeeze(), model=model,
                           checkpoints=[m.state_dict() for m in models])
    trak = dattri.algorithm.trak.TRAKAttributor(task, lambda params, row: probability(params, row).squeeze(),
                                                regularization=RIDGE)
    with torch.no_grad():
        trak.cache(torch.utils.data.DataLoader(train, batch_size=TRAIN))
        return trak.attribute(torch.utils.data.DataLoader(test, batch_size=len(test))).T


scores, self_influence = by_captum()
out = {"tracin": scores, "self": self_influence, "trak": by_dattri()}
for i, one in enumerate(models):
    for k, layer in enumerate(layer for layer in one if isinstance(layer, torch.nn.Linear)):
        out[f"{i}/layers.{k}.weight"], out[f"{i}/layers.{k}.bias"] = layer.weight.detach(), layer.bias.detach()
save_file({name: numpy.ascontiguousarray(numpy.asarray(value), dtype=numpy.float32) for name, value in out.items()},
          HERE / "influence_checkpoints.safetensors")
