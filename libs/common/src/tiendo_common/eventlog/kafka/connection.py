"""Which brokers, and the right to talk to them."""

import asyncio
import ssl
from collections.abc import Coroutine
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
    """Do what may connect to a broker; a cancellation waits for its end. Cut off while it connects, the client loses
    connections that stay open (aiokafka 0.14, tried). What it does must be bounded in time."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()
        raise


async def start(client: Client) -> None:
    """Connect a client; if that fails, or the caller is cancelled meanwhile, it is stopped. Raises KafkaError."""
    try:
        await undisturbed(client.start())
    except BaseException:
        await stop(client)
        raise


async def stop(client: Client) -> None:
    """Disconnect a client, whatever state it is in; a fault on the way is noted and forgotten."""
    try:
        await undisturbed(asyncio.wait_for(client.stop(), 2 * REQUEST_TIMEOUT))
    except (KafkaError, TimeoutError) as error:
        log.info("a connection to the broker did not end well", reason=str(error))


def said(error: KafkaError) -> str:
    """An error of the client in words for a log."""
    text = str(error) or type(error).__name__
    if isinstance(
        error, AuthenticationFailedError | SaslAuthenticationFailed | UnsupportedSaslMechanismError
    ):
        return f"the broker refuses our credentials: {text}"
    return text
