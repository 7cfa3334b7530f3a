"""Jobs of kind compress that know what an error costs: what is predicted of the loss by the moments of the model's
training, against numpy."""
import json

import numpy as np

from harness import Cluster, read_safetensors, run
from scenes import QUICK

LAYERS = [16, 48, 40, 4]


def job_text(cluster, name, quantise, more="", data=""):
    d = cluster.dir
    files = lambda part: f"{{features: {d}/{part}-features.gz, labels: {d}/{part}-labels.gz}}"
    train = f"train: {files('train')}, " if data == "train" else ""
    return f"""kind: compress
name: {name}
model_name: tiny
data: {{format: idx, {train}test: {files('test')}}}
compress:
  quantise: {{{quantise}}}
{more}
workers: 4
"""


def begin(cluster, layers=LAYERS, moments=True, workers=1):
    cluster.tiny_data()
    cluster.start_server(QUICK)
    for i in range(workers):
        cluster.start_worker(f"w{i}")
    text = cluster.tiny_job(layers=str(layers))
    if moments:
        text = text.replace("train:\n  epochs", "train:\n  keep_moments: true\n  epochs")
    return cluster.wait_job(cluster.submit(text))


def bf16(raw):
    return (np.frombuffer(raw.tobytes(), np.uint16).astype(np.uint32) << 16).view(np.float32)


def report_of(cluster, job_id):
    return json.loads(cluster.psctl("fetch", job_id, "report.json", "-o", "-").stdout)


def tensors(cluster, model):
    path = cluster.dir / f"{model}.safetensors"
    cluster.psctl("export", model, "-o", path)
    return read_safetensors(path)[1]


def moments_of(cluster, job_id):
    """v of each tensor in float64, and the rows of a gradient."""
    path = cluster.dir / "moments.safetensors"
    cluster.psctl("fetch", job_id, "moments.safetensors", "-o", path)
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    head = json.loads(data[8:8 + size])
    rows = json.loads(head.pop("__metadata__")["psd.moments"])["rows"]
    at = lambda t: np.frombuffer(data[8 + size:], np.uint8)[t["data_offsets"][0]:t["data_offsets"][1]]
    return {name: bf16(at(t)).astype(np.float64).reshape(t["shape"]) for name, t in head.items()}, rows


def what_is_predicted_is_numpys():
    with Cluster() as cluster:
        trained = begin(cluster)
        v, rows = moments_of(cluster, trained["id"])
        assert 1 <= rows <= 64, rows
        job = cluster.wait_job(cluster.submit(job_text(cluster, "said", "scheme: bfloat16", "  saliency: moments")))
        report, parent = report_of(cluster, job["id"]), tensors(cluster, "tiny")
        total = 0
        for t in report["tensors"]:
            if "solved" not in t:
                continue
            w = parent[t["name"]].astype(np.float32)
            bits = w.view(np.uint32).astype(np.uint64)
            near = (((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16) << 16).astype(np.uint32).view(np.float32)
            moved = near.astype(np.float64) - w
            want = 0.5 * rows * (v[t["name"]] * moved ** 2).sum()
            assert 0 < want and abs(t["solved"]["predicted"] / want - 1) < 1e-6, (t, want)
            total += want
        assert abs(report["total"]["predicted"] / total - 1) < 1e-6, report["total"]
        measured = report["model"]["test"]["loss"] - report["parent"]["test"]["loss"]
        assert abs(report["total"]["measured"] - measured) < 1e-12, report["total"]
        assert report["total"]["range"] == "quadratic", report["total"]


def a_model_without_moments_is_refused():
    with Cluster() as cluster:
        begin(cluster, moments=False)
        (cluster.dir / "job.yaml").write_text(job_text(cluster, "none", "scheme: int4", "  saliency: moments"))
        refused = cluster.psctl("submit", cluster.dir / "job.yaml", check=False)
        assert refused.returncode and "compress.saliency: model tiny has no moments" in refused.stderr, refused.stderr


run([what_is_predicted_is_numpys, a_model_without_moments_is_refused])
