"""Revoked certificates against running daemons: cut on every listener and in both directions, refused with day and reason,
and the lists that are not taken."""
import json
import queue
import signal
import socket
import subprocess
import threading
import time

import grpc

from fake_worker import FakeWorker
from harness import PSCTL, PSD, PSWORKER, SLOW, Cluster, Process, run, stubs, wait_until
from pki import openssl
from raw_http2 import tls_connect
from scenes import SLOW_LEASES, metrics

CUT_S = 1.0  # from the list's being in place
REASON = "keyCompromise"


def doors():
    """The addresses of a psd that listens on every one: a listener each."""
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return ["127.0.0.1"]
    return ["127.0.0.1", "[::1]"]


class Lists(Cluster):
    """Its psd and workers have tls.crl, each its own copy, which `publish` replaces as an operator would."""

    def __enter__(self):
        super().__enter__()
        # of this cluster alone: what the others of the file have is a list of another folder
        self.cert("create-ca", "--cluster", "test", "--force")
        self.cert("create-server", "--name", "psd", "--force", *[word for host in ("localhost", "127.0.0.1", "::1")
                                                                   for word in ("--host", host)])
        for role, name in (("submitter", "alice"), ("admin", "root"), ("observer", "eve")):
            self.cert("create-client", "--role", role, "--name", name, "--force")
        self.revoke()
        return self

    def crl_of(self, who):
        return self.dir / f"{who}.crl"

    def tls(self, who, more=""):
        """The section of a configuration: written over the harness' own."""
        return (f"tls: {{ca: {self.certs}/ca.pem, certificate: {self.certs}/{who}.pem, key: {self.certs}/{who}.key, "
                f"crl: {self.crl_of(who)}{more}}}")

    def revoke(self, *who):
        words = ["revoke", *who, "--reason", REASON] if who else ["crl"]
        subprocess.run([str(PSCTL), "cert", *words, "--dir", str(self.certs)], check=True, capture_output=True, text=True)

    def publish(self, *to, source=None):
        """Puts the list there; when it was in place."""
        for who in to:
            new = self.crl_of(who).with_suffix(".new")
            new.write_bytes((source or self.certs / "ca.crl").read_bytes())
            new.rename(self.crl_of(who))
        return time.monotonic()

    def with_crl(self, path, who, more=""):
        lines = path.read_text().splitlines()
        path.write_text("\n".join(self.tls(who, more) if line.startswith("tls:") else line for line in lines) + "\n")

    def start_all_doors(self, more=""):
        """A psd that listens on every address, with a list."""
        self.publish("psd")
        self.start_server(f"{SLOW_LEASES}", wait=False)  # writes the configuration
        self.server.kill()
        self.processes.remove(self.server)
        config = self.dir / "psd.yaml"
        self.with_crl(config, "psd", more)
        config.write_text(config.read_text().replace("address: 127.0.0.1", "address: '::'" if len(doors()) > 1 else
                                                     "address: 127.0.0.1", 1))
        (self.dir / "port").unlink(missing_ok=True)
        self.server = Process("psd", [PSD, "--config", config, "--port-file", self.dir / "port"], self.dir / "psd2.log")
        self.processes.append(self.server)
        wait_until("psd says its port", lambda: (self.dir / "port").exists() or not self.server.alive())
        assert self.server.alive(), self.server.text()
        self.port = int(dict(l.split() for l in (self.dir / "port").read_text().splitlines())["listen"])
        return self.server

    def channel_to(self, door, who):
        # a channel of its own: gRPC shares connections between channels of one target and one set of options
        return grpc.secure_channel(f"{door}:{self.port}", self.credentials(who),
                                   [("grpc.use_local_subchannel_pool", 1)])


class EndlessPush:
    """A push whose chunks never end, by a worker that holds the lease for it."""

    def __init__(self, worker, job_id):
        self.feed, self.ended, self.error = queue.Queue(), None, None
        pb = worker.parameters_pb
        self.feed.put(pb.PushRequest(header=pb.PushHeader(job_id=job_id, incarnation=worker.incarnation, sequence=1,
                                                          clock=1)))
        self.call = worker.parameters.Push.future(iter(self.feed.get, None))
        self.call.add_done_callback(self._done)

    def _done(self, call):
        self.error = None if call.cancelled() else call.exception()
        self.ended = time.monotonic()

    def within(self, began, what):
        wait_until(f"{what} is cut", lambda: self.ended)
        assert self.ended - began < CUT_S * SLOW, f"{what}: {self.ended - began:.2f} s"
        assert self.error and self.error.code() == grpc.StatusCode.UNAVAILABLE, self.error
        self.feed.put(None)
        return self.ended - began


def latencies(stub, messages, seconds):
    out, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        stub.List(messages.ListJobsRequest(), timeout=10 * SLOW)
        out.append(time.monotonic() - began)
    return sorted(out)


def psd_cuts_a_revoked_worker_in_the_middle_of_a_push_on_every_listener():
    with Lists() as cluster:
        cluster.tiny_data()
        cluster.start_all_doors()
        took = {}
        pb, jobs_grpc = stubs()["jobs"]
        with cluster.channel() as steady:
            jobs = jobs_grpc.JobsStub(steady)
            for i, door in enumerate(doors()):
                bad, good = f"bad{i}", f"good{i}"
                for name in (bad, good):
                    cluster.cert("create-client", "--role", "worker", "--name", name)
                with cluster.channel_to(door, bad) as to_bad, cluster.channel_to(door, good) as to_good:
                    tensors = [("w", [16, 4])]
                    workers = [FakeWorker(to_bad, tensors), FakeWorker(to_good, tensors)]
                    job_id = cluster.submit(cluster.tiny_job(name=f"job{i}", workers=2))
                    for worker in workers:
                        worker.task()
                    pushes = [EndlessPush(worker, job_id) for worker in workers]
                    before = latencies(jobs, pb, 0.5)
                    assert not any(push.ended for push in pushes)
                    cluster.revoke(f"worker/{bad}")
                    began = cluster.publish("psd")
                    took[door] = pushes[0].within(began, f"the push of {bad} at {door}")
                    after = latencies(jobs, pb, 0.5)
                    print(f"{door}: cut after {took[door] * 1000:.0f} ms; others' p99 {before[int(len(before) * .99)] * 1e3:.1f} "
                          f"and {after[int(len(after) * .99)] * 1e3:.1f} ms of {len(before)} and {len(after)} calls")
                    wait_until("the stream of tasks is cut, too", lambda: workers[0].error)
                    assert not pushes[1].ended and not workers[1].error, "who was not revoked was cut"
                    log = cluster.server.text()
                    line = f"certificate of spiffe://test/worker/{bad} was revoked on "
                    assert "connection cut" in log and line in log and f"({REASON})" in log, log[-2000:]
                    cut = [event for event in map(json.loads, (cluster.dir / "audit.log").read_text().splitlines())
                           if event["event"] == "session" and event["identity"] == f"spiffe://test/worker/{bad}"]
                    assert cut and cut[0]["outcome"] == "refused" and line in cut[0]["reason"], cut
                    # and does not come back
                    seen = len(log)
                    with cluster.channel_to(door, bad) as again:
                        try:
                            again.unary_unary("/psd.v1.Jobs/List")(b"", timeout=10 * SLOW)
                            raise AssertionError("who was revoked was let in")
                        except grpc.RpcError as error:
                            assert error.code() == grpc.StatusCode.UNAVAILABLE, error
                    wait_until("it is refused with its reason", lambda: f"client refused: {line}"
                               in cluster.server.text()[seen:], 5)
                    pushes[1].call.cancel()
                    pushes[1].feed.put(None)
                    for worker in workers:
                        worker.close()
                    cluster.psctl("cancel", job_id)
        try:
            with tls_connect(cluster, "bad0") as sock:
                sock.recv(1)
            raise AssertionError("who was revoked was let in")
        except OSError as error:
            assert "REVOKED" in str(error), error
        told = cluster.psctl("jobs", who="bad0", check=False)
        assert "the server rejected our certificate: revoked" in told.stderr and told.returncode == 4, told
        status = cluster.psctl_json("status")
        assert status["crl_number"] == str(1 + len(doors())) and status["crl_entries"] == len(doors()), status
        left = metrics(cluster)[f'psd_tls_remaining_seconds{{of="crl",serial="{status["crl_number"]}"}}']
        assert 6.9 * 86400 < left <= 7 * 86400, left


def a_worker_leaves_a_revoked_psd_on_every_listener():
    with Lists() as cluster:
        cluster.start_all_doors()
        began, logs = {}, {}
        for i, door in enumerate(doors()):
            name = f"w{i}"
            cluster.cert("create-client", "--role", "worker", "--name", name)
            cluster.publish(name)
            config = cluster.worker_config(name)
            cluster.with_crl(config, name)
            config.write_text(config.read_text().replace("server: localhost:", f"server: '{door}:")
                              .replace(f"{cluster.port}\nname", f"{cluster.port}'\nname"))
            logs[name] = Process(name, [PSWORKER, "--config", config], cluster.dir / f"{name}.log")
            cluster.processes.append(logs[name])
        for worker in logs.values():
            wait_until("it is connected", lambda: "connected server=" in worker.text())
        cluster.revoke("server/psd")
        line = "certificate of spiffe://test/server/psd was revoked on "
        for name, worker in logs.items():
            began = cluster.publish(name)
            wait_until("both connections are cut", lambda: worker.text().count(f"reason=\"{line}") >= 2)
            took = time.monotonic() - began
            assert took < CUT_S * SLOW, f"{name}: {took:.2f} s"
            wait_until("it says why it is alone", lambda: f"server refused: {line}" in worker.text())
            assert worker.alive()
        # a person's psctl goes by its own list
        done = cluster.psctl("--crl", cluster.certs / "ca.crl", "jobs", check=False)
        assert f"server refused: {line}" in done.stderr and done.returncode == 4, done


def lists_that_are_not_taken_are_named_and_the_old_one_stays():
    with Lists() as cluster:
        cluster.cert("create-client", "--role", "worker", "--name", "bad")
        old = cluster.dir / "old.crl"
        old.write_bytes((cluster.certs / "ca.crl").read_bytes())
        cluster.revoke("bad")
        server = cluster.start_all_doors()
        other = cluster.dir / "other"
        subprocess.run([str(PSCTL), "cert", "create-ca", "--cluster", "test", "--dir", other], check=True, capture_output=True)
        subprocess.run([str(PSCTL), "cert", "crl", "--dir", other], check=True, capture_output=True)
        config, expired, half = (cluster.dir / name for name in ("ca.cnf", "expired.crl", "half.crl"))
        (cluster.dir / "index").write_text("")
        (cluster.dir / "number").write_text("07")
        config.write_text(f"[ca]\ndefault_ca=c\n[c]\ndatabase={cluster.dir}/index\ncrlnumber={cluster.dir}/number\n"
                          "default_md=sha256\ndefault_crl_days=1\ncrl_extensions=e\n[e]\nauthorityKeyIdentifier=keyid\n")
        openssl("ca", "-gencrl", "-config", config, "-keyfile", cluster.certs / "ca.key", "-cert", cluster.certs / "ca.pem",
                "-crl_lastupdate", "20260101000000Z", "-crl_nextupdate", "20260102000000Z", "-out", expired)
        half.write_bytes((cluster.certs / "ca.crl").read_bytes()[:200])
        for source, says in ((old, "is older than the one in force: number 1, not 2; make a new one beside the CA"),
                             (expired, "expired on 2026-01-02 00:00:00 UTC: make a new one beside the CA"),
                             (other / "ca.crl", "is of another CA of the name"),
                             (half, "damaged PEM")):
            seen = len(server.text())
            cluster.publish("psd", source=source)
            server.signal(signal.SIGHUP)
            wait_until(f"psd says {says}", lambda: f"going on with what was there: CRL {cluster.crl_of('psd')}"
                       in server.text()[seen:] and says in server.text()[seen:], 10)
            assert "the server rejected our certificate: revoked" in cluster.psctl("jobs", who="bad", check=False).stderr
            cluster.psctl("jobs")
        check = subprocess.run([server.popen.args[0], "--config", cluster.dir / "psd.yaml", "--check"], capture_output=True,
                               text=True, check=False)
        assert check.returncode == 2 and "damaged PEM" in check.stderr, check


if __name__ == "__main__":
    run([psd_cuts_a_revoked_worker_in_the_middle_of_a_push_on_every_listener,
         a_worker_leaves_a_revoked_psd_on_every_listener,
         lists_that_are_not_taken_are_named_and_the_old_one_stays])
