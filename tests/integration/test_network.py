"""The wire between workers and psd breaks in every way; what arrives is applied exactly once."""
import threading
import time

import grpc
import numpy as np

from fake_worker import FakeWorker
from harness import run, stubs, wait_until
from scenes import (BATCH, EPOCHS, LATENCY, QUICK, ROWS, SLOW_LEASES, WORKER, Proxy, Scene, ends_as_if_calm, job_text,
                    metrics, updates_of, wait_share, workers)

STEPS = ROWS // BATCH * EPOCHS


def disturb(cluster, job_id, what):
    """Does it again and again at chosen moments of the job; returns how often."""
    times = 0
    for share in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6):
        wait_share(cluster, job_id, share)
        what()
        times += 1
    return times


def broken_wire_applies_each_update_once(what, name, heals=True):
    """asp, and leases that never expire: no row is trained twice, so the updates can be counted."""
    with Scene() as cluster:
        cluster.begin(SLOW_LEASES)
        job_id = cluster.submit(job_text(cluster, name))
        before = cluster.wire.accepted
        disturb(cluster, job_id, lambda: what(cluster.wire))
        job = cluster.wait_job(job_id, timeout=120)
        assert job["progress"]["samples"] == ROWS * EPOCHS, job
        assert updates_of(cluster, job_id) == STEPS, f"{updates_of(cluster, job_id)} updates, not {STEPS}"
        assert job["progress"]["test_accuracy"] > 0.92
        assert cluster.wire.accepted > before or not heals, "nobody had to connect again: nothing was broken"


def connections_that_are_cut():
    broken_wire_applies_each_update_once(lambda wire: wire.cut(), "cut")


def answers_that_are_lost():
    """The pushes arrive, their acknowledgements do not: they are sent again and must be known."""
    def mute(wire):
        wire.mode = "mute"
        time.sleep(0.05)
        wire.cut()
        wire.mode = "pass"
    broken_wire_applies_each_update_once(mute, "mute")


def connections_that_are_refused_for_a_while():
    def refuse(wire):
        wire.mode = "refuse"
        wire.cut()
        time.sleep(0.3)
        wire.mode = "pass"
    broken_wire_applies_each_update_once(refuse, "refuse")


def ends_that_close_one_way():
    broken_wire_applies_each_update_once(lambda wire: wire.half_close(), "half")


def a_wire_that_stalls():
    def stall(wire):
        wire.mode = "hold"
        time.sleep(0.3)
        wire.mode = "pass"
    broken_wire_applies_each_update_once(stall, "stall", heals=False)


def a_bsp_job_on_a_bad_wire_ends_well():
    with Scene() as cluster:
        cluster.begin(QUICK, mode="bsp")
        job_id = cluster.submit(job_text(cluster, "bad-bsp", "bsp"))
        disturb(cluster, job_id, cluster.wire.cut)
        ends_as_if_calm(cluster, job_id, "bsp")


def a_worker_cut_off_for_longer_than_its_lease():
    """The wire is dead without a sign: psd gives the rows to the other, and refuses what the first says late."""
    with Scene() as cluster:
        cluster.begin(QUICK, ["w1"])
        other = Proxy(cluster.port)
        other.delay = LATENCY["asp"]
        cluster.start_worker("w2", WORKER + "\nkeepalive: {interval: 1s, timeout: 500ms}", port=other.port)
        wait_until("both are there", lambda: len(workers(cluster)) == 2)
        job_id = cluster.submit(job_text(cluster, "island"))
        wait_share(cluster, job_id, 0.1)
        other.mode = "hold"
        wait_until("it is given up", lambda: workers(cluster)["w2"]["state"] == "silent")
        other.mode = "pass"
        wait_until("it comes back", lambda: workers(cluster)["w2"]["state"] != "silent")
        ends_as_if_calm(cluster, job_id)
        assert metrics(cluster)["psd_leases_lost_total"] >= 1
        other.close()


def a_push_whose_answer_was_lost_is_known_again():
    """A stock client: the same sequence over a new connection is a duplicate, with the first one's answer."""
    jobs_pb, jobs_grpc = stubs()["jobs"]
    with Scene() as cluster:
        cluster.begin(SLOW_LEASES, [])
        cluster.make_client("worker", "w1")
        spec = cluster.tiny_job(workers=1).replace("adamw, learning_rate: 0.003, weight_decay: 0.01",
                                                   "sgd, learning_rate: 1.0")
        options = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 200)]
        with cluster.channel() as user, cluster.channel("w1") as steady:
            job_id = jobs_grpc.JobsStub(user).Submit(jobs_pb.SubmitRequest(spec=spec)).job_id
            worker = FakeWorker(steady, [("w", [10, 10])])
            worker.task()
            before = np.frombuffer(worker.pull(job_id)[0][(0, 0)][0], "<f4")
            chunk = dict(tensor_id=0, shard=0, offset=0, count=100, payload=np.full(100, 0.25, "<f4").tobytes())
            with grpc.secure_channel(f"localhost:{cluster.wire.port}", cluster.credentials("w1"), options) as shaky:
                worker.parameters = stubs()["parameters"][1].ParametersStub(shaky)
                for sequence in (1, 2, 3):
                    cluster.wire.mode = "pass"
                    assert len(worker.pull(job_id)[0]) == 1  # connected
                    cluster.wire.mode = "mute"
                    pushes = metrics(cluster)["psd_pushes_total"]
                    threading.Thread(target=lambda p=pushes: (
                        wait_until("it is applied", lambda: metrics(cluster)["psd_pushes_total"] > p),
                        cluster.wire.cut()), daemon=True).start()
                    try:
                        worker.push(job_id, [chunk], sequence=sequence)
                        raise AssertionError("its answer was to be lost")
                    except grpc.RpcError as error:
                        assert error.code() == grpc.StatusCode.UNAVAILABLE, error
                    cluster.wire.mode = "pass"
                    again = wait_until("it is connected again", lambda s=sequence: push_again(worker, job_id, chunk, s))
                    assert again.duplicate and again.version == sequence, again
            worker.parameters = stubs()["parameters"][1].ParametersStub(steady)
            after = np.frombuffer(worker.pull(job_id)[0][(0, 0)][0], "<f4")
            assert np.abs(after - (before - 0.75)).max() < 1e-6, "three pushes, each applied once"
            late = worker.push(job_id, [chunk], sequence=1)
            assert late.duplicate and late.version == 1
            cluster.psctl("cancel", job_id)
            wait_until("it is cancelled", lambda: cluster.job(job_id)["state"] == "cancelled")
            worker.close()


def push_again(worker, job_id, chunk, sequence):
    try:
        return worker.push(job_id, [chunk], sequence=sequence)
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE, error
        return None


run([connections_that_are_cut, answers_that_are_lost, connections_that_are_refused_for_a_while,
     ends_that_close_one_way, a_wire_that_stalls, a_bsp_job_on_a_bad_wire_ends_well,
     a_worker_cut_off_for_longer_than_its_lease, a_push_whose_answer_was_lost_is_known_again])
