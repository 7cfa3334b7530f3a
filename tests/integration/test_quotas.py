"""What one identity may use of psd, with real daemons and a stock gRPC client: the exact edges, that two connections are
one identity, that psworker waits and loses nothing, and that whoever vanishes gives all back."""
import contextlib
import re
import signal
import subprocess
import sys
import threading
import time

import grpc

from harness import Cluster, run, stubs, wait_until
from scenes import metrics, model_file

JOBS = "jobs: {heartbeat: 200ms, lease_timeout: 10m}"


def quotas(cluster, who, *flags):
    """{quota: {used, limit, refused}} of the caller."""
    said = cluster.psctl_json("quota", *flags, who=who)["identities"]
    return {use["quota"]: use for use in said[0]["quotas"]}


def use_of(cluster, identity):
    """The same of another, as the operator sees it."""
    said = cluster.psctl_json("quota", "--all", who="root")["identities"]
    (one,) = [i for i in said if i["identity"] == f"spiffe://test/{identity}"] or [None]
    return {use["quota"]: use for use in one["quotas"]} if one else None


def reload(cluster, text):
    """Writes psd.yaml anew, with this section, and has psd read it."""
    config = cluster.dir / "psd.yaml"
    kept = config.read_text().split("quotas:")[0]
    config.write_text(kept + text)
    return cluster.psctl("reload", who="root", check=False)


def waiting_job(cluster, name):
    """Nobody is there to do it."""
    path = cluster.dir / f"{name}.yaml"
    path.write_text(cluster.tiny_job(name=name))
    return path


def own_channel(cluster, who):
    """gRPC for Python lets channels of the same credentials share a connection, but for these."""
    return cluster.channel(who, options=[("grpc.use_local_subchannel_pool", 1)])


def jobs_are_bounded_by_who_submits_them():
    with Cluster() as cluster:
        cluster.tiny_data(rows=64)
        cluster.make_client("submitter", "bob")
        cluster.start_server(f"{JOBS}\nquotas: {{submitter: {{jobs: 2}}, identities: {{submitter/bob: {{jobs: 3}}}}}}")
        first, second = (cluster.psctl_json("submit", waiting_job(cluster, f"j{i}"))["job_id"] for i in (1, 2))
        over = cluster.psctl("submit", waiting_job(cluster, "j3"), check=False)
        assert over.returncode != 0
        assert "quota of spiffe://test/submitter/alice: 2 jobs that have not ended; try again in 10 s" in over.stderr, \
            over.stderr
        assert len(cluster.psctl_json("jobs")["jobs"]) == 2, "nothing of it was stored"
        for i in range(3):
            cluster.psctl("submit", waiting_job(cluster, f"b{i}"), who="bob")  # a name beats its role
        assert cluster.psctl("submit", waiting_job(cluster, "b3"), who="bob", check=False).returncode != 0
        assert quotas(cluster, "bob")["jobs"] == {"quota": "jobs", "used": 3, "limit": 3, "refused": 1}
        # a stock client is told in gRPC's own way when to come again
        jobs_pb, jobs_grpc = stubs()["jobs"]
        with cluster.channel("alice") as channel:
            def again():
                """Milliseconds until it is told, and that it is told to wait then."""
                begin = time.monotonic()
                try:
                    jobs_grpc.JobsStub(channel).Submit(jobs_pb.SubmitRequest(spec=cluster.tiny_job(name="j4")), timeout=30)
                    raise AssertionError("it was taken")
                except grpc.RpcError as error:
                    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
                    return (time.monotonic() - begin) * 1000, int(dict(error.trailing_metadata())["grpc-retry-pushback-ms"])
            assert again()[1] in (10000, 9000), "held back, unless the last one is ten seconds ago"
            took, more = again()
            assert took >= 1000 and more == 9000, f"{took} {more}: it has come before it was told to"
        # those that had not ended count after a crash, too
        cluster.server.kill()
        cluster.start_server(f"{JOBS}\nquotas: {{submitter: {{jobs: 2}}}}")
        assert quotas(cluster, "alice")["jobs"]["used"] == 2
        assert cluster.psctl("submit", waiting_job(cluster, "j5"), check=False).returncode != 0
        # fewer than there are: they stay, and nothing new comes until there is room
        assert reload(cluster, "quotas: {submitter: {jobs: 1}}\n").returncode == 0
        cluster.psctl("cancel", first)
        assert cluster.psctl("submit", waiting_job(cluster, "j6"), check=False).returncode != 0
        assert cluster.job(second)["state"] == "queued"
        cluster.psctl("cancel", second)
        cluster.psctl("submit", waiting_job(cluster, "j7"))
        page = metrics(cluster)
        assert page['psd_quota_refused_total{quota="jobs",role="submitter"}'] == 2, page
        assert page['psd_quota_full_identities{quota="jobs"}'] == 2, "alice has her one job, bob his three"
        # what is wrong is said with its line, and changes nothing
        wrong = reload(cluster, "quotas:\n  submitter:\n    jobs: many\n")
        assert wrong.returncode != 0 and "quotas.submitter.jobs: expected an integer, got 'many'" in wrong.stderr, \
            wrong.stderr
        assert quotas(cluster, "alice")["jobs"]["limit"] == 1
        # what others use is the operators'
        assert "for roles observer and admin" in cluster.psctl("quota", "--all", check=False).stderr
        assert use_of(cluster, "submitter/bob")["jobs"]["used"] == 3
        assert "submitter/bob" in cluster.psctl("quota", "--all", who="eve").stdout


SIDE = 512


def upload(cluster, name):
    """What psd says; None: it has it."""
    models_pb, models_grpc = stubs()["models"]
    file = model_file(SIDE)

    def messages():
        yield models_pb.ImportRequest(header=models_pb.ImportHeader(
            name=name, config=f"{{architecture: mlp, layers: [{SIDE}, {SIDE}]}}"))
        for at in range(0, len(file), 1 << 18):
            yield models_pb.ImportRequest(payload=file[at:at + (1 << 18)])
    with cluster.channel("alice") as channel:
        try:
            models_grpc.ModelsStub(channel).Import(messages(), timeout=60)
            return None
        except grpc.RpcError as error:
            return error


def what_is_stored_is_bounded():
    with Cluster() as cluster:
        cluster.tiny_data(rows=64)
        cluster.start_server(f"{JOBS}\nquotas: {{submitter: {{stored: 2MiB}}}}")
        assert upload(cluster, "one") is None
        error = upload(cluster, "two")
        assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, error
        assert error.details() == ("quota of spiffe://test/submitter/alice: 2 MiB stored; delete models, artifacts or "
                                   "ended jobs: psctl delete, delete-artifact, delete-job"), error.details()
        assert dict(error.trailing_metadata())["grpc-retry-pushback-ms"] == "-1", "time does not help"
        wait_until("nothing of it is left", lambda: len(list((cluster.dir / "state/models").iterdir())) == 1)
        used = quotas(cluster, "alice")["stored"]["used"]
        assert used == sum(f.stat().st_size for f in (cluster.dir / "state/models").iterdir()), used
        assert re.search(r"\n *stored +1\.\d MiB +2 MiB +1\n", cluster.psctl("quota").stdout), "as it is written"
        cluster.psctl("cancel", cluster.submit(cluster.tiny_job()))  # there is room, still
        reload(cluster, f"quotas: {{submitter: {{stored: {used}}}}}\n")
        over = cluster.psctl("submit", waiting_job(cluster, "train"), check=False)
        assert over.returncode != 0 and "bytes stored; delete models" in over.stderr, over.stderr
        assert len(cluster.psctl_json("jobs")["jobs"]) == 1
        cluster.psctl("delete", "one")
        cluster.submit(cluster.tiny_job())
        reload(cluster, "quotas: {submitter: {stored: 2MiB}}\n")
        assert upload(cluster, "two") is None


HOLDER = """
import sys, grpc, time
sys.path[:0] = {path!r}
from harness import stubs
pb, services = stubs()["models"]
read = lambda name: open(name, "rb").read()
channel = grpc.secure_channel("localhost:{port}", grpc.ssl_channel_credentials(read({ca!r}), read({key!r}), read({cert!r})))
def messages():
    yield pb.ImportRequest(header=pb.ImportHeader(name="held"))
    while True:
        time.sleep(60)
call = services.ModelsStub(channel).Import(messages())
call
"""


def connections_and_calls_are_one_sum_and_a_client_that_dies_gives_them_back():
    with Cluster() as cluster, contextlib.ExitStack() as stack:
        cluster.start_server(f"{JOBS}\nquotas: {{submitter: {{connections: 2, streams: 3}}}}")
        models_pb, models_grpc = stubs()["models"]
        jobs_pb, jobs_grpc = stubs()["jobs"]
        dead = threading.Event()
        stack.callback(dead.set)

        def never_ends():
            yield models_pb.ImportRequest(header=models_pb.ImportHeader(name="held"))
            dead.wait()
        channels = [stack.enter_context(own_channel(cluster, "alice")) for _ in range(3)]
        held = [models_grpc.ModelsStub(channels[i % 2]).Import.future(never_ends()) for i in range(3)]
        wait_until("three calls", lambda: use_of(cluster, "submitter/alice")["streams"]["used"] == 3)
        assert use_of(cluster, "submitter/alice")["connections"]["used"] == 2

        def ask(channel):
            try:
                jobs_grpc.JobsStub(channel).List(jobs_pb.ListJobsRequest(), timeout=30)
                return None
            except grpc.RpcError as error:
                return error
        for channel, text in ((channels[0], "3 calls at once; try again in 100 ms"),
                              (channels[1], "3 calls at once; try again in 100 ms"),
                              (channels[2], "2 connections; try again in 1 s")):
            error = ask(channel)
            assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, error
            assert error.details() == f"quota of spiffe://test/submitter/alice: {text}", error.details()
        held[1].cancel()
        wait_until("its call is given back", lambda: use_of(cluster, "submitter/alice")["streams"]["used"] == 2)
        assert ask(channels[0]) is None
        for call in held:
            call.cancel()
        wait_until("no calls", lambda: use_of(cluster, "submitter/alice")["streams"]["used"] == 0)

        # kill -9 in the middle of a call
        cluster.make_client("submitter", "bob")
        text = HOLDER.format(path=sys.path, port=cluster.port, ca=str(cluster.certs / "ca.pem"),
                             cert=str(cluster.certs / "bob.pem"), key=str(cluster.certs / "bob.key"))
        client = subprocess.Popen([sys.executable, "-c", text + "\ntime.sleep(600)\n"])
        stack.callback(client.kill)

        def bob(quota):
            use = use_of(cluster, "submitter/bob")
            return use[quota]["used"] if use else None
        wait_until("its call has come", lambda: bob("streams") == 1)
        client.send_signal(signal.SIGKILL)
        client.wait()
        wait_until("all is given back", lambda: bob("streams") == bob("connections") == bob("in_flight") == 0)


def a_worker_that_is_held_back_waits_and_loses_nothing():
    with Cluster() as cluster:
        cluster.tiny_data(rows=1000)
        cluster.start_server(f"{JOBS}\nquotas: {{worker: {{pushes_per_second: 8, connections: 2, streams: 6}}}}")
        worker = cluster.start_worker("w1")
        job_id = cluster.submit(cluster.tiny_job(name="slow", epochs=2, workers=1, batch=50))
        job = cluster.wait_job(job_id)
        progress = job["progress"]
        assert progress["samples"] == progress["samples_total"] == 2000, progress
        assert progress["steps"] == 40, "each push counts once"
        use = use_of(cluster, "worker/w1")
        assert use["pushes_per_second"]["refused"] > 0, use
        assert "quota of spiffe://test/worker/w1: 8 pushes a second" in worker.text()
        assert "failed" not in worker.text()


run([jobs_are_bounded_by_who_submits_them, what_is_stored_is_bounded,
     connections_and_calls_are_one_sum_and_a_client_that_dies_gives_them_back,
     a_worker_that_is_held_back_waits_and_loses_nothing])
