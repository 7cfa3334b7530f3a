"""What the daemons may still open, run and show once they have started: the kernel is asked, not they."""
import contextlib
import ctypes
import errno
import os
import pathlib
import resource
import shutil
import signal
import struct
import subprocess
import tempfile

import numpy as np

from harness import SANITIZED, Cluster, as_it_ships, run, wait_until
from scenes import QUICK, key

LIBC = ctypes.CDLL(None, use_errno=True)
ABI = LIBC.syscall(444, None, ctypes.c_size_t(0), ctypes.c_uint(1))  # landlock_create_ruleset, its version
PTRACE_ATTACH, PR_CAPBSET_DROP, CAP_SYS_PTRACE = 16, 24, 19
PT_LOAD = 1


class Outside:
    """A folder that no configuration names, and where the system has no temporary files."""

    def __enter__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="psd-test-outside.", dir=pathlib.Path.home()))
        (self.dir / "secret").write_text("nobody's but the operator's")
        return self

    def __exit__(self, *about):
        shutil.rmtree(self.dir)


def program(path, text):
    path.parent.mkdir(exist_ok=True)
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o700)
    return path


def says(process, words):
    wait_until(f"{process.name} says '{words}'", lambda: words in process.text(), 10)


@as_it_ships
def what_no_configuration_names_is_closed():
    with Cluster() as cluster, Outside() as outside:
        kek = key(cluster, "kek")
        hook = program(cluster.dir / "hooks/kek", f"""cat {outside.dir}/secret >{cluster.dir}/read 2>{cluster.dir}/why
(: >{outside.dir}/written)
exec cat {kek}
""")
        cluster.start_server(f"sealing: {{kek: 'exec:{hook}'}}")
        if ABI < 2:
            says(cluster.server, "without landlock: ")
            return
        says(cluster.server, f"psd: landlock abi={ABI} ")
        # the program has run, and had no more rights than psd
        assert (cluster.dir / "read").read_text() == "" and "Permission denied" in (cluster.dir / "why").read_text()
        assert not (outside.dir / "written").exists()

        # a key elsewhere is one for the next start: nothing changes, and psd says what to do
        new = outside.dir / "new"
        new.write_bytes(os.urandom(32))
        new.chmod(0o600)
        config = cluster.dir / "psd.yaml"
        before = config.read_text()
        config.write_text(before.replace(f"kek: 'exec:{hook}'", f"kek: 'file:{new}', previous: ['exec:{hook}']"))
        said = cluster.psctl("key", "rotate", who="root", check=False)
        assert said.returncode and f"{new} needs a restart" in said.stderr, said.stderr
        other = program(outside.dir / "hook", f"exec cat {kek}\n")
        config.write_text(before.replace(f"exec:{hook}", f"exec:{other}"))
        said = cluster.psctl("key", "rotate", who="root", check=False)
        assert said.returncode and f"{other} needs a restart" in said.stderr, said.stderr
        config.write_text(before)
        cluster.psctl("key", "rotate", "--wait", who="root")

        # what takes the place of a file of the configuration is opened, but not elsewhere by a link
        worker = cluster.start_worker("w1", QUICK.splitlines()[1])
        says(worker, f"psworker: landlock abi={ABI} ")
        says(worker, "connected server=")
        worker_config = cluster.dir / "w1.yaml"
        shutil.copy(worker_config, cluster.dir / "fresh")
        os.replace(cluster.dir / "fresh", worker_config)
        worker.signal(signal.SIGHUP)
        says(worker, "reloaded certificates, log level")
        shutil.copy(worker_config, outside.dir / "w1.yaml")
        worker_config.unlink()
        worker_config.symlink_to(outside.dir / "w1.yaml")
        worker.signal(signal.SIGHUP)
        says(worker, "w1.yaml: Permission denied")

        # with it off, and on a kernel that has none
        cluster.server.stop()
        cluster.start_server(f"landlock: off\nsealing: {{kek: 'file:{new}', previous: ['exec:{hook}']}}")
        says(cluster.server, "landlock off")
        assert (outside.dir / "written").exists(), "off is not off"
        cluster.server.stop()
        cluster.start_server(f"landlock: require\nsealing: {{kek: 'file:{new}', previous: ['exec:{hook}']}}")
        says(cluster.server, f"psd: landlock abi={ABI} ")


@as_it_ships
def data_that_is_mounted_later_is_found():
    with Cluster() as cluster, Outside() as outside:
        cluster.tiny_data()
        cluster.start_server(QUICK)
        data = outside.dir / "data"
        cluster.start_worker("w1", data=data)
        data.mkdir()
        for name in ("train-features.gz", "train-labels.gz", "test-features.gz", "test-labels.gz"):
            shutil.move(cluster.dir / name, data)
        job = cluster.tiny_job(epochs=1, workers=1)
        cluster.wait_job(cluster.submit(job.replace(f"{cluster.dir}/t", f"{data}/t")))


def train_planted(cluster):
    """A job that goes on for a while with weights that do not move: 32 bytes of them are given back."""
    cluster.wait_job(cluster.submit(cluster.tiny_job("base", epochs=1)))
    path = cluster.dir / "base.safetensors"
    cluster.psctl("export", "base", "-o", path)
    data = bytearray(path.read_bytes())
    pattern = np.random.default_rng().uniform(0.01, 0.05, 8).astype("<f4").tobytes()
    start = 8 + int.from_bytes(data[:8], "little")
    for at in range(start, start + 512, 64):
        data[at:at + 32] = pattern
    path.write_bytes(data)
    cluster.psctl("import", path, "planted")
    path.unlink()
    still = cluster.tiny_job("still", epochs=1000, workers=1, more="initialize_from: planted\ncheckpoint: {every: 200ms}")
    job_id = cluster.submit(still.replace("learning_rate: 0.003", "learning_rate: 1e-12").replace("weight_decay: 0.01",
                                                                                                 "weight_decay: 0"))
    wait_until("a checkpoint is there", lambda: list((cluster.dir / f"state/checkpoints/{job_id}").glob("checkpoint-[0-9]*.key")))
    return job_id, pattern


def memory_has(pid, pattern):
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            begin, end = (int(part, 16) for part in line.split()[0].split("-"))
            try:
                memory.seek(begin)
                if pattern in memory.read(end - begin):
                    return True
            except (OSError, ValueError, OverflowError):
                pass  # what the kernel keeps for itself
    return False


def memory_of(core):
    """What a core has of memory (PT_LOAD of elf(5)). Its notes are registers, and a product's kernel has weights in them."""
    data = core.read_bytes()
    (first,), (count,) = struct.unpack_from("<Q", data, 32), struct.unpack_from("<H", data, 56)
    headers = [struct.unpack_from("<IIQQQQQQ", data, first + 56 * i) for i in range(count)]
    return b"".join(data[offset:offset + size] for kind, _, offset, _, _, size, _, _ in headers if kind == PT_LOAD)


def as_another_program(pid):
    """What a program of the same user, without rights over others, gets of it: the errors of ptrace and of its memory."""
    def drop():
        LIBC.prctl(PR_CAPBSET_DROP, CAP_SYS_PTRACE, 0, 0, 0)
    code = f"""import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace({PTRACE_ATTACH}, {pid}, None, None)
print(ctypes.get_errno())
try:
    open("/proc/{pid}/mem", "rb")
    print(0)
except OSError as error:
    print(error.errno)
"""
    done = subprocess.run(["/usr/bin/python3", "-c", code], capture_output=True, text=True, check=True, preexec_fn=drop)
    return [int(line) for line in done.stdout.split()]


def files_with(pattern, pid, *folders):
    """Below the folders, and of what the process has open, with a name or without."""
    named = [p for folder in folders for p in folder.rglob("*")]
    open_ones = list(pathlib.Path(f"/proc/{pid}/fd").iterdir()) if os.geteuid() == 0 else []
    found = []
    for path in [*named, *open_ones]:
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):  # what psd has removed or opened since
            if path.is_file() and pattern in path.read_bytes():
                found.append(str(path))
    return found


def dies_without_a_core(process):
    """SIGABRT, where a core would be allowed; the kernel says in the status whether it wrote one."""
    process.killed = True
    with contextlib.suppress(PermissionError):  # not every root may raise it
        resource.prlimit(process.popen.pid, resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    process.signal(signal.SIGABRT)
    _, status = os.waitpid(process.popen.pid, 0)
    process.popen.returncode = -signal.SIGABRT
    assert os.WTERMSIG(status) == signal.SIGABRT and not os.WCOREDUMP(status), status


@as_it_ships
def a_planted_weight_is_in_no_file_and_in_no_dump():
    with Cluster() as cluster:
        cluster.tiny_data()
        temporary = cluster.dir / "tmp"
        temporary.mkdir()
        env = {**os.environ, "TMPDIR": str(temporary)}
        cluster.start_server(f"{QUICK}\nsealing: {{kek: 'file:{key(cluster, 'kek')}', require: true}}", env=env)
        worker = cluster.start_worker("w1", env=env)
        job_id, pattern = train_planted(cluster)
        for process in (cluster.server, worker):
            pid = process.popen.pid
            assert as_another_program(pid) == [errno.EPERM, errno.EACCES], process.name
            found = files_with(pattern, pid, cluster.dir / "state", temporary)
            assert not found, f"{process.name}: weights as they are in {found}"
            if os.geteuid() != 0:
                continue
            assert memory_has(pid, pattern), f"{process.name} has no such weights: nothing is shown"
            assert int(pathlib.Path(f"/proc/{pid}/coredump_filter").read_text(), 16) == 0
            if shutil.which("gcore"):  # root may, and gets nothing
                subprocess.run(["gcore", "-o", cluster.dir / process.name, str(pid)], capture_output=True, check=False)
                core = cluster.dir / f"{process.name}.{pid}"
                assert not core.exists() or pattern not in memory_of(core), f"{process.name}: weights in {core}"
        said = [line for line in pathlib.Path(f"/proc/{worker.popen.pid}/smaps").read_text().splitlines()
                if line.startswith("VmFlags:") and " dd" in line] if os.geteuid() == 0 else ["nobody knows"]
        assert said, "no memory of psworker is marked MADV_DONTDUMP"
        cluster.psctl("cancel", job_id)
        dies_without_a_core(worker)
        dies_without_a_core(cluster.server)


if __name__ == "__main__":
    # sanitizers look into their own process, and may read what they like for their reports (process.h)
    run([data_that_is_mounted_later_is_found] if SANITIZED else
        [what_no_configuration_names_is_closed, data_that_is_mounted_later_is_found, a_planted_weight_is_in_no_file_and_in_no_dump])
