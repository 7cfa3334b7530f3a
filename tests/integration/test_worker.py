"""The worker's half: what a task does with odd jobs, bad data and interruptions, seen from outside."""
import csv
import signal
import time

import numpy as np

from harness import PSWORKER, SANITIZED, SLOW, Cluster, Process, as_it_ships, run, wait_until, write_idx

EPOCHS = 3 if SANITIZED else 6


def long_job(cluster, mode="asp", epochs=EPOCHS, name="long"):
    """Some seconds of training; checkpoints every half second, four tasks an epoch."""
    return cluster.tiny_job(name=name, mode=mode, epochs=epochs, layers="[16, 256, 4]", batch=16,
                            more="checkpoint: {every: 500ms}\nshards: {rows_per_task: 4000}")


def trained_beyond(cluster, job_id, samples):
    wait_until(f"job {job_id} has trained {samples} rows",
               lambda: cluster.job(job_id)["progress"]["samples"] > samples, 30)


def fails_with(cluster, text, *words):
    job = cluster.wait_job(cluster.submit(text), ("failed",))
    for word in words:
        assert word in job["reason"], f"'{word}' is not in: {job['reason']}"


def a_stopped_worker_returns_its_lease_and_a_late_one_joins():
    """A signal that comes with the very last batch of a task stops nothing, and shows nothing: then once more.
    With leases of ten minutes the job could not end if the lease were not given back."""
    assert any(a_worker_is_stopped() for _ in range(3)), "it was never in the middle of a task"


def a_worker_is_stopped():
    with Cluster() as cluster:
        cluster.tiny_data(rows=16000)
        cluster.start_server(extra="jobs: {lease_timeout: 10m}")
        first = cluster.start_worker("w1")
        job_id = cluster.submit(long_job(cluster))
        trained_beyond(cluster, job_id, 4000)
        cluster.start_worker("w2")
        wait_until("the late worker has a task", lambda: cluster.job(job_id)["progress"]["workers"] == 2)
        begin = time.monotonic()
        assert first.stop() == 0
        assert time.monotonic() - begin < 3 * SLOW, "stopping took too long"
        job = cluster.wait_job(job_id)
        assert job["progress"]["samples"] == EPOCHS * 16000, job["progress"]  # nothing twice, nothing left out
        assert job["progress"]["test_accuracy"] > 0.98
        return "the worker is stopping" in first.text()


def psd_is_killed_and_the_workers_go_on(mode):
    with Cluster() as cluster:
        cluster.tiny_data(rows=16000)
        cluster.start_server()
        workers = [cluster.start_worker("w1"), cluster.start_worker("w2")]
        job_id = cluster.submit(long_job(cluster, mode, epochs=12))
        trained_beyond(cluster, job_id, 20000)
        folder = cluster.dir / f"state/checkpoints/{job_id}"
        wait_until("a checkpoint is there", lambda: list(folder.glob("checkpoint-[0-9]*")))
        cluster.server.kill()
        time.sleep(0.5)
        cluster.start_server()
        job = cluster.wait_job(job_id, timeout=90)
        assert job["progress"]["test_accuracy"] > 0.98
        assert all(w.alive() for w in workers)


def psd_is_restarted_without_waiting_for_its_workers():
    with Cluster() as cluster:
        cluster.tiny_data(rows=16000)
        cluster.start_server()
        cluster.start_worker("w1")
        job_id = cluster.submit(long_job(cluster, epochs=EPOCHS if SANITIZED else 12))
        trained_beyond(cluster, job_id, 4000)
        begin = time.monotonic()
        assert cluster.server.stop() == 0
        assert time.monotonic() - begin < 5 * SLOW, "psd waited for a stream that never ends by itself"
        cluster.start_server()
        assert cluster.wait_job(job_id, timeout=90)["progress"]["test_accuracy"] > 0.98


def a_worker_whose_psd_is_gone_leaves_at_once_and_says_what_is_lost():
    """psd that is killed between two tasks takes none: then once more."""
    assert any(a_worker_loses_its_psd() for _ in range(3)), "it was never in the middle of a task"


def a_worker_loses_its_psd():
    with Cluster() as cluster:
        cluster.tiny_data(rows=16000)
        cluster.start_server()
        worker = cluster.start_worker("w1", extra="shutdown_grace: 30s")
        trained_beyond(cluster, cluster.submit(long_job(cluster, epochs=50)), 4000)
        cluster.server.kill()
        wait_until("it is seen", lambda: "not attached" in worker.text())
        begin = time.monotonic()
        assert worker.stop() == 0
        assert time.monotonic() - begin < 5 * SLOW, "it waited for a psd that is gone"
        return "leaving without psd: lost are tasks=1" in worker.text()


@as_it_ships
def psd_is_killed_under_asp():
    psd_is_killed_and_the_workers_go_on("asp")


@as_it_ships
def psd_is_killed_under_bsp():
    psd_is_killed_and_the_workers_go_on("bsp")


def a_killed_workers_rows_are_trained_by_the_other():
    with Cluster() as cluster:
        cluster.tiny_data(rows=16000)
        cluster.start_server(extra="jobs: {lease_timeout: 2s, heartbeat: 300ms}")
        victim = cluster.start_worker("w1")
        cluster.start_worker("w2")
        job_id = cluster.submit(long_job(cluster))
        trained_beyond(cluster, job_id, 8000)
        victim.kill()
        assert cluster.wait_job(job_id, timeout=90)["progress"]["test_accuracy"] > 0.98


def a_cancelled_job_leaves_the_worker_at_once_and_ready():
    with Cluster() as cluster:
        cluster.tiny_data(rows=16000)
        cluster.start_server()
        cluster.start_worker("w1")
        job_id = cluster.submit(long_job(cluster, epochs=1000))
        trained_beyond(cluster, job_id, 2000)
        begin = time.monotonic()
        cluster.psctl("cancel", job_id)
        cluster.wait_job(job_id, ("cancelled",))
        next_id = cluster.submit(long_job(cluster, epochs=1, name="next"))
        trained_beyond(cluster, next_id, 0)
        assert time.monotonic() - begin < 5 * SLOW


def a_short_job_does_not_wait_for_a_training():
    with Cluster() as cluster:
        cluster.tiny_data(rows=16000)
        cluster.start_server()
        worker = cluster.start_worker("w1")
        cluster.wait_job(cluster.submit(cluster.tiny_job(epochs=1, workers=1)))
        slow = cluster.tiny_job(name="slow", batch=1, layers="[16, 256, 4]", more="shards: {rows_per_task: 16000}")
        job_id = cluster.submit(slow)
        trained_beyond(cluster, job_id, 0)
        files = (cluster.dir / "test-features.gz", cluster.dir / "test-labels.gz")
        begin = time.monotonic()
        assert cluster.psctl_json("evaluate", "tiny", *files)["samples"] > 0
        took = time.monotonic() - begin
        assert cluster.job(job_id)["progress"]["samples"] < 16000, f"beside its first task, not after it; {took} s"
        worker.stop()
        wait_until("it says why it stands",
                   lambda: cluster.job(job_id)["reason"] == "waits for workers: 0 here, 1 needed")
        cluster.start_worker("w1")
        wait_until("it goes on", lambda: cluster.job(job_id)["reason"] == "")
        cluster.psctl("cancel", job_id)


def of_two_workers_with_one_certificate_the_first_comes_back():
    """The second takes the first one's place; when it has left, the first begins anew, and its pushes count."""
    with Cluster() as cluster:
        cluster.tiny_data()
        cluster.start_server()
        first = cluster.start_worker("w1")
        wait_until("attached", lambda: "attached" in first.text())
        job = cluster.submit(long_job(cluster, epochs=1000))
        trained_beyond(cluster, job, 500)
        second = Process("second", [PSWORKER, "--config", cluster.dir / "w1.yaml"], cluster.dir / "second.log")
        cluster.processes.append(second)
        wait_until("the second trains", lambda: "attached" in second.text() and "trying on" in first.text())
        samples = cluster.job(job)["progress"]["samples"]
        trained_beyond(cluster, job, samples + 500)
        assert second.stop() == 0
        wait_until("the first is back", lambda: "beginning anew" in first.text())
        samples = cluster.job(job)["progress"]["samples"]
        trained_beyond(cluster, job, samples + 500)
        cluster.psctl("cancel", job)
        assert first.text().count("trying on") == 1, first.text()


def odd_jobs_train_as_well():
    with Cluster() as cluster:
        cluster.tiny_data()
        cluster.start_server()
        cluster.start_worker("w1")
        cluster.start_worker("w2")
        text = cluster.tiny_job(name="blocks", layers="[16, 33, 17, 4]", batch=37, more="column_blocks: 3")
        text = text.replace("  epochs: 5", "  epochs: 8\n  clip_norm: 1.0")
        job = cluster.wait_job(cluster.submit(text))
        assert job["progress"]["test_accuracy"] > 0.9, job["progress"]


def line_job(cluster, learning_rate, epochs=40):
    """y = x·(1, −2, 0.5) + 0.25, as csv, and a job that finds it."""
    rng = np.random.default_rng(3)
    x = rng.normal(0, 1, (1200, 3))
    y = x @ [1.0, -2.0, 0.5] + 0.25
    for name, part in (("train", slice(0, 1000)), ("test", slice(1000, None))):
        lines = [",".join(f"{v:.6f}" for v in (*row, t)) for row, t in zip(x[part], y[part])]
        (cluster.dir / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return f"""kind: train
name: line
model: {{architecture: mlp, layers: [3, 1], loss: squared_error}}
data:
  format: csv
  train: {{features: {cluster.dir}/train.csv}}
  test: {{features: {cluster.dir}/test.csv}}
train:
  epochs: {epochs}
  batch_size: 32
  optimizer: {{name: sgd, learning_rate: {learning_rate}}}
"""


@as_it_ships
def a_line_is_fitted_from_csv():
    with Cluster() as cluster:
        cluster.start_server()
        cluster.start_worker("w1")
        job = cluster.wait_job(cluster.submit(line_job(cluster, 0.05)))
        assert job["progress"]["test_loss"] < 1e-4, job["progress"]
        # there are no right answers to count: no accuracy, which is not 0
        assert not any("accuracy" in key for key in job["progress"]), job["progress"]
        assert "accuracy" not in job["result"] and "test_accuracy" not in job["result"], job["result"]
        assert "accuracy" not in cluster.psctl("job", job["id"]).stdout
        model = cluster.psctl_json("model", job["name"])
        assert model["test_loss"] == job["progress"]["test_loss"] and "test_accuracy" not in model
        found = cluster.psctl_json("evaluate", "line", f"{cluster.dir}/test.csv")
        assert found["loss"] < 1e-4 and "accuracy" not in found, found
        labels_that_are_words_stay_with_the_model(cluster)


def labels_that_are_words_stay_with_the_model(cluster):
    """The sign of a number, as words in quoted csv; the words go through training, export and import to predict."""
    rows = [(v, "below, or on" if v <= 0 else "above") for v in np.random.default_rng(4).uniform(-2, 2, 400).round(4)]
    with open(cluster.dir / "Signs.CSV", "w", newline="") as out:
        csv.writer(out, quoting=csv.QUOTE_ALL).writerows([("last", "sign, in words"), *rows])
    with open(cluster.dir / "signs.tsv", "w", newline="") as out:
        csv.writer(out, delimiter="\t", lineterminator="\r").writerows([("last", "sign, in words"), *rows, ("NA", "above")])
    job = f"""kind: train
name: signs
model: {{architecture: mlp, layers: [1, 2], classes: ["below, or on", above]}}
data:
  format: csv
  train: {{features: {cluster.dir}/Signs.CSV}}
  csv: {{header: true, label_column: {{name: "sign, in words"}}, missing: zero}}
train: {{epochs: 40, batch_size: 20, optimizer: {{name: adamw, learning_rate: 0.1}}}}
"""
    cluster.wait_job(cluster.submit(job))
    cluster.psctl("export", "signs", "-o", cluster.dir / "signs.safetensors")
    cluster.psctl("import", cluster.dir / "signs.safetensors", "again")
    for model, flags in (("signs", []), ("again", ["--header", "--label-column", '{name: "sign, in words"}'])):
        found = cluster.psctl_json("evaluate", model, f"{cluster.dir}/Signs.CSV", *flags)
        assert found["samples"] == 400 and found["accuracy"] > 0.98, found
        said = cluster.psctl_json("predict", model, f"{cluster.dir}/Signs.CSV", *flags)["predictions"]
        assert len(said) == 400 and all(p["label"] == ("above", "below, or on")[p["class"] == 0] for p in said)
    table = cluster.psctl("predict", "signs", f"{cluster.dir}/Signs.CSV").stdout
    assert "below, or on" in table and "above 0." in table, table
    assert cluster.psctl("watch", "predict-signs").stdout.endswith(table), "of an ended job: the same table"
    assert cluster.psctl_json("evaluate", "signs", f"{cluster.dir}/signs.tsv")["samples"] == 401
    said = cluster.psctl_json("predict", "again", f"{cluster.dir}/signs.tsv", *flags, "--missing", "zero", "--rows", "400:")
    assert len(said["predictions"]) == 1, said
    wrong = cluster.psctl("evaluate", "again", f"{cluster.dir}/Signs.CSV", check=False)
    assert wrong.returncode == 1 and "Signs.CSV:1: column 0: 'last' is not a number; if the first line" in wrong.stderr, wrong
    words_that_are_not_in_the_job_are_the_datas(cluster, job.replace(', classes: ["below, or on", above]', "").replace("signs", "found"))


def words_that_are_not_in_the_job_are_the_datas(cluster, job):
    cluster.wait_job(cluster.submit(job))
    config = cluster.psctl_json("model", "found")["config"]
    assert 'classes: ["above","below, or on"]' in config, config
    said = cluster.psctl_json("predict", "found", f"{cluster.dir}/Signs.CSV")["predictions"]
    assert len(said) == 400 and all(p["label"] == ("above", "below, or on")[p["class"]] for p in said)
    assert cluster.psctl_json("evaluate", "found", f"{cluster.dir}/Signs.CSV")["accuracy"] > 0.98
    (cluster.dir / "other.csv").write_text("last,\"sign, in words\"\n1,above\n2,beside\n")
    wrong = cluster.psctl("evaluate", "found", f"{cluster.dir}/other.csv", check=False)
    assert wrong.returncode == 1 and "other.csv:3: row 1 has label 'beside', none of model.classes" in wrong.stderr, wrong
    wrong = cluster.wait_job(cluster.submit(job.replace("[1, 2]", "[1, 3]").replace("name: found", "name: three")), ("failed",))
    assert "Signs.CSV has 2 names of classes ('above', 'below, or on'), but model.layers ends with 3" in wrong["reason"], wrong


def a_model_that_contradicts_its_architecture_is_said_before_data_is_read():
    with Cluster() as cluster:
        cluster.tiny_data()
        cluster.start_server()
        cluster.start_worker("w1")
        cluster.wait_job(cluster.submit(cluster.tiny_job(workers=1)))
        model = cluster.dir / "tiny.safetensors"
        cluster.psctl("export", "tiny", "-o", model)
        none = cluster.dir / "none.gz"
        for layers, words in (
                ("[16, 33, 4]", "tensor layers.0.weight is [32, 16] in the file, and the architecture wants [33, 16]"),
                ("[16, 32, 8, 4]", "tensor layers.1.weight is [4, 32] in the file, and the architecture wants [8, 32]"),
                ("[16, 32]", "tensor layers.1.weight of the file is not in the architecture"),
                ("[16, 32, 4, 2]", "the architecture has a tensor layers.2.weight, and the file has none of that name")):
            cluster.psctl("import", "--replace", "--model", f"{{architecture: mlp, layers: {layers}}}", model, "wrong")
            for command in (["evaluate", "wrong", none, none], ["predict", "wrong", none]):
                done = cluster.psctl(*command, check=False)
                assert done.returncode != 0 and "model wrong: " + words in done.stderr, (layers, done)
                assert len(done.stderr.splitlines()) == 1 and "none.gz" not in done.stderr, done.stderr


def bad_data_fails_the_job_with_what_and_where():
    with Cluster() as cluster:
        x, y, _, _ = cluster.tiny_data()
        cluster.start_server()
        config = cluster.worker_config("w1")
        config.write_text(config.read_text().replace("data_roots: [", "data_roots: [/no/such, "))
        worker = Process("w1", [PSWORKER, "--config", config], cluster.dir / "w1.log")
        cluster.processes.append(worker)
        wait_until("told", lambda: "data_roots: /no/such: No such file or directory; jobs with data there fail" in
                   worker.text())
        good = cluster.tiny_job(workers=1)
        features, labels = f"{cluster.dir}/train-features.gz", f"{cluster.dir}/train-labels.gz"
        fails_with(cluster, good.replace(features, f"{cluster.dir}/none.gz"), "none.gz")
        fails_with(cluster, good.replace(features, "/etc/hostname"), "/etc/hostname", "data_roots")
        fails_with(cluster, good.replace("[16, 32, 4]", "[15, 32, 4]"), "16 numbers a row", "the model takes 15")
        write_idx(cluster.dir / "short.gz", y[:-1])
        fails_with(cluster, good.replace(labels, f"{cluster.dir}/short.gz"), "short.gz")
        y[5] = 9
        write_idx(cluster.dir / "wrong.gz", y)
        fails_with(cluster, good.replace(labels, f"{cluster.dir}/wrong.gz"), "wrong.gz", "9")
        assert cluster.wait_job(cluster.submit(good))["progress"]["test_accuracy"] > 0.9


def a_loss_that_blows_up_fails_the_job_with_the_learning_rate():
    with Cluster() as cluster:
        cluster.start_server()
        cluster.start_worker("w1")
        fails_with(cluster, line_job(cluster, 1000), "learning rate", "1000", "step")


def certificates_and_log_level_are_read_again():
    with Cluster() as cluster:
        cluster.start_server()
        worker = cluster.start_worker("w1", extra="log: {level: info}")
        wait_until("attached", lambda: "attached" in worker.text())
        config = cluster.dir / "w1.yaml"
        config.write_text(config.read_text().replace("level: info", "level: debug") + "slots: 1\n")
        worker.signal(signal.SIGHUP)
        wait_until("reloaded", lambda: "reloaded certificates, log level" in worker.text())
        assert "changed in the configuration, in force after a restart: slots\n" in worker.text(), worker.text()
        (cluster.certs / "w1.pem").write_text("not a certificate\n")
        worker.signal(signal.SIGHUP)
        wait_until("each by itself", lambda: "psworker: reloaded log level" in worker.text())
        assert worker.text().count("not reloaded") == 1 and worker.alive(), worker.text()


run([a_stopped_worker_returns_its_lease_and_a_late_one_joins,
     a_worker_whose_psd_is_gone_leaves_at_once_and_says_what_is_lost, psd_is_restarted_without_waiting_for_its_workers,
     psd_is_killed_under_asp, psd_is_killed_under_bsp,
     a_killed_workers_rows_are_trained_by_the_other, of_two_workers_with_one_certificate_the_first_comes_back,
     a_cancelled_job_leaves_the_worker_at_once_and_ready,
         a_short_job_does_not_wait_for_a_training,
     odd_jobs_train_as_well, a_model_that_contradicts_its_architecture_is_said_before_data_is_read, a_line_is_fitted_from_csv, bad_data_fails_the_job_with_what_and_where,
     a_loss_that_blows_up_fails_the_job_with_the_learning_rate, certificates_and_log_level_are_read_again])
