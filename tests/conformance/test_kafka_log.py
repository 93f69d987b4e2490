"""The event log on Apache Kafka keeps the promises of the port, and some of its own."""

import pytest

from tests.conformance.consumer_suite import ConsumerConformance
from tests.conformance.kafka_backend import OnKafka
from tests.conformance.log_suite import EventLogConformance
from tests.conformance.model_suite import LogModelConformance

pytestmark = pytest.mark.anyio


class TestKafkaLog(OnKafka, EventLogConformance):
    pass


class TestKafkaConsumers(OnKafka, ConsumerConformance):
    pass


class TestKafkaLogModel(OnKafka, LogModelConformance):
    pass
