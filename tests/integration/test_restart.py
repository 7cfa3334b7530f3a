"""psd dies in the middle of jobs and is started again, at the same ports and with the same data_dir."""
import re
import signal
import subprocess
import time

from harness import PSCTL, SLOW, run, wait_until
from scenes import (QUICK, SLOW_LEASES, Scene, ends_as_if_calm, job_text, metrics, said_of,
                    tasks_begun, wait_share, workers)

EVERY = "checkpoint: {every: 200ms}"


def wait_checkpoint(cluster, job_id):
    folder = cluster.dir / f"state/checkpoints/{job_id}"
    wait_until("a checkpoint is there", lambda: list(folder.glob("checkpoint-[0-9]*")))


def restart(cluster, config=QUICK):
    cluster.server.kill()
    return cluster.start_server(config)


class Watch:
    """psctl watch (or submit --follow) beside the test."""

    def __init__(self, cluster, *arguments):
        certs = cluster.certs
        self.popen = subprocess.Popen(
            [str(PSCTL), "--server", f"localhost:{cluster.port}", "--ca", f"{certs}/ca.pem", "--cert",
             f"{certs}/alice.pem", "--key", f"{certs}/alice.key", *[str(a) for a in arguments]],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def end(self, timeout=90):
        try:
            out, err = self.popen.communicate(timeout=timeout * SLOW)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            raise AssertionError("psctl did not end: " + "".join(self.popen.communicate())) from None
        return self.popen.returncode, out, err


def restart_in_the_middle(mode):
    with Scene() as cluster:
        w1, w2 = cluster.begin(QUICK, mode=mode)
        path = cluster.dir / "job.yaml"
        path.write_text(job_text(cluster, "restarted", mode, more=EVERY))
        follow = Watch(cluster, "submit", path, "--follow")
        job_id = wait_until("it is submitted", lambda: next(
            (j["id"] for j in cluster.psctl_json("jobs")["jobs"] if j["name"] == "restarted"), None))
        watch = Watch(cluster, "watch", job_id)
        wait_share(cluster, job_id, 0.3)
        with cluster.wire.slowly():
            wait_checkpoint(cluster, job_id)
            before = tasks_begun(w1, job_id) + tasks_begun(w2, job_id)
            restart(cluster)
        ends_as_if_calm(cluster, job_id, mode)
        assert any("goes on from its checkpoint: epoch" in line for line in said_of(cluster, job_id))
        assert w1.alive() and w2.alive(), "the same workers go on by themselves"
        assert tasks_begun(w1, job_id) + tasks_begun(w2, job_id) > before
        for psctl in (watch, follow):
            status, out, err = psctl.end()
            assert status == 0, err
            assert "no connection: " in out and "goes on from its checkpoint" in out, out
            assert out.splitlines()[-1].startswith(f"job {job_id} restarted is done after "), out
        assert not list((cluster.dir / "state/checkpoints").iterdir()), "checkpoints of a job that is done"


def an_asp_job_goes_on_after_kill_9_of_psd():
    restart_in_the_middle("asp")


def a_bsp_job_goes_on_after_kill_9_of_psd():
    restart_in_the_middle("bsp")


def psd_is_killed_twice_and_a_worker_with_it():
    with Scene() as cluster:
        _, w2 = cluster.begin(QUICK)
        job_id = cluster.submit(job_text(cluster, "twice", more=EVERY))
        wait_share(cluster, job_id, 0.2)
        with cluster.wire.slowly():
            wait_checkpoint(cluster, job_id)
            restart(cluster)
        went_on = lambda: sum("goes on from its checkpoint" in line for line in said_of(cluster, job_id))
        wait_share(cluster, job_id, 0.4)
        with cluster.wire.slowly():
            wait_until("it is logged: what a killed psd has not written yet is lost", lambda: went_on() == 1)
            w2.kill()
            restart(cluster)
        ends_as_if_calm(cluster, job_id)
        assert went_on() == 2


def psd_is_killed_again_while_it_starts():
    """At moments all over the start: whatever was read or removed until then, the next start goes on."""
    with Scene() as cluster:
        cluster.begin(QUICK)
        job_id = cluster.submit(job_text(cluster, "stubborn", epochs=2, more=EVERY))
        wait_share(cluster, job_id, 0.2)
        with cluster.wire.slowly():
            wait_checkpoint(cluster, job_id)
            for step in range(8):
                cluster.server.kill()
                cluster.start_server(QUICK, wait=False)
                time.sleep(0.008 * step * SLOW)
            restart(cluster)
        job = cluster.wait_job(job_id)
        assert job["progress"]["samples"] == job["progress"]["samples_total"], job
        assert job["progress"]["test_accuracy"] > 0.92


def durability_memory_starts_anew_and_says_so():
    with Scene() as cluster:
        cluster.begin(QUICK)
        job_id = cluster.submit(job_text(cluster, "memory", epochs=2, more="durability: memory"))
        wait_share(cluster, job_id, 0.3)
        restart(cluster)
        job = cluster.wait_job(job_id)
        assert any("the job starts anew" in line for line in said_of(cluster, job_id))
        assert job["progress"]["test_accuracy"] > 0.92
        assert not list((cluster.dir / "state/checkpoints").iterdir())


def a_job_without_a_checkpoint_yet_starts_anew():
    with Scene() as cluster:
        cluster.begin(QUICK)
        job_id = cluster.submit(job_text(cluster, "early", epochs=2, more="checkpoint: {every: 0s}"))
        wait_share(cluster, job_id, 0.3)
        restart(cluster)
        assert cluster.wait_job(job_id)["progress"]["test_accuracy"] > 0.92
        assert any("there is no checkpoint: the job starts anew" in line for line in said_of(cluster, job_id))


def a_damaged_newest_checkpoint_gives_way_to_the_one_before():
    with Scene() as cluster:
        cluster.begin(QUICK)
        job_id = cluster.submit(job_text(cluster, "damaged", more=EVERY))
        folder = cluster.dir / f"state/checkpoints/{job_id}"
        with cluster.wire.slowly():
            wait_until("two checkpoints are there", lambda: len(list(folder.glob("checkpoint-[0-9]*"))) > 1)
            cluster.server.kill()
        newest = max(folder.glob("checkpoint-[0-9]*"), key=lambda p: int(p.name.split("-")[1]))
        data = bytearray(newest.read_bytes())
        data[len(data) // 2] ^= 0x10
        newest.write_bytes(data)
        cluster.start_server(QUICK)
        kept = newest.with_name(newest.name + ".damaged")
        assert kept.read_bytes() == bytes(data), "the damaged file is kept"
        line = next(line for line in cluster.server.text().splitlines() if str(kept) in line)
        assert f"damaged: {newest}: " in line and f"trying {folder}/checkpoint-" in line, line
        ends_as_if_calm(cluster, job_id)
        assert any("newer is damaged or gone" in line for line in said_of(cluster, job_id))
        assert not folder.exists(), "checkpoints of a job that is done"


def a_checkpoint_that_cannot_be_read_now_costs_nothing_but_time():
    """A folder in its place: it can be opened, and reading it fails."""
    with Scene() as cluster:
        cluster.begin(QUICK)
        job_id = cluster.submit(job_text(cluster, "unreadable", more=EVERY))
        with cluster.wire.slowly():
            wait_checkpoint(cluster, job_id)
            cluster.server.kill()
        folder = cluster.dir / f"state/checkpoints/{job_id}"
        newest = max(folder.glob("checkpoint-[0-9]*"), key=lambda p: int(p.name.split("-")[1]))
        away = newest.rename(folder / "away")
        newest.mkdir()
        cluster.start_server(QUICK)
        wait_until("it was tried again", lambda: re.search(r"\d tries failed", cluster.job(job_id)["reason"]))
        job = cluster.job(job_id)
        assert job["state"] == "running" and "its checkpoint cannot be read: " in job["reason"], job
        cluster.wait_job(cluster.submit(job_text(cluster, "other", epochs=1)))
        newest.rmdir()
        away.rename(newest)
        ends_as_if_calm(cluster, job_id)


def all_checkpoints_damaged_fail_the_job_with_the_reason():
    with Scene() as cluster:
        cluster.begin(QUICK)
        job_id = cluster.submit(job_text(cluster, "ruined", epochs=50, more=EVERY))
        wait_checkpoint(cluster, job_id)
        cluster.server.kill()
        folder = cluster.dir / f"state/checkpoints/{job_id}"
        for path in folder.glob("checkpoint-[0-9]*"):
            path.write_bytes(path.read_bytes()[:-7])
        cluster.start_server(QUICK)
        job = cluster.wait_job(job_id, states=("failed",))
        assert "cannot go on after the restart" in job["reason"] and "checkpoint-" in job["reason"], job["reason"]
        damaged = sorted(path.name for path in folder.iterdir())
        assert damaged and all(name.endswith(".damaged") for name in damaged), damaged
        restart(cluster)
        assert sorted(path.name for path in folder.iterdir()) == damaged, "they stay"
        cluster.wait_job(cluster.submit(job_text(cluster, "next", epochs=1)))


def queued_and_cancelling_jobs_survive_a_restart():
    with Scene() as cluster:
        cluster.begin(QUICK, [])
        first = cluster.submit(job_text(cluster, "waits", epochs=1))
        gone = cluster.submit(job_text(cluster, "gone", epochs=1))
        cluster.psctl("cancel", gone)
        restart(cluster)
        assert cluster.job(first)["state"] == "queued" and cluster.job(gone)["state"] == "cancelled"
        cluster.join("w1")
        cluster.wait_job(first)
        done = cluster.job(first)
        restart(cluster)
        assert cluster.job(first) == done, "what has ended stays as it was"


def psd_that_slept_goes_on(config, seconds):
    with Scene() as cluster:
        cluster.begin(config)
        job_id = cluster.submit(job_text(cluster, "nap"))
        wait_share(cluster, job_id, 0.3)
        cluster.server.signal(signal.SIGSTOP)
        time.sleep(seconds)
        cluster.server.signal(signal.SIGCONT)
        ends_as_if_calm(cluster, job_id)
        return metrics(cluster)["psd_leases_lost_total"], workers(cluster)


def psd_sleeps_and_everybody_waits():
    lost, known = psd_that_slept_goes_on(SLOW_LEASES, 2)
    assert lost == 0 and all(w["state"] != "silent" for w in known.values())


def psd_sleeps_longer_than_its_lease_timeout():
    """Its own sleep is no silence of the workers: nobody loses a lease for it."""
    lost, known = psd_that_slept_goes_on(QUICK, 2.5 * SLOW)
    assert lost == 0, "leases were lost because psd slept"
    assert all(w["state"] != "silent" for w in known.values())


run([an_asp_job_goes_on_after_kill_9_of_psd, a_bsp_job_goes_on_after_kill_9_of_psd,
     psd_is_killed_twice_and_a_worker_with_it, psd_is_killed_again_while_it_starts,
     durability_memory_starts_anew_and_says_so, a_job_without_a_checkpoint_yet_starts_anew,
     a_damaged_newest_checkpoint_gives_way_to_the_one_before, all_checkpoints_damaged_fail_the_job_with_the_reason,
     a_checkpoint_that_cannot_be_read_now_costs_nothing_but_time,
     queued_and_cancelling_jobs_survive_a_restart, psd_sleeps_and_everybody_waits,
     psd_sleeps_longer_than_its_lease_timeout])
