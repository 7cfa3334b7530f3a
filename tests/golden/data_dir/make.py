#!/usr/bin/python3
"""make.py OUT.tar.gz: the data_dir of a psd that was killed, made by that psd's own build and test harness.

    git worktree add /tmp/old 39b2b3d; cd /tmp/old; meson setup build; ninja -C build
    PSD_BUILD=/tmp/old/build PSD_SOURCE=/tmp/old PYTHONPATH=/tmp/old/tests/integration make.py 39b2b3d.tar.gz

In it: a trained model (first), an evaluation, predictions, a cancelled job, and a job (second) that was being trained, with a
checkpoint. Data files are named below DATA, where whoever uses it makes them anew: harness.tiny_data(), seed 1.
"""
import pathlib
import shutil
import sys
import tarfile

from harness import PSWORKER, Cluster, Process, wait_until

DATA = pathlib.Path("/var/tmp/psd-golden-data")


def main(out):
    shutil.rmtree(DATA, ignore_errors=True)
    DATA.mkdir()
    with Cluster() as cluster:
        cluster.tiny_data()
        for file in cluster.dir.glob("t*-*.gz"):
            shutil.copy(file, DATA)

        def job(**options):
            return cluster.tiny_job(**options).replace(str(cluster.dir), str(DATA))
        cluster.start_server()
        config = cluster.worker_config("w1")
        config.write_text(config.read_text().replace("data_roots: [", f"data_roots: [{DATA}, "))
        worker = Process("w1", [PSWORKER, "--config", config], cluster.dir / "w1.log")
        cluster.processes.append(worker)
        cluster.wait_job(cluster.submit(job(name="first", workers=1)))
        cluster.psctl("evaluate", "first", DATA / "test-features.gz", DATA / "test-labels.gz")
        cluster.psctl("predict", "first", DATA / "test-features.gz")
        cancelled = cluster.submit(job(name="cancelled", workers=1, more="min_workers: 1").replace("epochs: 5",
                                                                                                   "epochs: 100000"))
        wait_until("it runs", lambda: cluster.job(cancelled)["state"] == "running")
        cluster.psctl("cancel", cancelled)
        cluster.wait_job(cancelled, states=("cancelled",))
        text = job(name="second", workers=1, mode="bsp", more="checkpoint: {every: 1s}").replace("epochs: 5", "epochs: 60")
        second = cluster.submit(text)
        folder = cluster.dir / f"state/checkpoints/{second}"
        wait_until("a checkpoint", lambda: list(folder.glob("checkpoint-[0-9]*")), timeout=60)
        assert cluster.job(second)["state"] == "running"
        cluster.server.kill()
        worker.kill()
        with tarfile.open(out, "w:gz") as tar:
            tar.add(cluster.dir / "state", "state",
                    filter=lambda info: None if "/reserve" in info.name or info.name.endswith("/lock") else info)
    shutil.rmtree(DATA)


main(sys.argv[1])
