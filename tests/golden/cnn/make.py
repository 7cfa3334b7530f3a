"""Makes cnn.safetensors: networks for images in PyTorch, one step each.

    python3 tests/golden/cnn/make.py tests/golden/cnn/cnn.safetensors

Of each network N its parameters under the names that psd gives them, the images and labels of a
batch, the outputs, the loss, and the gradients of all parameters and of the images: "N/name",
"N/grad/name", "N/images" and so on. What each is, its section says: the metadata's key N, as a
job file's model section.
"""

import json
import sys

import numpy
import safetensors.numpy
import torch
from torch import nn
from torch.nn import functional as F

NETWORKS = {
    "plain": dict(image=[1, 12, 12], activation="relu", layers=[16, 10], convolutions=[
        dict(channels=8, kernel=3, stride=1, padding=1, norm_groups=4, pool="max", pool_size=2, pool_stride=2),
        dict(channels=12, kernel=3, stride=1, padding=0, norm_groups=3, pool="none", pool_size=0, pool_stride=0)]),
    "gelu": dict(image=[3, 11, 9], activation="gelu", layers=[5], convolutions=[
        dict(channels=6, kernel=5, stride=2, padding=2, norm_groups=0, pool="average", pool_size=3, pool_stride=1),
        dict(channels=7, kernel=1, stride=1, padding=0, norm_groups=1, pool="max", pool_size=2, pool_stride=1),
        dict(channels=4, kernel=2, stride=1, padding=1, norm_groups=1, pool="global", pool_size=0, pool_stride=0)]),
    "tanh": dict(image=[2, 8, 10], activation="tanh", layers=[4], convolutions=[
        dict(channels=5, kernel=3, stride=1, padding=2, norm_groups=0, pool="max", pool_size=3, pool_stride=2),
        dict(channels=3, kernel=4, stride=3, padding=1, norm_groups=0, pool="none", pool_size=0, pool_stride=0)]),
    "wide": dict(image=[3, 16, 20], activation="relu", layers=[10], convolutions=[
        dict(channels=24, kernel=3, stride=1, padding=1, norm_groups=8, pool="none", pool_size=0, pool_stride=0),
        dict(channels=70, kernel=3, stride=2, padding=1, norm_groups=7, pool="none", pool_size=0, pool_stride=0),
        dict(channels=9, kernel=5, stride=1, padding=2, norm_groups=3, pool="average", pool_size=2, pool_stride=2)]),
    "deep": dict(image=[3, 14, 14], activation="relu", layers=[6, 3], convolutions=[
        dict(channels=4, kernel=3, stride=1, padding=1, norm_groups=2, pool="none", pool_size=0, pool_stride=0),
        dict(channels=4, kernel=3, stride=1, padding=1, norm_groups=4, pool="max", pool_size=2, pool_stride=2),
        dict(channels=6, kernel=3, stride=1, padding=1, norm_groups=0, pool="average", pool_size=2, pool_stride=1),
        dict(channels=6, kernel=3, stride=2, padding=0, norm_groups=6, pool="none", pool_size=0, pool_stride=0),
        dict(channels=8, kernel=1, stride=1, padding=0, norm_groups=0, pool="global", pool_size=0, pool_stride=0)]),
    # an image of one row, whose windows are mostly outside of it
    "row": dict(image=[2, 1, 24], activation="gelu", layers=[3], convolutions=[
        dict(channels=5, kernel=5, stride=2, padding=4, norm_groups=5, pool="max", pool_size=2, pool_stride=2),
        dict(channels=3, kernel=2, stride=1, padding=1, norm_groups=0, pool="none", pool_size=0, pool_stride=0)]),
    # a kernel as large as the image
    "whole": dict(image=[4, 6, 6], activation="tanh", layers=[8, 3], convolutions=[
        dict(channels=7, kernel=6, stride=6, padding=0, norm_groups=1, pool="none", pool_size=0, pool_stride=0)]),
}
ROWS = {"plain": 7, "gelu": 5, "tanh": 3, "wide": 3, "deep": 4, "row": 5, "whole": 6}
ACTIVATIONS = {"relu": F.relu, "gelu": F.gelu, "tanh": torch.tanh}


class Network(nn.Module):
    def __init__(self, section):
        super().__init__()
        self.section, channels = section, section["image"][0]
        self.convolutions, self.norms, self.layers = nn.ModuleList(), nn.ModuleDict(), nn.ModuleList()
        for i, c in enumerate(section["convolutions"]):
            self.convolutions.append(nn.Conv2d(channels, c["channels"], c["kernel"], c["stride"], c["padding"]))
            channels = c["channels"]
            if c["norm_groups"]:
                self.norms[str(i)] = nn.GroupNorm(c["norm_groups"], channels)
        width = self.features(torch.zeros(1, *section["image"])).shape[1]
        for n in section["layers"]:
            self.layers.append(nn.Linear(width, n))
            width = n

    def features(self, x):
        f = ACTIVATIONS[self.section["activation"]]
        for i, c in enumerate(self.section["convolutions"]):
            x = self.convolutions[i](x)
            if str(i) in self.norms:
                x = self.norms[str(i)](x)
            x = f(x)
            if c["pool"] == "max":
                x = F.max_pool2d(x, c["pool_size"], c["pool_stride"])
            elif c["pool"] == "average":
                x = F.avg_pool2d(x, c["pool_size"], c["pool_stride"])
            elif c["pool"] == "global":
                x = x.mean((2, 3), keepdim=True)
        return x.flatten(1)

    def forward(self, x):
        f = ACTIVATIONS[self.section["activation"]]
        x = self.features(x)
        for layer in self.layers[:-1]:
            x = f(layer(x))
        return self.layers[-1](x)


def section_text(section):
    section = json.loads(json.dumps(section))
    for c in section["convolutions"]:
        c["norm"] = "group" if c["norm_groups"] else "none"
    return json.dumps({"architecture": "cnn", **section}).replace('"', "")


def main(path):
    torch.manual_seed(13)
    out, metadata = {}, {}
    for name, section in NETWORKS.items():
        network = Network(section).double()  # the numbers are float32's, what comes of them is not rounded
        with torch.no_grad():
            for p in network.parameters():
                p.copy_((p + 0.1 * torch.randn_like(p)).float().double())
        images = torch.randn(ROWS[name], *section["image"]).double().requires_grad_()
        labels = torch.randint(section["layers"][-1], (ROWS[name],))
        outputs = network(images)
        loss = F.cross_entropy(outputs, labels)
        loss.backward()
        metadata[name] = section_text(section)
        for key, p in network.named_parameters():
            out[f"{name}/{key}"], out[f"{name}/grad/{key}"] = p, p.grad
        out |= {f"{name}/images": images, f"{name}/grad/images": images.grad, f"{name}/outputs": outputs,
                f"{name}/loss": loss.reshape(1)}
        out[f"{name}/labels"] = labels
    arrays = {}
    for key, value in out.items():
        kind = numpy.int32 if key.endswith("/labels") else numpy.float32
        arrays[key] = numpy.ascontiguousarray(value.detach().numpy().astype(kind))
    safetensors.numpy.save_file(arrays, path, metadata)


main(sys.argv[1])
