"""The record of a training: who changed what, with which rows (docs/record.md)."""
import struct

import numpy as np

from harness import run, wait_until
from scenes import QUICK, ROWS, Scene, job_text, said_of, wait_share

RECORD = "record: {influence: {sketch: 256}}"
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
            cluster.begin(QUICK, mode=mode)
            job_id = cluster.submit(job_text(cluster, "kept", mode, epochs=EPOCHS,
                                             more=f"checkpoint: {{every: 200ms}}\n{RECORD}"))
            wait_share(cluster, job_id, 0.3)
            with cluster.wire.slowly():
                folder = cluster.dir / f"state/checkpoints/{job_id}"
                wait_until("a checkpoint is there", lambda: list(folder.glob("checkpoint-[0-9]*")))
                cluster.server.kill()
                cluster.start_server(QUICK)
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


if __name__ == "__main__":
    run([every_push_is_there_once_also_after_kill_9_of_psd])
