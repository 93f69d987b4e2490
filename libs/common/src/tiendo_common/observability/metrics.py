"""The metrics that every service has. Labels are bounded: route templates, never paths or units."""

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter("tiendo_http_requests_total", "Requests answered", ["method", "route", "status"])
REQUEST_SECONDS = Histogram(
    "tiendo_http_request_seconds",
    "Time from the request's first byte to the answer's last",
    ["method", "route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60),
)
LINES = Counter("tiendo_lines_total", "Lines answered", ["kind", "status"])
CONSUMED = Counter("tiendo_consumed_events_total", "Events whose effects are durable", ["consumer"])
CONSUMER_LAG = Gauge(
    "tiendo_consumer_lag_events", "Events appended but not yet folded", ["consumer", "topic"]
)
CONSUMER_HALTED = Gauge(
    "tiendo_consumer_halted", "Partitions that stopped and wait for a person", ["consumer"]
)
HELD_PARTITIONS = Gauge("tiendo_consumer_partitions", "Partitions held by this process", ["consumer"])
FENCED = Counter("tiendo_consumer_fenced_total", "Batches dropped because the partition moved", ["consumer"])
DEAD_LETTERS = Gauge("tiendo_dead_letters", "Dead letters waiting for a person", ["consumer"])
BATCH_SECONDS = Histogram(
    "tiendo_consumer_batch_seconds",
    "Time to make a batch's effects durable",
    ["consumer"],
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
EVENT_AGE = Histogram(
    "tiendo_event_age_seconds",
    "From the append of a batch's oldest event to its durable effects",
    ["consumer"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600, 3600),
)
REPEATS = Counter("tiendo_log_repeats_total", "Records dropped that had been read before", ["topic"])
RESEEKS = Counter("tiendo_log_reseeks_total", "Partitions read again from their beginning", ["topic"])
WITHDRAWN = Counter("tiendo_log_withdrawn_total", "Records passed over that were withdrawn", ["topic"])
PUBLISHED = Counter("tiendo_published_events_total", "Events that the broker has acknowledged", ["topic"])
UNPUBLISHED = Gauge("tiendo_unpublished_events", "Events appended but not yet on the broker", ["topic"])
UNPUBLISHED_AGE = Gauge("tiendo_unpublished_age_seconds", "Age of the oldest of them", ["topic"])
PUBLISHER_RESTARTS = Counter(
    "tiendo_publisher_restarts_total", "Times that the connection to the broker was made anew", []
)
PUBLISHER_STOPPED = Gauge("tiendo_publisher_stopped", "1 when publishing stopped and waits for a person", [])
