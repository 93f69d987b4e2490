"""Wires the notifier once and runs it."""

import asyncio

from tiendo_common.clock import WallClock
from tiendo_common.eventlog.consumer import Consumer
from tiendo_common.eventlog.replica import StateReplica
from tiendo_common.events.state import CampaignPublished, TargetSet, UnitPublished
from tiendo_common.service.kit import Kit
from tiendo_common.service.runtime import Wire, serve
from tiendo_notifier.channels.mail import Mail
from tiendo_notifier.channels.vendors import Vendors
from tiendo_notifier.channels.ways import Ways
from tiendo_notifier.channels.webhooks import Webhooks
from tiendo_notifier.channels.zalo import Zalo, ZaloClient
from tiendo_notifier.consumer import ProgressProjection, ReportsProjection
from tiendo_notifier.routes.backtests import make_backtest_router
from tiendo_notifier.routes.destinations import make_destinations_router
from tiendo_notifier.routes.incidents import make_incidents_router
from tiendo_notifier.routes.policies import make_policy_router
from tiendo_notifier.routes.reminders import make_reminder_router
from tiendo_notifier.routes.silences import make_silence_router
from tiendo_notifier.settings import NotifierSettings
from tiendo_notifier.storage.reading import Lists
from tiendo_notifier.use_cases.backtest import Backtests
from tiendo_notifier.use_cases.deliver import Sender
from tiendo_notifier.use_cases.desk import Desk
from tiendo_notifier.use_cases.destinations import Destinations
from tiendo_notifier.use_cases.incidents import Incidents
from tiendo_notifier.use_cases.judge import Judge
from tiendo_notifier.use_cases.policies import Policies
from tiendo_notifier.use_cases.reference import Reference
from tiendo_notifier.use_cases.reminders import Reminders
from tiendo_notifier.use_cases.silences import Silences
from tiendo_notifier.use_cases.zalo_tokens import SharedTokens

DESCRIPTION = (
    "Judges counts against targets when a day closes, opens and closes incidents, tells whoever wants to know, "
    "and remembers every decision, also the decision not to tell."
)


def wiring(settings: NotifierSettings) -> Wire:
    """What the skeleton calls to put the notifier's parts together."""

    def wire(kit: Kit) -> None:
        reference = Reference()
        replicas = (
            StateReplica("units", UnitPublished, kit.reader("units"), reference.put_unit),
            StateReplica("campaigns", CampaignPublished, kit.reader("campaigns"), reference.put_campaign),
            StateReplica("targets", TargetSet, kit.reader("targets"), reference.put_target),
        )

        async def refresh() -> None:
            for replica in replicas:
                await replica.catch_up()

        async def follow() -> None:
            async with asyncio.TaskGroup() as following:
                for replica in replicas:
                    following.create_task(replica.run())

        def loaded() -> str | None:
            return None if all(replica.loaded for replica in replicas) else "units, campaigns and targets"

        judge = Judge(reference, refresh, kit.clock)
        # Retries and signatures follow real time, also where the campaign's clock is driven.
        webhooks = Webhooks(WallClock(), allowed=settings.webhook_allow)
        account = settings.zalo_account
        zalo_client = ZaloClient(account) if account is not None else None
        tokens = SharedTokens(kit.pool, zalo_client) if zalo_client is not None else None
        ways = Ways(
            webhooks,
            Mail(settings.mail_server),
            Zalo(zalo_client, tokens, WallClock()),
            Vendors(settings.mail_link),
        )
        lists = Lists(settings.database_url)

        async def close_lists() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await lists.close()

        kit.background.append(("lists", close_lists))
        kit.background.append(("reference", follow))
        kit.readiness.append(loaded)
        kit.add_consumer(
            Consumer(
                "progress",
                ["progress"],
                ProgressProjection(judge),
                pool=kit.pool,
                reader=kit.reader("progress"),
            )
        )
        kit.add_consumer(
            Consumer(
                "reports",
                ["declared"],
                ReportsProjection(judge),
                pool=kit.pool,
                reader=kit.reader("reports"),
            )
        )
        desk = Desk(kit.pool, reference, kit.clock, lambda: loaded() is None)
        kit.background.append(("desk", desk.run))
        kit.moved.append(desk.step)
        kit.background.append(("sender", Sender(kit.pool, ways).run))
        kit.app.include_router(make_incidents_router(lists, Incidents(kit.pool, reference, kit.clock)))
        kit.app.include_router(
            make_destinations_router(lists, Destinations(kit.pool, reference, ways, kit.clock))
        )
        kit.app.include_router(make_reminder_router(Reminders(lists, reference, kit.clock)))
        kit.app.include_router(make_silence_router(Silences(kit.pool, reference, kit.clock)))
        policies = Policies(kit.pool, reference, kit.clock)
        kit.app.include_router(make_policy_router(policies))
        kit.app.include_router(make_backtest_router(Backtests(kit.pool, reference, policies)))

    return wire


def main() -> None:
    settings = NotifierSettings.read()
    serve("notifier", settings, wiring(settings), description=DESCRIPTION)
