"""Peers that break rules, flood, stall or say nothing: each is refused in bounded time and memory, with a reason in the
log, and psd serves a bystander, on a connection of its own, after each of them."""
import contextlib
import json
import os
import socket
import ssl
import struct
import threading
import time
import urllib.parse
import urllib.request

import grpc

from harness import SANITIZED, SLOW, Cluster, run, stubs, wait_until
from raw_http2 import (CONTINUATION, DATA, END_STREAM, GOAWAY, HEADERS, PING, PRIORITY, RST_STREAM, SETTINGS,
                       SETTINGS_INITIAL_WINDOW, WINDOW_UPDATE, Closed, connect, frame, grpc_headers, grpc_message,
                       literal, tls_connect)

PROTOCOL_ERROR, CANCEL = 1, 8  # of HTTP/2
OK, INVALID, EXHAUSTED, UNIMPLEMENTED, INTERNAL = "0", "3", "8", "12", "13"  # of gRPC
LIST = "/psd.v1.Jobs/List"
WATCH = "/grpc.health.v1.Health/Watch"


def metric(cluster, name):
    page = urllib.request.urlopen(f"http://127.0.0.1:{cluster.metrics_port}/metrics", timeout=10 * SLOW).read().decode()
    return float(next(line.split()[1] for line in page.splitlines() if line.startswith(name + " ")))


def resident(cluster):
    """MiB"""
    with open(f"/proc/{cluster.server.popen.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


class Bystander:
    """A stock client with one connection and one stream, both open from before the attack until after it."""

    def __init__(self, channel):
        self.call = channel.unary_unary(LIST)
        self.watch = channel.unary_stream(WATCH)(b"")
        assert next(self.watch) == b"\x08\x01"

    def is_served(self, after):
        try:
            assert self.call(b"", timeout=5 * SLOW) == b""
        except grpc.RpcError as error:
            raise AssertionError(f"psd does not serve others any more after {after}: {error}") from None
        assert not self.watch.done(), f"the bystander's stream ended with {after}"


@contextlib.contextmanager
def attacked(extra=""):
    with Cluster() as cluster:
        cluster.start_server(extra + "\nlog: {level: debug}")
        with cluster.channel("eve") as channel:
            bystander = Bystander(channel)
            yield cluster, bystander
            bystander.is_served("everything")
            bystander.watch.cancel()


def logged(cluster, text, timeout=5):
    wait_until(f"psd's log says '{text}'", lambda: text in cluster.server.text(), timeout)


def plain(cluster, data, seconds=5):
    """Everything that comes back on a bare TCP connection until its end."""
    with socket.create_connection(("127.0.0.1", cluster.port), timeout=seconds * SLOW) as sock:
        out = b""
        with contextlib.suppress(ConnectionError):
            sock.sendall(data)
            while part := sock.recv(65536):
                out += part
        return out


def what_is_not_tls_or_not_http2_is_closed_with_a_reason():
    with attacked() as (cluster, bystander):
        noise = bytes((i * 167 + 13) & 255 for i in range(4096))
        plain(cluster, noise)
        logged(cluster, "the client does not speak TLS")
        plain(cluster, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        logged(cluster, "the client speaks plain HTTP, not TLS")
        plain(cluster, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS))
        # a client hello that ends in the middle, and one that announces a record of 64 KiB
        plain(cluster, b"\x16\x03\x01\xff\xff\x01" + bytes(100))
        bystander.is_served("garbage")

        for alpn, words in ((("http/1.1",), "no ALPN h2"), ((), "no ALPN h2")):
            with contextlib.suppress(ssl.SSLError, OSError):
                with tls_connect(cluster, alpn=alpn) as sock:
                    sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    while part := sock.recv(65536):
                        assert b"psd" not in part
            logged(cluster, words)
        with tls_connect(cluster) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            drain(sock)
        bystander.is_served("HTTP/1.1")

        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        old.load_verify_locations(cluster.certs / "ca.pem")
        try:
            with socket.create_connection(("127.0.0.1", cluster.port)) as sock:
                old.wrap_socket(sock, server_hostname="localhost")
            raise AssertionError("TLS 1.2 was accepted")
        except ssl.SSLError as error:
            assert "PROTOCOL_VERSION" in str(error.reason), error
        logged(cluster, "the client does not speak TLS 1.3")


def drain(sock):
    """Until the server has closed."""
    with contextlib.suppress(ssl.SSLError, ConnectionError):
        while sock.recv(65536):
            pass


def a_peer_that_says_nothing_is_closed():
    keepalive = "keepalive: {interval: 1s, timeout: 500ms}"
    with attacked(keepalive) as (cluster, bystander):
        begin = time.monotonic()
        with contextlib.ExitStack() as stack:
            silent = stack.enter_context(socket.create_connection(("127.0.0.1", cluster.port), timeout=15 * SLOW))
            half = stack.enter_context(socket.create_connection(("127.0.0.1", cluster.port), timeout=15 * SLOW))
            half.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")  # a client hello's first bytes
            no_preface = stack.enter_context(tls_connect(cluster))
            after = stack.enter_context(connect(cluster))
            after.answer(after.request(LIST))

            # its PINGs are not answered: nothing is read or written from here on
            logged(cluster, "keepalive: no answer within 500 ms", 5)
            assert time.monotonic() - begin < 4 * SLOW
            for sock in (silent, half, no_preface):
                drain(sock)
            took = time.monotonic() - begin
            assert 4 < took < 10 * SLOW, f"{took:.1f} s; the deadline of the handshake is 5 s"
            for reason in ("no TLS handshake within 5000 ms", "keepalive: no answer"):
                wait_until(f"psd's log says twice '{reason}'", lambda: cluster.server.text().count(reason) == 2, 5)
            wait_until("only the bystander is left", lambda: metric(cluster, "psd_open_connections") == 1, 5)
        bystander.is_served("silent peers")


def wide_window(peer):
    peer.send(frame(WINDOW_UPDATE, payload=struct.pack(">I", 2**31 - 1 - 65535)))


def import_model(cluster):
    """64 MiB: one layer of 4096 × 4096, as safetensors."""
    side, size = 4096, 64 << 20
    head = json.dumps({"layers.0.weight": {"dtype": "F32", "shape": [side, side], "data_offsets": [0, size]},
                       "layers.0.bias": {"dtype": "F32", "shape": [side], "data_offsets": [size, size + 4 * side]}})
    path = cluster.dir / "big.safetensors"
    path.write_bytes(struct.pack("<Q", len(head)) + head.encode() + bytes(size + 4 * side))
    cluster.psctl("import", "--model", f"{{architecture: mlp, layers: [{side}, {side}]}}", path, "big")


def export_request():
    models_pb, _ = stubs()["models"]
    return models_pb.ExportRequest(name="big").SerializeToString()


def those_who_never_read_are_closed_in_bounded_time_and_memory():
    limits = """limits: {message_bytes: 4MiB, memory_bytes: 96MiB, connection_bytes: 8MiB, call_bytes: 4MiB}
keepalive: {interval: 2s, timeout: 1s}"""
    with attacked(limits) as (cluster, bystander):
        import_model(cluster)
        before, begin = resident(cluster), time.monotonic()
        export = "/psd.v1.Models/Export"
        with contextlib.ExitStack() as stack:
            def client(wide, receive_buffer=8192):
                window = [(SETTINGS_INITIAL_WINDOW, 2**31 - 1)] if wide else []
                peer = stack.enter_context(connect(cluster, settings=window, receive_buffer=receive_buffer))
                if wide:
                    wide_window(peer)
                return peer

            # deaf: gives all the window there is, and then never touches its socket again
            deaf = [client(True) for _ in range(6)]
            # chatty: as deaf, but sends something now and then, so that keepalive has nothing to say
            chatty = client(True)
            # stingy: reads and answers everything, but never gives a byte of window
            stingy = client(False, 0)
            for peer in [*deaf, chatty]:
                for _ in range(8):
                    peer.request(export, export_request())
            streams = []
            for _ in range(16):
                streams.append(stingy.request(export, export_request()))
                while ":status" not in stingy.answers.get(streams[-1], {}):
                    stingy.read()

            def chat():
                with contextlib.suppress(Closed):
                    while not hush.wait(0.25):
                        chatty.send(frame(PRIORITY, 0, 1, b"\0\0\0\0\1"))
            hush = threading.Event()
            stack.callback(hush.set)
            threading.Thread(target=chat, daemon=True).start()

            most_memory = most_resident = 0
            ended = {}
            while time.monotonic() - begin < 50 and len(ended) < 2:
                most_memory = max(most_memory, metric(cluster, "psd_message_memory_bytes"))
                most_resident = max(most_resident, resident(cluster))
                bystander.is_served("deaf clients")
                stingy.sock.settimeout(0.5)
                with contextlib.suppress(socket.timeout):
                    while not all(stingy.answers.get(s, {}).get("ended") for s in streams):
                        stingy.read()
                    ended.setdefault("stingy", time.monotonic() - begin)
                if "the peer took nothing of what waits for it within 30000 ms" in cluster.server.text():
                    ended.setdefault("chatty", time.monotonic() - begin)
            assert set(ended) == {"stingy", "chatty"}, (ended, cluster.server.text()[-3000:])
            wait_until("all are in the log", lambda: cluster.server.text().count("keepalive: no answer within 1000 ms") == len(deaf))
            # of 16 answers of at least 1 MiB each, no more than the connection's 8 MiB were begun
            refused = [s for s in streams if stingy.answers[s].get("grpc-status") == EXHAUSTED]
            assert 6 <= len(refused) <= 15, [a.get("grpc-status") for a in stingy.answers.values()]
            assert "answers wait on this connection" in urllib.parse.unquote(
                stingy.answers[refused[0]]["grpc-message"]), stingy.answers[refused[0]]
            assert "grpc-retry-pushback-ms" in stingy.answers[refused[0]]
            for stream in set(streams) - set(refused):
                assert stingy.resets[stream] == CANCEL, stingy.answers[stream]
            stingy.send(frame(WINDOW_UPDATE, payload=struct.pack(">I", 65535)))
            assert stingy.answer(stingy.request(LIST))["grpc-status"] == OK, "the connection itself was in order"
            assert max(ended.values()) < 45, ended
            # what waits for 50 exports at once may not come near to the 3 GiB that they ask for
            assert 1 << 20 < most_memory <= 96 << 20, most_memory
            if not SANITIZED:
                assert most_resident - before < 120, f"{before:.0f} MiB grew to {most_resident:.0f} MiB"
            print(f"     {before:.0f} MiB, at most {most_resident:.0f} MiB, messages {most_memory / 2**20:.0f} MiB, "
                  f"closed after {ended}")


def a_message_over_the_limit_is_resource_exhausted():
    jobs_pb, jobs_grpc = stubs()["jobs"]
    with attacked("limits: {message_bytes: 64KiB}") as (cluster, bystander):
        big = ("grpc.max_send_message_length", -1)
        with cluster.channel("alice", [big]) as channel:
            jobs = jobs_grpc.JobsStub(channel)
            try:
                jobs.Submit(jobs_pb.SubmitRequest(spec="x" * 100000), timeout=10 * SLOW)
                raise AssertionError("accepted")
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, error
                assert "65536" in error.details() and "100004" in error.details(), error.details()
            assert len(jobs.List(jobs_pb.ListJobsRequest(), timeout=10 * SLOW).jobs) == 0
        with connect(cluster) as peer:  # four gigabytes announced, ten bytes sent
            before = resident(cluster)
            stream = peer.headers(grpc_headers("/psd.v1.Jobs/Submit"))
            peer.send(frame(DATA, 0, stream, grpc_message(b"0123456789", length=2**32 - 1)))
            assert peer.answer(stream)["grpc-status"] == EXHAUSTED
            assert resident(cluster) - before < 50
            assert peer.answer(peer.request(LIST))["grpc-status"] == OK
        bystander.is_served("messages over the limit")


def requests_that_are_no_grpc_get_their_answer_and_the_connection_stays():
    with attacked() as (cluster, bystander), connect(cluster) as peer:
        def status(block, message=b"", data=None):
            stream = peer.headers(block, end=message is None and data is None)
            if data is not None or message is not None:
                peer.send(frame(DATA, END_STREAM, stream, data if data is not None else grpc_message(message)))
            return peer.answer(stream)

        good = grpc_headers(LIST)
        assert status(good)["grpc-status"] == OK
        http = [("415", dict(content_type="text/plain")), ("415", dict(content_type=None)),
                ("415", dict(content_type="application/grpcish")), ("405", dict(method_="PUT"))]
        for code, change in http:
            answer = status(grpc_headers(LIST, **change))
            assert answer[":status"] == code, (change, answer)
        cases = [
            (UNIMPLEMENTED, "/psd.v1.Jobs/Steal", grpc_headers("/psd.v1.Jobs/Steal"), {}),
            (UNIMPLEMENTED, "/nobody.Nothing/At", grpc_headers("/nobody.Nothing/At"), {}),
            (UNIMPLEMENTED, "there is no method", grpc_headers("/"), {}),
            (UNIMPLEMENTED, "path of 2000 bytes", grpc_headers("/" + "x" * 1999), {}),
            (UNIMPLEMENTED, "gzip", grpc_headers(LIST, grpc_encoding="gzip"), {}),
            (INTERNAL, "te: trailers", grpc_headers(LIST, te=None), {}),
            (None, "", good, {"data": grpc_message(b"", compressed=1)}),
            (None, "", good, {"data": grpc_message(b"", compressed=7)}),
            (None, "", good, {"message": None}),
            (None, "", good, {"data": b"\0\0"}),
            (None, "", good, {"data": grpc_message(b"12345", length=100)}),
            (None, "", good, {"data": grpc_message() + grpc_message()}),
            (INVALID, "", good, {"message": b"\xff\xff\xff\xff"}),
            (None, "grpc-timeout", grpc_headers(LIST, grpc_timeout="soon"), {}),
            (EXHAUSTED, "metadata of more than 16384 bytes", good + literal("x-pad", "y" * 17000), {}),
        ]
        for expected, words, block, sent in cases:
            answer = status(block, **sent)
            got = answer.get("grpc-status")
            assert got is not None and got != OK and (expected is None or got == expected), (words, sent, answer)
            assert words in urllib.parse.unquote(answer["grpc-message"]), (words, answer)
            assert status(good)["grpc-status"] == OK, f"the connection is of no use after {sent or words}"
        peer.send(frame(0xBB, 0x55, 0, b"?" * 100) * 5000)  # RFC 9113 section 4.1: what is unknown is ignored
        assert status(good)["grpc-status"] == OK
        bystander.is_served("odd requests")
    with Cluster() as cluster:
        cluster.start_server()
        with cluster.channel() as channel:
            try:
                channel.unary_unary(LIST)(b"", timeout=10 * SLOW, compression=grpc.Compression.Gzip)
                raise AssertionError("a compressed request was answered")
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.UNIMPLEMENTED and "only identity" in error.details(), error


def flood(cluster, what, send, seconds=20):
    """The attack ends with the connection, which says why in a GOAWAY when it can; what psd logs is returned."""
    before = len(cluster.server.text())
    with connect(cluster) as peer:
        peer.sock.settimeout(seconds * SLOW)
        with contextlib.suppress(Closed):
            send(peer)
        peer.read_to_end(seconds)
        wait_until(f"{what}: psd logs the end", lambda: "rpc: closed" in cluster.server.text()[before:], 5)
        return peer, cluster.server.text()[before:]


def rapid_reset(peer):
    block = grpc_headers(LIST)
    for _ in range(20):
        part = b""
        for _ in range(50):
            stream = peer.next_stream
            peer.next_stream += 2
            part += frame(HEADERS, 4, stream, block) + frame(RST_STREAM, 0, stream, struct.pack(">I", CANCEL))
        peer.send(part)


def repeat(data, times=2000, batches=20):
    def send(peer):
        for _ in range(batches):
            peer.send(data * (times // batches))
    return send


def made_you_reset(peer):
    """CVE-2025-8671: requests in order, each followed by a mistake for which the server has to reset the stream."""
    block = grpc_headers(WATCH)
    for _ in range(20):
        part = b""
        for _ in range(50):
            stream = peer.next_stream
            peer.next_stream += 2
            part += frame(HEADERS, 4, stream, block) + frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", 0))
        peer.send(part)


def continuations(peer):
    peer.headers(grpc_headers(LIST), end_headers=False)
    for _ in range(1000):
        peer.send(frame(CONTINUATION, 0, 1, literal("x", "y" * 1000)))


def hpack_bomb(peer):
    """4,000 bytes into the dynamic table, then 1,000 times one byte that means them: 4 MB of headers."""
    entry = b"\x40" + literal("x-bomb", "b" * 3900)[1:]
    peer.headers(grpc_headers(LIST) + entry + b"\xbe" * 1000, end=True)


def huge_frame(peer):
    peer.send(struct.pack(">IBI", (2**24 - 1) << 8 | DATA, 0, 1) + bytes(100))


def data_without_a_stream(peer):
    peer.send(frame(DATA, 0, 0, b"x"))


def stale_stream(peer):
    peer.request(LIST)
    peer.headers(grpc_headers(LIST), end=True, stream=2)


def goaway_and_more(peer):
    peer.send(frame(GOAWAY, payload=bytes(8)))
    repeat(frame(PING, payload=bytes(8)), 20000)(peer)


def floods_are_cut_off():
    window = struct.pack(">I", 1)
    def empty_data(peer):
        peer.headers(grpc_headers("/psd.v1.Models/Import"))
        repeat(frame(DATA, 0, 1), 20000)(peer)

    attacks = [
        ("rapid reset", rapid_reset, None),
        ("PING flood", repeat(frame(PING, payload=bytes(8)), 20000), "flood"),
        ("SETTINGS flood", repeat(frame(SETTINGS, payload=struct.pack(">HI", 3, 100)), 5000), "flood"),
        ("settings with many entries", repeat(frame(SETTINGS, payload=struct.pack(">HI", 3, 100) * 2000), 20), None),
        ("PRIORITY flood", repeat(frame(PRIORITY, 0, 1, b"\0\0\0\0\1"), 20000), "flood"),
        ("WINDOW_UPDATE flood", repeat(frame(WINDOW_UPDATE, payload=window), 40000), "flood"),
        ("empty DATA", empty_data, "flood"),
        ("made you reset", made_you_reset, None),
        ("CONTINUATION flood", continuations, None),
        ("HPACK bomb", hpack_bomb, "headers of more than 64 KiB"),
        ("a huge frame", huge_frame, None),
        ("DATA on stream 0", data_without_a_stream, None),
        ("HEADERS on an even stream", stale_stream, None),
        ("frames after a GOAWAY", goaway_and_more, None),
    ]
    with attacked() as (cluster, bystander):
        before = resident(cluster)
        for what, send, words in attacks:
            begin = time.monotonic()
            peer, log = flood(cluster, what, send)
            assert words is None or words in log, f"{what}: {log}"
            bystander.is_served(what)
            print(f"     {what}: {time.monotonic() - begin:.2f} s, goaway {peer.goaway}, "
                  f"{[l.split('reason=')[1] for l in log.splitlines() if 'reason=' in l]}")
        assert resident(cluster) - before < 64 * (4 if SANITIZED else 1), "memory was kept"


def limits_of_connections_and_streams_hold():
    with attacked("limits: {connections: 12, streams: 4}\nshutdown_grace: 1s") as (cluster, bystander):
        with connect(cluster) as peer:
            watches = [peer.request(WATCH) for _ in range(4)]
            while not all(peer.answers.get(s, {}).get("data") for s in watches):
                peer.read()
            peer.send(frame(RST_STREAM, 0, watches[0], struct.pack(">I", CANCEL)))
            assert peer.answer(peer.request(LIST))["grpc-status"] == OK
            peer.request(WATCH)
            peer.request(WATCH)  # the fifth: the limit was announced and acknowledged
            peer.read_to_end(5)
            assert peer.goaway[1] == PROTOCOL_ERROR, peer.goaway
            logged(cluster, "the peer broke the rules of HTTP/2")
        wait_until("the connection is gone", lambda: metric(cluster, "psd_open_connections") == 1, 5)
        with contextlib.ExitStack() as stack:
            for _ in range(11):
                peer = stack.enter_context(connect(cluster))
                assert peer.answer(peer.request(LIST))["grpc-status"] == OK
            done = cluster.psctl("jobs", check=False)
            assert done.returncode == 3, done
            with cluster.channel() as channel:
                try:
                    channel.unary_unary(LIST)(b"", timeout=10 * SLOW)
                    raise AssertionError("one connection too many")
                except grpc.RpcError as error:
                    assert error.code() == grpc.StatusCode.UNAVAILABLE, error
            logged(cluster, "too many connections")
            bystander.is_served("too many connections")
        wait_until("the connections are gone", lambda: metric(cluster, "psd_open_connections") == 1, 5)
        cluster.psctl("jobs")


run([what_is_not_tls_or_not_http2_is_closed_with_a_reason, a_peer_that_says_nothing_is_closed,
     those_who_never_read_are_closed_in_bounded_time_and_memory, a_message_over_the_limit_is_resource_exhausted,
     requests_that_are_no_grpc_get_their_answer_and_the_connection_stays, floods_are_cut_off,
     limits_of_connections_and_streams_hold])
