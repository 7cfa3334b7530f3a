"""Real daemons for a test: certificates, one psd, any number of psworkers, psctl, and a stock gRPC client.

    with Cluster() as cluster:
        cluster.start_server()
        cluster.start_worker("w1")
        job = cluster.submit(cluster.tiny_job())
        cluster.wait_job(job)

Everything lives in one temporary folder and on loopback ports of its own. At the end every daemon gets SIGTERM and
must leave with status 0 and without a sanitizer's report; what it wrote is shown when a test fails.
PSD_BUILD names the build folder, PSD_SOURCE the source tree.
"""
import atexit
import contextlib
import functools
import gzip
import json
import os
import pathlib
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback

import numpy as np

import ports

BUILD = pathlib.Path(os.environ["PSD_BUILD"])
SOURCE = pathlib.Path(os.environ["PSD_SOURCE"])
PSD, PSWORKER, PSCTL = BUILD / "server/psd", BUILD / "worker/psworker", BUILD / "client/psctl"
# sanitizer builds are slow; every wait is multiplied by this
SLOW = float(os.environ.get("PSD_TEST_SLOW", "1"))
SANITIZED = SLOW > 1
LONG = os.environ.get("PSD_TEST_LONG", "") != ""  # leave nothing out
# Of a whole tests/run: each case on one build, but those of a file that runs on both (meson.build).
ONCE = os.environ.get("PSD_TEST_ONCE", "") != "" and not LONG and "PSD_TEST_BOTH" not in os.environ
# What tests ask again and again. A psctl with sanitizers costs some times as much as one without: where there is one of
# the ordinary build, it does what the other has done before in this file, the same command with the same flags.
AGAIN = ("cert create-client", "cancel", "job", "jobs", "model", "models", "submit", "watch", "workers")
ORDINARY_PSCTL = os.environ.get("PSD_TEST_PSCTL", "") if SANITIZED and not LONG else ""
REPORTS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:", "WARNING: ThreadSanitizer")


def wait_until(what, condition, timeout=20.0):
    """Polls condition() until it is true; its value is returned."""
    end = time.monotonic() + timeout * SLOW
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"timeout after {timeout * SLOW:.0f} s: {what}")


def write_idx(path, array):
    """The IDX format of yann.lecun.com/exdb/mnist, gzipped when the name ends in .gz."""
    kinds = {"uint8": 0x08, "int32": 0x0C, "float32": 0x0D}
    head = struct.pack(">HBB", 0, kinds[str(array.dtype)], array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    data = head + array.astype(array.dtype.newbyteorder(">")).tobytes()
    path = pathlib.Path(path)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def read_safetensors(path):
    """Straight from the format's description: u64 length, JSON header, little-endian tensors."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    body = data[8 + length:]
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        dtype = {"F32": "<f4", "U8": "u1"}[entry["dtype"]]  # U8: blocks of a form
        begin, end = entry["data_offsets"]
        tensors[name] = np.frombuffer(body[begin:end], dtype).reshape(entry["shape"])
    return metadata, tensors


class Process:
    """A daemon with its log."""

    def __init__(self, name, command, log, env=None):
        self.name, self.log, self.killed, self.told = name, log, False, False
        self.popen = subprocess.Popen([str(c) for c in command], stderr=open(log, "ab"), stdout=subprocess.DEVNULL,
                                      stdin=subprocess.DEVNULL, env=env)

    def alive(self):
        return self.popen.poll() is None

    def kill(self):
        self.killed = True
        self.popen.kill()
        self.popen.wait()

    def signal(self, number):
        self.popen.send_signal(number)

    def leave(self):
        """SIGTERM, once: one that is about to end does not listen to a second one any more."""
        if self.alive() and not self.told:
            self.told = True
            self.popen.terminate()

    def stop(self, timeout=20):
        self.leave()
        try:
            return self.popen.wait(timeout * SLOW)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            raise AssertionError(f"{self.name} did not stop within {timeout * SLOW:.0f} s of SIGTERM") from None

    def log_is_written(self):
        """A thread called log writes what was logged, and sleeps when it has."""
        for task in pathlib.Path(f"/proc/{self.popen.pid}/task").glob("*"):
            try:
                if (task / "comm").read_text() == "log\n":
                    return (task / "stat").read_text().rsplit(") ", 1)[1][0] == "S"
            except OSError:
                pass
        return True  # ended, or not yet begun

    def text(self):
        while self.alive() and not (self.log_is_written() and self.log_is_written()):
            time.sleep(0.001)
        return pathlib.Path(self.log).read_text(errors="replace")


@functools.cache
def kept_certificates():
    """A folder for what Cluster has issued: {who}/{its files}. The clusters of a test file have one CA and copies of the
    same keys, for a psctl for each would be seven a cluster."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="psd-test-certs."))
    atexit.register(shutil.rmtree, folder, True)
    return folder


_asked = set()


def psctl_for(words):
    """The program for such a call: see AGAIN."""
    command = " ".join(words[:2]) if words[0] == "cert" else words[2] if words[0] == "--output" else words[0]
    way = (command, *[word for word in words if word.startswith("-")])
    if ORDINARY_PSCTL and command in AGAIN and way in _asked:
        return ORDINARY_PSCTL
    _asked.add(way)
    return str(PSCTL)


class Cluster:
    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="psd-test."))
        self.certs = self.dir / "certs"
        self.processes, self.server = [], None
        self.port, self.metrics_port = ports.reserve(), ports.reserve()

    def __enter__(self):
        try:
            self.make_certificates()
        except BaseException:
            shutil.rmtree(self.dir, ignore_errors=True)
            raise
        return self

    def __exit__(self, kind, value, trace):
        problems = []
        # psd last, however often it was started: workers that it is there for leave at once
        leave = sorted(self.processes, key=lambda process: process.name == "psd")
        for process in leave:
            if process.name != "psd":
                process.leave()
        for process in leave:
            try:
                status = process.stop()
                if status != 0 and not process.killed:
                    problems.append(f"{process.name} ended with status {status}")
            except AssertionError as error:
                problems.append(str(error))
            problems += [f"{process.name}: {mark}" for mark in REPORTS if mark in process.text()]
        if kind or problems:
            for process in self.processes:
                print(f"---- log of {process.name}\n{process.text()[-6000:]}", file=sys.stderr)
        shutil.rmtree(self.dir, ignore_errors=True)
        if problems and not kind:
            raise AssertionError("; ".join(problems))
        return False

    # certificates -------------------------------------------------------------------------------------
    def cert(self, *arguments):
        words = ["cert", *arguments]
        subprocess.run([psctl_for(words), *words, "--dir", str(self.certs)], check=True, capture_output=True, text=True)

    def make_certificates(self):
        self.certs.mkdir()
        self.once("psd", ["create-ca", "--cluster", "test"],
                  ["create-server", "--name", "psd", "--host", "localhost", "--host", "127.0.0.1"])
        self.make_client("submitter", "alice")
        self.make_client("admin", "root")
        self.make_client("observer", "eve")

    def make_client(self, role, name):
        self.once(f"{role}-{name}", ["create-client", "--role", role, "--name", name])

    def once(self, who, *commands):
        """Certificates that these make the first time, and copies of them afterwards."""
        kept = kept_certificates() / who
        if not kept.exists():
            before = set(self.certs.iterdir())
            for command in commands:
                self.cert(*command)
            kept.mkdir()
            for file in set(self.certs.iterdir()) - before:
                shutil.copy2(file, kept)
        shutil.copytree(kept, self.certs, dirs_exist_ok=True)

    # daemons ------------------------------------------------------------------------------------------
    def start_server(self, extra="", env=None, wait=True, tls=""):
        """extra: more of its configuration; tls: more of its section tls, ", crl: FILE"."""
        config = self.dir / "psd.yaml"
        port_file = self.dir / "port"
        port_file.unlink(missing_ok=True)
        config.write_text(f"""listen: {{address: 127.0.0.1, port: {self.port}}}
metrics: {{address: 127.0.0.1, port: {self.metrics_port}}}
data_dir: {self.dir}/state
audit_log: {self.dir}/audit.log
tls: {{ca: {self.certs}/ca.pem, certificate: {self.certs}/psd.pem, key: {self.certs}/psd.key{tls}}}
{extra}
""")
        self.server = Process("psd", [PSD, "--config", config, "--port-file", port_file], self.dir / "psd.log", env)
        self.processes.append(self.server)
        if wait:
            wait_until("psd says its port", lambda: port_file.exists() or not self.server.alive())
            assert self.server.alive(), "psd did not start:\n" + self.server.text()
            said = dict(line.split() for line in port_file.read_text().splitlines())
            self.port, self.metrics_port = int(said["listen"]), int(said["metrics"])
        return self.server

    def worker_config(self, name, extra="", port=None, device="cpu", data="/usr/share/datasets"):
        """Writes it, with a certificate; its path. port: of a proxy that stands before psd; data: where more files are."""
        if not (self.certs / f"{name}.pem").exists():
            self.make_client("worker", name)
        config = self.dir / f"{name}.yaml"
        config.write_text(f"""server: localhost:{port or self.port}
name: {name}
device: {device}
threads: 1
data_roots: [{self.dir}, {data}]
tls: {{ca: {self.certs}/ca.pem, certificate: {self.certs}/{name}.pem, key: {self.certs}/{name}.key}}
{extra}
""")
        return config

    def start_worker(self, name, extra="", env=None, **options):
        """options: of worker_config."""
        config = self.worker_config(name, extra, **options)
        worker = Process(name, [PSWORKER, "--config", config], self.dir / f"{name}.log", env)
        self.processes.append(worker)
        return worker

    # psctl --------------------------------------------------------------------------------------------
    def flags(self, who="alice"):
        """How psctl reaches this psd, as somebody."""
        return ["--server", f"localhost:{self.port}", "--ca", f"{self.certs}/ca.pem", "--cert",
                f"{self.certs}/{who}.pem", "--key", f"{self.certs}/{who}.key"]

    def psctl(self, *arguments, who="alice", check=True, timeout=120):
        words = [str(a) for a in arguments]
        program = psctl_for(words) if check or "watch" in words else PSCTL  # errors are the sanitized one's
        done = subprocess.run(
            [program, *self.flags(who), *words],
            capture_output=True, text=True, timeout=timeout * SLOW, check=False)
        for mark in REPORTS:
            assert mark not in done.stderr, done.stderr
        if check:
            assert done.returncode == 0, f"psctl {arguments}: status {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def psctl_json(self, *arguments, **options):
        return json.loads(self.psctl("--output", "json", *arguments, **options).stdout)

    def submit(self, text):
        path = self.dir / "job.yaml"
        path.write_text(text)
        return self.psctl_json("submit", path)["job_id"]

    def job(self, job_id):
        return self.psctl_json("job", job_id)

    def wait_job(self, job_id, states=("done",), timeout=60):
        """Until the job has ended, as psctl sees it, over restarts of psd too; it must be in one of states."""
        self.psctl("--output", "json", "watch", job_id, check=False, timeout=timeout)
        job = self.job(job_id)
        assert job["state"] in states, f"job {job_id}: {job['state']}: {job['reason']}"
        return job

    # data ---------------------------------------------------------------------------------------------
    def tiny_data(self, rows=2000, classes=4, features=16, seed=1, noise=30):
        """Noisy blobs, as idx files of bytes: returns (train features, train labels, test features, test labels)."""
        rng = np.random.default_rng(seed)
        centres = rng.uniform(40, 215, (classes, features))
        out = []
        for part, n in (("train", rows), ("test", rows // 4)):
            labels = rng.integers(0, classes, n).astype(np.uint8)
            x = np.clip(centres[labels] + rng.normal(0, noise, (n, features)), 0, 255).astype(np.uint8)
            side = int(features ** 0.5)
            write_idx(self.dir / f"{part}-features.gz", x.reshape(n, side, side))
            write_idx(self.dir / f"{part}-labels.gz", labels)
            out += [x, labels]
        return out

    def tiny_job(self, name="tiny", epochs=5, mode="asp", workers=2, layers="[16, 32, 4]", batch=32, more=""):
        return f"""kind: train
name: {name}
model: {{architecture: mlp, layers: {layers}, activation: relu}}
data:
  format: idx
  train: {{features: {self.dir}/train-features.gz, labels: {self.dir}/train-labels.gz}}
  test: {{features: {self.dir}/test-features.gz, labels: {self.dir}/test-labels.gz}}
train:
  epochs: {epochs}
  batch_size: {batch}
  optimizer: {{name: adamw, learning_rate: 0.003, weight_decay: 0.01}}
  consistency: {{mode: {mode}}}
workers: {workers}
{more}
"""

    # a stock gRPC client --------------------------------------------------------------------------------
    def credentials(self, who):
        import grpc
        return grpc.ssl_channel_credentials((self.certs / "ca.pem").read_bytes(),
                                            (self.certs / f"{who}.key").read_bytes(),
                                            (self.certs / f"{who}.pem").read_bytes())

    @contextlib.contextmanager
    def channel(self, who="alice", options=()):
        import grpc
        with grpc.secure_channel(f"localhost:{self.port}", self.credentials(who), options) as channel:
            yield channel


_stubs = None


def stubs():
    """The modules that protoc and its gRPC plugin generate from proto/: name -> (messages, services)."""
    global _stubs
    if _stubs is None:
        from grpc_tools import protoc
        import importlib
        out = tempfile.mkdtemp(prefix="psd-stubs.")
        root = SOURCE / "proto"
        files = [str(p) for p in sorted((root / "psd/v1").glob("*.proto"))]
        assert protoc.main(["protoc", f"-I{root}", f"--python_out={out}", f"--grpc_python_out={out}", *files]) == 0
        sys.path.insert(0, out)
        names = [pathlib.Path(f).stem for f in files]
        _stubs = {n: (importlib.import_module(f"psd.v1.{n}_pb2"), importlib.import_module(f"psd.v1.{n}_pb2_grpc"))
                  for n in names}
        atexit.register(shutil.rmtree, out, True)
    return _stubs


def as_it_ships(case):
    """Of a case whose point is a number or a time, or whose way through the code another case or a unit test takes
    too: builds with sanitizers leave it out, and a whole tests/run all others on the ordinary build (tests/README.md)."""
    case.as_it_ships = True
    return case


def processor_seconds():
    """Of this process, and of all it has waited for."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def run(cases):
    """Runs the functions of a test file in order; each gets what it asks for itself. Exit status 1 on a failure."""
    failed = 0
    for case in cases:
        ships = hasattr(case, "as_it_ships")
        if ships and SANITIZED and not LONG or ONCE and not ships and not SANITIZED:
            print(f"left out: {case.__name__}", flush=True)
            continue
        begin = time.monotonic()
        used = processor_seconds()
        try:
            case()
            print(f"ok   {case.__name__} ({time.monotonic() - begin:.1f} s, "
                  f"{processor_seconds() - used:.1f} s of processors)", flush=True)
        except Exception:
            failed += 1
            print(f"FAIL {case.__name__}\n{traceback.format_exc()}", flush=True)
    sys.exit(1 if failed else 0)
