"""A tiny job from submission to predictions, checked with an independent reader and numpy."""
import re

import numpy as np

from harness import Cluster, as_it_ships, read_safetensors, run
from scenes import metrics


def forward(tensors, x):
    """A relu MLP in float64."""
    layers = len(tensors) // 2
    for i in range(layers):
        x = x @ tensors[f"layers.{i}.weight"].astype(np.float64).T + tensors[f"layers.{i}.bias"]
        if i + 1 < layers:
            x = np.maximum(x, 0)
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def train_and_check(mode, codec="float32", pushed=4):
    """pushed: bytes of an element on its way."""
    with Cluster() as cluster:
        _, _, test_x, test_y = cluster.tiny_data()
        cluster.start_server()
        cluster.start_worker("w1")
        cluster.start_worker("w2")
        job_id = cluster.submit(cluster.tiny_job(mode=mode, layers="[16, 256, 4]").replace("consistency:", f"codec: {codec}\n  consistency:"))
        job = cluster.wait_job(job_id)
        counted = metrics(cluster)
        elements = 16 * 256 + 256 + 256 * 4 + 4
        received = counted["psd_received_bytes_total"] / counted["psd_pushes_total"] / elements
        assert pushed < received < pushed + 0.5, received
        accuracy = job["progress"]["test_accuracy"]
        assert accuracy > 0.9, job

        out = cluster.dir / "model.safetensors"
        cluster.psctl("export", "tiny", "-o", out)
        _, tensors = read_safetensors(out)
        expected = forward(tensors, test_x / 255.0)
        assert abs((expected.argmax(1) == test_y).mean() - accuracy) < 1e-9, "accuracy differs from numpy's"

        rows = cluster.psctl_json("predict", "tiny", cluster.dir / "test-features.gz")["predictions"]
        assert len(rows) == len(test_x)
        ours = np.array([r["probabilities"] for r in rows])
        assert np.abs(ours - expected).max() < 1e-5
        assert [r["class"] for r in rows] == list(ours.argmax(1))

        found = cluster.psctl_json("evaluate", "tiny", cluster.dir / "test-features.gz",
                                   cluster.dir / "test-labels.gz")
        assert abs(found["accuracy"] - accuracy) < 1e-9


@as_it_ships
def asp_trains_exports_and_predicts():
    train_and_check("asp")


@as_it_ships
def bsp_trains_exports_and_predicts():
    train_and_check("bsp")


def encoded_gradients_and_parameters_train_as_well():
    train_and_check("bsp", "{gradients: int8, parameters: bf16}", pushed=1)
    train_and_check("asp", "{gradients: bf16, parameters: bf16}", pushed=2)


@as_it_ships
def a_layer_larger_than_a_push_trains():
    """80 MB of one tensor, where limits.push_bytes is 64 MiB: pushed in pieces of at most 9 MiB."""
    inputs, hidden, rows, batch, epochs = 25, 800000, 64, 16, 2
    for mode, names in (("asp", ["w1"]), ("bsp", ["w1", "w2"])):
        with Cluster() as cluster:
            cluster.tiny_data(rows=rows, features=inputs)
            cluster.start_server()
            for name in names:
                cluster.start_worker(name)
            job = cluster.tiny_job(mode=mode, workers=len(names), layers=f"[{inputs}, {hidden}, 4]", batch=batch,
                                   epochs=epochs)
            job_id = cluster.submit(job.replace("adamw, learning_rate: 0.003, weight_decay: 0.01",
                                                "sgd, learning_rate: 0.00006"))
            job = cluster.wait_job(job_id, timeout=120)
            pieces = -(-inputs * hidden * 4 // (9 << 20))
            steps = epochs * rows // batch
            assert metrics(cluster)["psd_pushes_total"] >= steps * pieces, job
            assert job["progress"]["samples"] == epochs * rows and job["progress"]["test_loss"] < 1.34, job


def a_push_is_followed_with_grep():
    """log.level trace, docs/operations.md: from the backward pass to the optimizer, and back."""
    with Cluster() as cluster:
        cluster.start_server("log: {level: trace}")
        worker = cluster.start_worker("w1", "log: {level: trace}")
        cluster.tiny_data()
        cluster.wait_job(cluster.submit(cluster.tiny_job(epochs=1, workers=1)))
        asked, served = worker.text().splitlines(), cluster.server.text().splitlines()

        def hops(lines, what):
            return [line.split(": ", 1)[1] for line in lines if re.search(rf"\b(push|update|call): .*\b{what}\b", line)]
        sent, got = hops(asked, "sequence=3"), hops(served, "sequence=3")
        assert [line.split()[0] for line in got] == ["header", "admitted", "applied"], got
        version = re.search(r"version=\d+", got[-1])[0]
        assert "optimizer=adamw" in hops(served, version)[0], hops(served, version)
        call = re.search(r"call=\S+", got[0])[0]
        assert any(line.startswith("answered") and version in line for line in hops(served, call)), hops(served, call)
        words = [line.split()[0] for line in sent]
        assert words[0] == "begun" and words[-1] == "acknowledged", sent
        clock = re.search(r"clock=\d+", sent[0])[0]
        assert any(line.startswith("ready ") for line in hops(asked, clock)), "the backward pass"


run([a_push_is_followed_with_grep, asp_trains_exports_and_predicts, bsp_trains_exports_and_predicts,
     encoded_gradients_and_parameters_train_as_well, a_layer_larger_than_a_push_trains])
