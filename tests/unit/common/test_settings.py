"""Settings from the environment and from files, and what is said of those that cannot be used."""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from tiendo_common.eventlog.kafka.connection import BadBrokerSettings
from tiendo_common.service.settings import BrokerSettings, ServiceSettings

SERVICES = ("intake", "activation", "aggregator", "notifier")


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the developer's shell has set is none of these tests' business."""
    for name in [name for name in os.environ if name.startswith("TIENDO_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of secrets; everything else that a service needs is in the environment."""
    keys = tmp_path / "api-keys.json"
    keys.write_text('{"keys": []}')
    monkeypatch.setenv("TIENDO_PORT", "8080")
    monkeypatch.setenv("TIENDO_API_KEYS_FILE", str(keys))
    folder = tmp_path / "secrets"
    folder.mkdir()
    monkeypatch.setenv("TIENDO_SECRETS_DIR", str(folder))
    return folder


def refused(kind: type[BrokerSettings] = ServiceSettings) -> str:
    with pytest.raises(SystemExit) as exit_:
        kind.read()
    assert isinstance(exit_.value.code, str)  # Python prints it and exits with 1
    return exit_.value.code


def test_a_secret_may_be_a_file_of_the_settings_name(secrets: Path) -> None:
    (secrets / "tiendo_database_url").write_text("postgresql://from-the-file\n")
    assert ServiceSettings.read().database_url == "postgresql://from-the-file"


def test_a_secret_may_be_a_link_as_kubernetes_mounts_it(secrets: Path) -> None:
    (secrets / "..2026").mkdir()
    (secrets / "..2026" / "tiendo_database_url").write_text("postgresql://from-the-link")
    (secrets / "..data").symlink_to("..2026")
    (secrets / "tiendo_database_url").symlink_to("..data/tiendo_database_url")
    assert ServiceSettings.read().database_url == "postgresql://from-the-link"


def test_the_environment_goes_before_the_file(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (secrets / "tiendo_database_url").write_text("postgresql://from-the-file")
    monkeypatch.setenv("TIENDO_DATABASE_URL", "postgresql://from-the-environment")
    assert ServiceSettings.read().database_url == "postgresql://from-the-environment"


def test_a_folder_of_secrets_that_was_not_mounted_is_named(secrets: Path) -> None:
    secrets.rmdir()
    said = refused()
    assert f"TIENDO_SECRETS_DIR: {secrets} is no folder" in said
    assert "TIENDO_DATABASE_URL: Field required" in said


def test_a_file_that_was_not_mounted_is_named_with_its_setting(
    secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIENDO_DATABASE_URL", "postgresql://x")
    monkeypatch.setenv("TIENDO_API_KEYS_FILE", "/run/secrets/none.json")
    assert "TIENDO_API_KEYS_FILE: /run/secrets/none.json is not there" in refused()


def test_what_is_wrong_is_said_without_its_value(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIENDO_DATABASE_URL", "postgresql://x")
    monkeypatch.setenv("TIENDO_PORT", "s3cret")
    said = refused()
    assert "TIENDO_PORT" in said
    assert "s3cret" not in said


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kafka_security": "SASL_SSL"}, "needs kafka_username and kafka_password_file"),
        ({"kafka_security": "SASL_PLAINTEXT", "kafka_username": "intake"}, "needs kafka_username and"),
        ({"kafka_username": "intake"}, "takes no username or password"),
        ({"kafka_ca_file": "/etc/hosts"}, "takes no certificates"),
        ({"kafka_security": "SSL", "kafka_key_file": "/etc/hosts"}, "go together"),
        ({"kafka_security": "SSL", "kafka_ca_file": "/etc/hosts"}, "cannot be used"),
    ],
)
def test_settings_of_the_broker_that_contradict_each_other_are_refused(
    settings: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"log": "kafka://127.0.0.1:9092", **settings}.items():
        monkeypatch.setenv(f"TIENDO_{name.upper()}", value)
    with pytest.raises(BadBrokerSettings, match=said):
        BrokerSettings().broker()
    assert said in refused(BrokerSettings)


def test_a_log_that_is_neither_postgres_nor_kafka_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIENDO_LOG", "rabbitmq://here")
    assert "TIENDO_LOG" in refused(BrokerSettings)


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_ends_with_what_it_lacks(service: str) -> None:
    with pytest.raises(SystemExit, match=f"^tiendo_{service} cannot start") as ended:
        import_module(f"tiendo_{service}.main").main()
    assert "TIENDO_DATABASE_URL: Field required" in str(ended.value)


def test_a_service_without_settings_says_so_and_nothing_else() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tiendo_intake"], capture_output=True, text=True, env={}, check=False
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.splitlines() == [
        "tiendo_intake cannot start with the settings it was given:",
        "  TIENDO_PORT: Field required",
        "  TIENDO_DATABASE_URL: Field required",
        "  TIENDO_API_KEYS_FILE: Field required",
        "  TIENDO_PERSON_KEYS_FILE: Field required",
    ]
