"""A stock gRPC client (python3-grpcio, stubs made by protoc) calls every service."""
import contextlib
import json
import sqlite3
import struct

import grpc
import numpy as np

from fake_worker import FakeWorker
from harness import SLOW, SOURCE, Cluster, run, stubs, wait_until

SERVICES = {"psd.v1.Parameters", "psd.v1.Jobs", "psd.v1.Workers", "psd.v1.Models", "psd.v1.Admin",
            "grpc.health.v1.Health"}


def pool_with(files):
    """A descriptor pool of serialized FileDescriptorProtos, in any order."""
    from google.protobuf import descriptor_pb2, descriptor_pool
    pool, left = descriptor_pool.DescriptorPool(), [descriptor_pb2.FileDescriptorProto.FromString(f) for f in files]
    while left:
        for proto in left:
            try:
                pool.Add(proto)
            except (TypeError, KeyError):
                continue
            left.remove(proto)
            break
        else:
            raise AssertionError("descriptors with missing imports: " + ", ".join(p.name for p in left))
    return pool


def varint_field(number, wire, value):
    return bytes([number << 3 | wire]) + value


def text_field(number, text):
    return varint_field(number, 2, bytes([len(text)]) + text.encode())


def fields_of(data):
    """(number, value) pairs of a serialized message: enough of protobuf to read reflection's answers by hand."""
    at, out = 0, []

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = varint()
        if key & 7 == 0:
            out.append((key >> 3, varint()))
        elif key & 7 == 2:
            size = varint()
            out.append((key >> 3, data[at:at + size]))
            at += size
        else:
            raise AssertionError(f"wire type {key & 7}")
    return out


def reflect(channel, version, request):
    call = channel.stream_stream(f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
                                 request_serializer=lambda b: b, response_deserializer=lambda b: b)
    return dict(fields_of(next(call(iter([request]), timeout=10 * SLOW))))


def reflection_lists_services_and_describes_them():
    with Cluster() as cluster:
        cluster.start_server()
        with cluster.channel() as channel:
            for version in ("v1", "v1alpha"):
                listed = reflect(channel, version, text_field(7, "*"))[6]
                names = {dict(fields_of(s))[1].decode() for n, s in fields_of(listed) if n == 1}
                assert SERVICES <= names, names
                files = reflect(channel, version, text_field(4, "psd.v1.Workers"))[4]
                serialized = [f for n, f in fields_of(files) if n == 1]
                if len(serialized) == 1:  # imports may be asked for one by one
                    more = reflect(channel, version, text_field(3, "psd/v1/jobs.proto"))[4]
                    serialized += [f for n, f in fields_of(more) if n == 1]
                pool = pool_with(serialized)
                service = pool.FindServiceByName("psd.v1.Workers")
                assert [m.name for m in service.methods] == ["Attach", "List"]


def services_are_called_with_nothing_but_reflection():
    from google.protobuf import message_factory
    with Cluster() as cluster:
        cluster.start_server()
        with cluster.channel() as channel:
            serialized = []
            for name in ("psd/v1/jobs.proto", "psd/v1/workers.proto", "psd/v1/models.proto", "psd/v1/parameters.proto",
                         "psd/v1/admin.proto"):
                answer = reflect(channel, "v1", text_field(3, name))[4]
                serialized += [f for n, f in fields_of(answer) if n == 1 and f not in serialized]
            pool = pool_with(serialized)
            classes = message_factory.MessageFactory(pool)

            def call(service, method, **fields):
                found = pool.FindServiceByName(service).FindMethodByName(method)
                request = classes.GetPrototype(found.input_type)(**fields)
                return channel.unary_unary(f"/{service}/{method}", request_serializer=lambda m: m.SerializeToString(),
                                           response_deserializer=classes.GetPrototype(found.output_type).FromString)(
                                               request, timeout=10 * SLOW)

            assert not call("psd.v1.Jobs", "List").jobs
            assert not call("psd.v1.Workers", "List").workers
            assert not call("psd.v1.Models", "List").models
            assert call("psd.v1.Admin", "Status").cluster == "test"
            for service, method, fields, words in (("psd.v1.Jobs", "Get", {"job_id": 9}, "9"),
                                                   ("psd.v1.Jobs", "Cancel", {"job_id": 9}, "9"),
                                                   ("psd.v1.Models", "Get", {"name": "none"}, "none"),
                                                   ("psd.v1.Models", "Delete", {"name": "none"}, "none"),
                                                   ("psd.v1.Models", "ListArtifacts", {"job_id": 9}, "9"),
                                                   ("psd.v1.Models", "DeleteArtifact", {"job_id": 9, "name": "a"}, "9"),
                                                   ("psd.v1.Jobs", "Delete", {"job_id": 9}, "9"),
                                                   ("psd.v1.Parameters", "Describe", {"job_id": 9}, "9")):
                expect(grpc.StatusCode.NOT_FOUND, [words], lambda: call(service, method, **fields))
            assert call("psd.v1.Jobs", "Prune", older_than_ms=1).jobs == 0


def fill_catalog(cluster, jobs, models, large):
    """Rows of ended jobs and of models, as if psd had been there for years; the newest `large` jobs have long reasons."""
    with contextlib.closing(sqlite3.connect(cluster.dir / "state/psd.db")) as database:
        columns = "name,kind,state,reason,submitter,submitted_ms,started_ms,ended_ms,result,progress,spec"
        database.executemany(f"INSERT INTO job({columns}) VALUES(?,?,?,?,?,?,?,?,?,?,?)", (
            (f"old-{n}", "train", 4 + n % 3, "x" * 300_000 if n >= jobs - large else "", "alice", n, n, n, "", b"",
             "kind: train") for n in range(jobs)))
        database.executemany(
            "INSERT INTO model_version(path,name,current,config,parameters,bytes,job_id,created_ms,has_test,loss,"
            "test_metrics,owner) VALUES('models/none-'||?1,?1,1,'{}',1,4,0,1,0,'0','{}','')",
            ((f"m{n:04}",) for n in range(models)))
        database.commit()


def walk(method, request, rows, **fields):
    """All pages of a list, as lists of rows."""
    pages, token = [], ""
    while True:
        page = method(request(page_token=token, **fields))
        pages.append(list(getattr(page, rows)))
        token = page.next_page_token
        if not token:
            return pages


def long_lists_come_in_pages():
    jobs_pb, jobs_grpc = stubs()["jobs"]
    models_pb, models_grpc = stubs()["models"]
    workers_pb, workers_grpc = stubs()["workers"]
    with Cluster() as cluster:
        cluster.start_server()
        cluster.server.stop()
        fill_catalog(cluster, jobs=2350, models=1203, large=20)
        cluster.start_server()
        with cluster.channel() as channel:
            jobs, models = jobs_grpc.JobsStub(channel), models_grpc.ModelsStub(channel)
            pages = walk(jobs.List, jobs_pb.ListJobsRequest, "jobs", page_size=5000)
            assert [job.id for page in pages for job in page] == list(range(2350, 0, -1))
            sizes = [len(page) for page in pages]
            assert max(sizes) <= 1000 and sizes[0] == 4, "large rows make small pages, which every client can take"
            ended = walk(jobs.List, jobs_pb.ListJobsRequest, "jobs", state=jobs_pb.JOB_STATE_FAILED, page_size=100)
            assert [job.id for page in ended for job in page] == [n + 1 for n in reversed(range(2350)) if n % 3 == 1]

            begin = jobs.List(jobs_pb.ListJobsRequest(page_size=3))
            assert [job.id for job in begin.jobs] == [2350, 2349, 2348]
            late = jobs.Submit(jobs_pb.SubmitRequest(spec=cluster.tiny_job())).job_id
            after = jobs.List(jobs_pb.ListJobsRequest(page_size=2, page_token=begin.next_page_token))
            assert [job.id for job in after.jobs] == [2347, 2346], "a job that came meanwhile shifts nothing"
            S = grpc.StatusCode
            for words, fields in (("page_size -1", {"page_size": -1}), ("page_token: not one of the list of jobs",
                                                                        {"page_token": "nonsense"}),
                                  ("another filter", {"page_token": begin.next_page_token, "state": 5})):
                expect(S.INVALID_ARGUMENT, [words], lambda: jobs.List(jobs_pb.ListJobsRequest(**fields)))

            first = models.List(models_pb.ListModelsRequest())
            assert [m.name for m in first.models] == [f"m{n:04}" for n in range(100)], "100 when nothing is said"
            pages = walk(models.List, models_pb.ListModelsRequest, "models", page_size=500)
            assert [len(page) for page in pages] == [500, 500, 203]
            assert [m.name for page in pages for m in page] == [f"m{n:04}" for n in range(1203)]
            expect(S.INVALID_ARGUMENT, ["list of models"], lambda: models.List(
                models_pb.ListModelsRequest(page_token=begin.next_page_token)))

            for name in ("w3", "w1", "w2"):
                cluster.start_worker(name)
            stub = workers_grpc.WorkersStub(channel)
            wait_until("they are there", lambda: len(stub.List(workers_pb.ListWorkersRequest()).workers) == 3)
            pages = walk(stub.List, workers_pb.ListWorkersRequest, "workers", page_size=2)
            assert [[w.name for w in page] for page in pages] == [["w1", "w2"], ["w3"]]
        assert [j["id"] for j in cluster.psctl_json("jobs")["jobs"]] == list(range(late, 0, -1))
        assert [j["id"] for j in cluster.psctl_json("jobs", "--limit", "1500")["jobs"]] == list(range(late, late - 1500, -1))
        assert [j["id"] for j in cluster.psctl_json("jobs", "--limit", "2", "--state", "done")["jobs"]] == [2350, 2347]
        assert len(cluster.psctl_json("models")["models"]) == 1203
        assert [w["name"] for w in cluster.psctl_json("workers")["workers"]] == ["w1", "w2", "w3"]


def models_are_imported_listed_exported_and_deleted():
    models_pb, models_grpc = stubs()["models"]
    body = np.arange(40, dtype="<f4").tobytes() + np.zeros(4, "<f4").tobytes()
    header = json.dumps({"layers.0.weight": {"dtype": "F32", "shape": [4, 10], "data_offsets": [0, 160]},
                         "layers.0.bias": {"dtype": "F32", "shape": [4], "data_offsets": [160, 176]}}).encode()
    file = struct.pack("<Q", len(header)) + header + body

    def pieces(name, data, config="{architecture: mlp, layers: [10, 4]}", replace=False):
        yield models_pb.ImportRequest(header=models_pb.ImportHeader(name=name, config=config, replace=replace))
        for at in range(0, len(data), 50):
            yield models_pb.ImportRequest(payload=data[at:at + 50])

    with Cluster() as cluster:
        cluster.start_server()
        with cluster.channel() as channel:
            models = models_grpc.ModelsStub(channel)
            model = models.Import(pieces("imported", file), timeout=10 * SLOW)
            assert model.parameters == 44 and [t.name for t in model.tensors] == ["layers.0.weight", "layers.0.bias"]
            S = grpc.StatusCode
            expect(S.ALREADY_EXISTS, ["imported"], lambda: models.Import(pieces("imported", file)))
            expect(S.INVALID_ARGUMENT, ["broken"], lambda: models.Import(pieces("broken", file[:-1])))
            expect(S.INVALID_ARGUMENT, ["name"], lambda: models.Import(pieces("../x", file)))
            expect(S.INVALID_ARGUMENT, ["architecture"], lambda: models.Import(pieces("other", file, config="")))
            models.Import(pieces("imported", file, replace=True), timeout=10 * SLOW)
            assert [m.name for m in models.List(models_pb.ListModelsRequest()).models] == ["imported"]
            out = b"".join(c.payload for c in models.Export(models_pb.ExportRequest(name="imported")))
            assert out == file
            part = lambda begin, end: b"".join(
                c.payload for c in models.Export(models_pb.ExportRequest(name="imported", begin=begin, end=end)))
            assert part(5, 105) == file[5:105] and part(len(file) - 3, 0) == file[-3:] and part(0, len(file)) == file
            expect(S.OUT_OF_RANGE, ["imported", str(len(file))], lambda: part(0, len(file) + 1))
            expect(S.OUT_OF_RANGE, ["imported"], lambda: part(8, 7))
            models.Delete(models_pb.DeleteModelRequest(name="imported"))
            expect(S.NOT_FOUND, ["imported"], lambda: models.Get(models_pb.GetModelRequest(name="imported")))
            expect(S.NOT_FOUND, ["imported"],
                   lambda: list(models.Export(models_pb.ExportRequest(name="imported"))))
            left = list((cluster.dir / "state/models").iterdir())
            assert not left, left


def health_says_serving():
    with Cluster() as cluster:
        cluster.start_server()
        with cluster.channel() as channel:
            check = channel.unary_unary("/grpc.health.v1.Health/Check", request_serializer=lambda b: b,
                                        response_deserializer=lambda b: b)
            assert check(b"", timeout=10 * SLOW) == b"\x08\x01"
            assert check(text_field(1, "psd.v1.Jobs"), timeout=10 * SLOW) == b"\x08\x01"
            try:
                check(text_field(1, "no.such.Service"), timeout=10 * SLOW)
                raise AssertionError("an unknown service has no health")
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.NOT_FOUND


def a_job_is_submitted_watched_and_its_parameters_pulled():
    jobs_pb, jobs_grpc = stubs()["jobs"]
    models_pb, models_grpc = stubs()["models"]
    parameters_pb, parameters_grpc = stubs()["parameters"]
    with Cluster() as cluster:
        cluster.tiny_data()
        cluster.start_server()
        cluster.start_worker("w1")
        with cluster.channel() as channel:
            jobs, models = jobs_grpc.JobsStub(channel), models_grpc.ModelsStub(channel)
            job_id = jobs.Submit(jobs_pb.SubmitRequest(spec=cluster.tiny_job(workers=1)), timeout=10 * SLOW).job_id
            pulled, last = None, None
            for event in jobs.Watch(jobs_pb.WatchJobRequest(job_id=job_id), timeout=60 * SLOW):
                if not event.HasField("job"):
                    continue
                last = event.job
                if last.state == jobs_pb.JOB_STATE_RUNNING and last.progress.samples and pulled is None:
                    parameters = parameters_grpc.ParametersStub(channel)
                    described = parameters.Describe(parameters_pb.DescribeRequest(job_id=job_id))
                    assert [t.name for t in described.tensors] == ["layers.0.weight", "layers.0.bias",
                                                                   "layers.1.weight", "layers.1.bias"]
                    pulled = sum(r.chunk.count for r in
                                 parameters.Pull(parameters_pb.PullRequest(job_id=job_id)))
            assert last.state == jobs_pb.JOB_STATE_DONE, last
            assert pulled == 16 * 32 + 32 + 32 * 4 + 4
            (accuracy,) = last.progress.test_metrics
            assert accuracy.name == "accuracy" and accuracy.value > 0.9
            assert json.loads(last.result)["test_accuracy"] == accuracy.value
            data = b"".join(c.payload for c in models.Export(models_pb.ExportRequest(name="tiny")))
            (length,) = struct.unpack("<Q", data[:8])
            header = json.loads(data[8:8 + length])
            assert header["layers.0.weight"]["shape"] == [32, 16]
            assert models.Get(models_pb.GetModelRequest(name="tiny")).parameters == pulled


def expect(code, words, call):
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, f"{error.code()}: {error.details()}"
        for word in words:
            assert word in error.details(), f"'{word}' is not in: {error.details()}"
        return
    raise AssertionError(f"no error; expected {code}")


def floats(n, value=0.5):
    return np.full(n, value, "<f4").tobytes()


def a_push_needs_a_lease_and_is_applied_once_as_a_whole():
    jobs_pb, jobs_grpc = stubs()["jobs"]
    S = grpc.StatusCode
    with Cluster() as cluster:
        cluster.tiny_data()
        cluster.start_server()
        cluster.make_client("worker", "w1")
        cluster.make_client("worker", "w2")
        with cluster.channel() as user, cluster.channel("w1") as channel, cluster.channel("w2") as other:
            spec = cluster.tiny_job(workers=1).replace("adamw, learning_rate: 0.003, weight_decay: 0.01",
                                                       "sgd, learning_rate: 1.0")
            job_id = jobs_grpc.JobsStub(user).Submit(jobs_pb.SubmitRequest(spec=spec)).job_id
            worker = FakeWorker(channel, [("w", [100, 8]), ("b", [8])])
            task = worker.task()
            before, version = worker.pull(job_id)
            theta = np.frombuffer(before[(0, 0)][0], "<f4")
            good = dict(tensor_id=0, shard=0, offset=0, count=800, payload=floats(800))

            stranger = FakeWorker(other, [])
            expect(S.PERMISSION_DENIED, ["w2", "no lease", str(job_id)], lambda: stranger.push(job_id, [good]))
            expect(S.PERMISSION_DENIED, ["Push"],
                   lambda: stubs()["parameters"][1].ParametersStub(user).Push(iter([])))
            stranger.close()

            nan = np.full(800, 1, "<f4")
            nan[799] = np.nan
            inf = np.full(8, np.inf, "<f4")
            bad = [
                (S.NOT_FOUND, ["7"], [dict(good, tensor_id=7)]),
                (S.NOT_FOUND, ["w"], [dict(good, shard=3)]),
                (S.INVALID_ARGUMENT, ["w"], [dict(good, offset=8)]),
                (S.INVALID_ARGUMENT, ["w"], [dict(good, offset=2**63)]),
                (S.INVALID_ARGUMENT, ["w"], [dict(good, payload=floats(799))]),
                (S.INVALID_ARGUMENT, ["w", "NaN"], [dict(good, payload=nan.tobytes())]),
                (S.INVALID_ARGUMENT, ["b"], [good, dict(tensor_id=1, count=8, payload=inf.tobytes())]),
                (S.INVALID_ARGUMENT, ["w"], [dict(good, codec=77)]),
                (S.INVALID_ARGUMENT, ["w"], [good, dict(good, offset=792, count=8, payload=floats(8))]),
            ]
            for code, words, chunks in bad:
                expect(code, words, lambda c=chunks: worker.push(job_id, c))
            expect(S.PERMISSION_DENIED, ["job 999"], lambda: worker.push(999, [good]))
            expect(S.INVALID_ARGUMENT, ["header"], lambda: worker.push(job_id, [good], header=False))
            after, _ = worker.pull(job_id)
            assert after == before, "a refused push changed something"

            bias = dict(tensor_id=1, shard=0, offset=0, count=8, payload=floats(8))
            version = worker.push(job_id, [bias]).version
            first = worker.push(job_id, [good], sequence=1000)
            assert not first.duplicate
            again = worker.push(job_id, [good], sequence=1000)
            assert again.duplicate and again.version == first.version
            now, newer = worker.pull(job_id, newer_than=version)
            assert list(now) == [(0, 0)] and newer > version
            assert np.abs(np.frombuffer(now[(0, 0)][0], "<f4") - (theta - 0.5)).max() < 1e-6, "applied once"

            # the rows that a gradient is of: each once, and only under the lease of the task that has them
            worker.sequence = 1000
            rows = dict(lease_id=task.lease_id, row_begin=task.row_begin, row_end=task.row_begin + 32)
            beyond = dict(rows, row_begin=task.row_end, row_end=task.row_end + 1)
            expect(S.PERMISSION_DENIED, ["lease 999 has ended"],
                   lambda: worker.push(job_id, [bias], **dict(rows, lease_id=999)))
            expect(S.INVALID_ARGUMENT, ["the task has"], lambda: worker.push(job_id, [bias], **beyond))
            assert not worker.push(job_id, [bias], **rows).duplicate
            expect(S.INVALID_ARGUMENT, ["in the parameters already"], lambda: worker.push(job_id, [bias], **rows))

            expect(S.FAILED_PRECONDITION, ["incarnation"],
                   lambda: (worker.push(job_id, [good], sequence=1, incarnation=5),
                            worker.push(job_id, [good], sequence=2000, incarnation=4)))
            cluster.psctl("cancel", job_id)
            wait_until("the job is cancelled", lambda: cluster.job(job_id)["state"] == "cancelled")
            worker.close()


def every_admin_call_answers_an_admin():
    admin_pb, admin_grpc = stubs()["admin"]
    with Cluster() as cluster:
        cluster.start_server()
        with cluster.channel("root") as channel:
            admin = admin_grpc.AdminStub(channel)
            status = admin.Status(admin_pb.StatusRequest())
            assert status.cluster == "test" and status.memory_budget > 0
            assert admin.Reload(admin_pb.ReloadRequest()).certificate_expires_ms == status.certificate_expires_ms
            assert admin.Checkpoint(admin_pb.CheckpointRequest()).jobs == 0
            admin.Drain(admin_pb.DrainRequest())
            assert admin.Status(admin_pb.StatusRequest()).draining
            admin.Drain(admin_pb.DrainRequest(off=True))
            assert not admin.Status(admin_pb.StatusRequest()).draining


def the_example_client_submits_and_watches():
    import subprocess
    import sys
    script = SOURCE / "deploy/examples/submit.py"
    with Cluster() as cluster:
        cluster.start_server()
        cluster.start_worker("w1")
        cluster.tiny_data()
        spec = cluster.dir / "example.yaml"
        spec.write_text(cluster.tiny_job(name="by-example", workers=1))

        def submit(who):
            return subprocess.run([sys.executable, script, f"localhost:{cluster.port}", cluster.certs, who, spec],
                                  capture_output=True, text=True, timeout=60 * SLOW)
        done = submit("alice")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "by-example: JOB_STATE_DONE" in done.stdout and "test accuracy: " in done.stdout, done.stdout
        refused = submit("w1")
        assert refused.returncode == 1 and "PERMISSION_DENIED" in refused.stderr, refused.stderr


def the_example_worker_has_psworkers_order():
    """The very numbers of tests/unit/worker/data/test_shuffle.c."""
    import runpy
    permutation = runpy.run_path(str(SOURCE / "deploy/examples/worker.py"))["permutation"]
    assert list(permutation(10, 1, 0)) == [7, 8, 0, 9, 6, 2, 1, 4, 5, 3]
    assert list(permutation(1000, 77, 3)[:10]) == [111, 148, 226, 436, 734, 656, 133, 942, 510, 718]
    assert sorted(permutation(1000, 77, 3)) == list(range(1000))


def the_example_worker_trains_alone_and_in_step_with_psworker():
    """docs/protocol.md's worker: each row is trained once, and the models are as good as psworker's own."""
    import subprocess
    import sys
    script = SOURCE / "deploy/examples/worker.py"
    with Cluster() as cluster:
        cluster.start_server()
        cluster.make_client("worker", "py")
        cluster.tiny_data()
        files = [cluster.dir / "train-features.gz", cluster.dir / "train-labels.gz"]

        def accuracy(name, mode, workers):
            spec = cluster.tiny_job(name=name, layers="[16, 4]", mode=mode, workers=workers,
                                    more=f"min_workers: {workers}").replace("  test:", "  # test:")
            job = cluster.wait_job(cluster.submit(spec))
            assert job["progress"]["samples"] == 5 * 2000, job
            return lambda: cluster.psctl_json("evaluate", name, *files)["accuracy"]

        with open(cluster.dir / "py.log", "w") as log:
            worker = subprocess.Popen([sys.executable, script, f"localhost:{cluster.port}", cluster.certs, "py", *files],
                                      stdout=log, stderr=log)
        try:
            alone = accuracy("alone", "asp", 1)
            cluster.start_worker("w1")
            together = accuracy("together", "bsp", 2)
            assert worker.poll() is None, (cluster.dir / "py.log").read_text()
        finally:
            worker.kill()
            worker.wait()
        own = accuracy("own", "asp", 1)()
        assert own > 0.9 and abs(alone() - own) < 0.03 and abs(together() - own) < 0.03, (own, alone(), together())


run([reflection_lists_services_and_describes_them, services_are_called_with_nothing_but_reflection,
     long_lists_come_in_pages, models_are_imported_listed_exported_and_deleted, health_says_serving,
     a_job_is_submitted_watched_and_its_parameters_pulled, a_push_needs_a_lease_and_is_applied_once_as_a_whole,
     every_admin_call_answers_an_admin, the_example_client_submits_and_watches,
     the_example_worker_has_psworkers_order, the_example_worker_trains_alone_and_in_step_with_psworker])
