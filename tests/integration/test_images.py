"""A network of convolutions, from the job file to answers: two workers train it, and what it says is what numpy makes of its
file; what is not for it is refused by name."""
import numpy as np

from harness import Cluster, read_safetensors, run, write_idx

SIDE = 10
MODEL = ("{architecture: cnn, image: [1, 10, 10], convolutions: [{channels: 6, pool: max}, {channels: 8, stride: 2, "
         "norm: none, pool: global}], layers: [3], dropout: 0.1}")


def bars(cluster):
    """A bar somewhere on noise: across, down or slanting."""
    rng = np.random.default_rng(5)
    for part, n in (("train", 1500), ("test", 300)):
        labels = rng.integers(0, 3, n).astype(np.uint8)
        x = rng.normal(60, 25, (n, SIDE, SIDE))
        for i, label in enumerate(labels):
            r, c = rng.integers(0, SIDE - 4, 2)
            for k in range(5):
                x[i, r + (label != 0) * k, c + (label != 1) * k] += 120
        x = np.clip(x, 0, 255).astype(np.uint8)
        write_idx(cluster.dir / f"{part}-features.gz", x)
        write_idx(cluster.dir / f"{part}-labels.gz", labels)
    return x, labels


def job(cluster, name, mode, more=""):
    return cluster.tiny_job(name=name, epochs=12, mode=mode).replace(
        "{architecture: mlp, layers: [16, 32, 4], activation: relu}", MODEL).replace("0.003", "0.01") + more


def windows(x, size, stride):
    return np.lib.stride_tricks.sliding_window_view(x, (size, size), (2, 3))[:, :, ::stride, ::stride]


def answers(tensors, x):
    x = x[:, None] / 255.0
    t = {name: values.astype(np.float64) for name, values in tensors.items()}
    for i, stride in enumerate((1, 2)):
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        x = np.einsum("ncrsij,ocij->nors", windows(padded, 3, stride), t[f"convolutions.{i}.weight"])
        x += t[f"convolutions.{i}.bias"][None, :, None, None]
        if i == 0:
            g = x.reshape(len(x), 6, -1)  # as many groups as channels
            g = (g - g.mean(2, keepdims=True)) / np.sqrt(g.var(2, keepdims=True) + 1e-5)
            x = (g * t["norms.0.weight"][:, None] + t["norms.0.bias"][:, None]).reshape(x.shape)
        x = np.maximum(x, 0)
        x = windows(x, 2, 2).max((4, 5)) if i == 0 else x.mean((2, 3))
    z = x @ t["layers.0.weight"].T + t["layers.0.bias"]
    p = np.exp(z - z.max(1, keepdims=True))
    return p / p.sum(1, keepdims=True)


def attributions_add_up(cluster, x):
    """Along the straight path from 0: to the difference of the logits, which the file has as probabilities' logarithms."""
    job = cluster.submit(
        f"kind: explain\nname: why\nmodel_name: again\ndata: {{format: idx, test: {{features: {cluster.dir}/test-features.gz, "
        f"labels: {cluster.dir}/test-labels.gz}}}}\nexplain:\n  rows: {{first: 0, count: 4}}\n  target: {{difference: [0, 1]}}\n"
        "  attributions: [saliency, {method: integrated_gradients, steps: 64, tolerance: 0.02, steps_max: 4096}]\n")
    cluster.wait_job(job)
    cluster.psctl("fetch", job, "explain.safetensors", "-o", cluster.dir / "arrays")
    values = read_safetensors(cluster.dir / "arrays")[1]["attributions/1/values"].sum(1)
    weights = read_safetensors(cluster.dir / "asp.safetensors")[1]
    ends = [np.log(answers(weights, rows)) for rows in (x[:4], np.zeros_like(x[:1]))]
    want = (ends[0] - ends[1])[:, 0] - (ends[0] - ends[1])[:, 1]
    assert np.abs(values - want).max() < 0.03 * np.abs(want).max(), (values, want)


def what_is_not_for_it(cluster):
    """Each refused at submission, with what it is."""
    files = f"data: {{format: idx, test: {{features: {cluster.dir}/test-features.gz, labels: {cluster.dir}/test-labels.gz}}}}"
    for text, message in (
            ("kind: compress\nname: small\nmodel_name: asp\ncompress: {quantise: {scheme: int8}}\n",
             "model asp is of architecture cnn, which kind compress does not take"),
            (f"kind: explain\nname: why\nmodel_name: asp\n{files}\nexplain:\n  attributions: [lrp]\n",
             "method lrp is not for architecture cnn, which model asp is of"),
            (job(cluster, "bad", "asp").replace("stride: 2", "stride: 2, kernal: 3"),
             "model.convolutions[1].kernal: unknown key; did you mean 'kernel'?")):
        path = cluster.dir / "bad.yaml"
        path.write_text(text)
        done = cluster.psctl("submit", path, check=False)
        assert done.returncode and message in done.stderr, (message, done.stderr)
    done = cluster.psctl("export", "asp", "--format", "gguf", "-o", cluster.dir / "no.gguf", check=False)
    assert done.returncode and "this model is of cnn" in done.stderr, done.stderr


def two_workers_train_it_and_it_answers_as_numpy_does():
    with Cluster() as cluster:
        x, labels = bars(cluster)
        cluster.start_server()
        for name in "w1", "w2":
            cluster.start_worker(name, data=cluster.dir)
        for mode in "asp", "bsp":
            done = cluster.wait_job(cluster.submit(job(cluster, mode, mode)))
            path = cluster.dir / f"{mode}.safetensors"
            cluster.psctl("export", mode, "-o", path)
            _, tensors = read_safetensors(path)
            assert tensors["convolutions.1.weight"].shape == (8, 6, 3, 3), tensors.keys()
            want = answers(tensors, x)
            accuracy = (want.argmax(1) == labels).mean()
            assert accuracy > 0.85 and abs(done["progress"]["test_accuracy"] - accuracy) < 0.005, (accuracy, done["progress"])
        cluster.psctl("import", cluster.dir / "asp.safetensors", "again")
        rows = cluster.psctl_json("predict", "again", cluster.dir / "test-features.gz")["predictions"]
        found = np.array([row["probabilities"] for row in rows])
        want = answers(read_safetensors(cluster.dir / "asp.safetensors")[1], x)
        assert np.abs(found - want).max() < 1e-4, np.abs(found - want).max()
        text = cluster.psctl("model", "again", "--graph", "text").stdout
        assert "convolutions.1" in text and "8×6×3×3" in text and "largest" in text, text
        cluster.wait_job(cluster.submit("kind: describe\nname: look\nmodel_name: again\n"))
        attributions_add_up(cluster, x)
        what_is_not_for_it(cluster)


run([two_workers_train_it_and_it_answers_as_numpy_does])
