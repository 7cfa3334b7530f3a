"""Ports of 127.0.0.1 for daemons that are stopped and started again: below those that the kernel gives to
connections, and of one test at a time, however many run side by side."""
import fcntl
import os
import pathlib
import random
import socket
import tempfile

_held = None


def _beside_the_kernels():
    low, high = map(int, pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    return range(10240, low) if low > 12000 else range(high + 1, 65536) if high < 64000 else range(10240, 65536)


def _lock(port):
    """Held until this process ends: a lock on one byte of a file that the user's tests share."""
    global _held
    if _held is None:
        _held = os.open(pathlib.Path(tempfile.gettempdir()) / f"psd-test-ports.{os.getuid()}",
                        os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.lockf(_held, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


def _is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def reserve():
    """A free port that no other test of this user is given while this process lives."""
    ports = _beside_the_kernels()
    for _ in range(1000):
        port = random.choice(ports)
        # a process does not collide with its own lock, but hardly draws a port twice
        if _is_free(port) and _lock(port):
            return port
    raise AssertionError(f"no free port in {ports}")
