"""Deliver what was decided: claim, commit, send, settle. No transaction is open while the network is waited for."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Mapping
from typing import cast

import asyncpg
import prometheus_client
import structlog

from tiendo_common.database.pool import PASSING_FAULTS
from tiendo_notifier.channels.ways import Ways
from tiendo_notifier.rules.letters import Language
from tiendo_notifier.rules.tries import Answer, pauses, verdict
from tiendo_notifier.storage import deliveries
from tiendo_notifier.storage.deliveries import Claimed

log = structlog.get_logger(__name__)

TRIES = prometheus_client.Counter(
    "tiendo_notifier_tries_total", "Tries to deliver, by what followed", ["verdict"]
)


class Sender:
    """Works off the queue until cancelled.

    Every notice reaches its destination at least once, under one id: whoever dies between the sending and
    the settling sends again. The notices of one incident arrive in order; those of different ones need not.
    """

    #: Tries under way at once: to one destination, and to all.
    LANES = 4
    MOST = 384
    #: Seconds between looks at an idle queue.
    POLL = 0.1
    #: Seconds until a claim that was not settled is free again, by what its URL begins with: longer than a try takes.
    CLAIMS: Mapping[str, float] = {scheme: 2 * seconds for scheme, seconds in Ways.TIMEOUTS.items()}

    def __init__(self, pool: asyncpg.Pool, ways: Ways) -> None:
        self._pool = pool
        self._ways = ways
        self._busy: Counter[str] = Counter()
        self._freed = asyncio.Event()

    async def run(self) -> None:
        async with self._ways, asyncio.TaskGroup() as tries:
            while True:
                self._freed.clear()
                try:
                    claimed = await deliveries.claim(
                        self._pool,
                        self._busy,
                        lanes=self.LANES,
                        most=self.MOST - self._busy.total(),
                        seconds=self.CLAIMS,
                    )
                except PASSING_FAULTS as error:
                    log.warning("queue not readable", reason=str(error))
                    await asyncio.sleep(1)
                    continue
                for each in claimed:
                    self._busy[each.destination] += 1
                    tries.create_task(self._deliver(each))
                if not claimed:
                    # Not `wait_for`: on Python 3.11 it forgets a cancellation that comes as a lane becomes free.
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(self.POLL):
                            await self._freed.wait()

    async def _deliver(self, claimed: Claimed) -> None:
        try:
            answer = await self._send(claimed)
            await self._settle(claimed, answer)
        except PASSING_FAULTS as error:
            # The claim runs out, and it is sent again under the same id.
            log.warning("outcome not recorded", delivery=claimed.id, reason=str(error))
        finally:
            self._busy[claimed.destination] -= 1
            self._freed.set()

    async def _send(self, claimed: Claimed) -> Answer:
        try:
            secrets = [claimed.secret, *([claimed.old_secret] if claimed.old_secret else [])]
            language = cast("Language | None", claimed.language)
            return await self._ways.send(claimed.url, secrets, language, claimed.message_id, claimed.notice)
        except Exception as error:
            # A fault of ours with one notice must not end the others: it counts as a try, and is seen.
            log.exception("sending failed unexpectedly", delivery=claimed.id)
            return Answer(error=f"unexpected: {error!r}")

    async def _settle(self, claimed: Claimed, answer: Answer) -> None:
        result = verdict(answer, claimed.attempt, random.random())
        TRIES.labels(result.state).inc()
        reason = result.reason or ""
        if result.state == "delivered":
            await deliveries.delivered(self._pool, claimed, answer.status)
            return
        log.info(
            "not delivered", delivery=claimed.id, destination=claimed.destination, attempt=claimed.attempt,
            verdict=result.state, reason=reason,
        )  # fmt: skip
        if result.state == "again":
            await deliveries.again(self._pool, claimed, answer.status, reason, result.wait, pauses(answer))
        elif result.state == "gone":
            await deliveries.gone(self._pool, claimed, answer.status, reason)
        else:
            await deliveries.failed(self._pool, claimed, answer.status, reason)
