"""Wires the activation service."""

from tiendo_activation import storage
from tiendo_activation.consumer import DossierProjection
from tiendo_activation.routes import make_router
from tiendo_activation.settings import Settings
from tiendo_activation.use_cases import Accounts
from tiendo_common.eventlog.consumer import Consumer
from tiendo_common.eventlog.replica import StateReplica
from tiendo_common.events.directory import Directory
from tiendo_common.events.state import CampaignPublished, UnitPublished
from tiendo_common.identity import PersonHasher
from tiendo_common.service.kit import Kit
from tiendo_common.service.runtime import serve
from tiendo_common.service.tallies import Tallies

DESCRIPTION = "Accounts switched on and off, attempts that failed, and why."


def main() -> None:
    """Run the service with the settings of the environment."""
    settings = Settings.read()

    def wire(kit: Kit) -> None:
        wire_activation(kit, PersonHasher.from_file(settings.person_keys_file))

    serve("activation", settings, wire, description=DESCRIPTION)


def wire_activation(kit: Kit, hasher: PersonHasher) -> None:
    """Put the parts together."""
    directory = Directory()
    units = StateReplica("units", UnitPublished, kit.reader("units"), directory.put_unit)
    campaigns = StateReplica("campaigns", CampaignPublished, kit.reader("campaigns"), directory.put_campaign)
    kit.background += [("units", units.run), ("campaigns", campaigns.run)]
    kit.readiness.append(lambda: None if directory.complete else "the units have not been loaded")
    kit.readiness.append(lambda: None if campaigns.loaded else "the campaigns have not been loaded")
    accounts = Accounts(kit.pool, kit.log, kit.clock, hasher, directory, kit.source)
    kit.started.append(accounts.lift_hashes)
    # Small batches: the accounts that a batch locks are what a request about one of them waits for.
    dossiers = Consumer(
        "dossiers",
        ["dossier"],
        DossierProjection(accounts),
        pool=kit.pool,
        reader=kit.reader("dossiers"),
        batch_size=2000,
        linger=0.02,
    )
    kit.add_consumer(dossiers)
    # An account is complete only as far as the dossiers are that it follows.
    kit.publish_log()
    kit.publish_watermarks(limit=lambda: dossiers.complete_to)
    tallies = Tallies(
        kit.service,
        kit.pool,
        directory,
        table="account",
        indicators={"activated": "true"},
        passages=storage.PASSAGES,
        topics=("activation",),
    )
    kit.app.include_router(make_router(kit, accounts, tallies))
