#!/usr/bin/python3
"""make.py FOLDER VERSION: checkpoints of jobs that were being trained by a psd of that version, by its own build and harness.

    git worktree add /tmp/old VERSION; cd /tmp/old; meson setup build; ninja -C build
    PSD_BUILD=/tmp/old/build PSD_SOURCE=/tmp/old PYTHONPATH=/tmp/old/tests/integration make.py FOLDER VERSION

Writes FOLDER/VERSION-NAME of each job below. asp and bsp beside it are of a psd that did not book rows, and of before this
script.
"""
import pathlib
import shutil
import sys

from harness import Cluster, wait_until

JOBS = {  # name: mode, the rest of its train section
    "lion": ("asp", "optimizer: {name: lion, learning_rate: 0.0003, weight_decay: 0.1, decay_bias_and_norm: false}\n"
                    "  schedule: {name: cosine, warmup_steps: 100, final_factor: 0.1}\n  clip_norm: 2.5"),
    "momentum": ("bsp", "optimizer: {name: momentum, learning_rate: 0.01, momentum: 0.85, nesterov: true}"),
}


def main(folder, version):
    for name, (mode, train) in JOBS.items():
        with Cluster() as cluster:
            cluster.tiny_data()
            text = cluster.tiny_job(name=name, epochs=1000000, mode=mode, workers=1, layers="[16, 4]",
                                    more="column_blocks: 2\ncheckpoint: {every: 1s}")
            text = text.replace("optimizer: {name: adamw, learning_rate: 0.003, weight_decay: 0.01}", train)
            cluster.start_server()
            cluster.start_worker("w1")
            job = cluster.submit(text)
            checkpoints = cluster.dir / f"state/checkpoints/{job}"
            wait_until("two checkpoints", lambda: list(checkpoints.glob("checkpoint-2")), timeout=60)
            cluster.server.kill()
            newest = max(checkpoints.glob("checkpoint-[0-9]*"), key=lambda path: int(path.name.split("-")[1]))
            shutil.copy(newest, pathlib.Path(folder) / f"{version}-{name}")


main(*sys.argv[1:])
