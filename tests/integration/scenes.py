"""What the tests of failures share: a job long enough to have a middle, and a wire that can be cut."""
import contextlib
import functools
import json
import math
import os
import pty
import re
import select
import signal
import socket
import struct
import threading
import time

from harness import PSCTL, SLOW, Cluster, wait_until

# Fast detection, so that a test need not wait for the defaults of a real network.
QUICK = f"jobs: {{heartbeat: 200ms, lease_timeout: {int(1500 * SLOW)}ms}}\nlog: {{level: debug}}"
# Nothing of the test may depend on a lease that expires.
SLOW_LEASES = "jobs: {heartbeat: 200ms, lease_timeout: 10m}\nlog: {level: debug}"
WORKER = "log: {level: debug}\nreconnect: {min: 100ms, max: 1s}\nshutdown_grace: 20s"

ROWS, EPOCHS, BATCH = 8000, 2, 32


# What a step waits for on the wire, so that a job has a middle on a fast machine too: its calls one after another. It is
# waiting, and not more steps, that makes a middle long: a step takes its time from the tests beside.
LATENCY = {"asp": 0.002, "bsp": 0.0006}


class Scene(Cluster):
    """A cluster whose workers reach psd through a Proxy (`wire`)."""

    wire = None

    def begin(self, config, names=("w1", "w2"), mode="asp"):
        """Data, psd, the wire and these workers, which are returned when psd knows them: a job has all of them from
        its start. The blobs overlap: an accuracy near 0.94, so that a job that lost or repeated much would show it."""
        self.tiny_data(rows=ROWS, noise=60)
        self.start_server(config)
        self.wire = Proxy(self.port)
        self.wire.delay = LATENCY[mode]
        joined = [self.join(name) for name in names]
        wait_until("the workers are there", lambda: set(names) <= set(workers(self)))
        return joined

    def join(self, name):
        return self.start_worker(name, WORKER, port=self.wire.port)

    def __exit__(self, kind, value, trace):
        try:
            return super().__exit__(kind, value, trace)
        finally:
            if self.wire:
                self.wire.close()


def key(cluster, name):
    """A key that psd seals by."""
    path = cluster.dir / name
    path.write_bytes(os.urandom(32))
    path.chmod(0o600)
    return path


def sealing(path, *previous, require=False):
    others = ", ".join(f"'file:{p}'" for p in previous)
    return f"{QUICK}\nsealing: {{kek: 'file:{path}', previous: [{others}], require: {str(require).lower()}}}"


def job_text(cluster, name, mode="asp", workers=2, epochs=EPOCHS, more=""):
    """Some seconds of work: ROWS / BATCH * epochs steps."""
    return cluster.tiny_job(name=name, mode=mode, workers=workers, epochs=epochs, batch=BATCH, more=more)


def wait_share(cluster, job_id, share, timeout=60):
    """Until the running job has done that share of its samples; returns the samples done. Psd's metrics tell, for a
    psctl each time may take as long on a busy machine as the rest of the job."""
    def reached():
        page = metrics(cluster)
        done, planned = (next((value for key, value in page.items() if key.startswith(f'{name}{{job_id="{job_id}",')), 0)
                         for name in ("psd_job_samples_total", "psd_job_planned_samples"))
        if not planned:
            job = cluster.job(job_id)
            assert job["state"] in ("queued", "running"), f"job {job_id} is {job['state']}: {job['reason']}"
        return done if planned and done >= share * planned else 0
    return wait_until(f"job {job_id} comes to {share:.0%}", reached, timeout)


# How far a disturbed job's accuracy may be from an undisturbed one's. Under asp it depends on who came first: calm jobs
# have a standard deviation of 0.002, so that two of them are 0.01 apart once in some thousand comparisons.
APART = {"asp": 0.015, "bsp": 0.01}


@functools.cache
def calm_accuracy(mode="asp"):
    """What job_text comes to when nothing happens: once a test file, for its data are always the same."""
    with Scene() as cluster:
        cluster.begin("", mode=mode)
        job_id = cluster.submit(job_text(cluster, f"calm-{mode}", mode))
        return cluster.wait_job(job_id)["progress"]["test_accuracy"]


def ends_as_if_calm(cluster, job_id, mode="asp", timeout=90):
    """The job of job_text ends well, all of it done, with the accuracy of an undisturbed one."""
    job, accuracy = cluster.wait_job(job_id, timeout=timeout), calm_accuracy(mode)
    progress = job["progress"]
    assert progress["samples"] == progress["samples_total"] > 0, progress
    assert abs(progress["test_accuracy"] - accuracy) <= APART[mode], f"{progress['test_accuracy']} is not {accuracy}"
    return job


def model_file(side):
    """Of one layer of side × side ones: {architecture: mlp, layers: [side, side]}."""
    shapes, at, header = {"layers.0.weight": [side, side], "layers.0.bias": [side]}, 0, {}
    for name, shape in shapes.items():
        end = at + 4 * math.prod(shape)
        header[name], at = {"dtype": "F32", "shape": shape, "data_offsets": [at, end]}, end
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + struct.pack("<f", 1) * (at // 4)


def workers(cluster):
    return {w["name"]: w for w in cluster.psctl_json("workers")["workers"]}


def metrics(cluster):
    """{name or name{label="value"}: number} of the metrics page."""
    from urllib.request import urlopen
    text = urlopen(f"http://127.0.0.1:{cluster.metrics_port}/metrics", timeout=10 * SLOW).read().decode()
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
            if line and not line.startswith("#")}


def tasks_begun(worker, job_id, kind="train"):
    """How many tasks of the job a worker (its log at level debug) has begun."""
    return len(re.findall(rf"begun lease=\d+ job={job_id} kind={kind}", worker.text()))


def updates_of(cluster, job_id):
    """The number of updates in the job's last checkpoint, from psd's log."""
    found = re.findall(rf"checkpoint: written job={job_id} number=\d+ version=(\d+)", cluster.server.text())
    assert found, f"no checkpoint of job {job_id} in psd's log"
    return int(found[-1])


def said_of(cluster, job_id):
    """The lines psd has logged for a job."""
    return [m.group(1) for m in re.finditer(rf"job: job={job_id} source=\S+ (.*)", cluster.server.text())]


class Proxy:
    """A TCP wire between psworker and psd. `mode` is one of

    pass    bytes go both ways
    hold    nothing moves, connections stay (a firewall that has forgotten them)
    mute    what psd answers is swallowed, what it is sent arrives
    refuse  new connections are closed at once

    fuse: after so many more bytes to psd every connection is cut, once; None: it has been, or there is none.
    """

    def __init__(self, to_port):
        self.to_port, self.mode, self.delay, self.accepted, self.fuse = to_port, "pass", 0.0, 0, None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.lock, self.pairs, self.closing = threading.Lock(), [], False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            try:
                if self.mode == "refuse":
                    raise OSError("refused")
                server = socket.create_connection(("127.0.0.1", self.to_port))
            except OSError:
                client.close()
                continue
            pair = (client, server)
            with self.lock:
                self.pairs.append(pair)
            for source, sink, answers in ((client, server, False), (server, client, True)):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._pump, args=(pair, source, sink, answers), daemon=True).start()

    def _pump(self, pair, source, sink, answers):
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                if self.delay:
                    time.sleep(self.delay)
                if not answers and self.fuse is not None:
                    self.fuse -= len(data)
                    if self.fuse < 0:
                        self.fuse = None
                        self.cut()
                while self.mode == "hold" and pair in self.pairs:
                    time.sleep(0.01)
                if not (self.mode == "mute" and answers):
                    sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            self._drop(pair)

    def _drop(self, pair):
        with self.lock:
            if pair in self.pairs:
                self.pairs.remove(pair)
        for end in pair:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()

    @contextlib.contextmanager
    def slowly(self):
        """As long as it lasts each step of a job takes a tenth of a second: a job that is in its middle stays there,
        however long the test takes to see what it waits for."""
        before, self.delay = self.delay, 0.05
        try:
            yield
        finally:
            self.delay = before

    def cut(self):
        """Every connection ends, in the middle of whatever it carries."""
        with self.lock:
            pairs = list(self.pairs)
        for pair in pairs:
            self._drop(pair)

    def half_close(self):
        """psd sees the end of what the workers send, the workers go on listening."""
        with self.lock:
            pairs = list(self.pairs)
        for _, server in pairs:
            try:
                server.shutdown(socket.SHUT_WR)
            except OSError:
                pass

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.cut()


class Terminal:
    """psctl on a terminal of its own; everything it writes is kept."""

    def __init__(self, cluster, *arguments):
        self.text = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm", LANG="C.UTF-8")
            certs = cluster.certs
            os.execv(PSCTL, ["psctl", "--server", f"localhost:{cluster.port}", "--ca", f"{certs}/ca.pem", "--cert",
                             f"{certs}/alice.pem", "--key", f"{certs}/alice.key", *[str(a) for a in arguments]])

    def read(self):
        ready, _, _ = select.select([self.fd], [], [], 0.1)
        try:
            self.text += os.read(self.fd, 65536) if ready else b""
        except OSError:
            pass  # it has ended
        return self.text

    def status(self, timeout=20):
        end = time.monotonic() + timeout * SLOW
        while time.monotonic() < end:
            self.read()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.read()
                return os.waitstatus_to_exitcode(status)
        os.kill(self.pid, signal.SIGKILL)
        raise AssertionError(f"psctl does not end: {self.text[-500:]!r}")
