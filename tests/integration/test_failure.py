"""Workers that die, sleep, leave and come late; jobs cancelled, side by side and in a queue."""
import json
import pathlib
import re
import signal
import time

import numpy as np

from harness import SANITIZED, as_it_ships, run, wait_until, write_idx
from scenes import (QUICK, SLOW_LEASES, Scene, ends_as_if_calm, job_text, metrics, said_of,
                    tasks_begun, wait_share, workers)


def kill_one_of_two_workers(mode, config, said):
    with Scene() as cluster:
        _, w2 = cluster.begin(config, mode=mode)
        job_id = cluster.submit(job_text(cluster, "killed", mode))
        wait_share(cluster, job_id, 0.3)
        with cluster.wire.slowly():
            wait_until("the one that is killed has work", lambda: tasks_begun(w2, job_id) > 0)
            w2.kill()
            assert cluster.job(job_id)["state"] == "running", "the job ended before its worker died"
        ends_as_if_calm(cluster, job_id, mode)
        assert any(said in line for line in said_of(cluster, job_id)) or \
            metrics(cluster)["psd_leases_lost_total"] == 0
        if config is QUICK:
            wait_until("psd knows that it is gone", lambda: workers(cluster)["w2"]["state"] == "silent")


def asp_survives_kill_9_of_one_of_two_workers():
    kill_one_of_two_workers("asp", QUICK, "worker w2 has been silent")


def bsp_survives_kill_9_of_one_of_two_workers():
    # the other does not wait for a lease of ten minutes: the connection tells
    kill_one_of_two_workers("bsp", SLOW_LEASES, "worker w2 has lost its connection")


def all_workers_die_and_others_finish():
    with Scene() as cluster:
        w1, w2 = cluster.begin(QUICK)
        job_id = cluster.submit(job_text(cluster, "relay"))
        wait_share(cluster, job_id, 0.2)
        w1.kill()
        w2.kill()
        wait_until("both are known to be gone",
                   lambda: {w["state"] for w in workers(cluster).values()} == {"silent"})
        assert cluster.job(job_id)["state"] == "running", "a job waits for workers"
        cluster.join("w1")  # the same certificate, a new incarnation
        job = cluster.wait_job(job_id)
        assert job["progress"]["samples"] == job["progress"]["samples_total"]
        assert job["progress"]["test_accuracy"] > 0.92


def late_worker_joins(mode):
    with Scene() as cluster:
        (w1,) = cluster.begin(SLOW_LEASES, ["w1"], mode)
        job_id = cluster.submit(job_text(cluster, "late", mode, epochs=4))
        wait_share(cluster, job_id, 0.05)
        with cluster.wire.slowly():
            w2 = cluster.join("w2")
            wait_until("the late worker trains", lambda: tasks_begun(w2, job_id) > 0)
            assert cluster.job(job_id)["state"] == "running"
            before = tasks_begun(w1, job_id)
        job = cluster.wait_job(job_id, timeout=120)
        assert job["progress"]["samples"] == job["progress"]["samples_total"]
        assert job["progress"]["test_accuracy"] > 0.92
        assert tasks_begun(w2, job_id) > 1 and tasks_begun(w1, job_id) > before, "both go on to the end"


def a_late_worker_joins_an_asp_job():
    late_worker_joins("asp")


def a_late_worker_joins_a_bsp_job():
    late_worker_joins("bsp")


def sigterm_in_the_middle(mode):
    """With leases of ten minutes the job could not end if the lease were not given back."""
    with Scene() as cluster:
        _, w2 = cluster.begin(SLOW_LEASES, mode=mode)
        job_id = cluster.submit(job_text(cluster, "leaver", mode))
        wait_share(cluster, job_id, 0.2)
        with cluster.wire.slowly():
            wait_until("the leaver has a task", lambda: job_id in workers(cluster)["w2"]["jobs"])
            begin = time.monotonic()
            w2.leave()
        assert w2.stop() == 0
        assert time.monotonic() - begin < 20, "it waited for its grace to end"
        job = cluster.wait_job(job_id)
        assert job["progress"]["samples"] == job["progress"]["samples_total"]
        assert job["progress"]["test_accuracy"] > 0.92
        assert metrics(cluster)["psd_leases_lost_total"] == 0, "a lease had to expire"
        assert metrics(cluster)["psd_tasks_failed_total"] == 0, "leaving is no failure"


def a_worker_leaves_an_asp_job_at_once():
    sigterm_in_the_middle("asp")


def a_worker_leaves_a_bsp_job_at_once():
    sigterm_in_the_middle("bsp")


def a_worker_that_slept_comes_back():
    """While one sleeps the other is put to sleep too, so that what is done after it woke is its own work."""
    with Scene() as cluster:
        w1, w2 = cluster.begin(QUICK)
        job_id = cluster.submit(job_text(cluster, "sleeper"))
        wait_share(cluster, job_id, 0.1)
        w1.signal(signal.SIGSTOP)
        w2.signal(signal.SIGSTOP)
        wait_until("both have lost their leases",
                   lambda: {w["state"] for w in workers(cluster).values()} == {"silent"})
        lost = metrics(cluster)["psd_leases_lost_total"]
        assert lost >= 1 and metrics(cluster)["psd_leases"] == 0, "nobody holds a lease"
        assert any("has been silent" in line for line in said_of(cluster, job_id))
        done = cluster.job(job_id)["progress"]["samples"]
        w2.signal(signal.SIGCONT)
        wait_until("the one that woke works again", lambda: cluster.job(job_id)["progress"]["samples"] > done)
        w1.signal(signal.SIGCONT)
        wait_until("the other has come back", lambda: workers(cluster)["w1"]["state"] != "silent")
        ends_as_if_calm(cluster, job_id)


def a_cancelled_job_frees_its_workers():
    with Scene() as cluster:
        cluster.begin(SLOW_LEASES + "\ncheckpoint: {interval: 200ms}")
        job_id = cluster.submit(job_text(cluster, "stopped", epochs=50, more="checkpoint: {every: 200ms}"))
        wait_share(cluster, job_id, 0.02)
        wait_until("a checkpoint is there", lambda: list((cluster.dir / "state/checkpoints").glob("1/checkpoint-*")))
        cluster.psctl("cancel", job_id, "--reason", "enough")
        job = cluster.wait_job(job_id, states=("cancelled",))
        assert "enough" in job["reason"] and "alice" in job["reason"], job["reason"]
        wait_until("the workers are free",
                   lambda: {w["state"] for w in workers(cluster).values()} == {"idle"})
        wait_until("its checkpoints are gone", lambda: not list((cluster.dir / "state/checkpoints").iterdir()))
        assert not list((cluster.dir / "state/models").iterdir()), "a cancelled job leaves no model"
        assert cluster.psctl("cancel", job_id, check=False).returncode == 7, "it has ended"
        cluster.wait_job(cluster.submit(job_text(cluster, "next", epochs=1)))


def two_jobs_share_two_workers():
    with Scene() as cluster:
        w1, w2 = cluster.begin(SLOW_LEASES)

        def both():
            a, b = cluster.job(first), cluster.job(second)
            running = a["state"] == b["state"] == "running"
            return running and a["progress"]["samples"] > 0 and b["progress"]["samples"] > 0
        with cluster.wire.slowly():
            first = cluster.submit(job_text(cluster, "first"))
            second = cluster.submit(job_text(cluster, "second", "bsp", workers=1))
            wait_until("both make progress at the same time", both)
        for job_id in (first, second):
            job = cluster.wait_job(job_id)
            assert job["progress"]["samples"] == job["progress"]["samples_total"]
            assert job["progress"]["test_accuracy"] > 0.92
        for job_id in (first, second):
            assert tasks_begun(w1, job_id) + tasks_begun(w2, job_id) > 0
        assert {m["name"] for m in cluster.psctl_json("models")["models"]} == {"first", "second"}


def a_queue_runs_one_after_the_other():
    """The first is held on the wire until it is seen that the others wait."""
    with Scene() as cluster:
        cluster.begin(SLOW_LEASES.replace("jobs: {", "jobs: {max_running: 1, "))
        cluster.wire.mode = "hold"
        ids = [cluster.submit(job_text(cluster, f"queued-{i}", epochs=1)) for i in range(3)]
        jobs = sorted(cluster.psctl_json("jobs")["jobs"], key=lambda job: job["id"])  # of one moment
        assert [j["state"] for j in jobs] == ["running", "queued", "queued"], jobs
        assert all("jobs running: 1, at most 1 may" in j["reason"] for j in jobs[1:]), jobs
        cluster.wire.mode = "pass"
        ends = [cluster.wait_job(i) for i in ids]
        for before, after in zip(ends, ends[1:]):
            assert before["ended_ms"] <= after["started_ms"], "one began before the other had ended"


@as_it_ships
def many_predictions_need_little_memory_and_survive_a_cut():
    """100 MB of them; the connection ends while they go up. As many as it takes for that where memory is not measured."""
    rows = 5000 if SANITIZED else 20000
    with Scene() as cluster:
        worker, = cluster.begin(SLOW_LEASES, ["w1"])
        cluster.wait_job(cluster.submit(cluster.tiny_job(name="wide", epochs=1, layers="[16, 8, 500]", batch=100)))
        write_idx(cluster.dir / "many.gz", np.random.default_rng(1).integers(0, 255, (rows, 4, 4)).astype(np.uint8))
        process = pathlib.Path(f"/proc/{worker.popen.pid}")
        (process / "clear_refs").write_text("5")  # the peak begins anew

        def peak():
            return int(re.search(r"VmHWM:\s+(\d+) kB", (process / "status").read_text()).group(1)) * 1024
        before = peak()
        cluster.wire.fuse = 10 << 20
        job_id = cluster.submit(f"kind: predict\nname: many\nmodel_name: wide\n"
                                f"data: {{format: idx, test: {{features: {cluster.dir}/many.gz}}}}\n")
        cluster.wait_job(job_id)
        assert cluster.wire.fuse is None, "the wire was not cut"
        grown = peak() - before
        got = cluster.dir / "got.jsonl"
        cluster.psctl("fetch", job_id, "predictions.jsonl", "-o", got)
        assert got.stat().st_size > 4700 * rows, got.stat().st_size
        assert [json.loads(line[:line.index(",")] + "}")["row"] for line in got.open()] == list(range(rows))
        if not SANITIZED:  # sanitizers keep what is freed for a while
            assert grown < 48 << 20, f"the worker has grown by {grown >> 20} MB"
        assert tasks_begun(worker, job_id, "predict") == 1, "they were computed once"


run([asp_survives_kill_9_of_one_of_two_workers, bsp_survives_kill_9_of_one_of_two_workers,
     all_workers_die_and_others_finish, a_late_worker_joins_an_asp_job, a_late_worker_joins_a_bsp_job,
     a_worker_leaves_an_asp_job_at_once, a_worker_leaves_a_bsp_job_at_once, a_worker_that_slept_comes_back,
     a_cancelled_job_frees_its_workers, two_jobs_share_two_workers, a_queue_runs_one_after_the_other,
     many_predictions_need_little_memory_and_survive_a_cut])
