"""Who gets in, who may call what, and what each side is told: against a running psd."""
import json
import signal
import ssl
import subprocess
import threading
import time

import grpc

from fake_worker import FakeWorker
from harness import PSCTL, SLOW, Cluster, run, stubs, wait_until
from pki import Pki
from raw_http2 import connect, tls_connect
from scenes import SLOW_LEASES

# call × role, written down a second time: w(orker), s(ubmitter), o(bserver), a(dmin)
POLICY = {
    "Parameters": {"Describe": "wsa", "Pull": "wsa", "Push": "w", "Clock": "w"},
    "Jobs": {"Submit": "sa", "Get": "soa", "List": "soa", "Cancel": "sa", "Watch": "soa", "Delete": "sa", "Prune": "sa"},
    "Workers": {"Attach": "w", "List": "soa"},
    "Models": {"List": "soa", "Get": "soa", "Import": "sa", "Export": "wsa", "Delete": "sa", "ListArtifacts": "soa",
               "PutArtifact": "wsa", "GetArtifact": "wsoa", "DeleteArtifact": "sa"},
    "Admin": {"Status": "soa", "Quotas": "soa", "Reload": "a", "Checkpoint": "a", "Drain": "a", "Keys": "a", "RotateKeys": "a",
              "RetireKey": "a"},
    "Identity": {"Renew": "wsoa"},
}
GRPC_OWN = ["grpc.health.v1.Health/Check", "grpc.health.v1.Health/List", "grpc.health.v1.Health/Watch",
            "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"]
PEOPLE = {"w": "w1", "s": "alice", "o": "eve", "a": "root"}
ROLES = {"w": "worker", "s": "submitter", "o": "observer", "a": "admin"}


def audit(cluster, **fields):
    """The lines of the audit log with these fields."""
    lines = [json.loads(line) for line in (cluster.dir / "audit.log").read_text().splitlines()]
    return [line for line in lines if all(line.get(k) == v for k, v in fields.items())]


def other_ca(cluster, cluster_name="test"):
    folder = cluster.dir / f"other-{cluster_name}"
    folder.mkdir()
    subprocess.run([str(PSCTL), "cert", "create-ca", "--cluster", cluster_name, "--dir", str(folder)], check=True,
                   capture_output=True)
    return folder


def alert_of(cluster, who, **options):
    """What a stock TLS client is told: the alert's name."""
    try:
        with tls_connect(cluster, who, **options) as sock:
            sock.recv(1)
    except ssl.SSLError as error:
        return str(error.reason)
    raise AssertionError(f"{who} was let in")


def refused_everywhere(cluster, who, alert, reason):
    """The stock TLS client sees the alert, the stock gRPC client cannot connect, log and audit have the reason."""
    before = len(audit(cluster, event="handshake", outcome="refused"))
    told = alert_of(cluster, who)
    assert alert in told, f"{who}: {told}, expected {alert}"
    line = wait_until(f"{who} is audited: {reason}",  # after what may still come of others
                      lambda: next((line for line in audit(cluster, event="handshake", outcome="refused")[before:]
                                    if reason in line["reason"]), None), 5)
    assert line["address"].startswith("127.0.0.1:"), line
    assert f'reason="{line["reason"]}"' in cluster.server.text()
    if who:
        with cluster.channel(who) as channel:
            try:
                channel.unary_unary("/psd.v1.Jobs/List")(b"", timeout=10 * SLOW)
                raise AssertionError(f"{who} was let in")
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.UNAVAILABLE, error


def a_wrong_certificate_is_refused_with_its_reason_on_both_sides():
    with Cluster() as cluster:
        cluster.start_server()
        pki, other = Pki(cluster.certs), other_ca(cluster)
        me = "spiffe://test/submitter/"
        pki.issue("late", me + "late", days=-1)
        pki.issue("stranger", me + "stranger", ca=other)
        pki.issue("wronguse", me + "wronguse", usage="serverAuth")
        pki.issue("nouse", me + "nouse", usage=None)
        pki.issue("nobody", None)
        pki.issue("king", "spiffe://test/king/x")
        pki.issue("foreign", "spiffe://elsewhere/submitter/foreign")
        pki.issue("server2", "spiffe://test/server/two")
        # name, alert, psd's words, and psctl's own words about the same certificate
        cases = [
            (None, "CERTIFICATE_REQUIRED", "the client showed no certificate", None),
            ("late", "CERTIFICATE_EXPIRED", f"certificate of {me}late expired on ", "late.pem expired on "),
            ("stranger", "UNKNOWN_CA", f"certificate of {me}stranger is signed by an unknown CA",
             "is signed by an unknown CA"),
            ("wronguse", "UNSUPPORTED_CERTIFICATE", "is not one for a client (clientAuth)",
             "is not one for a client (clientAuth)"),
            ("nouse", "HANDSHAKE_FAILURE", "is not one for a client (clientAuth)",
             "is not one for a client (clientAuth)"),
            ("nobody", "HANDSHAKE_FAILURE", "certificate has no URI name spiffe://CLUSTER/ROLE/NAME",
             "certificate has no URI name"),
            ("king", "HANDSHAKE_FAILURE", "role 'king' is not one of", "role 'king' is not one of"),
            ("foreign", "HANDSHAKE_FAILURE", "is of cluster elsewhere, not of ours, test",
             "is of cluster test, not of ours, elsewhere"),
            ("server2", "HANDSHAKE_FAILURE", "role server may not connect here",
             "its identity may not connect there (wrong cluster or role)"),
        ]
        for who, alert, reason, own in cases:
            refused_everywhere(cluster, who, alert, reason)
            if own:
                done = cluster.psctl("jobs", who=who, check=False)
                assert own in done.stderr and done.returncode == 4, (who, done.returncode, done.stderr)
        cluster.psctl("jobs")


def psctl_says_what_is_wrong_with_the_server():
    with Cluster() as cluster:
        other = other_ca(cluster)
        cluster.cert("create-server", "--name", "psd", "--host", "elsewhere.example", "--force")
        cluster.start_server()
        done = cluster.psctl("jobs", check=False)
        assert done.returncode == 4 and "is for elsewhere.example, not for localhost" in done.stderr, done
        reason = "the client rejected our certificate: bad, not yet in force, or for another host name"
        wait_until("psd's side", lambda: audit(cluster, event="handshake", outcome="refused", reason=reason), 5)
        try:
            tls_connect(cluster, "alice", ca=other / "ca.pem")
            raise AssertionError("a server of an unknown CA was believed")
        except ssl.SSLCertVerificationError:
            pass
        reason = "the client rejected our certificate: signed by a CA unknown there"
        wait_until("psd's side", lambda: audit(cluster, event="handshake", outcome="refused", reason=reason), 5)


def outcome(channel, call):
    """The status of a call with one empty message; streams that last are cancelled after their first answer."""
    stream = channel.stream_stream("/" + call)(iter([b""]), timeout=10 * SLOW)
    try:
        next(stream)
        stream.cancel()
    except StopIteration:
        pass
    except grpc.RpcError as error:
        return error.code(), error.details()
    return grpc.StatusCode.OK, ""


def every_call_is_open_to_exactly_the_roles_of_the_table():
    described = {m.full_name for pb, _ in stubs().values() for s in pb.DESCRIPTOR.services_by_name.values()
                 for m in s.methods}
    table = {f"psd.v1.{service}/{call}": roles for service, calls in POLICY.items() for call, roles in calls.items()}
    assert described == {call.replace("/", ".") for call in table}, "proto/ and the table of this test differ"
    table.update({call: "wsoa" for call in GRPC_OWN})
    with Cluster() as cluster:
        cluster.start_server()
        cluster.make_client("worker", "w1")
        for letter, who in PEOPLE.items():
            with cluster.channel(who) as channel:
                for call, roles in table.items():
                    code, details = outcome(channel, call)
                    allowed = "role" not in details or "may not call" not in details
                    assert allowed == (letter in roles), f"{call} as {ROLES[letter]}: {code} {details}"
                    if allowed:
                        assert code != grpc.StatusCode.UNIMPLEMENTED, f"{call}: {details}"
                        continue
                    assert code == grpc.StatusCode.PERMISSION_DENIED, f"{call}: {code}"
                    expected = f"role {ROLES[letter]} may not call {call}; allowed roles: "
                    assert details.startswith(expected), details
                    listed = details[len(expected):]
                    assert {ROLES[r] for r in roles} == set(listed.split(", ")), details


def a_refused_call_is_told_to_both_sides_and_audited():
    with Cluster() as cluster:
        cluster.tiny_data()
        cluster.start_server()
        cluster.make_client("worker", "w1")
        (cluster.dir / "job.yaml").write_text(cluster.tiny_job())
        done = cluster.psctl("submit", cluster.dir / "job.yaml", who="eve", check=False)
        text = "role observer may not call psd.v1.Jobs/Submit; allowed roles: submitter, admin"
        assert done.returncode == 4 and text in done.stderr, done
        line = audit(cluster, event="call", call="/psd.v1.Jobs/Submit")
        assert len(line) == 1 and line[0]["outcome"] == "refused" and line[0]["reason"] == text
        assert line[0]["identity"] == "spiffe://test/observer/eve"
        wait_until("the log has it, too", lambda: f'peer=spiffe://test/observer/eve path=/psd.v1.Jobs/Submit reason="{text}"'
                   in cluster.server.text(), 5)
        with cluster.channel("w1") as channel:
            code, details = outcome(channel, "psd.v1.Jobs/Cancel")
            assert code == grpc.StatusCode.PERMISSION_DENIED and "role worker may not call" in details
            assert audit(cluster, call="/psd.v1.Jobs/Cancel", identity="spiffe://test/worker/w1", outcome="refused")
            # a call that does not exist is nobody's
            code, details = outcome(channel, "psd.v1.Jobs/Steal")
            assert code == grpc.StatusCode.UNIMPLEMENTED and "/psd.v1.Jobs/Steal" in details, details
            assert audit(cluster, call="/psd.v1.Jobs/Steal", identity="spiffe://test/worker/w1", outcome="refused")
        cluster.psctl("submit", cluster.dir / "job.yaml")
        assert audit(cluster, call="/psd.v1.Jobs/Submit", identity="spiffe://test/submitter/alice", outcome="allowed")
        # the lines prove each other, and a head that was kept proves the last
        status, log = cluster.psctl_json("status"), cluster.dir / "audit.log"
        head, by_mlkem = status["audit_head"], status["connections_pq"] if ssl.OPENSSL_VERSION_INFO < (3, 5) else 0
        assert status["connections_total"] > status["connections"] > 0 and not by_mlkem, status
        assert cluster.psctl("audit", "head").stdout == head + "\n"
        assert max(map(len, cluster.psctl("status").stdout.splitlines())) <= 80, "a terminal's width"
        assert "unbroken" in cluster.psctl("audit", "verify", log, "--head", head).stdout
        lines = log.read_text().splitlines(keepends=True)
        log = cluster.dir / "changed.log"
        for changed in (lines[:1] + lines[2:], [lines[0].replace("start", "stop ")] + lines[1:], lines[:int(head.split(":")[0]) - 1]):
            log.write_text("".join(changed))
            assert cluster.psctl("audit", "verify", log, "--head", head, check=False).returncode
        # a zero byte hides no line behind it
        log.write_text("\0\n".join([lines[0], lines[0] + "".join(lines[1:])]))
        assert "follows 1" in cluster.psctl("audit", "verify", log, check=False).stderr
        # and psd's key has signed for them, before and after it was renewed
        cluster.cert("create-server", "--name", "psd", "--host", "localhost", "--force")
        cluster.psctl("reload", who="root")
        cluster.server.stop()
        verify = lambda *more: cluster.psctl("audit", "verify", cluster.dir / "audit.log", *more, check=False)
        lines = audit(cluster)
        assert [line["event"] for line in lines[:2] + lines[-2:]] == ["start", "anchor", "stop", "anchor"], lines
        assert lines[1]["signer"] != lines[-1]["signer"] and "certificates" in lines[-1]
        done = verify("--ca", cluster.certs / "ca.pem")
        assert f"signed to line {len(lines) - 1}, by the anchor behind it, at {lines[-1]['time']}\nby spiffe://test/server/psd (2 anchors, 2 certificates)" in done.stdout
        assert "another key signed it" in verify("--certificate", cluster.certs / "psd.pem").stderr
        cluster.cert("create-ca", "--cluster", "test", "--name", "other")
        assert "unknown CA" in verify("--ca", cluster.certs / "other.pem").stderr


def a_submitter_changes_only_what_is_its_own():
    with Cluster() as cluster:
        cluster.tiny_data()
        cluster.start_server()
        cluster.make_client("submitter", "bob")
        cluster.start_worker("w1")
        job_id = cluster.submit(cluster.tiny_job(workers=1, epochs=1))
        cluster.wait_job(job_id)
        waits = cluster.submit(cluster.tiny_job(name="waits", epochs=10000))
        out = cluster.dir / "model.safetensors"
        # looking and using is for all
        assert cluster.psctl_json("job", job_id, who="bob")["submitter"] == "spiffe://test/submitter/alice"
        assert cluster.psctl_json("model", "tiny", who="bob")["owner"] == "spiffe://test/submitter/alice"
        cluster.psctl("export", "tiny", "-o", out, who="bob")
        cluster.psctl("import", out, "copy", who="bob")
        assert cluster.psctl_json("model", "copy")["owner"] == "spiffe://test/submitter/bob"
        (cluster.dir / "again.yaml").write_text(cluster.tiny_job())
        end = " belongs to spiffe://test/submitter/alice; only its owner and an admin may change it"
        for what, call, command in (
                (f"job {waits}", "/psd.v1.Jobs/Cancel", ["cancel", waits]),
                ("model tiny", "/psd.v1.Models/Delete", ["delete", "tiny"]),
                ("model tiny", "/psd.v1.Models/Import", ["import", out, "tiny", "--replace"]),
                ("model tiny", "/psd.v1.Jobs/Submit", ["submit", cluster.dir / "again.yaml"])):
            done = cluster.psctl(*command, who="bob", check=False)
            assert done.returncode == 4 and what + end in done.stderr, done
            lines = audit(cluster, call=call, identity="spiffe://test/submitter/bob", outcome="refused")
            assert [line["reason"] for line in lines] == [what + end], lines
        assert cluster.job(waits)["state"] in ("queued", "running")
        cluster.psctl("cancel", waits)
        cluster.psctl("delete", "copy", who="root")
        cluster.psctl("delete", "tiny")


def a_worker_without_its_lease_leaves_and_reads_nothing():
    models_pb, models_grpc = stubs()["models"]
    jobs_pb, jobs_grpc = stubs()["jobs"]
    with Cluster() as cluster:
        cluster.tiny_data()
        cluster.start_server(SLOW_LEASES)
        cluster.make_client("worker", "w1")
        with cluster.channel() as user, cluster.channel("w1") as channel:
            job_id = jobs_grpc.JobsStub(user).Submit(jobs_pb.SubmitRequest(spec=cluster.tiny_job(workers=1))).job_id
            worker = FakeWorker(channel, [("w", [10, 10])])
            worker.task()
            lost = threading.Event()

            def upload():
                yield models_pb.PutArtifactRequest(header=models_pb.PutArtifactHeader(job_id=job_id, name="a.txt"))
                yield models_pb.PutArtifactRequest(payload=b"old")
                assert lost.wait(20 * SLOW)

            for name in ("../psd.db", "/etc/passwd", ".hidden", ""):
                header = models_pb.PutArtifactRequest(header=models_pb.PutArtifactHeader(job_id=job_id, name=name))
                refused = models_grpc.ModelsStub(channel).PutArtifact.future(iter([header]), timeout=30 * SLOW).exception()
                assert refused.code() == grpc.StatusCode.INVALID_ARGUMENT, (name, refused)
            call = models_grpc.ModelsStub(channel).PutArtifact.future(upload(), timeout=30 * SLOW)
            wait_until("the upload has begun", lambda: any((cluster.dir / "state/artifacts").iterdir()))
            cluster.psctl("cancel", job_id)
            cluster.wait_job(job_id, ("cancelled",))
            lost.set()
            error = call.exception()
            assert error.code() == grpc.StatusCode.PERMISSION_DENIED, error
            assert f"worker w1 holds no lease of job {job_id}" in error.details(), error
            listed = models_grpc.ModelsStub(user).ListArtifacts(models_pb.ListArtifactsRequest(job_id=job_id))
            assert not listed.artifacts
            parameters_pb, parameters_grpc = stubs()["parameters"]
            try:
                parameters_grpc.ParametersStub(channel).Describe(parameters_pb.DescribeRequest(model="tiny"))
                raise AssertionError("a worker may not look at any model")
            except grpc.RpcError as refused:
                assert refused.code() == grpc.StatusCode.PERMISSION_DENIED, refused
            worker.close()


def serial_of(cluster):
    with tls_connect(cluster) as sock:
        return sock.getpeercert()["serialNumber"]


def hangup(cluster, words):
    before = len(cluster.server.text())
    cluster.server.signal(signal.SIGHUP)
    wait_until(f"psd's log says '{words}'", lambda: words in cluster.server.text()[before:], 10)


def a_reload_changes_new_connections_only_and_a_bad_file_changes_nothing():
    with Cluster() as cluster:
        cluster.start_server()
        first = serial_of(cluster)
        with cluster.channel() as channel, connect(cluster) as open_before:
            watch = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"")
            assert next(watch) == b"\x08\x01"
            cluster.cert("create-server", "--name", "psd", "--host", "localhost", "--force")
            hangup(cluster, "reloaded certificates")
            second = serial_of(cluster)
            assert second != first, "new connections still get the old certificate"

            bad = {"garbage": lambda: (cluster.certs / "psd.pem").write_text("this is no certificate\n"),
                   "another's key": lambda: (cluster.certs / "psd.key").write_bytes(
                       (cluster.certs / "eve.key").read_bytes()),
                   "expired": lambda: Pki(cluster.certs).issue("psd", "spiffe://test/server/psd", days=-1,
                                                               usage="serverAuth", hosts=["localhost"]),
                   "missing": (cluster.certs / "psd.key").unlink}
            keep = {n: (cluster.certs / n).read_bytes() for n in ("psd.pem", "psd.key")}
            for what, spoil in bad.items():
                spoil()
                hangup(cluster, "certificates not reloaded, going on with what was there: ")
                assert serial_of(cluster) == second, what
                done = cluster.psctl("reload", who="root", check=False)
                assert done.returncode != 0 and "certificates not reloaded" in done.stderr, (what, done)
                for name, data in keep.items():
                    (cluster.certs / name).write_bytes(data)

            config = cluster.dir / "psd.yaml"
            config.write_text(config.read_text() + "log: {level: loud}\n")
            hangup(cluster, "log.level: ")
            config.write_text(config.read_text().replace("loud", "debug"))
            hangup(cluster, "reloaded certificates, audit log, log level")
            with connect(cluster) as peer:
                peer.answer(peer.request("/psd.v1.Jobs/List"))
            wait_until("the new level is in force", lambda: " debug   rpc: closed " in cluster.server.text(), 5)

            stream = open_before.request("/psd.v1.Jobs/List")
            assert open_before.answer(stream)["grpc-status"] == "0", "the old connection is gone"
            assert channel.unary_unary("/psd.v1.Jobs/List")(b"", timeout=10 * SLOW) == b""
            assert watch.code() is None if watch.done() else True
            watch.cancel()


run([a_submitter_changes_only_what_is_its_own, a_worker_without_its_lease_leaves_and_reads_nothing,
     a_wrong_certificate_is_refused_with_its_reason_on_both_sides, psctl_says_what_is_wrong_with_the_server,
     every_call_is_open_to_exactly_the_roles_of_the_table, a_refused_call_is_told_to_both_sides_and_audited,
     a_reload_changes_new_connections_only_and_a_bad_file_changes_nothing])
