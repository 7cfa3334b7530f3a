"""Jobs of kind compress that know what an error costs: what is predicted of the loss by the moments of the model's
training, against numpy; and those with a target: its size, the same bytes whoever takes part and whatever is lost, and
that choosing is better than not to."""
import json
import signal

import numpy as np

from harness import Cluster, as_it_ships, read_safetensors, run, wait_until
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
        assert "the first ones count in it" in cluster.psctl("watch", trained["id"]).stdout
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


DEEP = [16, 64, 64, 64, 48, 48, 48, 32, 32, 4]
# with zeros and without: for small steps
FORMS = "scheme: [int2, uint2, int3, uint3, int4, uint4, int8], group: 32"


def file_of(cluster, model):
    path = cluster.dir / f"{model}.safetensors"
    cluster.psctl("export", model, "-o", path, "--force")
    return path.read_bytes()


def within(size, target):
    assert 0.99 * target <= size <= target, (size, target)


@as_it_ships
def a_size_is_met_whoever_takes_part():
    size = 14_500  # between 4 and 8 bits steps are too large for nine tensors to be within 1%
    with Cluster() as cluster:
        begin(cluster, layers=DEEP)
        by = {"moments": ("round", ""), "magnitude": ("round", ""), "activations": ("gptq", "train")}
        alone = {}
        for saliency, (method, data) in by.items():
            text = job_text(cluster, f"one-{saliency}", f"{FORMS}, method: {method}, target: {{size: {size}}}",
                            f"  saliency: {saliency}", data)
            job = cluster.wait_job(cluster.submit(text))
            alone[saliency] = file_of(cluster, f"one-{saliency}")
            within(len(alone[saliency]), size)
            report = report_of(cluster, job["id"])
            assert report["total"]["file_bytes"] == len(alone[saliency]), report["total"]
            chosen = [t for t in report["tensors"] if "choices" in t]
            assert len(chosen) == len(DEEP) - 1 and len({t["form"] for t in chosen}) > 1, chosen
            for t in chosen:
                assert t["form"] in [c["form"] for c in t["choices"]], t
                losses = [c["loss"] for c in t["choices"]]
                assert losses[::2] == sorted(losses[::2], reverse=True), t  # more bits, less of it
                if saliency == "moments":
                    cost = next(c["loss"] for c in t["choices"] if c["form"] == t["form"])
                    assert abs(t["solved"]["predicted"] / cost - 1) < 1e-9, t
        for i in (1, 2):
            cluster.start_worker(f"w{i}")
        wait_until("three are there", lambda: len(cluster.psctl_json("workers")["workers"]) == 3)
        for saliency, (method, data) in by.items():
            text = job_text(cluster, f"three-{saliency}", f"{FORMS}, method: {method}, target: {{size: {size}}}",
                            f"  saliency: {saliency}", data)
            cluster.wait_job(cluster.submit(text))
            assert file_of(cluster, f"three-{saliency}") == alone[saliency], saliency


def what_is_left_and_what_has_factors_is_chosen_for():
    """What a form is measured to cost is what it costs when it is chosen: of what is left when units go, and of what has
    factors, which are those of the form."""
    with Cluster() as cluster:
        begin(cluster, layers=[16, 64, 64, 64, 48, 48, 4])
        more = "  calibrate: {rows: 480, held_out: 0.25, sequential: false}"
        quantise = "scheme: [int2, int3, int4, int8], group: 32, target: {bits: 4.4}"
        for name, method, prune in (("pruned", "gptq", "  prune: {what: rows, ratio: 0.5}\n"), ("folded", "awq", "")):
            job = cluster.wait_job(cluster.submit(job_text(cluster, name, f"{quantise}, method: {method}", prune + more, "train")))
            chosen = [t for t in report_of(cluster, job["id"])["tensors"] if "choices" in t]
            assert len(chosen) == 6 and len({t["form"] for t in chosen}) > 1, chosen
            for t in chosen:
                cost = next(c["loss"] for c in t["choices"] if c["form"] == t["form"])
                # rows that are divided by the factors of what follows count for less, or more
                assert abs(t["solved"]["error"] / cost - 1) < (1e-5 if prune else 0.6), (name, t)
            powers = [t["solved"].get("power", 0) for t in chosen]
            assert prune or max(powers) > 0, powers
            numbers = sum(np.prod(t["shape"]) for t in chosen)
            bits = 8 * sum(t["bytes"] for t in chosen) / numbers
            assert 0.9 * 4.4 < bits <= 4.4, bits


def a_restart_while_it_measures_changes_nothing():
    with Cluster() as cluster:
        begin(cluster, layers=DEEP)
        worker = cluster.processes[-1]
        quantise = f"{FORMS}, method: gptq, target: {{bits: 4}}"
        more = "  calibrate: {rows: 960, held_out: 0.25}\nshards: {rows_per_task: 20}\ncheckpoint: {every: 100ms}"
        cluster.wait_job(cluster.submit(job_text(cluster, "whole", quantise, more, "train")))
        for phase, window in (("measuring", 2), ("solving", 2)):
            name = f"cut-{phase}"
            job_id = cluster.submit(job_text(cluster, name, quantise, more, "train"))

            def there():
                job = cluster.job(job_id)
                assert job["state"] in ("queued", "running"), (job["state"], job["reason"])
                p = job["progress"]
                return p.get("phase") in (phase, "calibrating") and p["epoch"] >= window and \
                    (phase == "measuring" or p.get("tensors", 0) > 0 and p["samples"] > 960 * len(DEEP[1:]))
            wait_until(phase, there)
            worker.signal(signal.SIGSTOP)
            folder = cluster.dir / f"state/checkpoints/{job_id}"
            wait_until("a checkpoint is there", lambda: list(folder.glob("checkpoint-[0-9]*")))
            cluster.server.kill()
            cluster.start_server(QUICK)
            worker.signal(signal.SIGCONT)
            cluster.wait_job(job_id)
            assert "goes on from its checkpoint: " in cluster.psctl("watch", job_id).stdout
            assert file_of(cluster, name) == file_of(cluster, "whole"), phase


def a_loss_that_is_allowed_is_hardly_more():
    with Cluster() as cluster:
        begin(cluster, layers=DEEP)
        quantise = f"{FORMS}, target: {{loss: +2%}}"
        dry = job_text(cluster, "little", quantise, "  saliency: moments")
        (cluster.dir / "job.yaml").write_text(dry)
        said = cluster.psctl("submit", "--dry-run", cluster.dir / "job.yaml").stdout
        assert "at most 2% more loss" in said and "known when each has been measured" in said, said
        job = cluster.wait_job(cluster.submit(dry))
        report = report_of(cluster, job["id"])
        parent = report["parent"]["test"]["loss"]
        assert report["total"]["predicted"] <= 0.02 * parent, report["total"]
        assert report["total"]["bits"] < 9, report["total"]


run([what_is_predicted_is_numpys, a_model_without_moments_is_refused, a_size_is_met_whoever_takes_part,
     what_is_left_and_what_has_factors_is_chosen_for,
     a_restart_while_it_measures_changes_nothing, a_loss_that_is_allowed_is_hardly_more])
