"""What a job file leaves to its data: names of classes, mean and deviation of each column, means for what is missing.
Taken once for two workers, kept with the model through export, import and another training; the same from numpy."""

import json
import re
import runpy
import sys

import numpy as np

from harness import SOURCE, Cluster, as_it_ships, read_safetensors, run

WORDS = ["Éclair, \"dark\"", "ananas", "zest"]  # in the order of their bytes: ananas, zest, Éclair
ORDER = ["ananas", "zest", "Éclair, \"dark\""]
CENTRES = np.array([[1e9 + 1, -3e-7, 250.0], [1e9 + 4, 1e-7, -250.0], [1e9 + 7, 4e-7, 250.0]])
WIDTHS = np.array([0.8, 1.5e-7, 60.0])


def make(cluster, name, rows, seed, gaps=True, shift=0.0):
    """(values with NaN for what is missing, words); 17 digits a number, so that both sides have the same."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, 3, rows)
    x = CENTRES[kinds] + rng.normal(0, 1, (rows, 3)) * WIDTHS + shift * WIDTHS
    x = np.concatenate([x, np.full((rows, 1), 0.1)], 1)  # and one that is always the same
    if gaps:
        x[rng.random((rows, 4)) < 0.05] = np.nan
    quoted = ['"' + WORDS[k].replace('"', '""') + '"' for k in kinds]
    with open(cluster.dir / f"{name}.csv", "w", encoding="utf-8") as out:
        out.write("big,tiny,wide,same,kind\n")
        for row, word in zip(x, quoted):
            out.write(",".join("" if np.isnan(v) else repr(float(v)) for v in row) + f",{word}\n")
    return x, [WORDS[k] for k in kinds]


def job(cluster, name="sweets", train="train", more="", model="model: {architecture: mlp, layers: [4, 8, 3]}\n", epochs=12,
        normalise="normalise: {from: data}", missing=", missing: mean"):
    return f"""kind: train
name: {name}
{model}data:
  format: csv
  train: {{features: {cluster.dir}/{train}.csv}}
  test: {{features: {cluster.dir}/test.csv}}
  csv: {{header: true, label_column: kind{missing}}}
  {normalise}
train: {{epochs: {epochs}, batch_size: 20, optimizer: {{name: adamw, learning_rate: 0.02}}}}
workers: 2
min_workers: 2
{more}"""


def numbers(config, key):
    return np.array([float(v) for v in re.search(key + r": \[([^]]*)\]", config)[1].split(",")])


def classes(config):
    return json.loads(re.search(r"classes: (\[.*?\])[,}]", config)[1])


def predicted(tensors, x, mean, std):
    """In float64, of the values of the file."""
    h = (np.where(np.isnan(x), mean, x) - mean) / std
    for layer in range(2):
        h = h @ tensors[f"layers.{layer}.weight"].astype(np.float64).T + tensors[f"layers.{layer}.bias"]
        h = np.maximum(h, 0) if layer == 0 else h
    e = np.exp(h - h.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def agrees(cluster, model, x, words, mean, std):
    """evaluate and predict of the model, told nothing but where the label is, against numpy."""
    flags = ["--header", "--label-column", "kind"]
    cluster.psctl("export", model, "-o", cluster.dir / f"{model}.safetensors", "--force")
    p = predicted(read_safetensors(cluster.dir / f"{model}.safetensors")[1], x, mean, std)
    right = np.array([ORDER.index(w) for w in words])
    said = cluster.psctl_json("predict", model, f"{cluster.dir}/test.csv", *flags)["predictions"]
    assert np.abs(np.array([row["probabilities"] for row in said]) - p).max() < 2e-5
    assert [row["label"] for row in said] == [ORDER[row["class"]] for row in said]
    found = cluster.psctl_json("evaluate", model, f"{cluster.dir}/test.csv", *flags)
    assert found["samples"] == len(x) and abs(found["accuracy"] - (p.argmax(1) == right).mean()) < 2e-3
    assert abs(found["loss"] + np.log(p[np.arange(len(x)), right]).mean()) < 1e-4, found
    return found


@as_it_ships
def what_is_left_to_the_data_is_taken_once_and_kept_with_the_model():
    with Cluster() as cluster:
        cluster.start_server()
        cluster.start_worker("w1")
        cluster.start_worker("w2")
        train, _ = make(cluster, "train", 1500, 1)
        test, words = make(cluster, "test", 300, 2)
        cluster.wait_job(cluster.submit(job(cluster)))
        config = cluster.psctl_json("model", "sweets")["config"]
        mean, std = numbers(config, "input_mean"), numbers(config, "input_std")
        long = train.astype(np.longdouble)
        assert np.allclose(mean, np.nanmean(long, 0).astype(float), rtol=1e-13, atol=0), (mean, config)
        assert np.allclose(std[:3], np.nanstd(long, 0).astype(float)[:3], rtol=1e-7, atol=0) and std[3] == 1, std
        assert mean[3] == 0.1 and classes(config) == ORDER and "input_missing: mean" in config, config
        assert agrees(cluster, "sweets", test, words, mean, std)["accuracy"] > 0.9
        shown = cluster.psctl("model", "sweets").stdout
        assert "input_mean: [4 numbers]" in shown and "1000000" not in shown, shown

        cluster.psctl("import", cluster.dir / "sweets.safetensors", "again")
        assert cluster.psctl_json("model", "again")["config"] == config
        agrees(cluster, "again", test, words, mean, std)
        what_contradicts_the_model_is_refused(cluster)
        a_training_from_the_model_keeps_its_numbers(cluster, config, test, words, mean, std)


def what_contradicts_the_model_is_refused(cluster):
    def fails(line, *arguments):
        done = cluster.psctl(*arguments, check=False)
        assert done.returncode != 0 and line in done.stderr, (arguments, done.stderr)
    test = f"{cluster.dir}/test.csv"
    fails("psctl: evaluate: --normalise: model sweets has a mean and a deviation of each of its inputs, which hold; leave this out",
          "evaluate", "sweets", test, "--normalise", "{mean: 0}")
    fails("psctl: predict: --missing: zero here, and mean for model sweets, which holds; leave this out",
          "predict", "sweets", test, "--missing", "zero")
    fails("psctl: evaluate: --normalise: std: ", "evaluate", "sweets", test, "--normalise", "{std: 0}")
    cluster.psctl("evaluate", "sweets", test, "--missing", "mean", "--normalise", "{from: data}")
    (cluster.dir / "other.csv").write_text("big,tiny,wide,same,kind\n1,2,3,4,zest\n1,2,3,4,Zest\n")
    fails("other.csv:3: row 1 has label 'Zest', none of model.classes; did you mean 'zest'?",
          "evaluate", "sweets", f"{cluster.dir}/other.csv")
    (cluster.dir / "gap.csv").write_text("big,tiny,wide,same,kind\n1,,3,4,zest\n2,,3,5,ananas\n")
    job_id = cluster.submit(job(cluster, "gap", "gap", model="model: {architecture: mlp, layers: [4, 2]}\n"))
    reason = cluster.wait_job(job_id, ("failed",))["reason"]
    assert "gap.csv: column 1 ('tiny'): no row has a value there, so there is no mean of it" in reason, reason
    job_id = cluster.submit(job(cluster, "five", model="model: {architecture: mlp, layers: [4, 5]}\n"))
    reason = cluster.wait_job(job_id, ("failed",))["reason"]
    assert "train.csv has 3 names of classes ('ananas', 'zest', 'Éclair, \"dark\"'), but model.layers ends with 5" in reason, reason


def a_training_from_the_model_keeps_its_numbers(cluster, config, test, words, mean, std):
    """Of data elsewhere: without a section, with one that leaves the numbers out, and against them."""
    make(cluster, "moved", 400, 3, shift=1.5)
    section = "model: {architecture: mlp, layers: [4, 8, 3]}\n"
    for name, model, said in (("on", "", ""), ("on-too", section, "normalise: {from: data}")):
        more = "initialize_from: sweets\n"
        cluster.wait_job(cluster.submit(job(cluster, name, "moved", more, model, 1, said, "")))
        assert cluster.psctl_json("model", name)["config"] == config
        agrees(cluster, name, test, words, mean, std)
    path = cluster.dir / "against.yaml"
    path.write_text(job(cluster, "against", "moved", "initialize_from: sweets\n", "", 1, "normalise: {std: 2}", ""))
    done = cluster.psctl("submit", path, check=False)
    assert done.returncode != 0 and "against.yaml:8: data.normalise: model sweets has a mean" in done.stderr, done.stderr


@as_it_ships
def columns_of_idx_have_numbers_of_their_own():
    with Cluster() as cluster:
        x, _, _, _ = cluster.tiny_data(600)
        cluster.start_server()
        cluster.start_worker("w1")
        yaml = cluster.tiny_job(workers=1, epochs=3).replace("format: idx", "format: idx\n  normalise: {from: data}")
        cluster.wait_job(cluster.submit(yaml))
        config = cluster.psctl_json("model", "tiny")["config"]
        assert np.allclose(numbers(config, "input_mean"), x.mean(0), rtol=1e-12)
        assert np.allclose(numbers(config, "input_std"), x.std(0), rtol=1e-12)
        found = cluster.psctl_json("evaluate", "tiny", cluster.dir / "test-features.gz", cluster.dir / "test-labels.gz")
        assert found["accuracy"] > 0.9, found


@as_it_ships
def the_example_of_classes_runs_as_it_stands():
    with Cluster() as cluster:
        sys.argv = ["make-csv", str(cluster.dir)]
        runpy.run_path(str(SOURCE / "deploy/examples/make-csv"), run_name="__main__")
        cluster.start_server()
        cluster.start_worker("w1")
        cluster.start_worker("w2")
        yaml = (SOURCE / "deploy/examples/csv-classes.yaml").read_text().replace("/usr/share/datasets/example", str(cluster.dir))
        cluster.wait_job(cluster.submit(yaml))
        found = cluster.psctl_json("evaluate", "csv-classes", cluster.dir / "animals-test.csv")
        assert found["accuracy"] > 0.9, found
        said = cluster.psctl_json("predict", "csv-classes", cluster.dir / "animals-test.csv", "--rows", ":3")["predictions"]
        assert {row["label"] for row in said} <= {"alpine newt", "fire salamander", "smooth newt"}, said


run([what_is_left_to_the_data_is_taken_once_and_kept_with_the_model, columns_of_idx_have_numbers_of_their_own,
     the_example_of_classes_runs_as_it_stands])
