"""Keys that are bound to units: what is theirs they look after themselves, what is not is refused by name."""

from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from tests.support.notifier import (
    CAMPAIGN,
    SIBLING,
    UNIT,
    Endpoint,
    Notifier,
    at,
    day_of,
    eventually,
    progress,
    target,
    unit,
)

pytestmark = pytest.mark.anyio

ELSEWHERE = "611"
#: A webhook, a limit, a silence, as short as they can be.
LIMITS = {"thresholds": {"quota_percent": 90}, "reason": "a test"}
SILENCE = {"until": at(day_of(5)).isoformat(), "reason": "a test"}


@dataclass
class Caller:
    """Somebody with a key."""

    notifier: Notifier
    key: str

    async def __call__(self, method: str, path: str, document: Any = None, **query: str) -> httpx2.Response:
        return await self.notifier.http.request(
            method,
            f"/v1/{path}",
            json=document,
            params=query,
            headers={"authorization": f"Bearer {self.key}"},
        )

    async def refused(self, field: str, method: str, path: str, document: Any = None, **query: str) -> str:
        """What a refusal says that names this field."""
        answer = await self(method, path, document, **query)
        said = answer.json()
        assert (answer.status_code, said["field"], said["type"]) == (
            403, field, "urn:tiendo:problem:out-of-bounds",
        ), answer.text  # fmt: skip
        assert "or use a key of the unit" in said["remedy"]
        return str(said["detail"])

    async def accepted(self, method: str, path: str, document: Any = None, **query: str) -> Any:
        """The document that is answered."""
        answer = await self(method, path, document, **query)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None


@pytest.fixture
async def world(notifier: Notifier, receiver: Endpoint) -> Notifier:
    """The tree with another district and its commune, one incident in each district, destinations of all."""
    await notifier.aggregator.publish(
        unit(ELSEWHERE, "62", "district", "Huyện Đăk Tô"), unit("23434", ELSEWHERE, "commune", "Xã Văn Lem"),
        target(), target("23434"),
    )  # fmt: skip

    async def known() -> bool:
        answer = await notifier.http.get(f"/v1/policies/{CAMPAIGN}", params={"unit": "23434"})
        return answer.status_code == 200

    await eventually(known)
    for name, more in (
        ("everything", {}),
        ("ours", {"units": ["610"]}),
        ("ours-and-theirs", {"units": [SIBLING, ELSEWHERE]}),
        ("theirs", {"units": [ELSEWHERE]}),
    ):
        await notifier.put_destination(name, receiver.url, **more)
    await notifier.move_clock(at(day_of(1)))
    await notifier.aggregator.publish(progress(day_of(1), 0), progress(day_of(1), 0, code="23434"))
    await notifier.consumed()
    return notifier


async def incident_of(notifier: Notifier, code: str) -> str:
    (incident,) = (await notifier.get("incidents", unit=code))["incidents"]
    return str(incident["id"])


async def silence(notifier: Notifier, unit: str | None) -> str:
    answer = await notifier.http.post("/v1/silences", json=SILENCE | ({"unit": unit} if unit else {}))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def test_a_district_looks_after_its_own_destinations(world: Notifier, receiver: Endpoint) -> None:
    district = Caller(world, "district")
    for name, units in (("communes", [UNIT, SIBLING]), ("ours", ["610"])):
        await district.accepted("PUT", f"destinations/{name}", {"url": receiver.url, "units": units})
        await district.accepted("POST", f"destinations/{name}/secret", {"keep_hours": 1})
        await district.accepted("POST", f"destinations/{name}/ping")
    listed = (await district.accepted("GET", "destinations"))["destinations"]
    assert [each["name"] for each in listed] == ["communes", "ours"]
    await world.settled()
    log = (await district.accepted("GET", "deliveries"))["deliveries"]
    assert {each["destination"] for each in log} == {"communes", "ours"}
    assert not (await district.accepted("GET", "deliveries", destination="theirs"))["deliveries"]
    for delivery in log:  # two pings, and news of the commune
        await district.accepted("POST", f"deliveries/{delivery['id']}/redelivery")
    assert len(log) == 3
    await district.accepted("DELETE", "destinations/communes")


async def test_a_district_is_refused_what_tells_of_others(world: Notifier, receiver: Endpoint) -> None:
    district = Caller(world, "district")
    for units in (None, ["62"], [ELSEWHERE], ["610", "23434"]):
        wanted = {"url": receiver.url} | ({"units": units} if units else {})
        said = await district.refused("units", "PUT", "destinations/mine", wanted)
    assert (
        said
        == "The key 'district' is bound to the units 610, and 23434 is neither one of these nor below one."
    )
    wanted = {"url": receiver.url, "units": ["610"]}
    for name in ("everything", "ours-and-theirs", "theirs"):
        # Nor can its name be taken over.
        await district.refused("name", "PUT", f"destinations/{name}", wanted)
        await district.refused("name", "GET", f"destinations/{name}")
        await district.refused("name", "DELETE", f"destinations/{name}")
        await district.refused("name", "POST", f"destinations/{name}/secret", {})
        await district.refused("name", "POST", f"destinations/{name}/ping")
    await district.refused("name", "GET", "destinations/log")
    await world.settled()
    for delivery in (await world.get("deliveries", destination="theirs"))["deliveries"]:
        await district.refused("name", "POST", f"deliveries/{delivery['id']}/redelivery")
    assert {each["url"] for each in (await world.get("destinations"))["destinations"]} == {
        "log:", receiver.url,
    }  # fmt: skip


async def test_who_takes_over_a_name_is_not_sent_what_it_told_before(
    world: Notifier, receiver: Endpoint
) -> None:
    district = Caller(world, "district")
    await world.settled()
    await world.http.delete("/v1/destinations/everything")
    await district.accepted("PUT", "destinations/everything", {"url": receiver.url, "units": ["610"]})
    resent = []
    for delivery in (await world.get("deliveries", destination="everything"))["deliveries"]:
        answer = await district("POST", f"deliveries/{delivery['id']}/redelivery")
        resent.append((answer.status_code, answer.json().get("field")))
    assert sorted(resent) == [(202, None), (403, "id")]


async def test_a_digest_is_sent_again_by_whoever_may_hear_all_of_it(
    world: Notifier, receiver: Endpoint
) -> None:
    district, province = Caller(world, "district"), Caller(world, "province")
    await world.put_destination("digest", receiver.url, units=["62"], digest=True)
    for number, done, elsewhere in ((2, 0, 120), (3, 120, 120)):  # first they are well again, then ours
        await world.move_clock(at(day_of(number)))
        await world.aggregator.publish(
            progress(day_of(number), done), progress(day_of(number), elsewhere, code="23434")
        )
        await world.consumed()
    await world.move_clock(at(day_of(4), 8))
    await world.settled()
    ours, theirs = (await world.get("deliveries", destination="digest"))["deliveries"]
    # The same destination, from now on about the district only.
    await province.accepted("PUT", "destinations/digest", {"url": receiver.url, "units": ["610"]})
    await district.accepted("POST", f"deliveries/{ours['id']}/redelivery")
    await district.refused("id", "POST", f"deliveries/{theirs['id']}/redelivery")
    await province.accepted("POST", f"deliveries/{theirs['id']}/redelivery")


async def test_thresholds_silences_and_acknowledgements_are_within_bounds(world: Notifier) -> None:
    district, commune = Caller(world, "district"), Caller(world, "commune")
    for code in ("610", UNIT):
        await district.accepted("PUT", f"policies/{CAMPAIGN}", LIMITS, unit=code)
        made = await district.accepted("POST", "silences", SILENCE | {"unit": code})
        await district.accepted("DELETE", f"silences/{made['id']}")
    said = await district.refused("unit", "PUT", f"policies/{CAMPAIGN}", LIMITS)
    assert said.endswith("and this is about all units.")
    await district.refused("unit", "POST", "silences", SILENCE)
    for code in ("62", ELSEWHERE, "23434"):
        await district.refused("unit", "PUT", f"policies/{CAMPAIGN}", LIMITS, unit=code)
        await district.refused("unit", "POST", "silences", SILENCE | {"unit": code})
        await district.refused("id", "DELETE", f"silences/{await silence(world, code)}")
    await district.refused("id", "DELETE", f"silences/{await silence(world, None)}")
    await commune.refused("id", "DELETE", f"silences/{await silence(world, '610')}")
    theirs = await incident_of(world, "23434")
    await district.refused("id", "POST", f"incidents/{theirs}/acknowledgement", {})
    assert (await world.get(f"incidents/{theirs}"))["acknowledged"] is None
    taken = await district.accepted("POST", f"incidents/{await incident_of(world, UNIT)}/acknowledgement", {})
    assert taken["acknowledged"]["author"] == "district"
    # Who set it is on record, and what others do is no secret.
    versions = (await district.accepted("GET", f"policies/{CAMPAIGN}/versions"))["versions"]
    assert {each["author"] for each in versions if each["unit"]} == {"district"}
    assert (await district.accepted("GET", "incidents", unit="23434"))["incidents"]
    assert (await district.accepted("GET", "decisions", unit="23434"))["decisions"]
    assert len((await district.accepted("GET", "silences"))["silences"]) == 5


async def test_below_is_what_the_days_tree_says(world: Notifier, receiver: Endpoint) -> None:
    """A commune that passes to another district passes from one key's bounds to another's; one that is merged away
    belongs to its own key only, to clean up after itself."""
    district, commune = Caller(world, "district"), Caller(world, "commune")
    for code in (UNIT, SIBLING):
        await district.accepted("PUT", f"destinations/{code}", {"url": receiver.url, "units": [code]})
    until = day_of(2)
    await world.aggregator.publish(
        unit(UNIT, "610", "commune", "Xã Đăk Môn", until=until), unit(SIBLING, ELSEWHERE, "commune", "Xã Xốp")
    )

    async def passed_on() -> bool:
        return (await district("POST", f"destinations/{SIBLING}/ping")).status_code == 403

    await eventually(passed_on)
    await district.accepted("POST", f"destinations/{UNIT}/ping")  # as long as it is on the tree
    await world.move_clock(at(until, 8))
    await district.refused("name", "DELETE", f"destinations/{UNIT}")
    await district.refused("units", "PUT", "destinations/more", {"url": receiver.url, "units": [UNIT]})
    await commune.accepted("DELETE", f"destinations/{UNIT}")


async def test_every_route_that_changes_anything_asks_whose_unit_it_is(
    world: Notifier, receiver: Endpoint
) -> None:
    """What a key of a unit that is on no tree may change: nothing. A new route is to be added here."""
    stranger = Caller(world, "stranger")
    incident, quiet = await incident_of(world, UNIT), await silence(world, "610")
    await world.settled()
    (delivery,) = (await world.get("deliveries", destination="ours"))["deliveries"]
    tried = {
        ("POST", "incidents/{identifier}/acknowledgement"): (f"incidents/{incident}/acknowledgement", {}),
        ("PUT", "destinations/{name}"): ("destinations/new", {"url": receiver.url, "units": ["610"]}),
        ("DELETE", "destinations/{name}"): ("destinations/ours", None),
        ("POST", "destinations/{name}/secret"): ("destinations/ours/secret", {}),
        ("POST", "destinations/{name}/ping"): ("destinations/ours/ping", None),
        ("POST", "deliveries/{identifier}/redelivery"): (f"deliveries/{delivery['id']}/redelivery", None),
        ("POST", "silences"): ("silences", SILENCE | {"unit": "610"}),
        ("DELETE", "silences/{identifier}"): (f"silences/{quiet}", None),
        ("PUT", "policies/{campaign}"): (f"policies/{CAMPAIGN}?unit=610", LIMITS),
    }
    for (method, _), (path, document) in tried.items():
        answer = await stranger(method, path, document)
        assert (answer.status_code, answer.json()["title"]) == (403, "The API key is bound to other units"), (
            path
        )
    there = {
        (method.upper(), path.removeprefix("/v1/"))
        for path, methods in world.app.openapi()["paths"].items()
        for method in methods
        if method != "get"
    }
    # A back-test stores nothing; the others are for admins, whose keys are never bound.
    assert there - tried.keys() == {
        ("POST", "backtests"),
        ("POST", "clock"),
        ("POST", "dead-letters/discard"),
        ("POST", "dead-letters/replay"),
        ("POST", "dead-letters/{number}/discard"),
        ("POST", "dead-letters/{number}/replay"),
    }
