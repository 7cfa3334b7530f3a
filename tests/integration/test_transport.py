"""The transport against Debian's python3-grpcio, a client that is not ours: all four shapes, metadata, deadlines,
cancellation, statuses in any script, health, reflection, and what is refused. argv[1]: the echo server."""
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import zlib

import grpc
from grpc_tools import protoc

SOURCE = pathlib.Path(os.environ["PSD_SOURCE"])
SLOW = float(os.environ.get("PSD_TEST_SLOW", "1"))
T = 20 * SLOW


def stubs(folder):
    names = ["grpc/health/v1/health.proto", "grpc/reflection/v1/reflection.proto",
             "grpc/reflection/v1alpha/reflection.proto"]
    (folder / "stubs").mkdir()
    out = folder / "stubs"
    assert protoc.main(["", f"-I{SOURCE / 'tests/lib'}", f"--python_out={out}", f"--grpc_python_out={out}",
                        str(SOURCE / "tests/lib/echo.proto")]) == 0
    # under names of their own: the package grpc is grpcio's
    for name in names:
        flat = out / name.replace("/", "_")
        flat.write_text((SOURCE / "proto" / name).read_text())
        assert protoc.main(["", f"-I{out}", f"--python_out={out}", f"--grpc_python_out={out}", str(flat)]) == 0
    sys.path.insert(0, str(out))


def fails(code, call):
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, f"{error.code()} instead of {code}: {error.details()}"
        return error
    raise AssertionError(f"no failure, {code} was expected")


def four_shapes(echo, pb):
    assert echo.Unary(pb.Piece(number=7, text="hello"), timeout=T).text == "hello"
    pieces = list(echo.Download(pb.Ask(count=40, size=1 << 20), timeout=T))
    want = bytes(i & 255 for i in range(256)) * 4096
    assert len(pieces) == 40 and all(p.payload == want and p.number == i for i, p in enumerate(pieces))
    data = os.urandom(1 << 20)
    total = echo.Upload((pb.Piece(number=i, payload=data) for i in range(40)), timeout=T)
    crc = 0
    for _ in range(40):
        crc = zlib.crc32(data, crc)
    assert (total.messages, total.bytes, total.crc) == (40, 40 << 20, crc)
    assert [p.number for p in echo.Talk((pb.Piece(number=i) for i in range(200)), timeout=T)] == list(range(200))
    assert list(echo.Download(pb.Ask(count=0), timeout=T)) == []


def statuses(echo, pb):
    text = "größe 100%, 不可, tab\tend"
    error = fails(grpc.StatusCode.FAILED_PRECONDITION, lambda: echo.Unary(pb.Piece(code=9, text=text), timeout=T))
    assert error.details() == text, error.details()
    fails(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: echo.Unary(pb.Piece(delay_ms=5000), timeout=0.2))
    fails(grpc.StatusCode.RESOURCE_EXHAUSTED, lambda: echo.Unary(pb.Piece(payload=bytes(5 << 20)), timeout=T))
    fails(grpc.StatusCode.UNIMPLEMENTED,
          lambda: echo.Unary(pb.Piece(text="x" * 5000), timeout=T, compression=grpc.Compression.Gzip))
    got = echo.Unary(pb.Piece(metadata="x-job"), timeout=T, metadata=[("x-job", "17"), ("x-other", "y")])
    assert got.text == "17"
    fails(grpc.StatusCode.RESOURCE_EXHAUSTED,
          lambda: echo.Unary(pb.Piece(), timeout=T, metadata=[(f"x-{i}", "v" * 1000) for i in range(20)]))


def cancelling(echo, pb):
    calls = [echo.Unary.future(pb.Piece(delay_ms=5000), timeout=T) for _ in range(5)]
    time.sleep(0.2)
    for call in calls:
        call.cancel()
    stream = echo.Download(pb.Ask(count=10000, size=100000), timeout=T)
    next(stream)
    stream.cancel()
    assert echo.Unary(pb.Piece(number=1), timeout=T).number == 1


def many_at_once(echo, pb):
    futures = [echo.Unary.future(pb.Piece(number=i), timeout=T) for i in range(500)]
    assert [f.result().number for f in futures] == list(range(500))


def health(channel):
    import grpc_health_v1_health_pb2 as pb
    import grpc_health_v1_health_pb2_grpc as stub
    service = stub.HealthStub(channel)
    serving = pb.HealthCheckResponse.SERVING
    assert service.Check(pb.HealthCheckRequest(), timeout=T).status == serving
    assert service.Check(pb.HealthCheckRequest(service="psd.test.v1.Echo"), timeout=T).status == serving
    fails(grpc.StatusCode.NOT_FOUND, lambda: service.Check(pb.HealthCheckRequest(service="nobody"), timeout=T))
    assert service.List(pb.HealthListRequest(), timeout=T).statuses["psd.test.v1.Echo"].status == serving
    watch = service.Watch(pb.HealthCheckRequest(service="nobody"), timeout=T)
    assert next(watch).status == pb.HealthCheckResponse.SERVICE_UNKNOWN
    watch.cancel()


def reflection(channel, version):
    name = f"grpc_reflection_{version}_reflection_pb2"
    pb = __import__(name)
    stub = __import__(name + "_grpc").ServerReflectionStub(channel)
    from google.protobuf import descriptor_pb2

    def ask(**request):
        return next(stub.ServerReflectionInfo(iter([pb.ServerReflectionRequest(**request)]), timeout=T))

    services = {s.name for s in ask(list_services="").list_services_response.service}
    assert {"psd.test.v1.Echo", "grpc.health.v1.Health", f"grpc.reflection.{version}.ServerReflection"} <= services
    for symbol, path in [("psd.v1.Jobs", "psd/v1/jobs.proto"), ("psd.v1.Jobs.Submit", "psd/v1/jobs.proto"),
                         ("psd.v1.Chunk", "psd/v1/parameters.proto"), ("psd.v1.JobState", "psd/v1/jobs.proto"),
                         ("grpc.health.v1.HealthCheckResponse.ServingStatus", "grpc/health/v1/health.proto")]:
        files = ask(file_containing_symbol=symbol).file_descriptor_response.file_descriptor_proto
        assert descriptor_pb2.FileDescriptorProto.FromString(files[0]).name == path, symbol
    files = ask(file_by_filename="psd/v1/workers.proto").file_descriptor_response.file_descriptor_proto
    assert "psd/v1/jobs.proto" in descriptor_pb2.FileDescriptorProto.FromString(files[0]).dependency
    for symbol in ["psd.v1.Nobody", "psd.v1", "psd.v1.Jobs.Submit.more", ""]:
        assert ask(file_containing_symbol=symbol).error_response.error_code == 5, symbol


def slow_reader(echo, pb):
    """Takes a piece now and then; what waits must come all the same, in order."""
    stream = echo.Download(pb.Ask(count=60, size=1 << 20), timeout=T)
    for i, p in enumerate(stream):
        assert p.number == i
        if i % 20 == 0:
            time.sleep(0.2)


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        stubs(folder)
        import echo_pb2 as pb
        import echo_pb2_grpc
        server = subprocess.Popen([sys.argv[1], name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            port = int(server.stdout.readline())
            ca, key, cert = [(folder / f).read_bytes() for f in ("ca.pem", "w1.key", "w1.pem")]
            target = f"127.0.0.1:{port}"
            with grpc.secure_channel(target, grpc.ssl_channel_credentials(ca, key, cert)) as channel:
                echo = echo_pb2_grpc.EchoStub(channel)
                for check in (four_shapes, statuses, cancelling, many_at_once, slow_reader):
                    check(echo, pb)
                    print(f"ok: {check.__name__}", flush=True)
                health(channel)
                for version in ("v1", "v1alpha"):
                    reflection(channel, version)
                print("ok: health, reflection", flush=True)
                threads = [threading.Thread(target=four_shapes, args=(echo, pb)) for _ in range(3)]
                for t in threads:
                    t.start()
                for t in threads:
                    t.join()
            with grpc.secure_channel(target, grpc.ssl_channel_credentials(ca)) as stranger:
                fails(grpc.StatusCode.UNAVAILABLE,
                      lambda: echo_pb2_grpc.EchoStub(stranger).Unary(pb.Piece(), timeout=T))
            print("ok: no certificate, no call", flush=True)
            server.stdin.close()
            assert server.wait(timeout=T) == 0, server.returncode
        finally:
            server.kill()


main()
