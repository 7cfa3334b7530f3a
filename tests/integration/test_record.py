"""The record of a training: who changed what, with which rows (docs/record.md)."""
import itertools
import json
import re
import struct
import sys

import numpy as np

from harness import SOURCE, Cluster, read_safetensors, run, wait_until, write_idx
from scenes import QUICK, ROWS, Scene, job_text, key, said_of, sealing, wait_share, workers

sys.path.insert(0, str(SOURCE / "deploy/examples"))
from worker import permutation  # noqa: E402

RECORD = "record: {influence: {sketch: 256}, loss_changes: {probe_rows: 64, every: 5}}"
EPOCHS = 2


def read_influence(path):
    """By docs/record.md alone: (head, [(fields, {unit: numbers})])."""
    data = path.read_bytes()
    assert data[:8] == b"PSDINFL1"
    length, version, sketch, every, tensors = struct.unpack_from("<5I", data, 8)
    at, units = 28, []
    for _ in range(tensors):
        (n,) = struct.unpack_from("<I", data, at)
        name = data[at + 4:at + 4 + n].decode()
        (blocks,) = struct.unpack_from("<I", data, at + 4 + n)
        elements = struct.unpack_from(f"<{blocks}Q", data, at + 8 + n)
        units += [(name, e) for e in elements]
        at += 8 + n + 8 * blocks
    assert at + 4 == length and version == 1
    total = sum(e for _, e in units)
    width = [min(max(int(sketch * (e / total)), 16), e) for _, e in units]
    fields = ("version", "clock", "client", "sequence", "lease", "row_begin", "row_end", "staleness", "epoch", "flags",
              "weight", "gradient_sq", "correction")
    pushes, at = [], length
    while at < len(data):
        mark, size, _ = struct.unpack_from("<3I", data, at)
        assert mark == 0x31505352
        push = dict(zip(fields, struct.unpack_from("<8Q2I3d", data, at + 12)))
        here = at + 12 + 96
        (n,) = struct.unpack_from("<I", data, here)
        push["worker"] = data[here + 4:here + 4 + n].decode()
        here += 4 + n
        (n,) = struct.unpack_from("<I", data, here)
        here += 4
        numbers = {}
        for _ in range(n):
            unit, scale = struct.unpack_from("<If", data, here)
            numbers[unit] = np.frombuffer(data, np.int8, width[unit], here + 8) * np.float64(scale)
            here += 8 + width[unit]
        assert here == at + size
        pushes.append((push, numbers))
        at = here
    return {"sketch": sketch, "every": every, "units": units}, pushes


def losses_of(cluster, job_id):
    """(summary, segments, units, parts) of the job's artifacts."""
    small, large = cluster.dir / f"{job_id}.json", cluster.dir / f"{job_id}.safetensors"
    cluster.psctl("fetch", job_id, "loss_changes.json", "-o", small)
    cluster.psctl("fetch", job_id, "loss_changes.safetensors", "-o", large)
    metadata, arrays = read_safetensors(large)
    about = json.loads(metadata["psd.loss_changes"])
    assert arrays["parts"].shape == (len(about["segments"]), len(about["units"]))
    for segment, parts in zip(about["segments"], arrays["parts"]):
        change = segment["loss_end"] - segment["loss_begin"]
        assert abs(change - parts.astype(float).sum() - segment["residual"]) < 1e-5
    return json.loads(small.read_text()), about["segments"], about["units"], arrays["parts"].astype(float)


def check_rows(pushes, epochs):
    """Each row of each epoch is in one record, or (a gradient in parts) in one of each tensor."""
    seen = np.zeros((epochs, ROWS, 4), int)
    for push, numbers in pushes:
        assert push["row_begin"] < push["row_end"] and push["weight"] == push["row_end"] - push["row_begin"]
        for unit in numbers:
            seen[push["epoch"], push["row_begin"]:push["row_end"], unit] += 1
    assert (seen == 1).all(), np.unique(seen, return_counts=True)


def every_push_is_there_once_also_after_kill_9_of_psd():
    for mode in ("asp", "bsp"):
        with Scene() as cluster:
            config = QUICK if mode == "asp" else sealing(key(cluster, "kek"), require=True)
            cluster.begin(config, mode=mode)
            job_id = cluster.submit(job_text(cluster, "kept", mode, epochs=EPOCHS,
                                             more=f"checkpoint: {{every: 200ms}}\n{RECORD}"))
            wait_share(cluster, job_id, 0.3)
            with cluster.wire.slowly():
                folder = cluster.dir / f"state/checkpoints/{job_id}"
                wait_until("a checkpoint is there", lambda: list(folder.glob("checkpoint-[0-9]*")))
                cluster.server.kill()
                record = (cluster.dir / f"state/records/{job_id}").read_bytes()
                assert (b"PSDINFL1" in record) == (config == QUICK) and len(record) > 100
                cluster.start_server(config)
            cluster.wait_job(job_id)
            assert any("goes on from its checkpoint" in line for line in said_of(cluster, job_id))
            out = cluster.dir / "influence.bin"
            cluster.psctl("fetch", job_id, "influence.bin", "-o", out)
            head, pushes = read_influence(out)
            assert [name for name, _ in head["units"]] == ["layers.0.weight", "layers.0.bias", "layers.1.weight",
                                                           "layers.1.bias"]
            assert {push["worker"] for push, _ in pushes} == {"w1", "w2"}
            assert {push["flags"] for push, _ in pushes} == ({1} if mode == "bsp" else {0})
            check_rows(pushes, EPOCHS)
            assert not list((cluster.dir / "state/records").iterdir())
            summary, segments, _, _ = losses_of(cluster, job_id)
            # what was not measured when psd was killed is not known (one that each worker had, and those that waited)
            assert summary["gaps"] <= 3 and (segments[0]["begin"] == 0 or summary["gaps"]), summary
            assert segments[-1]["end"] == max(push["version"] for push, _ in pushes)


def parts_add_up_to_the_change_of_the_loss():
    with Cluster() as cluster:
        cluster.tiny_data(noise=60)
        cluster.start_server()
        for name in ("w1", "w2", "w3", "w4"):
            cluster.start_worker(name)
        wait_until("the workers are there", lambda: len(workers(cluster)) == 4)
        for mode, optimizer, n in itertools.product(("asp", "bsp"), ("sgd", "adamw"), (1, 4)):
            text = cluster.tiny_job(name=f"{mode}-{optimizer}-{n}", epochs=1, mode=mode, workers=n, batch=16,
                                    more=f"min_workers: {n}\ncolumn_blocks: 2\n"
                                         "record: {loss_changes: {probe_rows: 300, every: 5}, noise_scale: true}")
            if optimizer == "sgd":
                text = re.sub("optimizer: .*", "optimizer: {name: sgd, learning_rate: 0.1}", text)
            job_id = cluster.submit(text)
            cluster.wait_job(job_id)
            summary, segments, units, parts = losses_of(cluster, job_id)
            assert [(u["tensor"], u["column_begin"]) for u in units][:3] == [
                ("layers.0.weight", 0), ("layers.0.weight", 8), ("layers.0.bias", 0)], units
            assert summary["gaps"] == 0 and segments[0]["begin"] == 0, (summary, [(s["begin"], s["end"]) for s in segments])
            change = segments[-1]["loss_end"] - segments[0]["loss_begin"]
            assert change < -0.1 and abs(parts.sum() - change) <= 0.02 * abs(change), summary
            assert abs(summary["change"] - change) < 1e-9
            path = cluster.dir / f"{job_id}-noise.json"
            cluster.psctl("fetch", job_id, "noise_scale.json", "-o", path)
            noise = json.loads(path.read_text())
            # one worker under bsp has nothing to compare
            assert (noise["estimates"] > 0) == (mode == "asp" or n > 1) and noise["trace"] >= 0, noise


def rows_with_wrong_labels_are_named():
    """Of positions 600 to 800 of the epoch the labels are moved on by one: the pushes that have them are found."""
    with Cluster() as cluster:
        x, labels, _, test_labels = cluster.tiny_data(noise=60)
        bad, right = permutation(len(labels), 1, 0)[608:800], labels.copy()
        labels[bad] = (labels[bad] + 1) % 4
        write_idx(cluster.dir / "train-labels.gz", labels)
        cluster.start_server()
        for name in ("w1", "w2"):
            cluster.start_worker(name)
        job_id = cluster.submit(re.sub("optimizer: .*", "optimizer: {name: sgd, learning_rate: 0.05}", cluster.tiny_job(
            epochs=1, more="record: {influence: {sketch: 512}, loss_changes: {probe_rows: 2000, every: 2}}")))
        cluster.wait_job(job_id)
        ranking = cluster.psctl_json("influence", job_id, "--top", 1000)["ranking"]
        assert len(ranking) == 63
        hurt = np.array([608 <= push["row_begin"] < 800 for push in ranking])
        assert hurt.sum() == 6
        # how often a push with wrong labels stands below one without
        places = np.arange(len(ranking))
        auc = np.mean(places[hurt][:, None] < places[~hurt][None, :])
        assert auc >= 0.95, (auc, ranking[:12])
        # the same by shares of the loss's change, which add up to it
        pushes = cluster.psctl_json("losses", job_id, "--by", "push", "--top", 1000)
        summary = losses_of(cluster, job_id)[0]
        assert abs(sum(push["change"] for push in pushes["rows"]) - summary["shared_out"]) < 1e-4
        change = {push["push"]: push["change"] for push in pushes["rows"]}
        assert np.mean([[change[a["push"]] > change[b["push"]] for b in ranking if not 608 <= b["row_begin"] < 800]
                        for a in ranking if 608 <= a["row_begin"] < 800]) >= 0.95
        for by, total in (("tensor", summary["shared_out"]), ("worker", summary["shared_out"]),
                          ("shard", summary["shared_out"])):
            rows = cluster.psctl_json("losses", job_id, "--by", by, "--top", 1000)["rows"]
            assert abs(sum(row["change"] for row in rows) - total) < 1e-4, (by, rows)
        # for people
        text = cluster.psctl("losses", job_id, "--by", "worker").stdout
        assert "the loss of the probe rows went from" in text and "w1" in text and "w2" in text, text
        text = cluster.psctl("losses", job_id, "--spike").stdout
        assert len(re.findall("^w[12] ", text, re.M)) == 2, text
        text = cluster.psctl("influence", job_id, "--push", 5, "--top", 1).stdout
        assert re.search(r"^\+1\.0.* 5 +5 ", text, re.M), text  # itself
        # the report: in the terminal, for programs, as a page, and beside what an explanation of the model found
        text = cluster.psctl("report", job_id).stdout
        assert "updates 0 to 63" in text and re.search("^layers.0.weight +-", text, re.M), text
        told = cluster.psctl_json("report", job_id)["training"]
        assert abs(sum(part["change"] for part in told["workers"]) - summary["shared_out"]) < 1e-4, told
        page = cluster.dir / "report.html"
        cluster.psctl("report", job_id, "-o", page)
        assert all(words in page.read_text() for words in ('<section id="training"', "By which worker", '<section id="graph"'))
        cluster.psctl("explain", "tiny", cluster.dir / "test-features.gz", "--method", "saliency", "--rows", ":2")
        cluster.psctl("report", "explain-tiny", "-o", page, "--force")
        assert all(words in page.read_text() for words in ('<section id="training"', '<section id="examples"'))
        plain = cluster.submit(cluster.tiny_job(name="plain", epochs=1))
        cluster.wait_job(plain)
        done = cluster.psctl("losses", plain, check=False)
        assert done.returncode != 0 and "record.loss_changes in its job file" in done.stderr, done.stderr
        assert cluster.psctl_json("artifacts", plain)["artifacts"] == []
        job = cluster.dir / "recorded.yaml"
        job.write_text(f"""kind: explain
name: why
model_name: plain
data: {{format: idx, test: {{features: {cluster.dir}/test-features.gz, labels: {cluster.dir}/test-labels.gz}}}}
explain: {{rows: {{count: 1}}, influence: [{{method: recorded, job: {plain}}}]}}
""")
        done = cluster.psctl("submit", job, check=False)
        assert done.returncode != 0 and f"job {plain} has left no record" in done.stderr, done.stderr
        done = cluster.psctl("report", plain, check=False)
        assert done.returncode != 0 and "trainings with a section record" in done.stderr, done.stderr


if __name__ == "__main__":
    run([every_push_is_there_once_also_after_kill_9_of_psd,
         parts_add_up_to_the_change_of_the_loss,
         rows_with_wrong_labels_are_named])
