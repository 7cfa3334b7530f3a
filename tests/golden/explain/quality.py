#!/usr/bin/env python3
"""How good explanations are, by other libraries, of a model of layers (6-5-3, relu): Captum's infidelity in
float64 of feature ablation, over all 64 sets of features in place of drawn ones, as it is and normalised; and
the curve of Quantus' pixel flipping. Beside these what its answers to four labels come to and where its hidden layer
has the rows, by scikit-learn, SciPy and NumPy. tests/unit/worker/explain/test_quality.c compares ours with them.

    pip install torch==2.15.0 captum==0.9.0 quantus==0.6.0 scikit-learn scipy safetensors numpy
    tests/golden/explain/quality.py       # writes quality.safetensors beside it

Only needed to make the file again; the test reads the file.
"""
import pathlib

import numpy
import quantus
import torch
from captum.attr import FeatureAblation
from captum.metrics import infidelity, infidelity_perturb_func_decorator
from safetensors.numpy import save_file
from scipy.stats import kurtosis
from sklearn.decomposition import PCA
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss

INPUTS, HIDDEN, OUTPUTS, ROWS, TARGET, BASELINE = 6, 5, 3, 4, 1, 0.25

torch.set_default_dtype(torch.float64)
torch.manual_seed(5)
model = torch.nn.Sequential(torch.nn.Linear(INPUTS, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, OUTPUTS))
x = torch.randn(ROWS, INPUTS).float().double()
with torch.no_grad():
    for p in model.parameters():
        p.copy_(torch.randn_like(p).float().double())
values = FeatureAblation(model).attribute(x, baselines=BASELINE, target=TARGET)

SETS = 2**INPUTS
hidden = torch.tensor([[s >> k & 1 for k in range(INPUTS)] for s in range(SETS)], dtype=torch.bool)


@infidelity_perturb_func_decorator(multiply_by_inputs=True)
def hide(inputs, baselines):
    """Each row comes SETS times, one time behind the other: set i % SETS of it goes to the baseline."""
    assert len(inputs) % SETS == 0 and (inputs[0] == inputs[1]).all()
    return torch.where(hidden.repeat(len(inputs) // SETS, 1), baselines, inputs)


def wrong(normalise):
    return infidelity(model, hide, x, values, baselines=torch.full_like(x, BASELINE), target=TARGET,
                      n_perturb_samples=SETS, normalize=normalise)


class Flat(torch.nn.Module):
    """Quantus takes images; this one has one row, and the classes' answers as they are."""

    def forward(self, images):
        return model(images.reshape(len(images), INPUTS).double())


flipping = quantus.PixelFlipping(features_in_step=1, perturb_baseline=BASELINE, abs=False, normalise=False,
                                 display_progressbar=False, disable_warnings=True)
curves = flipping(model=Flat().eval(), x_batch=x.numpy().reshape(ROWS, 1, 1, INPUTS),
                  y_batch=numpy.full(ROWS, TARGET), a_batch=values.numpy().reshape(ROWS, 1, 1, INPUTS),
                  device="cpu", softmax=False, channel_first=True)

LABELS = numpy.array([0, 1, 2, 1])
p = torch.softmax(model(x), 1).detach().numpy()
hidden_layer = torch.relu(model[0](x)).detach().numpy()
turned = PCA(n_components=2, svd_solver="full").fit(hidden_layer)
coordinates = turned.transform(hidden_layer)
coordinates *= numpy.sign(coordinates[numpy.abs(coordinates).argmax(0), [0, 1]])
looks = {
    "confusion": confusion_matrix(LABELS, p.argmax(1), labels=range(OUTPUTS)),
    "answers": [accuracy_score(LABELS, p.argmax(1)), log_loss(LABELS, p, labels=range(OUTPUTS)),
                ((p - numpy.eye(OUTPUTS)[LABELS])**2).sum(1).mean()],
    "pca/coordinates": coordinates, "pca/explained": turned.explained_variance_ratio_,
    "channels": numpy.stack([hidden_layer.mean(0), hidden_layer.std(0), hidden_layer.min(0), hidden_layer.max(0),
                             kurtosis(hidden_layer, fisher=False), (hidden_layer > 0).mean(0)], 1),
    "singular": numpy.linalg.svd(model[0].weight.detach().numpy(), compute_uv=False),
}

out = looks | {"inputs": x, "values": values, "infidelity": wrong(False), "normalised": wrong(True), "curves": curves}
for name, p in zip(("w1", "b1", "w2", "b2"), model.parameters()):
    out[name] = p.detach()
save_file({name: numpy.ascontiguousarray(numpy.asarray(value), dtype=numpy.float32) for name, value in out.items()},
          pathlib.Path(__file__).parent / "quality.safetensors")
