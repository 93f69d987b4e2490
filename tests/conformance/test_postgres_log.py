"""The event log in PostgreSQL keeps the promises of the port."""

import asyncpg
import pytest

from tests.conformance.backend import FACTS, STATE, LogBackend, append, beginning, read_all
from tests.conformance.consumer_suite import ConsumerConformance
from tests.conformance.log_suite import EventLogConformance
from tests.conformance.model_suite import LogModelConformance
from tests.conformance.postgres_backend import OnPostgres
from tests.support.events import intake_event, unit_event
from tiendo_common.errors import Retry
from tiendo_common.eventlog.port import Partition

pytestmark = pytest.mark.anyio


class TestPostgresLog(OnPostgres, EventLogConformance):
    async def test_the_restricted_topic_is_readable_by_activation_alone(self, backend: LogBackend) -> None:
        assert await backend.reader("activation").fetch(beginning("dossier"), 10) == []
        for service in ("aggregator", "notifier"):
            with pytest.raises(Retry, match="permission denied"):
                await backend.reader(service).fetch(beginning("dossier"), 10)

    async def test_a_superseded_event_is_gone_with_the_commit_of_the_newer(self, backend: LogBackend) -> None:
        for name in ("a1", "b1", "a2"):
            await append(backend, unit_event(name[0], name), service="aggregator")
        read = (await read_all(backend.reader("notifier"), STATE))[Partition(STATE, 0)]
        assert [sequence for sequence, _ in read] == [2, 3]

    async def test_no_consumer_may_write_into_a_log(self, backend: LogBackend) -> None:
        await append(backend, intake_event("a"))
        for statement in (
            "DELETE FROM intake.log_intake",
            "UPDATE intake.log_partition SET next = 1",
            "INSERT INTO intake.log_watermark VALUES ('intake', now(), '{}')",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await backend.pool("aggregator").execute(statement)
        assert sum(len(part) for part in (await read_all(backend.reader("aggregator"), FACTS)).values()) == 1


class TestPostgresConsumers(OnPostgres, ConsumerConformance):
    pass


class TestPostgresLogModel(OnPostgres, LogModelConformance):
    pass
