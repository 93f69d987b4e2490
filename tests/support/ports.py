"""Ports for what tests start."""

import contextlib
import socket
from collections.abc import Iterator

import pytest


@contextlib.contextmanager
def held_port() -> Iterator[int]:
    """A port on which nobody listens, and which the system gives to nobody else for the duration.

    Bound here all the time: one that was free a moment ago may be another process's by the time that a server has
    started. A server binds it as all do, to be used again at once (SO_REUSEADDR), and so may have it beside us.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield int(holder.getsockname()[1])


@pytest.fixture
def unused_port() -> Iterator[int]:
    """Such a port for one test."""
    with held_port() as port:
        yield port
