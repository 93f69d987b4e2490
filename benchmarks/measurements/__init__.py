"""Each measurement, by the name that `make bench ONLY=name` knows."""

from collections.abc import Awaitable, Callable

from benchmarks.measurements.alert_latency import alert_latency_kafka, alert_latency_postgres
from benchmarks.measurements.alerts import fan_out, judging
from benchmarks.measurements.embedded import bulk_intake, memory_replays, replay, single_post, start
from benchmarks.measurements.figures import figures
from benchmarks.measurements.latency import latency_kafka, latency_postgres
from benchmarks.measurements.progress import progress_beside_events, progress_of_country
from benchmarks.measurements.rebasing import rebasing
from benchmarks.measurements.scale import scale_units
from benchmarks.measurements.topics import aggregator_kafka, memory_kafka, publisher
from benchmarks.measurements.whole_campaign import replay_kafka
from benchmarks.result import Result

Measurement = Callable[[], Awaitable[list[Result]]]

MEASUREMENTS: dict[str, Measurement] = {
    "replay": replay,
    "bulk_intake": bulk_intake,
    "single_post": single_post,
    "start": start,
    "aggregator_kafka": aggregator_kafka,
    "publisher": publisher,
    "latency_kafka": latency_kafka,
    "latency_postgres": latency_postgres,
    "replay_kafka": replay_kafka,
    "scale_units": scale_units,
    "rebasing": rebasing,
    "figures": figures,
    "progress_beside_events": progress_beside_events,
    "progress_of_country": progress_of_country,
    "judging": judging,
    "fan_out": fan_out,
    "alert_latency_postgres": alert_latency_postgres,
    "alert_latency_kafka": alert_latency_kafka,
}
#: These take so long that they run only when named.
WHEN_NAMED: dict[str, Measurement] = {
    "memory_kafka": memory_kafka,
    "memory_replays": memory_replays,
}
