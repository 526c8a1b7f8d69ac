"""Binding a TCP port of this machine."""

import resource
import socket

from kept.core.errors import Unavailable

_MOST_FILES = 65_536
# Databases, models, spools, and what is accepted while room is being made.
_OWN_FILES = 128


def listen(host: str, port: int, *, share: bool = False) -> socket.socket:
    """A socket that is bound to the address and does not block; port 0 is any that is free.

    Args:
        host: a name or address of this machine.
        port: the port.
        share: whether other processes may listen on the port too.

    Raises:
        Unavailable: somebody else listens there, or the address is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if share:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        fix = "Stop what listens there, or choose another port"
        raise Unavailable(f"cannot listen ({error.strerror})", where=f"{host}:{port}", fix=fix) from error
    listener.setblocking(False)
    return listener


def most_connections() -> int:
    """How many connections may be open at once: what the system allows a process, without what a server itself needs.

    Raises the process's own limit as far as the system lets it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, _MOST_FILES) if hard != resource.RLIM_INFINITY else _MOST_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    files = _MOST_FILES if soft == resource.RLIM_INFINITY else soft
    return max(files - _OWN_FILES, files // 2)
