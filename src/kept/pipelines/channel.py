"""Messages between the worker and a step's process: a length of four bytes, then JSON."""

import socket
import struct
import threading

import msgspec

_LENGTH = struct.Struct(">I")


class Channel:
    """One end of a pair of sockets. Any thread may send; one receives."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._lock = threading.Lock()

    def fileno(self) -> int:
        """The descriptor, for `select`."""
        return self._end.fileno()

    def send(self, message: msgspec.Struct) -> None:
        """Sends a message whole; `OSError` when the other end is gone."""
        data = msgspec.json.encode(message)
        with self._lock:
            self._end.sendall(_LENGTH.pack(len(data)) + data)

    def receive(self) -> bytes | None:
        """Waits for the next message; None when the other end is gone."""
        head = self._exactly(_LENGTH.size)
        return None if head is None else self._exactly(_LENGTH.unpack(head)[0])

    def close(self) -> None:
        """Tells the other end that this one is gone."""
        self._end.close()

    def _exactly(self, size: int) -> bytes | None:
        data = bytearray()
        while len(data) < size:
            try:
                piece = self._end.recv(size - len(data))
            except OSError:
                return None
            if not piece:
                return None
            data += piece
        return bytes(data)
