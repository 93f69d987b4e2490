"""Asks a Kafka node whether it is there, in Kafka's own protocol, so that no client library is needed here."""

import socket
import struct

_METADATA = 3
_VERSION = 2  # the first that names the cluster
_LONGEST_ANSWER = 65_536


def cluster_at(host: str, port: int, *, timeout: float = 2.0) -> str | None:
    """The id of the cluster that answers there; None while none does, or no node of it takes requests.

    A node that starts accepts connections before it may be used: it is not among the nodes of its own answer
    until it may.
    """
    try:
        with socket.create_connection((host, port), timeout=timeout) as connection:
            no_topics = struct.pack(">i", 0)
            name = b"tiendo"
            header = struct.pack(">hhih", _METADATA, _VERSION, 1, len(name)) + name
            connection.sendall(_sized(header + no_topics))
            (size,) = struct.unpack(">i", _read(connection, 4))
            if not 0 < size <= _LONGEST_ANSWER:
                return None
            return _cluster(_read(connection, size))
    except (OSError, struct.error, UnicodeDecodeError):
        return None


def _sized(message: bytes) -> bytes:
    return struct.pack(">i", len(message)) + message


def _read(connection: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(size - len(parts))
        if not part:
            raise ConnectionResetError
        parts += part
    return bytes(parts)


def _cluster(answer: bytes) -> str | None:
    _correlation, nodes = struct.unpack_from(">ii", answer)
    at = 8
    for _ in range(nodes):
        _host, at = _text(answer, at + 4)
        _rack, at = _text(answer, at + 4)
    cluster, _ = _text(answer, at)
    return cluster if nodes > 0 else None


def _text(answer: bytes, at: int) -> tuple[str | None, int]:
    """A string that may be null, and where it ends."""
    (length,) = struct.unpack_from(">h", answer, at)
    end = at + 2 + max(length, 0)
    return (answer[at + 2 : end].decode() if length >= 0 else None), end
