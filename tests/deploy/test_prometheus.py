"""deploy/prometheus: valid, about metrics that exist, and alarmed when it should be."""

import re
from typing import Any

import pytest
import yaml
from prometheus_client import Counter, Gauge, Histogram

from tests.deploy.deployment import ROOT, run, tool
from tiendo_aggregator.use_cases import reconciliation
from tiendo_common.observability import metrics

FOLDER = ROOT / "deploy" / "prometheus"


@pytest.fixture(scope="module")
def promtool() -> str:
    return tool("promtool", "apt install prometheus")


@pytest.fixture(scope="module")
def rules() -> list[dict[str, Any]]:
    groups = [
        group
        for file in sorted(FOLDER.glob("rules/*.yml"))
        for group in yaml.safe_load(file.read_text())["groups"]
    ]
    return [rule for group in groups for rule in group["rules"]]


def series() -> set[str]:
    """The names of all time series that services report."""
    found = set()
    for metric in (*vars(metrics).values(), *vars(reconciliation).values()):
        if isinstance(metric, Counter | Gauge | Histogram):
            [family] = metric.describe()
            endings = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
            found |= {family.name + ending for ending in endings[family.type]}
    return found


def test_promtool_finds_nothing(promtool: str) -> None:
    run(promtool, "check", "config", FOLDER / "prometheus.yml")
    run(promtool, "check", "rules", *sorted(FOLDER.glob("rules/*.yml")))


def test_alerts_go_off_when_they_should_and_only_then(promtool: str) -> None:
    run(promtool, "test", "rules", ROOT / "tests" / "deploy" / "alerts.yml")


def test_alerts_are_about_metrics_that_exist(rules: list[dict[str, Any]]) -> None:
    named = {name for rule in rules for name in re.findall(r"\btiendo_\w+", rule["expr"])}
    assert named <= series()


def test_what_an_operator_must_watch_has_an_alert(rules: list[dict[str, Any]]) -> None:
    named = {name for rule in rules for name in re.findall(r"\btiendo_\w+", rule["expr"])}
    assert named >= {
        "tiendo_consumer_lag_events",
        "tiendo_consumer_halted",
        "tiendo_consumer_fenced_total",
        "tiendo_dead_letters",
        "tiendo_event_age_seconds_bucket",
        "tiendo_publisher_stopped",
        "tiendo_reconciliation_differing_units",
        "tiendo_unpublished_age_seconds",
        "tiendo_unpublished_events",
    }


def test_every_alert_says_how_urgent_it_is_and_what_to_do(rules: list[dict[str, Any]]) -> None:
    for rule in rules:
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"].keys() == {"summary", "action"}
