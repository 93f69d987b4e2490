"""Zalo template messages, against a double that behaves as the documentation says."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.notifier import UNIT, Aggregator, Endpoint, Notifier, eventually, running, target
from tests.support.postgres import Database
from tests.support.zalo import FIRST, SECRET, ZaloDouble, zalo
from tiendo_notifier.channels.zalo import NoToken, ZaloClient
from tiendo_notifier.settings import NotifierSettings
from tiendo_notifier.use_cases.zalo_tokens import SharedTokens

pytestmark = pytest.mark.anyio

PHONE = "84912345678"
TO = f"zalo:{PHONE}"


@pytest.fixture
def double() -> Iterator[ZaloDouble]:
    with zalo() as double:
        double.accounts.add(PHONE)
        yield double


@pytest.fixture
async def notifier(
    database: Database, keys_file: Path, aggregator: Aggregator, double: ZaloDouble
) -> AsyncIterator[Notifier]:
    async with running(database, keys_file, aggregator, **double.settings()) as notifier:
        yield notifier


async def put(notifier: Notifier, url: str = TO, name: str = "chief", **more: Any) -> Any:
    return await notifier.http.put(f"/v1/destinations/{name}", json={"url": url, **more})


async def ping(notifier: Notifier, name: str = "chief") -> Any:
    await notifier.http.post(f"/v1/destinations/{name}/ping")

    async def tried() -> bool:
        [newest, *_] = (await notifier.get("deliveries", destination=name))["deliveries"]
        return newest["status"] is not None or newest["error"] is not None

    await eventually(tried)
    return (await notifier.get("deliveries", destination=name))["deliveries"][0]


async def test_a_chief_is_told_in_the_words_of_the_template_and_once_it_is_over(
    notifier: Notifier, double: ZaloDouble, capfd: pytest.CaptureFixture[str]
) -> None:
    made = await put(notifier)
    assert (made.status_code, made.json()["secret"]) == (201, None)
    await notifier.aggregator.publish(target())
    await notifier.close_day(1, 0)
    await notifier.close_day(2, 300)
    resolved, opened = await notifier.settled()
    assert [opened["status"], resolved["status"]] == [200, 200]
    first, second = double.taken
    incident = (await notifier.get("incidents", unit=UNIT))["incidents"][0]["id"]
    assert (first["phone"], first["tracking_id"]) == (PHONE, opened["message_id"])
    assert first["template_data"] == {
        "trang_thai": "Mới",
        "don_vi": "Xã Đăk Môn, Huyện Đăk Glei",
        "chi_tieu": "kích hoạt (Kon Tum, 50 ngày đêm)",
        "tinh_hinh": "Xã Đăk Môn, Huyện Đăk Glei chưa đạt chỉ tiêu kích hoạt ngày 11/11/2023: 0/100, thiếu 100.",
        "can_them": "Từ nay cần 100 mỗi ngày trong 49 ngày còn lại để đạt 5.000.",
        "phu_trach": "Chịu trách nhiệm: Xã Đăk Môn, Huyện Đăk Glei; cấp trên: Huyện Đăk Glei.",
        "viec_can_lam": "Việc cần làm: hỏi vướng mắc trong ngày và chia lại chỉ tiêu ngày mai.",
        "thoi_gian": "21:00 11/11/2023",
        "lien_ket": f"v1/incidents/{incident}",
    }
    assert second["template_data"]["trang_thai"] == "Đã khắc phục"
    assert double.refreshes == 1
    written = capfd.readouterr()
    metrics = (await notifier.http.get("/metrics")).text
    for secret in (PHONE, SECRET, FIRST, "refresh-1", "access-1"):
        assert secret not in written.out + written.err + metrics


async def test_an_error_inside_a_200_decides_what_follows(notifier: Notifier, double: ZaloDouble) -> None:
    await put(notifier)
    double.answers.append(-1122)
    delivery = await ping(notifier)
    assert (delivery["state"], delivery["attempts"], delivery["status"]) == ("failed", 1, -1122)
    double.answers.append(-100)
    delivery = await ping(notifier)
    assert (delivery["state"], delivery["status"]) == ("pending", -100)
    await notifier.settled()
    assert len(double.taken) == 1, "it was tried again"
    double.quota = 1
    delivery = await ping(notifier)
    assert (delivery["state"], delivery["status"]) == ("pending", -144)
    assert delivery["error"] == "Zalo -144: OA daily quota exceeded"
    assert (await notifier.get("destinations/chief"))["paused_until"] == delivery["due"], "until tomorrow"


async def test_a_number_without_an_account_is_left_alone_until_somebody_puts_it_again(
    notifier: Notifier, double: ZaloDouble
) -> None:
    double.accounts.clear()
    await put(notifier)
    delivery = await ping(notifier)
    assert (delivery["state"], delivery["status"]) == ("failed", -118)
    assert (await notifier.get("destinations/chief"))["disabled"] == "Zalo -118: Zalo account not existed"
    double.accounts.add(PHONE)
    assert (await put(notifier)).status_code == 200
    assert (await ping(notifier))["state"] == "delivered"


async def test_too_many_at_once_and_a_gateway_that_is_none_are_waited_for(
    notifier: Notifier, double: ZaloDouble
) -> None:
    await put(notifier)
    double.answers += [(429, {"retry-after": "1"}, ""), (200, {}, "<html>"), (200, {}, "[1]")]
    delivery = await ping(notifier)
    assert (delivery["state"], delivery["status"]) == ("pending", 429)

    async def came_again() -> bool:
        [delivery] = (await notifier.get("deliveries", destination="chief"))["deliveries"]
        return bool(delivery["error"] == "HTTP 200 without a code of Zalo's")

    await eventually(came_again)


async def test_an_access_token_that_ended_is_replaced_and_its_successor_outlives_a_restart(
    database: Database, keys_file: Path, aggregator: Aggregator, double: ZaloDouble
) -> None:
    """The refresh token that was set is used up by then: only the one that was kept is good."""
    async with running(database, keys_file, aggregator, **double.settings()) as notifier:
        await put(notifier)
        assert (await ping(notifier))["state"] == "delivered"
    double.access = "another replica's"
    async with running(database, keys_file, aggregator, **double.settings()) as notifier:
        await notifier.pool.execute("UPDATE zalo_token SET asked_at = asked_at - interval '1 hour'")
        delivery = await ping(notifier)
        assert (delivery["state"], delivery["attempts"]) == ("delivered", 1)
    assert double.refreshes == 2


async def test_replicas_use_a_refresh_token_once(notifier: Notifier, double: ZaloDouble) -> None:
    account = NotifierSettings(
        port=1, database_url="x", api_keys_file=Path("x"), **double.settings()
    ).zalo_account
    assert account is not None
    double.slowness = 0.5
    async with ZaloClient(account) as one, ZaloClient(account) as other:
        replicas = [SharedTokens(notifier.pool, client) for client in (one, other)]
        got = await asyncio.gather(*(replica.get() for replica in replicas for _ in range(3)))
        assert (set(got), double.refreshes) == ({"access-1"}, 1)
        with pytest.raises(NoToken, match="refuses the access token that it gave"):
            await replicas[0].get(refused="access-1")
        assert double.refreshes == 1, "one that is refused at once is not replaced again and again"


async def test_a_used_up_refresh_token_is_said_and_one_that_is_set_anew_is_begun_with(
    database: Database, keys_file: Path, aggregator: Aggregator, double: ZaloDouble
) -> None:
    double.refresh = "used elsewhere"
    async with running(database, keys_file, aggregator, **double.settings()) as notifier:
        await put(notifier)
        delivery = await ping(notifier)
        assert delivery["state"] == "pending"
        assert "set TIENDO_ZALO_REFRESH_TOKEN" in delivery["error"]
        assert FIRST not in delivery["error"]
    settings = double.settings(zalo_refresh_token="used elsewhere")
    async with running(database, keys_file, aggregator, **settings) as notifier:
        await notifier.settled()
    assert len(double.taken) == 1


async def test_what_cannot_be_sent_to_is_refused_and_no_number_is_repeated(
    notifier: Notifier, receiver: Endpoint
) -> None:
    for url, more, field in (
        ("zalo:0912345678", {}, "url"),
        ("zalo:+84912345678", {}, "url"),
        ("zalo:84212345678", {}, "url"),
        (f"zalo:{PHONE}\n", {}, "url"),
        (TO, {"language": "en"}, "language"),
        (TO, {"secret": "whsec_" + "c" * 44}, "secret"),
    ):
        answer = await put(notifier, url, **more)
        assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text
        assert "912345678" not in answer.text
    assert (await put(notifier, receiver.url)).status_code == 201


async def test_without_an_account_no_destination_is_a_number(
    database: Database, keys_file: Path, aggregator: Aggregator
) -> None:
    async with running(database, keys_file, aggregator) as notifier:
        answer = await put(notifier)
    assert (answer.status_code, answer.json()["field"]) == (422, "url")
    assert "TIENDO_ZALO_TEMPLATE" in answer.json()["remedy"]


def test_settings_that_go_together_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "keys").write_text("{}")
    monkeypatch.setenv("TIENDO_ZALO_APP_ID", "1")
    with pytest.raises(SystemExit, match="TIENDO_ZALO_TEMPLATE go together"):
        NotifierSettings.read(port=1, database_url="postgresql://x", api_keys_file=tmp_path / "keys")
