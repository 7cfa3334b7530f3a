"""A disk that is full, or a limit of file sizes: what was trained and what was answered stays, and one line says what to
do."""
import contextlib
import json
import os
import random
import re
import resource
import subprocess

from harness import PSCTL, SANITIZED, SLOW, Cluster, run, wait_until
from scenes import metrics

QUICK = "reconnect: {min: 50ms, max: 200ms}"


def checkpoint_files(state):
    return [p for p in state.rglob("checkpoint-*") if p.is_file() and p.suffix == ""]


def full_disk(cluster, fill, make_room, words):
    """A job of a megabyte takes checkpoints; the disk is full for a while; psd is killed then and started again."""
    job = cluster.tiny_job(workers=1, epochs=100000, layers="[16, 4096, 4]", more="checkpoint: {every: 500ms}")
    job_id, state = cluster.submit(job), cluster.dir / "state"
    wait_until("a checkpoint", lambda: checkpoint_files(state), 20)
    cluster.psctl("checkpoint", who="root")
    fill()
    done = cluster.psctl("checkpoint", who="root", check=False)
    assert done.returncode != 0 and words in done.stderr, done
    wait_until("psd says so", lambda: words in cluster.server.text(), 10)
    assert checkpoint_files(state), "the old checkpoint is gone"
    before = cluster.job(job_id)
    assert before["state"] == "running", before
    more = before["progress"]["samples"]
    wait_until("the job goes on", lambda: cluster.job(job_id)["progress"]["samples"] > more, 20)
    cluster.server.kill()
    make_room()
    cluster.start_server("jobs: {lease_timeout: 2s, heartbeat: 200ms}")
    again = wait_until("the job is there again", lambda: cluster.job(job_id)["progress"]["samples"], 30)
    wait_until("the job goes on from the old checkpoint",
               lambda: cluster.job(job_id)["progress"]["samples"] > again, 30)
    cluster.psctl("checkpoint", who="root")
    cluster.psctl("cancel", job_id)
    wait_until("the job is cancelled", lambda: cluster.job(job_id)["state"] == "cancelled", 40)


def a_checkpoint_over_a_limit_of_file_sizes_leaves_the_old_one_good():
    with Cluster() as cluster:
        cluster.tiny_data()
        cluster.start_server("jobs: {lease_timeout: 2s, heartbeat: 200ms}")
        cluster.start_worker("w1", QUICK)
        limit = lambda n: resource.prlimit(cluster.server.popen.pid, resource.RLIMIT_FSIZE, (n, resource.RLIM_INFINITY))
        full_disk(cluster, lambda: limit(512 << 10), lambda: None, "File too large")


def a_checkpoint_on_a_full_disk_leaves_the_old_one_good():
    with Cluster() as cluster:
        state = cluster.dir / "state"
        if not small_disk(state, "24m"):
            return
        ballast = state / "ballast"
        try:
            cluster.tiny_data()
            cluster.start_server("jobs: {lease_timeout: 2s, heartbeat: 200ms}")
            cluster.start_worker("w1", QUICK)
            full_disk(cluster, lambda: fill(ballast), ballast.unlink, "make room, or move data_dir to a larger disk")
            cluster.server.stop()
        finally:
            for process in cluster.processes:
                process.stop()
            subprocess.run(["umount", str(state)], check=True)


def small_disk(state, size):
    """Is data_dir a file system of its own now?"""
    state.mkdir(mode=0o700)
    mounted = os.getuid() == 0 and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "psd-test", str(state)], capture_output=True,
        check=False).returncode == 0
    if not mounted:
        print("     skipped: no right to mount a small file system here")
    return mounted


def fill(ballast, left=0):
    with contextlib.suppress(OSError), open(ballast, "ab") as file:
        while True:
            file.write(bytes(1 << 12))
            file.flush()
    if left:
        os.truncate(ballast, max(0, ballast.stat().st_size - left))


def on_a_full_disk(cluster, ballast, rng, states):
    """Something is asked while somebody else takes what room there is; states: what was answered, by job."""
    def some(state):
        return next((i for i in sorted(states, key=lambda i: rng.random()) if states[i] == state), None)

    def done(*command, who="alice", text=None):
        asked = subprocess.run([PSCTL, *cluster.flags(who), "--output", "json", *map(str, command)], input=text,
                               capture_output=True, text=True, timeout=60 * SLOW)
        full = re.search("the disk is full|MB left|has not ended; cancel it first", asked.stderr)  # the end waits for room
        assert asked.returncode == 0 or full, asked.stderr
        return asked.returncode == 0 and json.loads(asked.stdout or "{}")
    what = rng.choice(["submit", "submit", "cancel", "delete"])
    fill(ballast, rng.choice([0, 0, 20 << 10, 300 << 10]))
    if what == "submit":
        answer = done("submit", "-", text=cluster.tiny_job(workers=1) + f"# {'x' * 60000}\n")
        if answer:
            states[answer["job_id"]] = "queued"
    elif what == "cancel" and some("queued"):
        job_id = some("queued")
        if done("cancel", job_id):
            states[job_id] = "cancelled"
    elif what == "delete" and some("cancelled"):
        job_id = some("cancelled")
        if done("delete-job", job_id):
            del states[job_id]


def what_was_answered_on_a_full_disk_is_so_after_a_kill():
    for size, seed in (("24m", 1), ("100m", 2)):  # without and with a reserve
        with Cluster() as cluster:
            state, rng = cluster.dir / "state", random.Random(seed)
            if not small_disk(state, size):
                return

            def check(when):
                jobs = {j["id"]: j["state"] for j in cluster.psctl_json("jobs")["jobs"]}
                assert jobs == states, f"{when}, on a disk of {size}, seed {seed}: {jobs} is not {states}"
            try:
                cluster.tiny_data()
                cluster.start_server()
                states = {cluster.submit(cluster.tiny_job(workers=1)): "queued" for _ in range(12)}
                for _ in range(2):
                    for _ in range(25):
                        on_a_full_disk(cluster, state / "ballast", rng, states)
                    check("before the kill")
                    cluster.server.kill()
                    fill(state / "ballast")
                    cluster.start_server()
                    check("after the kill")
                assert [states.get(i) for i in range(1, 13)] != ["queued"] * 12, f"some went through: {states}"
                (state / "ballast").unlink()
                states[cluster.submit(cluster.tiny_job(workers=1))] = "queued"
                check("with room")
                cluster.server.stop()
            finally:
                for process in cluster.processes:
                    process.stop()
                subprocess.run(["umount", str(state)], check=True)


def models(cluster):
    return sorted(p.name for p in (cluster.dir / "state/models").iterdir())


def a_model_that_cannot_be_written_waits_for_room():
    """A model of 5.25 MiB: a limit of 5 MiB leaves the catalog's files alone."""
    settings, words = "jobs: {lease_timeout: 2s, heartbeat: 200ms}", "the model is not written yet: model tiny: "
    with Cluster() as cluster:
        cluster.tiny_data(rows=64 if SANITIZED else 320)
        cluster.start_server(settings)
        cluster.start_worker("w1", QUICK)

        def limit(size=resource.RLIM_INFINITY):
            resource.prlimit(cluster.server.popen.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

        def submit(epochs):
            return cluster.submit(cluster.tiny_job(workers=1, epochs=epochs, layers="[16, 65536, 4]",
                                                   more="checkpoint: {every: 300ms}"))

        def waits(job_id):
            job = wait_until("psd says that it cannot", lambda: [
                job for job in [cluster.job(job_id)]
                if job["reason"].startswith(words) or job["state"] not in ("queued", "running")], 100)[0]
            assert job["state"] == "running", job
            assert re.search(r"/models/\.incoming-\S+: write: File too large; put that right, or cancel the job; "
                             r"what was trained is kept \(\d+ tr", job["reason"]), job["reason"]
            assert job["progress"]["samples"] == job["progress"]["samples_total"] > 0, job

        limit(5 << 20)
        job_id = submit(1)
        waits(job_id)
        assert words in cluster.psctl("job", job_id).stdout
        assert not models(cluster), models(cluster)
        limit()
        cluster.wait_job(job_id, timeout=60)
        assert cluster.job(job_id)["reason"] == "" and len(models(cluster)) == 1
        before = models(cluster)

        limit(5 << 20)
        job_id = submit(1)
        waits(job_id)
        cluster.psctl("cancel", job_id)
        wait_until("it is cancelled", lambda: cluster.job(job_id)["state"] == "cancelled", 20)
        assert models(cluster) == before, models(cluster)

        limit()
        job_id, folder = submit(10), cluster.dir / "state/checkpoints"
        wait_until("a checkpoint", lambda: checkpoint_files(folder / str(job_id)), 60)
        limit(5 << 20)
        waits(job_id)
        assert checkpoint_files(folder / str(job_id)), "the checkpoints are gone"
        cluster.server.kill()
        cluster.start_server(settings)
        cluster.wait_job(job_id, timeout=100)
        assert "goes on from its checkpoint" in cluster.server.text()
        assert len(models(cluster)) == 1 and models(cluster) != before, models(cluster)
        wait_until("its checkpoints are gone", lambda: not checkpoint_files(folder), 20)


def what_cannot_be_put_on_record_is_not_done():
    """/dev/full is a full disk for who writes to it."""
    with Cluster() as cluster:
        log, away = cluster.dir / "audit.log", cluster.dir / "audit.log.1"
        cluster.tiny_data()
        cluster.start_server("landlock: off")  # which would not let it open the device
        cluster.start_worker("w1", QUICK)
        job_id = cluster.submit(cluster.tiny_job(workers=1, epochs=1))
        cluster.wait_job(job_id)
        log.rename(away)
        log.symlink_to("/dev/full")
        cluster.psctl("reload", who="root")
        before = models(cluster)
        for command in (("export", "tiny", "--to", cluster.dir / "out.safetensors"), ("delete-job", job_id), ("prune", "--older-than", "0s"),
                        ("delete", "tiny")):
            done = cluster.psctl(*command, who="alice", check=False)
            assert done.returncode and "nothing was done, because it cannot be put on record" in done.stderr, done
            assert "No space left on device" in done.stderr and len(done.stderr.splitlines()) == 1, done
        assert models(cluster) == before and cluster.job(job_id)["state"] == "done" and not (cluster.dir / "out.safetensors").exists()
        cluster.psctl("cancel", cluster.submit(cluster.tiny_job(name="other")))  # others go on
        assert metrics(cluster)["psd_audit_failed_total"] >= 6
        log.unlink()
        cluster.psctl("reload", who="root")
        cluster.psctl("delete", "tiny")
        assert not models(cluster)
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        assert [line["outcome"] for line in lines if line.get("call") == "/psd.v1.Models/Delete"] == ["begun", "allowed"], lines
        assert "unbroken" in cluster.psctl("audit", "verify", away, log).stdout


run([a_checkpoint_over_a_limit_of_file_sizes_leaves_the_old_one_good, a_checkpoint_on_a_full_disk_leaves_the_old_one_good,
     what_was_answered_on_a_full_disk_is_so_after_a_kill, a_model_that_cannot_be_written_waits_for_room,
     what_cannot_be_put_on_record_is_not_done])
