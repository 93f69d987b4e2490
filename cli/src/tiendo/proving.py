"""The proof that never ends: beside `tiendo up`, every campaign's counters are compared with the records, again and
again. The aggregator remembers what was found (GET /v1/reconciliations, metrics)."""

import asyncio
import time

import httpx2

from tiendo.errors import Refused
from tiendo.instance import Instance
from tiendo.replay.reconciling import reconcile
from tiendo.replay.sending import Client
from tiendo.supervisor import Say

#: Counting takes a while of the database's time: at most one part in so many goes into it.
SHARE = 20
#: Seconds between two rounds, at least.
PAUSE = 60.0


async def keep_proving(instance: Instance, say: Say, pause: float = PAUSE) -> None:
    """Compare until cancelled; say what differs, once. It repairs nothing: that takes an order (POST /v1/rebuilds)."""
    told: dict[str, str] = {}
    trouble = ""
    async with Client.open(instance.url, instance.admin_key) as client:
        while True:
            await asyncio.sleep(pause)
            began = time.monotonic()
            try:
                for campaign in (await client.get("aggregator", "/v1/campaigns"))["campaigns"]:
                    verdict = await reconcile(client, campaign["id"], campaign["province"], lambda _: None)
                    news = "" if verdict["clean"] else f"{verdict['differing_count']:,} counters differ"
                    if news != told.get(campaign["id"], ""):
                        say(f"{campaign['id']}: {news or 'all counters equal the records again'}")
                    told[campaign["id"]] = news
                trouble = ""
            except (Refused, httpx2.HTTPError) as problem:
                # A service is away; the supervisor says so, and the next round comes.
                why = problem.detail if isinstance(problem, Refused) else str(problem)
                if why != trouble:
                    say(f"Counters not compared: {why}")
                trouble = why
            await asyncio.sleep(SHARE * (time.monotonic() - began))
