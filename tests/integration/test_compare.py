"""psctl compare: two stored models on the same rows; what it says is what numpy finds in their exported weights."""
import sys

import numpy as np
from harness import SOURCE, Cluster, as_it_ships, read_safetensors, run

sys.path[:0] = [str(SOURCE / "tests/golden/hf")]
import make as hf  # noqa: E402


def trained(cluster, name, layers, epochs):
    text = cluster.tiny_job(name=name, mode="bsp", workers=1, layers=layers, epochs=epochs)
    return cluster.wait_job(cluster.submit(text.replace("learning_rate: 0.003", "learning_rate: 0.02")))


def log_softmax(x):
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def answers(cluster, name, x):
    path = cluster.dir / f"{name}.safetensors"
    cluster.psctl("export", name, "--force", "-o", path)
    _, w = read_safetensors(path)
    for i in range(len(w) // 2):
        x = x @ w[f"layers.{i}.weight"].astype(np.float64).T + w[f"layers.{i}.bias"]
        if i + 1 < len(w) // 2:
            x = np.maximum(x, 0)
    return log_softmax(x)


def near(a, b):
    return abs(a - b) < 1e-5 * (1 + abs(b))


@as_it_ships
def two_models_are_as_far_apart_as_numpy_finds():
    with Cluster() as cluster:
        _, _, x, y = cluster.tiny_data(rows=2000, noise=90)
        cluster.start_server()
        cluster.start_worker("w1")
        trained(cluster, "large", "[16, 64, 4]", 8)
        trained(cluster, "small", "[16, 8, 4]", 3)
        files = ("--data", cluster.dir / "test-features.gz", "--labels", cluster.dir / "test-labels.gz")
        said = cluster.psctl_json("compare", "large", "small", *files)
        found = said["result"]["report"]
        p, q = (answers(cluster, name, x / 255.0) for name in ("large", "small"))
        losses = [-a[np.arange(len(y)), y] for a in (p, q)]
        assert found["samples"] == len(y)
        assert near(found["model"]["loss"], losses[0].mean()) and near(found["other"]["loss"], losses[1].mean()), found
        assert near(found["loss_difference"], (losses[1] - losses[0]).mean()), found
        assert near(found["divergence"], (np.exp(p) * (p - q)).sum(1).mean()), found
        assert near(found["same_top"], (p.argmax(1) == q.argmax(1)).mean()), found
        assert near(found["model"]["accuracy"], (p.argmax(1) == y).mean()), found
        assert found["model"]["rows_a_second"] > 0 and said["bytes"] > said["other_bytes"]

        batch = 256  # of jobs without a section train
        means, weights = [], []
        for begin in range(0, len(y), batch):
            rows = slice(begin, begin + batch)
            means.append((losses[1][rows] - losses[0][rows]).mean())
            weights.append(len(losses[0][rows]))
        means, weights = np.array(means), np.array(weights, dtype=float)
        mean, n = (weights * means).sum() / weights.sum(), len(means)
        error = np.sqrt((weights ** 2 * (means - mean) ** 2).sum() * n / (n - 1)) / weights.sum()
        assert near(found["loss_difference_error"], error), (found, error)

        # from fewer rows than it would take if there were more
        where = {part: f"{{features: {cluster.dir}/{part}-features.gz, labels: {cluster.dir}/{part}-labels.gz}}"
                 for part in ("train", "test")}
        cluster.wait_job(cluster.submit(
            f"kind: compress\nname: less\nmodel_name: large\n"
            f"data: {{format: idx, train: {where['train']}, test: {where['test']}}}\n"
            f"compress: {{quantise: {{scheme: int8, method: gptq}}}}\n"))
        less = cluster.psctl_json("compare", "large", "less", *files)["result"]["report"]
        assert 0 < less["divergence"] < 1e-4 and less["same_top"] > 0.99, less

        again = cluster.psctl_json("compare", "large", "large", *files)["result"]["report"]
        assert again["loss_difference"] == 0 and again["same_top"] == 1 and again["divergence"] < 1e-7, again
        text = cluster.psctl("compare", "large", "small", *files).stdout
        assert "same top" in text and "divergence" in text and "large" in text.splitlines()[0], text


@as_it_ships
def a_language_model_is_compared_with_its_own_in_fewer_bits():
    """Each loss is what evaluate finds; the model beside itself is the same to the last bit of a mean."""
    with Cluster() as cluster:
        cluster.start_server()
        cluster.start_worker("w1")
        hf.write(cluster.dir / "hf", "llama")
        cluster.psctl("import", cluster.dir / "hf", "whole")
        cluster.psctl("export", "whole", "--format", "gguf", "--dtype", "q8_0", "-o", cluster.dir / "q8.gguf")
        cluster.psctl("import", cluster.dir / "q8.gguf", "q8")
        (cluster.dir / "text").write_text("The quick brown fox jumps over the lazy dog. " * 200)
        tokens = cluster.dir / "text.tokens"
        cluster.psctl("tokenize", cluster.dir / "text", "-o", tokens)
        found = cluster.psctl_json("compare", "whole", "q8", "--data", tokens)["result"]["report"]
        alone = [cluster.psctl_json("evaluate", name, tokens) for name in ("whole", "q8")]
        for name, said in zip(("model", "other"), alone):
            assert near(found[name]["loss"], said["loss"]) and near(found[name]["perplexity"], said["perplexity"]), (found, said)
            assert found[name]["tokens_a_second"] > 0 and found[name]["generated_a_second"] > 0
        assert near(found["loss_difference"], alone[1]["loss"] - alone[0]["loss"]), found
        assert 0 < found["divergence"] < 1 and 0.5 < found["same_top"] < 1, found
        assert 0 < found["loss_difference_error"] and 0 < found["divergence_error"] < found["divergence"], found
        same = cluster.psctl_json("compare", "q8", "q8", "--data", tokens)["result"]["report"]
        # the two losses are float32 sums of two loops
        assert abs(same["loss_difference"]) < 1e-6 and same["same_top"] == 1 and same["divergence"] < 1e-7, same


def what_cannot_be_compared_is_said_in_a_line():
    with Cluster() as cluster:
        cluster.tiny_data(rows=200)
        cluster.start_server()
        worker = cluster.start_worker("w1")
        trained(cluster, "a", "[16, 8, 4]", 1)
        trained(cluster, "b", "[16, 8, 5]", 1)
        trained(cluster, "c", "[16, 4, 4]", 1)
        files = ("--data", cluster.dir / "test-features.gz", "--labels", cluster.dir / "test-labels.gz")

        def refused(status, message, *arguments):
            done = cluster.psctl("compare", *arguments, check=False)
            assert done.returncode == status and message in done.stderr, done.stderr

        refused(6, "model b: it has 5 outputs, not 4", "a", "b", *files)
        refused(5, "model 'none' does not exist", "a", "none", *files)
        refused(2, "--data is missing", "a", "c")

        # of the versions of its submission, whatever becomes of them
        worker.stop()
        text = (f"kind: compare\nname: late\nmodel_name: a\ncompare: {{model: c}}\ndata:\n  format: idx\n"
                f"  test: {{features: {cluster.dir}/test-features.gz, labels: {cluster.dir}/test-labels.gz}}\n")
        late = cluster.submit(text)
        cluster.psctl("delete", "a")
        cluster.psctl("delete", "c")
        cluster.start_worker("w2")
        report = cluster.wait_job(late)["result"]["report"]
        assert report["other"]["name"] == "c" and report["samples"] == 50, report


run([two_models_are_as_far_apart_as_numpy_finds, a_language_model_is_compared_with_its_own_in_fewer_bits,
     what_cannot_be_compared_is_said_in_a_line])
