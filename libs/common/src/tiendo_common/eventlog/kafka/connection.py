"""Which brokers, and the right to talk to them."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import (
    AuthenticationFailedError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

from tiendo_common.errors import TiendoError
from tiendo_common.eventlog.port import Partition

log = structlog.get_logger(__name__)

ResultT = TypeVar("ResultT")
Security = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]

#: One compacted partition for what the producers say of their logs: watermarks and generations.
CONTROL = "control"
#: Seconds that a request may take. Under a lease, so that who waits for a dead broker renews in time.
REQUEST_TIMEOUT = 5.0
#: And all of what a client does in one call.
_PATIENCE = 3 * REQUEST_TIMEOUT


class BadBrokerSettings(TiendoError):
    """The settings of the broker contradict each other or name a file that cannot be read."""


@dataclass(frozen=True)
class Broker:
    """A Kafka cluster as our clients see it; `prefix` begins the names of our topics and groups."""

    bootstrap: str
    prefix: str = "tiendo."
    security: Security = "PLAINTEXT"
    mechanism: str = "SCRAM-SHA-512"
    username: str | None = None
    password: str | None = None
    tls: ssl.SSLContext | None = None

    @classmethod
    def from_parts(
        cls,
        bootstrap: str,
        *,
        prefix: str,
        security: Security,
        mechanism: str,
        username: str | None,
        password_file: Path | None,
        ca_file: Path | None,
        certificate_file: Path | None,
        key_file: Path | None,
    ) -> "Broker":
        """From settings. Raises BadBrokerSettings."""
        sasl, tls = security.startswith("SASL"), security.endswith("SSL")
        if sasl and not (username and password_file):
            raise BadBrokerSettings(f"{security} needs kafka_username and kafka_password_file.")
        if not sasl and (username or password_file):
            raise BadBrokerSettings(f"{security} takes no username or password: choose SASL_SSL.")
        if not tls and (ca_file or certificate_file or key_file):
            raise BadBrokerSettings(f"{security} is not encrypted and takes no certificates: choose SSL.")
        if bool(certificate_file) != bool(key_file):
            raise BadBrokerSettings("kafka_certificate_file and kafka_key_file go together.")
        try:
            context = None
            if tls:
                context = ssl.create_default_context(cafile=ca_file)
                if certificate_file:
                    context.load_cert_chain(certificate_file, key_file)
            password = password_file.read_text(encoding="utf-8").strip() if password_file else None
        except (OSError, ssl.SSLError) as error:
            raise BadBrokerSettings(f"A file of the broker's settings cannot be used: {error}") from error
        return cls(bootstrap, prefix, security, mechanism, username, password, context)

    def client(self, name: str) -> dict[str, Any]:
        """What each of aiokafka's clients takes; `name` is what the brokers' logs show."""
        options: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap,
            "client_id": f"tiendo-{name}",
            "request_timeout_ms": int(REQUEST_TIMEOUT * 1000),
            "retry_backoff_ms": 50,
            "security_protocol": self.security,
            "ssl_context": self.tls,
        }
        if self.username:
            options |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password,
            }
        return options

    def topic(self, name: str) -> str:
        """The broker's name of a topic of the catalogue."""
        return self.prefix + name

    @property
    def control(self) -> TopicPartition:
        """The partition that all readers follow beside their own."""
        return TopicPartition(self.topic(CONTROL), 0)

    def at(self, partition: Partition) -> TopicPartition:
        """The broker's name of a partition: the number is the same."""
        return TopicPartition(self.topic(partition.topic), partition.number)

    def of(self, at: TopicPartition) -> Partition:
        """Our name of a broker's partition."""
        return Partition(at.topic.removeprefix(self.prefix), at.partition)


class Client(Protocol):
    """What aiokafka's clients have in common."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


async def undisturbed(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Do what may connect to a broker; cancellations, however many, wait for its end. Cut off while it connects, the
    client loses connections that stay open (aiokafka 0.14, tried). Raises TimeoutError if it does not come back in
    time, also where it takes no notice of being cancelled."""
    task = asyncio.ensure_future(work)
    until = time.monotonic() + _PATIENCE
    cancelled: asyncio.CancelledError | None = None
    while not task.done() and (left := until - time.monotonic()) > 0:
        try:
            await asyncio.wait({task}, timeout=left)
        except asyncio.CancelledError as error:
            cancelled = error
    if not task.done():
        task.cancel()
    if cancelled is not None:
        task.add_done_callback(_forget)
        raise cancelled
    if not task.done():
        task.add_done_callback(_forget)
        raise TimeoutError(f"the client of the broker did not come back within {_PATIENCE:g} s")
    if task.cancelled():
        raise TimeoutError("the client of the broker broke off")
    return task.result()


@contextlib.contextmanager
def break_offs_as_faults() -> Iterator[None]:
    """Raise TimeoutError for what a breaking connection comes out as: when it breaks the client cancels what it waits
    for, which looks as if we had been told to stop; it may write to one that uvloop has closed already, which is a
    RuntimeError; and it asserts that it knows a broker where one that is starting has yet to name itself (aiokafka
    0.14, all seen)."""
    try:
        yield
    except AssertionError as error:
        if "bootstrap" not in str(error):
            raise
        raise TimeoutError("no broker has named itself yet") from error
    except RuntimeError as error:
        if "the handler is closed" not in str(error):
            raise
        raise TimeoutError("a connection to the broker was closed under the client") from error
    except asyncio.CancelledError as cancelled:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise TimeoutError("the client of the broker broke off") from cancelled


def _forget(task: asyncio.Task[Any]) -> None:
    """Ask for the outcome that nobody waits for any more, so that nobody is told that nobody asked."""
    if not task.cancelled():
        task.exception()


async def start(client: Client) -> None:
    """Connect a client; if that fails, or the caller is cancelled meanwhile, it is stopped. Raises KafkaError,
    TimeoutError."""
    try:
        await undisturbed(client.start())
    except BaseException:
        await stop(client)
        raise


async def stop(*clients: Client) -> None:
    """Disconnect clients, whatever state they are in; a fault on the way is noted and forgotten."""

    async def disconnect() -> list[BaseException | None]:
        return await asyncio.gather(*(client.stop() for client in clients), return_exceptions=True)

    try:
        outcomes = await undisturbed(disconnect())
    except TimeoutError as error:
        outcomes = [error]
    for outcome in outcomes:
        if outcome is not None:
            reason = str(outcome) or type(outcome).__name__
            log.info("a connection to the broker did not end well", reason=reason)


def said(error: KafkaError | TimeoutError) -> str:
    """An error of the client in words for a log."""
    text = str(error) or type(error).__name__
    if isinstance(
        error, AuthenticationFailedError | SaslAuthenticationFailed | UnsupportedSaslMechanismError
    ):
        return f"the broker refuses our credentials: {text}"
    return text
