"""Writes the corpus of fuzz_http2_session: connections that go well, and some that do not.

    http2_seeds.py FOLDER        (tests/fuzz/corpus/http2_session)

http2_session.h says how an input begins. Each scene is written as plain bytes and as a list of frames."""
import pathlib
import struct
import sys

CLIENT, RAW, FRAMES, DEAF, DRAIN, HANG_UP = 1, 2, 4, 8, 16, 32
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, _, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def literal(name, value):
    return b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


def request(path, **more):
    fields = {":method": "POST", ":scheme": "https", ":path": path, ":authority": "localhost",
              "content-type": "application/grpc", "te": "trailers"}
    fields.update({k.replace("_", "-"): v for k, v in more.items()})
    return b"".join(literal(k, v) for k, v in fields.items())


def fields(**values):
    return b"".join(literal(k.replace("_", "-").replace("status", ":status", k == "status"), v)
                    for k, v in values.items())


ANSWER = fields(status="200", content_type="application/grpc")
TRAILERS = fields(grpc_status="0", grpc_message="done%20well")
ECHO = "/psd.test.v1.Echo/"


def message(body=b"", compressed=0):
    return struct.pack(">BI", compressed, len(body)) + body


def piece(number=0, text="", payload=b""):
    out = b"\x08" + bytes([number]) if number else b""
    out += b"\x12" + bytes([len(text)]) + text.encode() if text else b""
    return out + (b"\x7a" + bytes([len(payload)]) + payload if payload else b"")


def ask(count, size):
    return b"\x08" + bytes([count]) + b"\x10" + bytes([size])


def unary(stream, path, body, **more):
    return [(HEADERS, END_HEADERS, stream, request(path, **more)), (DATA, END_STREAM, stream, message(body))]


SERVER_SIDE = {
    "unary": unary(1, ECHO + "Unary", piece(7, "hello", b"\1\2\3\4")),
    "unary_deadline": unary(1, ECHO + "Unary", piece(7), grpc_timeout="50m", x_key="value"),
    "unary_error": unary(1, ECHO + "Unary", b"\x20\x05" + piece(0, "not here")),
    "unary_twice": unary(1, ECHO + "Unary", piece(1)) + unary(3, ECHO + "Unary", piece(2)),
    "download": unary(1, ECHO + "Download", ask(3, 100)) + [(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1000)),
                                                             (WINDOW_UPDATE, 0, 1, struct.pack(">I", 1000))],
    "upload": [(HEADERS, END_HEADERS, 1, request(ECHO + "Upload")), (DATA, 0, 1, message(piece(1, "a"))),
               (DATA, 0, 1, message(piece(2, "b"))), (DATA, END_STREAM, 1, b"")],
    "upload_hold": [(HEADERS, END_HEADERS, 1, request(ECHO + "Upload")), (DATA, 0, 1, message(b"\x30\x01")),
                    (DATA, END_STREAM, 1, message(piece(2, "b", bytes(100))))],
    "talk": [(HEADERS, END_HEADERS, 1, request(ECHO + "Talk")), (DATA, 0, 1, message(piece(1, "a"))),
             (DATA, 0, 1, message(piece(2)) + message(piece(3))), (DATA, END_STREAM, 1, b"")],
    "talk_cut": [(HEADERS, END_HEADERS, 1, request(ECHO + "Talk")), (DATA, 0, 1, message(piece(1, "abc"))[:6])],
    "resets": [f for s in (1, 3, 5) for f in
               [(HEADERS, END_HEADERS, s, request(ECHO + "Talk")), (DATA, 0, s, message(piece(1))),
                (RST_STREAM, 0, s, struct.pack(">I", 8))]],
    "download_reset": unary(1, ECHO + "Download", ask(100, 200)) + [(RST_STREAM, 0, 1, struct.pack(">I", 8))],
    "ping": [(PING, 0, 0, b"12345678"), (PING, ACK, 0, b"drained?"), (SETTINGS, ACK, 0, b"")],
    "goaway": unary(1, ECHO + "Unary", piece(1)) + [(GOAWAY, 0, 0, struct.pack(">II", 0, 0))],
    "continuation": [(HEADERS, 0, 1, request(ECHO + "Unary")[:50]),
                     (CONTINUATION, END_HEADERS, 1, request(ECHO + "Unary")[50:]),
                     (DATA, END_STREAM, 1, message(piece(1)))],
    "padding": [(HEADERS, END_HEADERS | PADDED, 1, b"\x04" + request(ECHO + "Unary") + bytes(4)),
                (DATA, END_STREAM | PADDED, 1, b"\x03" + message(piece(1)) + bytes(3))],
    "priority": [(PRIORITY, 0, 1, struct.pack(">IB", 0, 16))] + unary(1, ECHO + "Unary", piece(1)),
    "settings": [(SETTINGS, 0, 0, struct.pack(">HIHI", 4, 10, 5, 1 << 15)),
                 *unary(1, ECHO + "Download", ask(5, 90)), (SETTINGS, 0, 0, struct.pack(">HI", 4, 1 << 16))],
    "health": unary(1, "/grpc.health.v1.Health/Check", b"") + unary(3, "/grpc.health.v1.Health/Watch", b""),
    "reflection": [(HEADERS, END_HEADERS, 1, request("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")),
                   (DATA, END_STREAM, 1, message(b"\x3a\0") + message(b"\x22\x10psd.test.v1.Echo"))],
    "not_grpc": [(HEADERS, END_HEADERS | END_STREAM, 1,
                  request("/", content_type="text/html") + literal("accept", "*/*"))],
    "compressed": [(HEADERS, END_HEADERS, 1, request(ECHO + "Unary", grpc_encoding="gzip")),
                   (DATA, END_STREAM, 1, message(b"x", 1))],
    "trailers": [(HEADERS, END_HEADERS, 1, request(ECHO + "Upload")), (DATA, 0, 1, message(piece(1))),
                 (HEADERS, END_HEADERS | END_STREAM, 1, literal("x", "y"))],
    "too_large": [(HEADERS, END_HEADERS, 1, request(ECHO + "Upload")), (DATA, 0, 1, struct.pack(">BI", 0, 5000))],
}


def answered(*frames):
    """The calls of the client's side are the streams 1, 3, 5 and 7."""
    return [(SETTINGS, ACK, 0, b""), *frames]


CLIENT_SIDE = {
    "unary": answered((HEADERS, END_HEADERS, 1, ANSWER), (DATA, 0, 1, message(piece(1, "hello"))),
                      (HEADERS, END_HEADERS | END_STREAM, 1, TRAILERS)),
    "error": answered((HEADERS, END_HEADERS | END_STREAM, 1,
                       ANSWER + fields(grpc_status="5", grpc_message="not%20here"))),
    "stream": answered((HEADERS, END_HEADERS, 3, ANSWER), *[(DATA, 0, 3, message(piece(n))) for n in range(4)],
                       (HEADERS, END_HEADERS | END_STREAM, 3, TRAILERS)),
    "talk": answered(*[f for s in (5, 7) for f in
                       [(HEADERS, END_HEADERS, s, ANSWER), (DATA, 0, s, message(piece(1)) + message(piece(2))),
                        (HEADERS, END_HEADERS | END_STREAM, s, TRAILERS)]]),
    "resets": answered(*[(RST_STREAM, 0, s, struct.pack(">I", code)) for s, code in ((1, 7), (3, 8), (5, 11))]),
    "goaway": answered((GOAWAY, 0, 0, struct.pack(">II", 3, 0)), (HEADERS, END_HEADERS | END_STREAM, 1,
                                                                   ANSWER + TRAILERS)),
    "goaway_error": answered((GOAWAY, 0, 0, struct.pack(">II", 0, 11) + b"too_many_pings")),
    "html": answered((HEADERS, END_HEADERS, 1, fields(status="502", content_type="text/html")),
                     (DATA, END_STREAM, 1, b"<html>")),
    "continuation": answered((HEADERS, 0, 1, ANSWER[:20]), (CONTINUATION, END_HEADERS, 1, ANSWER[20:]),
                             (DATA, END_STREAM, 1, message(piece(1)))),
    "informational": answered((HEADERS, END_HEADERS, 1, fields(status="103")), (HEADERS, END_HEADERS, 1, ANSWER),
                              (HEADERS, END_HEADERS | END_STREAM, 1, TRAILERS)),
    "compressed": answered((HEADERS, END_HEADERS, 1, ANSWER + fields(grpc_encoding="gzip"))),
    "cut": answered((HEADERS, END_HEADERS, 3, ANSWER), (DATA, 0, 3, message(piece(1, "abc"))[:6]),
                    (HEADERS, END_HEADERS | END_STREAM, 3, TRAILERS)),
    "ping": [(PING, 0, 0, b"12345678"), (WINDOW_UPDATE, 0, 0, struct.pack(">I", 100)),
             (SETTINGS, 0, 0, struct.pack(">HI", 3, 1))],
}


def plain(frames):
    return b"".join(struct.pack(">IBI", len(p) << 8 | kind, flags, stream) + p for kind, flags, stream, p in frames)


def listed(frames):
    return b"".join(bytes([kind, flags, stream, len(p)]) + p for kind, flags, stream, p in frames)


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for side, scenes in ((0, SERVER_SIDE), (CLIENT, CLIENT_SIDE)):
        name = "client" if side else "server"
        for i, (scene, frames) in enumerate(scenes.items()):
            end = (0, DRAIN, HANG_UP)[i % 3]
            (folder / f"{name}_{scene}").write_bytes(bytes([side | end, 0, 0]) + plain(frames))
            (folder / f"{name}_{scene}_frames").write_bytes(bytes([side | end | FRAMES, i + 1, i % 8]) + listed(frames))
    (folder / "server_raw").write_bytes(bytes([RAW, 5, 1]) + PREFACE + plain(
        [(SETTINGS, 0, 0, b"")] + SERVER_SIDE["unary"]))
    (folder / "server_http1").write_bytes(bytes([RAW, 0, 0]) + b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    (folder / "server_deaf").write_bytes(bytes([DEAF, 0, 0]) + plain(SERVER_SIDE["download"]))
    (folder / "client_deaf").write_bytes(bytes([CLIENT | DEAF | HANG_UP, 0, 0]) + plain(CLIENT_SIDE["talk"]))


main()
