"""Loopback ports: the wanted one where it is free, otherwise any."""

import socket
from contextlib import closing

LOOPBACK = "127.0.0.1"

_given: set[int] = set()  # by this process; a port stays free until its server binds it


def is_free(port: int) -> bool:
    """Whether a server could listen on this port now."""
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A port that nothing listens on and that was not given out before."""
    while True:
        with closing(socket.socket()) as probe:
            probe.bind((LOOPBACK, 0))
            port: int = probe.getsockname()[1]
        if port not in _given:
            _given.add(port)
            return port


def wanted_port(port: int) -> int:
    """`port` where it is free, otherwise another."""
    if port in _given or not is_free(port):
        return free_port()
    _given.add(port)
    return port


def accepts(port: int) -> bool:
    """Whether something listens on this port."""
    with closing(socket.socket()) as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0
