"""What the commands say that somebody will type or open next."""

import asyncio
import os
import sys
from pathlib import Path

import httpx2
import pytest

from tests.unit.replay.support import campaign
from tiendo.errors import Refused
from tiendo.folders import program
from tiendo.instance import Instance
from tiendo.replay.commands import _registered, _stay
from tiendo.replay.sending import Client


def instance(data: Path, base: int) -> Instance:
    names = ("intake", "activation", "aggregator", "notifier")
    services = {name: f"http://127.0.0.1:{base + n}" for n, name in enumerate(names)}
    return Instance(data=data, pid=os.getpid(), clock="driven", services=services, admin_key="k", postgres={})


@pytest.mark.parametrize(("base", "ports"), [(8400, ""), (8610, " --port-base 8610")])
def test_the_services_are_started_again_where_the_address_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], base: int, ports: str
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False)
    asyncio.run(_stay(instance(tmp_path / "my data", base), campaign("kon-tum-2023")))
    printed = capsys.readouterr().out
    assert f"{program()} up --data '{tmp_path / 'my data'}'{ports}\n" in printed
    assert f"http://127.0.0.1:{base + 2}/v1/campaigns/kon-tum-2023" in printed


def test_the_program_is_called_so_that_the_shell_finds_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ours = Path(sys.prefix) / "bin" / "tiendo"
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.chdir(ours.parents[2])
    assert program() == str(ours.relative_to(ours.parents[2]))
    monkeypatch.chdir(tmp_path)
    assert program() == str(ours)
    monkeypatch.setenv("PATH", str(ours.parent))
    assert program() == "tiendo"


@pytest.mark.anyio
async def test_a_campaign_that_is_not_there_yet_is_to_be_replayed(tmp_path: Path) -> None:
    def answer(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(404, json={"detail": "There is no campaign.", "remedy": "PUT /v1/campaigns/"})

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as http:
        client = Client(lambda service: f"http://{service}", "admin", http)
        with pytest.raises(Refused, match="kon-tum-2023 has not been replayed") as refused:
            await _registered(client, campaign("kon-tum-2023"), tmp_path)
    assert refused.value.remedy == f"First: {program()} replay kon-tum-2023 --data {tmp_path}"
