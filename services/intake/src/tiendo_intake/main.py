"""Wires the intake service."""

from tiendo_common.eventlog.replica import StateReplica
from tiendo_common.events.directory import Directory
from tiendo_common.events.state import CampaignPublished, UnitPublished
from tiendo_common.identity import PersonHasher
from tiendo_common.service.kit import Kit
from tiendo_common.service.runtime import serve
from tiendo_common.service.tallies import Tallies
from tiendo_intake import storage
from tiendo_intake.routes import make_router
from tiendo_intake.settings import Settings
from tiendo_intake.use_cases import IntakeDesk
from tiendo_intake.use_cases.placing import Placing

DESCRIPTION = "Dossiers and decisions on them: one record a citizen, every change an event."


def main() -> None:
    """Run the service with the settings of the environment."""
    settings = Settings.read()

    def wire(kit: Kit) -> None:
        wire_intake(kit, PersonHasher.from_file(settings.person_keys_file))

    serve("intake", settings, wire, description=DESCRIPTION)


def wire_intake(kit: Kit, hasher: PersonHasher) -> None:
    """Put the parts together."""
    directory = Directory()
    units = StateReplica("units", UnitPublished, kit.reader("units"), directory.put_unit)
    campaigns = StateReplica("campaigns", CampaignPublished, kit.reader("campaigns"), directory.put_campaign)
    kit.background += [("units", units.run), ("campaigns", campaigns.run)]
    kit.readiness.append(lambda: None if directory.complete else "the units have not been loaded")
    kit.readiness.append(lambda: None if campaigns.loaded else "the campaigns have not been loaded")
    kit.publish_log()
    kit.publish_watermarks()
    desk = IntakeDesk(kit.pool, kit.log, kit.clock, hasher, directory, kit.source)
    kit.started.append(desk.lift_hashes)
    tallies = Tallies(
        kit.service,
        kit.pool,
        directory,
        table="record",
        indicators={"intake": "true", "approved": "approved"},
        passages=storage.PASSAGES,
        topics=("intake", "approval"),
    )
    placing = Placing(kit.pool, kit.log, kit.clock, hasher, directory, kit.source)
    kit.app.include_router(make_router(kit, desk, placing, tallies))
