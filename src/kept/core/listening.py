"""Taking a port of this machine."""

import socket

from kept.core.errors import Unavailable


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
