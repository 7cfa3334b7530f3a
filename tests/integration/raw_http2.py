"""A client of TLS and HTTP/2 by hand, on Python's ssl: for what a well-behaved library never sends.

    with connect(cluster) as peer:          # TLS, preface, SETTINGS
        stream = peer.request("/psd.v1.Jobs/List", message=b"")
        peer.answer(stream)                 # {":status": "200", ..., "grpc-status": "0"}

Requests are written with literal headers (RFC 7541 section 6.2.2), answers are read with nghttp2's inflater."""
import contextlib
import ctypes
import ctypes.util
import socket
import ssl
import struct
import time

from harness import SLOW

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, _, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS = 1, 1, 4
SETTINGS_INITIAL_WINDOW = 4


class Closed(Exception):
    """The server has ended the connection; the text says how."""


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">IBI", len(payload) << 8 | kind, flags, stream) + payload


def literal(name, value):
    """A header field without indexing, lengths up to 64 KiB."""
    def text(data):
        data = data.encode() if isinstance(data, str) else data
        if len(data) < 127:
            return bytes([len(data)]) + data
        rest, out = len(data) - 127, bytes([127])
        while rest >= 128:
            out += bytes([rest & 127 | 128])
            rest >>= 7
        return out + bytes([rest]) + data
    return b"\0" + text(name) + text(value)


def grpc_headers(path, **changes):
    """The block of a gRPC request; a change of None leaves a field out ("_" stands for "-")."""
    fields = {":method": "POST", ":scheme": "https", ":path": path, ":authority": "localhost",
              "content-type": "application/grpc", "te": "trailers"}
    for name, value in changes.items():
        name = name.replace("method_", ":method").replace("_", "-")
        fields[name] = value
    return b"".join(literal(n, v) for n, v in fields.items() if v is not None)


def grpc_message(data=b"", compressed=0, length=None):
    return struct.pack(">BI", compressed, len(data) if length is None else length) + data


class _Field(ctypes.Structure):
    _fields_ = [("name", ctypes.POINTER(ctypes.c_uint8)), ("value", ctypes.POINTER(ctypes.c_uint8)),
                ("name_len", ctypes.c_size_t), ("value_len", ctypes.c_size_t), ("flags", ctypes.c_uint8)]


class Inflater:
    def __init__(self):
        self.lib = ctypes.CDLL("libnghttp2.so.14")
        self.inflate = self.lib.nghttp2_hd_inflate_hd2
        self.inflate.restype = ctypes.c_ssize_t
        self.handle = ctypes.c_void_p()
        assert self.lib.nghttp2_hd_inflate_new(ctypes.byref(self.handle)) == 0

    def close(self):
        self.lib.nghttp2_hd_inflate_del(self.handle)

    def fields(self, block):
        out, at = {}, 0
        while True:
            field, flags = _Field(), ctypes.c_int()
            used = self.inflate(self.handle, ctypes.byref(field), ctypes.byref(flags), block[at:],
                                ctypes.c_size_t(len(block) - at), 1)
            assert used >= 0, f"header block: error {used}"
            at += used
            if flags.value & 2:  # a field was read
                name = ctypes.string_at(field.name, field.name_len).decode()
                out[name] = ctypes.string_at(field.value, field.value_len).decode()
            if flags.value & 1:  # the end
                self.lib.nghttp2_hd_inflate_end_headers(self.handle)
                return out


def tls_connect(cluster, who="alice", ca=None, alpn=("h2",), timeout=10, receive_buffer=0, name="localhost"):
    """A connected SSLSocket. In TLS 1.3 the server's word about our certificate comes with the first read."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca or cluster.certs / "ca.pem")
    if who:
        context.load_cert_chain(cluster.certs / f"{who}.pem", cluster.certs / f"{who}.key")
    if alpn:
        context.set_alpn_protocols(list(alpn))
    plain = socket.socket()
    try:
        plain.settimeout(timeout * SLOW)
        if receive_buffer:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        plain.connect(("127.0.0.1", cluster.port))
        return context.wrap_socket(plain, server_hostname=name)
    except BaseException:
        plain.close()
        raise


class Peer:
    def __init__(self, sock):
        self.sock, self.inflater, self.next_stream = sock, Inflater(), 1
        self.answers, self.goaway, self.resets = {}, None, {}

    def send(self, data):
        try:
            self.sock.sendall(data)
        except (OSError, ssl.SSLError) as error:
            raise Closed(str(error)) from None

    def hello(self, settings=()):
        self.send(PREFACE + frame(SETTINGS, payload=b"".join(struct.pack(">HI", k, v) for k, v in settings)))

    def headers(self, block, end=False, stream=None, end_headers=True):
        if stream is None:
            stream = self.next_stream
            self.next_stream += 2
        flags = (END_STREAM if end else 0) | (END_HEADERS if end_headers else 0)
        self.send(frame(HEADERS, flags, stream, block))
        return stream

    def request(self, path, message=b"", block=None):
        """A whole unary request with one message; message None: headers alone."""
        stream = self.headers(block or grpc_headers(path), end=message is None)
        if message is not None:
            self.send(frame(DATA, END_STREAM, stream, grpc_message(message)))
        return stream

    def _exactly(self, n):
        out = b""
        while len(out) < n:
            try:
                part = self.sock.recv(n - len(out))
            except socket.timeout:
                raise
            except (OSError, ssl.SSLError) as error:
                raise Closed(str(error)) from None
            if not part:
                raise Closed("end of file")
            out += part
        return out

    def read(self):
        """One frame, taken note of: (kind, flags, stream, payload)."""
        size_kind, flags, stream = struct.unpack(">IBI", self._exactly(9))
        kind, payload = size_kind & 255, self._exactly(size_kind >> 8)
        answer = self.answers.setdefault(stream, {"data": b"", "ended": False}) if stream else None
        if kind == HEADERS:
            answer.update(self.inflater.fields(payload))
        elif kind == DATA:
            answer["data"] += payload
        elif kind == RST_STREAM:
            self.resets[stream] = struct.unpack(">I", payload)[0]
            answer["ended"] = True
        elif kind == GOAWAY:
            self.goaway = struct.unpack(">II", payload[:8])
        elif kind == SETTINGS and not flags & ACK:
            self.send(frame(SETTINGS, ACK))
        elif kind == PING and not flags & ACK:
            self.send(frame(PING, ACK, payload=payload))
        if kind in (HEADERS, DATA) and flags & END_STREAM:
            answer["ended"] = True
        return kind, flags, stream, payload

    def answer(self, stream):
        """Everything of a stream until its end."""
        while not self.answers.get(stream, {}).get("ended"):
            self.read()
        return self.answers[stream]

    def read_to_end(self, seconds):
        """Until the server closes; how it did. Fails when it does not within the time."""
        end = time.monotonic() + seconds * SLOW
        self.sock.settimeout(seconds * SLOW)
        try:
            while time.monotonic() < end:
                self.read()
        except Closed as closed:
            return closed
        except socket.timeout:
            pass
        raise AssertionError(f"the connection is still open after {seconds * SLOW:.0f} s")

    def close(self):
        self.inflater.close()
        self.sock.close()


@contextlib.contextmanager
def connect(cluster, who="alice", settings=(), **options):
    peer = Peer(tls_connect(cluster, who, **options))
    try:
        peer.hello(settings)
        yield peer
    finally:
        peer.close()
