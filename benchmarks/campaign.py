"""The campaign that is measured with: Kon Tum's of 2023."""

import asyncio
import json
import re
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx2

from benchmarks.lines import OCCURRED_AT
from benchmarks.stack import FACTS
from tiendo.instance import Instance
from tiendo.replay.campaigns.campaign import Campaign
from tiendo.replay.campaigns.reading import find_campaign, load_campaign

CAMPAIGN = "kon-tum-2023"


def campaign() -> Campaign:
    """Its file."""
    return load_campaign(find_campaign(CAMPAIGN, FACTS), FACTS)


def same_elsewhere(province: str, days_later: int, folder: Path) -> str:
    """Write a campaign of the same counts for another province and later days; the path to replay it by."""
    text = find_campaign(CAMPAIGN, FACTS).read_text(encoding="utf-8")
    named = f"{CAMPAIGN}-in-{province}"
    text = text.replace(f'id = "{CAMPAIGN}"', f'id = "{named}"')
    text = re.sub(r'^province = "\d\d"', f'province = "{province}"', text, flags=re.MULTILINE)
    # Who led and who lagged are communes of the province that it was.
    text = re.sub(r"^\[facts\.communes\]\n.*?(?=^\[)", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"\d{4}-\d\d-\d\d", lambda day: _later(day.group(), days_later), text)
    file = folder / f"{named}.toml"
    file.write_text(text, encoding="utf-8")
    return str(file)


def _later(day: str, days: int) -> str:
    return (date.fromisoformat(day) + timedelta(days)).isoformat()


async def replay_whole(data: Path, name: str = CAMPAIGN) -> Any:
    """Send all of a campaign, by its id or file, to the instance on a folder; what the replay says of itself. Raises
    RuntimeError."""
    return await _command("replay", data, name)


async def prove(data: Path, name: str) -> Any:
    """Compare every counter of a campaign with the records; the verdict. Raises RuntimeError if any differs."""
    return await _command("reconcile", data, name)


async def _command(command: str, data: Path, name: str) -> Any:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tiendo", command, name, "--data", str(data), "--json",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    out, said = await process.communicate()
    if process.returncode:
        raise RuntimeError(
            f"{command} {name} ended with status {process.returncode}: {said.decode()[-2000:]}"
        )
    return json.loads(out)


async def register(instance: Instance, subject: Campaign) -> None:
    """Make the campaign known; a driven clock is moved into it."""
    async with httpx2.AsyncClient(headers=instance.headers) as http:
        if instance.clock == "driven":
            for service in instance.services:
                answer = await http.post(f"{instance.url(service)}/v1/clock", json={"now": OCCURRED_AT})
                answer.raise_for_status()
        answer = await http.put(
            f"{instance.url('aggregator')}/v1/campaigns/{subject.id}", json=subject.document({})
        )
        answer.raise_for_status()
    await asyncio.sleep(1)  # intake hears of the campaign
