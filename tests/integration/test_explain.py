"""Jobs of kind explain: what they find is what numpy finds in the exported weights, and the same bytes whoever computes it."""
import hashlib
import json
import re
import struct
import sys

import grpc
import numpy as np
from harness import SOURCE, Cluster, as_it_ships, read_safetensors, run, stubs, wait_until
from language import llama
from scenes import QUICK

sys.path[:0] = [str(SOURCE / "tests/golden/hf")]
import make as hf  # noqa: E402

METHODS = "[saliency, gradient_x_input, {method: integrated_gradients, tolerance: 0.001}, feature_ablation, " \
          "{method: occlusion, window: [2, 2], stride: [1, 1]}]"

BESIDE = "  compare_to: child\n  inside: [activations, similarity, pca, probes, representation_change, blocks, " \
         "{method: part_shapley, blocks: 4}]\n" \
         "  quality: [{method: deletion, of: integrated_gradients}, {method: infidelity, of: feature_ablation}, " \
         "sensitivity, randomisation, {method: attribution_change, of: integrated_gradients}]\n" \
         "  influence: [{method: tracin, rate: 0.5, scores: true}, ekfac, " \
         "{method: trak, sketch: 256, checkpoints: [child, tiny]}, " \
         "{method: tracin, rate: 0.5, scores: true, checkpoints: [tiny, {model: child, rate: 2}]}]\n"


def explain_job(cluster, name, more="", methods=METHODS, rows="{first: 3, count: 100, show: true}"):
    return f"""kind: explain
name: {name}
model_name: tiny
data:
  format: idx
  train: {{features: {cluster.dir}/train-features.gz, labels: {cluster.dir}/train-labels.gz}}
  test: {{features: {cluster.dir}/test-features.gz, labels: {cluster.dir}/test-labels.gz}}
explain:
  rows: {rows}
  attributions: {methods}
{more}
workers: 3
"""


def fetched(cluster, job_id):
    out = cluster.dir / f"fetched-{job_id}"
    out.mkdir(exist_ok=True)
    for name in ("explain.json", "explain.safetensors"):
        cluster.psctl("fetch", job_id, name, "-o", out / name, "--force")
    return json.loads((out / "explain.json").read_text()), (out / "explain.safetensors").read_bytes()


class Numpy:
    """The model of layers, from its exported weights, in float64; z is the answer, g its gradient by the input."""

    def __init__(self, cluster, name="tiny"):
        path = cluster.dir / f"{name}.safetensors"
        cluster.psctl("export", name, "--force", "-o", path)
        _, w = read_safetensors(path)
        self.w = [self.numbers(w[f"layers.{i}.weight"]) for i in range(2)]
        self.b = [w[f"layers.{i}.bias"].astype(np.float64) for i in range(2)]

    @staticmethod
    def numbers(stored):
        """Float32, or int8/row: a float16 scale, and codes with 128 added."""
        if stored.dtype != np.uint8:
            return stored.astype(np.float64)
        scale = np.ascontiguousarray(stored[:, :2]).view(np.float16).astype(np.float64)
        return scale * (stored[:, 2:].astype(np.float64) - 128)

    def z(self, x):
        return np.maximum(x @ self.w[0].T + self.b[0], 0) @ self.w[1].T + self.b[1]

    def loss_gradients(self, x, y):
        """Of each row by all parameters, one vector."""
        h = np.maximum(x @ self.w[0].T + self.b[0], 0)
        z = self.z(x)
        e = np.exp(z - z.max(1, keepdims=True))
        out = e / e.sum(1, keepdims=True) - np.eye(z.shape[1])[y]
        hidden = (out @ self.w[1]) * (h > 0)
        one = np.ones((len(x), 1))
        return np.concatenate([(d[:, :, None] * np.hstack([a, one])[:, None, :]).reshape(len(x), -1)
                               for a, d in ((x, hidden), (h, out))], 1)

    def gradient(self, x, target):
        on = (x @ self.w[0].T + self.b[0] > 0).astype(float)
        return (self.w[1][target] * on) @ self.w[0]


def near(found, expected, tolerance=1e-4):
    scale = np.abs(expected).max()
    return np.abs(found - expected).max() <= tolerance * scale


def what_numpy_finds(model, x):
    z = model.z(x)
    target = z.argmax(1)
    f = z.max(1)
    out = {"0": np.abs(model.gradient(x, target)), "1": model.gradient(x, target) * x}
    alpha = (np.arange(4000) + 0.5) / 4000
    out["2"] = np.stack([(model.gradient(a * alpha[:, None], np.full(4000, t)).mean(0)) * a for a, t in zip(x, target)])
    out["3"] = np.zeros_like(x)
    out["4"] = np.zeros_like(x)
    covered = np.zeros(16)
    for feature in range(16):
        without = x.copy()
        without[:, feature] = 0
        out["3"][:, feature] = f - model.z(without)[np.arange(len(x)), target]
    for top in range(3):
        for left in range(3):
            inside = [row * 4 + column for row in (top, top + 1) for column in (left, left + 1)]
            without = x.copy()
            without[:, inside] = 0
            out["4"][:, inside] += (f - model.z(without)[np.arange(len(x)), target])[:, None]
            covered[inside] += 1
    out["4"] /= covered
    return target, f, out


def what_stands_beside(manifest, arrays):
    methods = [r["method"] for r in manifest["results"][5:]]
    assert methods == ["activations", "similarity", "pca", "probes", "representation_change", "blocks", "part_shapley",
                       "tracin", "ekfac", "trak", "tracin", "deletion", "infidelity", "sensitivity", "randomisation",
                       "attribution_change"], methods
    assert (arrays["quality/0/gain"] > 0).mean() >= 0.9, arrays["quality/0/gain"]
    assert arrays["quality/0/curve"].shape == (100, 17) and (arrays["quality/1/infidelity"] >= 0).all()
    assert arrays["quality/3/correlation"].shape == (100, 2)
    assert arrays["inside/0/statistics"].shape == (1, 32, 6) and arrays["inside/1/cka"] == 1
    assert arrays["inside/2/coordinates"].shape == (1, 100, 3)
    assert arrays["inside/3/accuracy"][0] > arrays["inside/3/control"][0] + 0.2
    assert 0.5 < arrays["inside/4/cka"] < 1 and arrays["quality/4/values"].shape == (100, 16), arrays["inside/4/cka"]
    added = arrays["inside/5/contributions"][:, 2]  # of the last matrix, behind which nothing bends
    assert added.shape == (100, 4) and near(arrays["inside/6/shapley"], added) and near(arrays["inside/6/alone"], added)
    rank, cosine, distance = arrays["quality/4/rows"][:, :3].T
    assert (rank < 1).all() and (cosine > rank.min()).all() and (distance > 0).all(), (rank, cosine, distance)
    assert not [name for name in arrays if name.endswith(("/activations", "/labels", "/range"))], list(arrays)


def who_helped_is_who_numpy_finds(cluster, arrays, test_x, test_y):
    model = Numpy(cluster)
    rows, labels = cluster.train
    expected = 0.5 * model.loss_gradients(test_x, test_y) @ model.loss_gradients(rows / 255.0, labels).T
    assert near(arrays["influence/0/scores"], expected), "tracin"
    path = cluster.dir / "of-child.safetensors"
    cluster.psctl("export", "child", "-o", path)
    model.w[0] = decoded_int2(path, "layers.0.weight")
    expected += 2 * model.loss_gradients(test_x, test_y) @ model.loss_gradients(rows / 255.0, labels).T
    assert near(arrays["influence/3/scores"], expected), "tracin over two models"
    assert np.isfinite(arrays["influence/2/self_influence"]).all()
    assert (arrays["influence/0/helping"][:, 0] == arrays["influence/0/scores"].argmax(1)).all()
    assert (arrays["influence/0/hurting"][:, 0] == arrays["influence/0/scores"].argmin(1)).all()
    assert (arrays["influence/0/helping_labels"] == labels[arrays["influence/0/helping"].astype(int)]).all()
    named = arrays["influence/0/shown_rows"].astype(int)
    assert near(arrays["influence/0/shown"], rows[named] / 255.0) and set(arrays["influence/0/strongest"]) <= set(named)


def sha256_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def what_it_was_made_of(cluster, lineage):
    """The bytes of both models as psd has them, of the data as they lie there, and of the job file."""
    models = [lineage["model"], lineage["compared_with"], *lineage["checkpoints"]]
    for said, name in zip(models, ("tiny", "child", "child", "tiny"), strict=True):
        file, = (cluster.dir / "state/models").glob(f"{name}.*.safetensors")
        assert said["name"] == name and said["sha256"] == sha256_of(file), (said, sha256_of(file))
    files = {file["path"]: file["sha256"] for file in lineage["files"]}
    wanted = [cluster.dir / name for name in ("test-features.gz", "test-labels.gz")]
    assert files.items() >= {str(path): sha256_of(path) for path in wanted}.items(), files
    assert lineage["spec_sha256"] == hashlib.sha256(explain_job(cluster, "one", BESIDE).encode()).hexdigest(), lineage
    worker, = lineage["workers"]
    assert worker["name"] == "w1" and worker["device"].startswith("cpu") and worker["precision"] == "float32", worker


def one_worker_finds_what_numpy_finds(cluster, x, y):
    job_id = cluster.submit(explain_job(cluster, "one", BESIDE))
    job = cluster.wait_job(job_id)
    manifest, data = fetched(cluster, job_id)
    (cluster.dir / "arrays").write_bytes(data)
    _, arrays = read_safetensors(cluster.dir / "arrays")
    x = x[3:103] / 255.0
    target, f, expected = what_numpy_finds(Numpy(cluster), x)
    assert [r["row"] for r in manifest["rows"]] == list(range(3, 103)), manifest["rows"][:3]
    assert [r["label"] for r in manifest["rows"]] == y[3:103].tolist()
    assert [r["prediction"] for r in manifest["rows"]] == target.tolist()
    assert near(np.array([r["score"] for r in manifest["rows"]]), f)
    for i, method in enumerate(("saliency", "gradient_x_input", "integrated_gradients", "feature_ablation", "occlusion")):
        result = manifest["results"][i]
        assert result["method"] == method and result["kind"] == "attributions", result
        assert {"name": "values", "array": f"attributions/{i}/values", "axes": ["row", "feature"]} in result["arrays"]
        found = arrays[f"attributions/{i}/values"]
        tolerance = 5e-3 if method == "integrated_gradients" else 1e-4
        assert near(found, expected[str(i)], tolerance), (method, np.abs(found - expected[str(i)]).max())
    path = manifest["results"][2]
    assert path["residual"]["met"] and path["residual"]["relative_max"] <= 0.001, path
    assert path["steps"]["median"] >= 50 and path["evaluations"] > 100 * 2 * 50, path
    assert manifest["contents"] == "rows/features" and near(arrays["rows/features"], x)
    assert manifest["lineage"]["model"]["name"] == "tiny" and manifest["psd_explain"] == 1
    what_stands_beside(manifest, arrays)
    who_helped_is_who_numpy_finds(cluster, arrays, x, y[3:103])
    what_it_was_made_of(cluster, manifest["lineage"])
    names = [a["name"] for a in cluster.psctl_json("artifacts", job_id)["artifacts"]]
    assert sorted(names) == ["explain.json", "explain.safetensors"], names
    assert job["result"]["metrics"]["samples"] == 100, job
    return data


def three_workers_and_a_killed_one(cluster, expected, workers):
    for name in ("w2", "w3"):
        workers.append(cluster.start_worker(name))
    wait_until("three are here", lambda: len(cluster.psctl_json("workers")["workers"]) == 3)
    job_id = cluster.submit(explain_job(cluster, "three", BESIDE))
    cluster.wait_job(job_id)
    assert fetched(cluster, job_id)[1] == expected
    slow = METHODS.replace("tolerance: 0.001", "tolerance: 0.001, steps: 2000, steps_max: 2000")
    calm = cluster.submit(explain_job(cluster, "calm", methods=slow, rows="{first: 3, count: 200}"))
    cluster.wait_job(calm)
    job_id = cluster.submit(explain_job(cluster, "slow", methods=slow, rows="{first: 3, count: 200}"))
    wait_until("it has work", lambda: f"job={job_id}" in workers[-1].text(), timeout=30)
    workers.pop().kill()
    cluster.wait_job(job_id)
    _, after = fetched(cluster, job_id)
    assert after == fetched(cluster, calm)[1]
    return slow, after


def psd_is_killed(cluster, slow, expected, server):
    job_id = cluster.submit(explain_job(cluster, "restarted", methods=slow, rows="{first: 3, count: 200}"))
    wait_until("some parts are there",
               lambda: len(cluster.psctl_json("artifacts", job_id)["artifacts"]) > 3, timeout=30)
    server.kill()
    cluster.start_server()
    cluster.wait_job(job_id)
    assert fetched(cluster, job_id)[1] == expected
    assert "starts anew" not in cluster.psctl("watch", job_id).stdout


def psctl_shows_what_was_found(cluster):
    files = (cluster.dir / "test-features.gz", cluster.dir / "test-labels.gz")
    text = cluster.psctl("explain", "tiny", *files, "--rows", "5:8", "--method", "ig,saliency").stdout
    for word in ("row 5", "row 7", "label", "prediction", "integrated_gradients", "saliency", "residual", "row 3   column",
                 "logit of predicted, against zero", "evaluations"):
        assert word in text, (word, text)
    assert "row 8" not in text.replace("row 8 ", ""), text
    said = cluster.psctl_json("explain", "tiny", *files, "--sample", "4", "--target", "3-1", "--score", "probability")
    assert said["report"]["target"] == "difference 3 1" and len(said["report"]["rows"]) == 4, said
    assert said["report"]["contents"] == "", said
    again = cluster.psctl("report", said["job_id"]).stdout
    assert "probability of difference 3 1" in again and "row" in again, again
    unmet = cluster.psctl_json("explain", "tiny", *files, "--rows", ":2", "--baseline", "{value: -5}")["report"]
    assert len(unmet["rows"]) == 2, unmet


def a_model_in_fewer_bits_is_explained_by_its_numbers(cluster, x):
    cluster.wait_job(cluster.submit("kind: compress\nname: small\nmodel_name: tiny\n"
                                    "compress: {quantise: {scheme: int8}}\n"))
    job_id = cluster.submit(explain_job(cluster, "small-why").replace("model_name: tiny", "model_name: small"))
    cluster.wait_job(job_id)
    (cluster.dir / "arrays").write_bytes(fetched(cluster, job_id)[1])
    _, arrays = read_safetensors(cluster.dir / "arrays")
    _, _, expected = what_numpy_finds(Numpy(cluster, "small"), x[3:103] / 255.0)
    assert near(arrays["attributions/0/values"], expected["0"])


def a_page_and_a_graph_are_made_of_it(cluster):
    page = cluster.dir / "page.html"
    job_id = next(j["id"] for j in cluster.psctl_json("jobs")["jobs"] if j["name"] == "one")
    assert cluster.psctl("report", "one", "-o", page).stdout.startswith(f"report of job {job_id} is in {page} (")
    text = page.read_text()
    data = json.loads(text.split('id="report-data">')[1].split("</script>")[0])
    assert data["explanation"]["job"] == job_id and data["graph"]["parameters"] == 16 * 32 + 32 + 32 * 4 + 4
    assert text.count('data-find="influence on row') == 4 * 24 and "By tracin" in text and "By trak" in text
    assert "Over 2 models: tiny at rate 0.5, child at rate 2." in text and "Over 2 models: child, tiny." in text
    assert text.count('<article class="example keep') == 48 and "52 rows more are in explain.safetensors" in text
    again = cluster.psctl("report", "one", "-o", page, check=False)
    assert again.returncode == 7 and cluster.psctl("report", "one", "-o", page, "--force").returncode == 0
    # some rows, a figure, and a size
    assert "no room" not in cluster.psctl("report", "one", "-o", page, "--force", "--rows", "5:7,3").stderr
    assert re.findall(r'id="row-(\d+)"', page.read_text()) == ["5", "6", "3"]
    assert re.findall(r"^row (\d+)", cluster.psctl("report", "one", "--rows", "100:").stdout, re.M) == ["100", "101", "102"]
    assert cluster.psctl("report", "one", "--svg", "graph").stdout.startswith("<svg xmlns=")
    done = cluster.psctl("report", "one", "-o", page, "--force", "--budget", "100kB")
    assert "rows among the examples" in done.stderr and page.stat().st_size <= 100_000, (done.stderr, page.stat().st_size)
    assert "Left out, for a file of at most 100 kB: " in page.read_text()
    for wrong, status, message in ((("--rows", "200"), 6, "has explained no row 200"), (("--budget", "1kB", "-o", page), 2, "32KiB"),
                                   (("--budget", "1MB"), 2, "--to says"), (("--svg", "joy"), 6, "no figure joy:1; there are graph (")):
        done = cluster.psctl("report", "one", *wrong, check=False)
        assert done.returncode == status and message in done.stderr, (done.returncode, done.stderr)
    # the model alone: cut as its job said, without a worker
    graph = json.loads(cluster.psctl("model", "tiny", "--graph", "json").stdout)
    assert [n["op"] for n in graph["nodes"]] == ["input", "linear", "activation", "linear", "output"], graph
    assert graph["column_blocks"] == len(graph["nodes"][1]["tensors"][0]["column_blocks"])
    cut = cluster.psctl("model", "tiny", "--graph", "text", "--column-blocks", "4", "--colour", "flops").stdout
    assert re.search(r"layers\.0 +32x16 .* 4 of 32x4, inputs", cut) or "4 of 32×4, inputs" in cut, cut
    for kind, begins in (("svg", "<svg"), ("dot", "digraph"), ("html", "<!doctype html>")):
        assert cluster.psctl("model", "tiny", "--graph", kind, "--depth", "1").stdout.startswith(begins)
    for wrong, status, message in ((("--depth", "2"), 2, "for --graph alone"), (("--graph", "png"), 2, "png"),
                                   (("--graph", "text", "--depth", "5"), 2, "--depth is 1 to 4"),
                                   (("--graph", "text", "--colour", "joy"), 2, "joy")):
        done = cluster.psctl("model", "tiny", *wrong, check=False)
        assert done.returncode == status and message in done.stderr, done.stderr


def what_is_wrong_is_said_in_a_line(cluster):
    files = (cluster.dir / "test-features.gz", cluster.dir / "test-labels.gz")

    def refused(status, message, *arguments, who="alice"):
        done = cluster.psctl(*arguments, who=who, check=False)
        assert done.returncode == status and message in done.stderr, (done.returncode, done.stderr)

    refused(6, "explain.target.class: 4, but model tiny has 4 outputs", "explain", "tiny", *files, "--target", "4")
    refused(6, "'lime' is not a method", "explain", "tiny", *files, "--method", "lime")
    refused(2, "which rows?", "explain", "tiny")
    refused(7, "model tiny is of architecture mlp, which says no text", "explain", "tiny", "--prompt", "why")
    refused(6, "explain.target: label: data.test.labels names no file", "explain", "tiny", files[0], "--target", "label")
    (cluster.dir / "why.yaml").write_text(explain_job(cluster, "why"))
    cluster.make_client("observer", "eve")
    dry = cluster.psctl_json("submit", "--dry-run", cluster.dir / "why.yaml")
    assert dry["worker_bytes"] == 4 * (16 * 32 + 32 + 32 * 4 + 4) + 256 * 2 * 4 * (16 + 32 + 4), dry
    assert "a worker needs about" in cluster.psctl("submit", "--dry-run", cluster.dir / "why.yaml").stdout
    refused(4, "observer", "submit", cluster.dir / "why.yaml", who="eve")
    (cluster.dir / "beside.yaml").write_text(explain_job(cluster, "why", BESIDE))
    assert cluster.psctl_json("submit", "--dry-run", cluster.dir / "beside.yaml")["checkpoints"] == [0, 0, 2, 2]
    said = cluster.psctl("submit", "--dry-run", cluster.dir / "beside.yaml").stdout
    assert "trak opens 2 models one after another in that memory: 2 times the time of one, and " in said, said
    assert "tracin opens 2 models one after another in that memory: 2 times the time of one\n" in said, said
    (cluster.dir / "gone.yaml").write_text(explain_job(cluster, "why", BESIDE.replace("[child, tiny]", "[gone, tiny]")))
    line = (cluster.dir / "gone.yaml").read_text()[:(cluster.dir / "gone.yaml").read_text().index("gone, ")].count("\n") + 1
    refused(5, "explain.influence[2].checkpoints[0]: model 'gone' does not exist", "submit", "--dry-run", cluster.dir / "gone.yaml")
    refused(5, f"{cluster.dir}/gone.yaml:{line}: explain.influence[2].checkpoints[0]: model 'gone' does not exist", "submit", cluster.dir / "gone.yaml")
    # another model under the name
    before = cluster.psctl_json("explain", "tiny", *files, "--rows", ":2")["job_id"]
    # who may not have weights reads what was found, and nothing else
    assert "tiny" in cluster.psctl("report", before, who="eve").stdout
    refused(4, "an observer may read what jobs report", "fetch", before, "part-0-0.safetensors", who="eve")
    cluster.wait_job(cluster.submit(cluster.tiny_job(workers=1, epochs=1)))
    refused(7, f"job {before} explains model tiny as it was", "report", before)


def a_worker_reads_artifacts_of_its_own_jobs_alone(cluster):
    models_pb, models_grpc = stubs()["models"]
    job_id = cluster.psctl_json("jobs")["jobs"][0]["id"]
    with cluster.channel("w1") as channel:
        call = models_grpc.ModelsStub(channel).GetArtifact(
            models_pb.GetArtifactRequest(job_id=job_id, name="explain.json"), timeout=30)
        try:
            list(call)
            raise AssertionError("a worker without a lease reads artifacts")
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.PERMISSION_DENIED and "holds no lease" in error.details(), error


def prompts_of_a_language_model(cluster):
    """Towards the mean of all embeddings, the default, values add up at once; towards embeddings of zeros the norms of a Llama
    make steps that take many points: what is not within the tolerance is kept, and said."""
    hf.write(cluster.dir / "hf", "llama")
    cluster.psctl("import", cluster.dir / "hf", "lm")
    prompt = ("explain", "lm", "--tokenizer", "bytes", "--prompt", "The fox", "--method")
    found = cluster.psctl_json(*prompt[:5], "T", "--method", "ig,gxi,logit_lens,feature_ablation", "--baseline", "mean")["report"]
    assert [r["method"] for r in found["results"]] == ["integrated_gradients", "gradient_x_input", "feature_ablation", "logit_lens"]
    assert found["language"] and found["contents"] == "rows/tokens" and found["rows"][0]["confidence"] > 0, found
    assert found["results"][0]["residual"]["relative_max"] < 0.01 and found["warnings"] == [], found["results"][0]
    assert found["baseline"] == "mean embedding", found["baseline"]
    assert found["results"][0]["steps"]["median"] < 200, found["results"][0]
    many = cluster.psctl_json(*prompt, "ig", "--baseline", "zero")["report"]["results"][0]
    assert many["residual"]["relative_max"] < 0.01 and many["steps"]["median"] > 300, many
    cluster.wait_job(cluster.submit("kind: explain\nname: few\nmodel_name: lm\nexplain: {prompts: [[84, 104, 101]], baseline: zero, "
                                    "attributions: [{method: integrated_gradients, steps_max: 50}]}\n"))
    unmet = cluster.psctl("report", "few").stdout
    assert "prompt 0" in unmet and "above the tolerance" in unmet and "1 of 1 rows are not within the tolerance" in unmet, unmet


def decoded_int2(path, name):
    """A tensor that psd stored as int2/row: of each row a float16 scale, then four codes a byte, w = scale * (code - 2)."""
    metadata, tensors = read_safetensors(path)
    shape = json.loads(metadata["psd.forms"])[name]["shape"]
    rows = tensors[name]
    scale = rows[:, :2].copy().view(np.float16).astype(np.float64)
    codes = np.stack([(rows[:, 2:] >> shift) & 3 for shift in (0, 2, 4, 6)], axis=-1).reshape(len(rows), -1)[:, :shape[1]]
    return scale * (codes.astype(np.float64) - 2)


def make_child(cluster):
    """One tensor is rounded to 2 bits."""
    files = (cluster.dir / "test-features.gz", cluster.dir / "test-labels.gz")
    cluster.wait_job(cluster.submit(
        f"kind: compress\nname: child\nmodel_name: tiny\ndata: {{format: idx, test: {{features: {files[0]}, labels: {files[1]}}}}}\n"
        "compress: {quantise: {scheme: int2, method: round, group: row, keep: ['layers.1.*']}}\n"))


def a_child_in_fewer_bits_is_told_from_its_parent(cluster):
    """The tensor that was rounded comes first; the others stay."""
    files = (cluster.dir / "test-features.gz", cluster.dir / "test-labels.gz")
    found = cluster.psctl_json("diff", "tiny", "child")
    first, *others = sorted(found["tensors"], key=lambda tensor: -tensor["change"])
    cluster.psctl("export", "child", "-o", cluster.dir / "child.safetensors")
    a = Numpy(cluster).w[0]
    d = decoded_int2(cluster.dir / "child.safetensors", "layers.0.weight") - a
    assert first["name"] == "layers.0.weight" and first["change"] > 0.1 and len(others) == 3, first
    assert all(tensor["change"] == 0 for tensor in others), others
    for name, value in (("change", np.linalg.norm(d) / np.linalg.norm(a)), ("largest", np.abs(d).max()),
                        ("largest_at", np.abs(d).argmax()), ("sqnr", 20 * np.log10(np.linalg.norm(a) / np.linalg.norm(d))),
                        ("change_largest_singular", np.linalg.svd(d, compute_uv=False)[0])):
        assert abs(first[name] - value) <= 1e-5 * abs(value), (name, first[name], value)
    assert found["report"]["lineage"]["compared_with"]["name"] == "child", found["report"]["lineage"]
    text = cluster.psctl("diff", "tiny", "child").stdout.splitlines()
    assert text[0] == "tiny and child" and text[2].startswith("layers.0.weight") and "the same" in text[3], text
    # the other way round it is the child that is explained, decoded
    back = {tensor["name"]: tensor for tensor in cluster.psctl_json("diff", "child", "tiny")["tensors"]}["layers.0.weight"]
    assert abs(back["norm"] - first["other_norm"]) <= 1e-6 * back["norm"] and abs(back["change_norm"] - first["change_norm"]) < 1e-6
    # with rows: all of the loss's difference went through it, and is what evaluate finds
    found = cluster.psctl_json("diff", "tiny", "child", *files, "--sample", "500")
    loss = {model: cluster.psctl_json("evaluate", model, *files)["loss"] for model in ("tiny", "child")}
    path = found["loss_path"]
    parts = {tensor["name"]: tensor["loss"] for tensor in found["tensors"]}
    assert path["rows"] == 500 and abs(path["loss"] - loss["tiny"]) < 1e-5 and abs(path["other_loss"] - loss["child"]) < 1e-5, (path, loss)
    assert abs(path["residual"]) <= 0.011 * abs(path["difference"]) and path["difference"] != 0, path
    assert abs(parts.pop("layers.0.weight") - path["sum"]) < 1e-6 and not any(parts.values()), parts
    answers = found["answer_change"]
    compared = cluster.psctl_json("compare", "tiny", "child", "--data", files[0], "--labels", files[1])["result"]["report"]
    assert answers["rows"] == 500 and abs(answers["divergence"] - compared["divergence"]) < 1e-4 * compared["divergence"] + 1e-7, answers
    assert answers["flips"] == round(500 * (1 - compared["same_top"])), (answers, compared)
    alike, changed = found["representation_change"], found["attribution_change"]
    assert 0.5 < alike["cka"][0] < 1 and abs(alike["cka"][0] - alike["cka_debiased"][0]) < 0.05, alike
    assert changed["rows"] == 500 and 0 < changed["rank"] < 1 and changed["distance"] > 0, changed
    text = cluster.psctl("diff", "tiny", "child", *files, "--method", "saliency").stdout
    assert "loss" in text.splitlines()[1] and "adds up to" in text, text
    assert "layers, how alike" in text and "attributions of 64 rows: changed by" in text, text
    refused = cluster.psctl("diff", "tiny", "child", files[0], check=False)
    assert refused.returncode == 6 and "method loss_path needs labels" in refused.stderr, refused
    done = cluster.psctl("diff", "tiny", "nobody", check=False)
    assert done.returncode == 5 and "nobody" in done.stderr, done


def a_language_model_is_looked_into(cluster):
    """Heads are asked by rows of their own, longer than the prompts; axioms hold; nothing is left out."""
    job = """kind: explain
name: look
model_name: lm
explain:
  prompts: [[84, 104, 101], [32, 102, 111, 120]]
  inside: [logit_lens, direct_logits, attention, {method: head_scores, sequences: 9, length: 12}, head_ablation,
           blocks, {method: part_shapley, players: layers, layers: [0]},
           {method: patching, patch: {clean: [84, 104, 101], corrupt: [84, 105, 101], exact_top: 4}}]
"""
    job_id = cluster.submit(job)
    cluster.wait_job(job_id)
    manifest, arrays = fetched(cluster, job_id)
    by_method = {r["method"]: r for r in manifest["results"]}
    assert manifest["warnings"] == [] and len(by_method) == 8, manifest["warnings"]
    for method in ("logit_lens", "direct_logits", "attention", "blocks", "part_shapley", "patching"):
        residual = by_method[method]["residual"]
        assert residual["met"] and residual["relative_max"] < 1e-4, (method, residual)
    path = cluster.dir / "look.safetensors"
    path.write_bytes(arrays)
    _, found = read_safetensors(path)
    patterns = found["inside/2/patterns"]
    assert np.isnan(patterns[0, :, :, 3]).all() and np.allclose(patterns[1].sum(-1), 1, atol=1e-4), patterns.shape
    induction = found["inside/3/induction"]
    assert induction.shape == patterns.shape[1:3] and (induction > 0).all() and (induction < 1).all(), induction
    effect = found["inside/4/effect"]
    assert effect.shape == (2, *patterns.shape[1:3]) and (effect != 0).all(), effect
    exact = np.concatenate([found[f"inside/7/exact_{kind}"].ravel() for kind in ("resid_pre", "z", "attn_out", "mlp_out")])
    assert np.isfinite(exact).sum() == 4, exact


def lens_job(cluster, name="lm-lens", model="{architecture: tuned_lens, hidden_size: 64, num_layers: 2}", of="lm"):
    return f"""kind: train
name: {name}
model: {model}
data:
  format: activations
  activations: {{model: {of}, format: tokens, rows: 40}}
  sequence_length: 16
  train: {{tokens: {cluster.dir}/lens.tokens}}
train: {{epochs: 1, batch_size: 64, optimizer: {{name: adamw, learning_rate: 0.01}}}}
"""


def lens_look(cluster, name, of="lm", workers=1):
    return f"""kind: explain
name: {name}
model_name: {of}
data: {{format: tokens, sequence_length: 16, test: {{tokens: {cluster.dir}/lens.tokens}}}}
explain: {{rows: {{sample: 40}}, inside: [logit_lens, {{method: tuned_lens, model: lm-lens}}]}}
workers: {workers}
"""


def a_tuned_lens_is_trained_and_looked_through(cluster):
    """At each layer nearer to the answer than the stream as it is; the same bytes whoever computes it; for no other model."""
    (cluster.dir / "lens.txt").write_bytes((SOURCE / "docs/explain.md").read_bytes()[:2000])
    cluster.psctl("tokenize", cluster.dir / "lens.txt", "-o", cluster.dir / "lens.tokens")
    path = cluster.dir / "lens.yaml"
    path.write_text(lens_job(cluster))
    assert "a worker needs about" in cluster.psctl("submit", path, "--dry-run").stdout
    cluster.wait_job(cluster.submit(lens_job(cluster)))
    assert "base: \"lm\", base_sha256: \"" in cluster.psctl("model", "lm-lens").stdout
    assert "translators.1" in cluster.psctl("model", "lm-lens", "--graph", "text").stdout
    found = []
    for workers in (1, 3):
        job = cluster.submit(lens_look(cluster, f"lens-{workers}", workers=workers))
        cluster.wait_job(job)
        found.append(fetched(cluster, job))
    assert found[0][1] == found[1][1]
    (cluster.dir / "arrays").write_bytes(found[0][1])
    _, arrays = read_safetensors(cluster.dir / "arrays")
    plain, tuned = (arrays[f"inside/{i}/divergence"].astype(np.float64).mean(0) for i in range(2))
    assert (tuned[:2] < plain[:2]).all() and plain[2] == tuned[2] == 0, (plain, tuned)
    assert all(r["residual"]["met"] for r in found[0][0]["results"]), found[0][0]["results"]
    text, page = cluster.psctl("report", job).stdout, cluster.psctl("report", job, "-o", "-").stdout
    for means in (plain, tuned):
        assert f"from the answer, by layer: {means[0]:.3g} {means[1]:.3g} 0\n" in text, text[-600:]
        assert f"<td>{means[0]:.3g}</td><td>{means[1]:.3g}</td><td>0</td>" in page, means
    assert "Translated by the tuned lens" in page
    looked = cluster.psctl_json("explain", "lm", "--tokenizer", "bytes", "-p", "T",
                                "-m", "{method: tuned_lens, model: lm-lens},logit_lens")["report"]
    assert [r["method"] for r in looked["results"]] == ["tuned_lens", "logit_lens"]
    cluster.wait_job(cluster.submit(
        "kind: compress\nname: lm-int8\nmodel_name: lm\ncompress: {quantise: {scheme: int8, method: round}}\n"))
    job = cluster.wait_job(cluster.submit(lens_look(cluster, "lens-other", of="lm-int8")), states=("failed",))
    assert "lens lm-lens was trained on another model than lm-int8: on lm" in job["reason"], job["reason"]
    for text, message in ((lens_job(cluster, "bad", of="tiny"), "a tuned_lens is for language models"),
                          (lens_job(cluster, "bad").replace("64,", "32,", 1), "model lm has 2 and 64"),
                          (lens_job(cluster, "bad").replace("rows: 40", "layer: 1"), "data.activations.layer: a tuned_lens takes"),
                          (lens_look(cluster, "bad").replace("lm-lens", "tiny"), "of architecture tuned_lens"),
                          ("kind: predict\nname: bad\nmodel_name: lm-lens\ndata: {format: tokens, test: {tokens: /x}}\n",
                           "which kind predict does not take")):
        path.write_text(text)
        result = cluster.psctl("submit", path, check=False)
        assert result.returncode and message in result.stderr, (message, result.stderr)
def windows_that_taught_a_language_model(cluster):
    """A row is a window of tokens; what is not counted, and that nobody knows what the imported model has seen, is said."""
    for part, text in (("train", "the fox eats. a dog runs over it, " * 8), ("test", "the dog eats the fox. ")):
        (cluster.dir / f"{part}.txt").write_text(text)
        cluster.psctl("tokenize", cluster.dir / f"{part}.txt", "--tokenizer", "bytes", "-o", cluster.dir / f"{part}.tokens")
    job_id = cluster.submit(f"""kind: explain
name: taught
model_name: lm
data:
  format: tokens
  sequence_length: 8
  train: {{tokens: {cluster.dir}/train.tokens}}
  test: {{tokens: {cluster.dir}/test.tokens}}
explain:
  rows: {{first: 0, count: 2, show: true}}
  influence: [{{method: tracin, scores: true}}, ekfac, {{method: trak, sketch: 64, checkpoints: [lm, lm-int8]}},
              {{method: tracin, scores: true, checkpoints: [lm, lm-int8]}},
              {{method: tracin, rate: 2, scores: true, checkpoints: [lm-int8]}}]
workers: 3
""")
    cluster.wait_job(job_id)
    manifest, arrays = fetched(cluster, job_id)
    warnings = "\n".join(manifest["warnings"])
    assert warnings.count("what model lm was trained on is not known") == 5 and "lm_head.weight" in warnings, warnings
    path = cluster.dir / "taught.safetensors"
    path.write_bytes(arrays)
    _, found = read_safetensors(path)
    scores = found["influence/0/scores"]
    assert scores.shape == (2, 33) and (found["influence/0/helping"][:, 0] == scores.argmax(1)).all(), scores.shape
    assert all(np.isfinite(found[f"influence/{i}/self_influence"]).all() for i in range(5))
    both, other = found["influence/3/scores"], found["influence/4/scores"] / 2
    assert near(both, scores + other, 1e-6) and not near(other, scores, 1e-2), np.abs(both - scores - other).max()
    named, shown = found["influence/0/shown_rows"].astype(int), found["influence/0/shown"]
    text = np.frombuffer((cluster.dir / "train.txt").read_bytes(), np.uint8)
    assert (shown == [text[8 * row:8 * row + 8] for row in named]).all(), shown


def coder_job(cluster, name, model, workers=1, epochs=20, labels=False, mode="bsp"):
    """Trains on what the first activation of `tiny` gives."""
    files = {part: f"features: {cluster.dir}/{part}-features.gz" +
             (f", labels: {cluster.dir}/{part}-labels.gz" if labels else "") for part in ("train", "test")}
    return f"""kind: train
name: {name}
model: {model}
data:
  format: activations
  activations: {{model: tiny, format: idx}}
  train: {{{files["train"]}}}
  test: {{{files["test"]}}}
train:
  epochs: {epochs}
  batch_size: 128
  optimizer: {{name: adamw, learning_rate: 0.003}}
  consistency: {{mode: {mode}}}
workers: {workers}
"""


class Coder:
    """An autoencoder of few active latents, from its exported weights, in float64."""

    def __init__(self, cluster, name, top_k):
        path = cluster.dir / f"{name}.safetensors"
        cluster.psctl("export", name, "--force", "-o", path)
        head, self.w = read_safetensors(path)
        self.w = {k: v.astype(np.float64) for k, v in self.w.items()}
        self.top_k = top_k

    def latents(self, x):
        z = np.maximum((x - self.w["decoder.bias"]) @ self.w["encoder.weight"].T + self.w["encoder.bias"], 0)
        if self.top_k:
            least = np.sort(z, axis=1)[:, -self.top_k][:, None]
            z = np.where(z >= least, z, 0)
        return z

    def again(self, x):
        return self.latents(x) @ self.w["decoder.weight"] + self.w["decoder.bias"]


def hidden_of_tiny(cluster, x):
    model = Numpy(cluster)
    return np.maximum(x / 255.0 @ model.w[0].T + model.b[0], 0)


def an_autoencoder_is_trained_on_activations(cluster, train, x):
    kinds = {"sae-l1": ("{architecture: sae, layers: [32, 64, 32], l1: 0.3}", 0, 1, "bsp"),
             "sae-topk": ("{architecture: sae, layers: [32, 64, 32], top_k: 6}", 6, 2, "asp")}
    hidden, test = hidden_of_tiny(cluster, train), hidden_of_tiny(cluster, x)
    mean, even = hidden.mean(0), np.sqrt(hidden.var(0).mean())
    for name, (model, top_k, workers, mode) in kinds.items():
        job = cluster.wait_job(cluster.submit(coder_job(cluster, name, model, workers, mode=mode)))
        coder, told = Coder(cluster, name, top_k), job["progress"]
        given = (test - mean) / even
        mse = ((coder.again(given) - given) ** 2).mean()
        assert abs(told["test_mse"] - mse) < 1e-4, (told, mse)
        assert abs(told["test_explained_variance"] - (1 - mse)) < 1e-4 and mse < 0.1, (told, mse)
        active = (coder.latents(given) > 0).sum(1).mean()
        assert abs(told["test_l0"] - active) < 0.05, (told, active)
        assert not top_k or told["test_l0"] <= top_k
        evaluated = cluster.wait_job(cluster.submit(f"""kind: evaluate
name: of-{name}
model_name: {name}
data:
  format: activations
  activations: {{model: tiny, format: idx}}
  test: {{features: {cluster.dir}/test-features.gz}}
"""))["result"]
        assert abs(evaluated["test_mse"] - mse) < 1e-4, (evaluated, mse)
    text = cluster.psctl("model", "sae-topk", "--graph", "text").stdout
    assert "decoder" in text and "64×32" in text, text


def the_features_of_a_layer_are_told(cluster, x, y):
    job_id = cluster.submit(explain_job(cluster, "features", "  inside: [{method: sae, model: sae-topk, top: 6}]",
                                        methods="[]", rows="{first: 0, count: 200}"))
    cluster.wait_job(job_id)
    manifest, data = fetched(cluster, job_id)
    (cluster.dir / "arrays").write_bytes(data)
    _, arrays = read_safetensors(cluster.dir / "arrays")
    found = {name.split("/")[-1]: value for name, value in arrays.items() if name.startswith("inside/0/")}
    model, coder, hidden = Numpy(cluster), Coder(cluster, "sae-topk", 6), hidden_of_tiny(cluster, x[:200])
    seen = hidden_of_tiny(cluster, cluster.train[0])
    mean, even = seen.mean(0), np.sqrt(seen.var(0).mean())
    f = coder.latents((hidden - mean) / even)
    again = coder.again((hidden - mean) / even) * even + mean

    def loss(h):
        z = h @ model.w[1].T + model.b[1]
        return (np.log(np.exp(z - z.max(1, keepdims=True)).sum(1)) + z.max(1) - z[np.arange(200), y[:200]]).mean()
    losses = [loss(hidden), loss(again), loss(0 * hidden)]
    explained = 1 - ((hidden - again) ** 2).sum() / ((hidden - hidden.mean(0)) ** 2).sum()
    assert near(found["losses"], np.array(losses), 1e-3), (found["losses"], losses)
    assert abs(found["explained_variance"] - explained) < 1e-3, (found["explained_variance"], explained)
    assert abs(found["recovered"] - (losses[2] - losses[1]) / (losses[2] - losses[0])) < 1e-2, found["recovered"]
    assert abs(found["l0"] - (f > 0).sum(1).mean()) < 0.02 and abs(found["dead_share"] - (f.max(0) <= 0).mean()) < 0.02
    first = int(found["feature"][0])
    assert first == f.sum(0).argmax() and abs(found["share"][0] - (f[:, first] > 0).mean()) < 0.02
    assert near(found["top_activity"][0], np.sort(f[:, first])[::-1][:8], 1e-3), found["top_activity"][0]
    assert (np.diff(found["top_activity"][0]) <= 0).all() and "rows/features" not in arrays
    for method, message in (("{method: sae, model: tiny}", "of architecture sae"), ("sae", "model: its name")):
        path = cluster.dir / "bad.yaml"
        path.write_text(explain_job(cluster, "bad", f"  inside: [{method}]", methods="[]"))
        result = cluster.psctl("submit", path, check=False)
        assert result.returncode and message in result.stderr, (message, result.stderr)


def a_probe_is_trained_on_activations(cluster):
    job = cluster.wait_job(cluster.submit(coder_job(cluster, "probe", "{architecture: mlp, layers: [32, 4]}", labels=True,
                                                    epochs=5)))
    assert job["progress"]["test_accuracy"] > 0.8, job["progress"]


def activations_that_cannot_be_are_refused(cluster):
    good = coder_job(cluster, "bad", "{architecture: sae, layers: [32, 64, 32], top_k: 6}")
    for old, new, message in (("model: tiny", "model: nobody", "nobody"),
                              ("format: idx}", "format: tokens}", "tokens"),
                              ("format: idx}", "format: idx, layer: 7}", "data.activations.layer: 7"),
                              ("top_k: 6", "top_k: 6, l1: 1", "one of top_k"),
                              ("[32, 64, 32]", "[32, 64]", "three widths")):
        path = cluster.dir / "bad.yaml"
        path.write_text(good.replace(old, new, 1))
        result = cluster.psctl("submit", path, check=False)
        assert result.returncode and message in result.stderr, (message, result.stderr)
    for old, new, message in (("[32, 64, 32]", "[31, 64, 31]", "32 numbers a row"),
                              ("format: idx}", "format: idx, point: resid_post}", "no point blocks.0.hook_resid_post")):
        job = cluster.wait_job(cluster.submit(good.replace(old, new, 1)), states=("failed",))
        assert message in job["reason"], job["reason"]


def write_repeats(path, rng, rows, length, vocabulary):
    """A token file: of each row so many random tokens, a fifth of it to half, again and again."""
    periods = rng.integers(length // 5, length // 2 + 1, rows)
    drawn = rng.integers(0, vocabulary, (rows, length))
    tokens = np.take_along_axis(drawn, np.arange(length)[None] % periods[:, None], 1).ravel()
    head = struct.pack("<8sIIQIIQ24s", b"PSDTOKEN", 1, 2, tokens.size + 1, vocabulary, 0, 0, b"")
    path.write_bytes(head + np.append(tokens, 0).astype("<u2").tobytes())


def explained(cluster, what):
    job_id = cluster.submit(f"kind: explain\nname: who-copies\nmodel_name: copies\nexplain:\n  {what}")
    cluster.wait_job(job_id)
    manifest, arrays = fetched(cluster, job_id)
    (cluster.dir / "arrays").write_bytes(arrays)
    return manifest, read_safetensors(cluster.dir / "arrays")[1]


def features_of_tokens(cluster, rng, prompts):
    """An autoencoder of what the first block makes of tokens: it says which token of which prompt wakes a feature most, by one
    worker and by two the same."""
    write_repeats(cluster.dir / "some.tokens", rng, 200, 32, 32)
    cluster.wait_job(cluster.submit(f"""kind: train
name: coder
model: {{architecture: sae, layers: [32, 64, 32], top_k: 4}}
data:
  format: activations
  activations: {{model: copies, format: tokens, point: resid_post, layer: 0}}
  train: {{tokens: {cluster.dir}/some.tokens}}
train:
  epochs: 4
  batch_size: 128
  optimizer: {{name: adamw, learning_rate: 0.003}}
  consistency: {{mode: bsp}}
workers: 1
"""))
    what = f"prompts: {prompts}\n  inside: [{{method: sae, model: coder, point: resid_post, layer: 0, top: 4}}]\n"
    manifest, alone = explained(cluster, what + "workers: 1\n")
    cluster.start_worker("w2")
    wait_until("two are here", lambda: len(cluster.psctl_json("workers")["workers"]) == 2)
    _, together = explained(cluster, what + "workers: 2\n")
    assert alone.keys() == together.keys() and all(alone[k].tobytes() == together[k].tobytes() for k in alone), list(alone)
    found = {name.split("/")[-1]: value for name, value in alone.items() if name.startswith("inside/0/")}
    cluster.psctl("export", "copies", "-o", cluster.dir / "copies.safetensors")
    _, weights = read_safetensors(cluster.dir / "copies.safetensors")
    weights = {k: v.astype(np.float64) for k, v in weights.items()}

    def first_block(tokens):
        streams = []
        llama(weights, np.array(tokens), 2, 2, stream=streams)
        return streams[1]
    some = np.fromfile(cluster.dir / "some.tokens", "<u2", offset=64)[:-1].reshape(200, 32)
    seen = np.concatenate([first_block(row) for row in some])
    x = np.stack([first_block(prompt) for prompt in prompts])
    f = Coder(cluster, "coder", 4).latents(((x - seen.mean(0)) / np.sqrt(seen.var(0).mean())).reshape(-1, 32)).reshape(*x.shape[:2], -1)
    assert abs(found["l0"][0] - (f > 0).sum(-1).mean()) < 0.02, found["l0"]
    feature = int(found["feature"][0])
    assert feature == f.sum((0, 1)).argmax(), found["feature"]
    peaks = f[:, :, feature].max(1)
    assert near(found["top_activity"][0], np.sort(peaks)[::-1][:8], 1e-3), (found["top_activity"][0], peaks)
    item, token = int(found["top_item"][0][0]), int(found["top_position"][0][0])
    assert abs(f[item, token, feature] - peaks.max()) < 1e-3 * peaks.max(), (item, token, f[item, :, feature])
    cluster.psctl("report", manifest["job"], "-o", cluster.dir / "tokens.html")
    page = (cluster.dir / "tokens.html").read_text()
    section = page[page.index('id="features"'):]
    assert f", token {token}" in section and "% of tokens" in section, "the token is not told"


@as_it_ships
def an_induction_head_is_learnt_and_found():
    """Rows of random tokens that repeat after a random period teach a model of two blocks to look for what followed the last time:
    its heads are told by what they look at, by what is lost without them, and by what they carry over from a row to another."""
    length, vocabulary, period, at = 32, 32, 12, 5
    with Cluster() as cluster:
        rng = np.random.default_rng(1)
        write_repeats(cluster.dir / "train.tokens", rng, 16000, length, vocabulary)
        cluster.start_server()
        cluster.start_worker("w1")
        cluster.wait_job(cluster.submit(f"""kind: train
name: copies
model: {{architecture: llama, vocab_size: {vocabulary}, context_length: {length}, hidden_size: 32, num_layers: 2, num_heads: 2,
  intermediate_size: 64}}
data: {{format: tokens, train: {{tokens: {cluster.dir}/train.tokens}}}}
train:
  epochs: 1
  batch_size: 16
  optimizer: {{name: adamw, learning_rate: 0.006, weight_decay: 0.01}}
  schedule: {{name: cosine, warmup_steps: 50, final_factor: 0.05}}
  consistency: {{mode: bsp}}
workers: 1
"""), timeout=120)
        # after all of it once and a part of it again; of `corrupt` what followed the first time is another
        row = rng.choice(vocabulary, period, replace=False)
        prompts = [np.resize(rng.choice(vocabulary, period, replace=False), period + at + 1).tolist() for _ in range(16)]
        clean = np.resize(row, period + at + 1)
        corrupt = clean.copy()
        corrupt[at + 1] = next(v for v in range(vocabulary) if v not in row)
        manifest, found = explained(cluster, f"""prompts: {prompts}
  score: log_probability
  inside: [{{method: head_scores, sequences: 32, length: {length}}}, head_ablation]
""")
        right = sum(row["prediction"] == prompt[at + 1] for row, prompt in zip(manifest["rows"], prompts))
        induction, previous, lost = found["inside/0/induction"], found["inside/0/previous"], found["inside/1/effect"].mean(0)
        _, found_by_patching = explained(cluster, f"""target: {{difference: [{clean[at + 1]}, {corrupt[at + 1]}]}}
  inside: [{{method: patching, patch: {{clean: {clean.tolist()}, corrupt: {corrupt.tolist()}, points: [z], exact_top: 100}}}}]
""")
        carried = found_by_patching["inside/0/exact_z"][:, -1]  # at the last token, of all there is
        print(f"     {right} of 16 right; induction {induction.ravel()}, previous {previous.ravel()}, log p lost {lost.ravel()}, "
              f"carried {carried.ravel()}")
        assert right >= 12, manifest["rows"]
        assert induction[1].min() > 0.5 > 0.1 > induction[0].max() and (found["inside/0/best_offset"][1] == 1).all(), induction
        assert previous[0].min() > 0.3 > 0.1 > previous[1].max(), previous
        assert lost[1].min() > 0.3, lost
        features_of_tokens(cluster, rng, prompts)
        assert carried[1].sum() > 0.8 and carried[1].min() > 0.2 and np.abs(carried[0]).max() < 0.05, carried


def jobs_are_the_same_whoever_computes_them():
    with Cluster() as cluster:
        *cluster.train, x, y = cluster.tiny_data(rows=2000)
        server = cluster.start_server(QUICK)
        workers = [cluster.start_worker("w1")]
        cluster.wait_job(cluster.submit(cluster.tiny_job(workers=1, epochs=3)))
        make_child(cluster)
        found = one_worker_finds_what_numpy_finds(cluster, x, y)
        slow, killed = three_workers_and_a_killed_one(cluster, found, workers)
        psd_is_killed(cluster, slow, killed, server)
        psctl_shows_what_was_found(cluster)
        an_autoencoder_is_trained_on_activations(cluster, cluster.train[0], x)
        the_features_of_a_layer_are_told(cluster, x, y)
        a_probe_is_trained_on_activations(cluster)
        activations_that_cannot_be_are_refused(cluster)
        a_model_in_fewer_bits_is_explained_by_its_numbers(cluster, x)
        a_page_and_a_graph_are_made_of_it(cluster)
        a_child_in_fewer_bits_is_told_from_its_parent(cluster)
        what_is_wrong_is_said_in_a_line(cluster)
        a_worker_reads_artifacts_of_its_own_jobs_alone(cluster)
        prompts_of_a_language_model(cluster)
        a_language_model_is_looked_into(cluster)
        a_tuned_lens_is_trained_and_looked_through(cluster)
        windows_that_taught_a_language_model(cluster)


run([an_induction_head_is_learnt_and_found, jobs_are_the_same_whoever_computes_them])
