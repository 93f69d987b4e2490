"""Wires the aggregator."""

from tiendo_aggregator.consumer import TOPICS, Counters
from tiendo_aggregator.routes import MAX_PLAN, make_router
from tiendo_aggregator.routes.assignments import make_assignments_router
from tiendo_aggregator.routes.contests import make_contests_router
from tiendo_aggregator.routes.declared import make_declared_router
from tiendo_aggregator.routes.exemptions import make_exemptions_router
from tiendo_aggregator.routes.funnel import make_funnel_router
from tiendo_aggregator.routes.measures import make_measures_router
from tiendo_aggregator.routes.ministry import make_ministry_router
from tiendo_aggregator.routes.pace import make_pace_router
from tiendo_aggregator.routes.proof import make_proof_router
from tiendo_aggregator.routes.rechecks import make_rechecks_router
from tiendo_aggregator.routes.units import MAX_UNITS_BODY, make_units_router
from tiendo_aggregator.rules.detail import FOLDS
from tiendo_aggregator.settings import Settings
from tiendo_aggregator.storage.plan import PlanDatabase
from tiendo_aggregator.use_cases.assignments import Assignments
from tiendo_aggregator.use_cases.contests import Contests
from tiendo_aggregator.use_cases.declared import Declarations
from tiendo_aggregator.use_cases.detail import settle_detail
from tiendo_aggregator.use_cases.exemptions import Exemptions
from tiendo_aggregator.use_cases.forecast import Forecasts
from tiendo_aggregator.use_cases.funnel import Funnels
from tiendo_aggregator.use_cases.measures import Measures
from tiendo_aggregator.use_cases.ministry import Ministry
from tiendo_aggregator.use_cases.origin import Origin
from tiendo_aggregator.use_cases.pace import Paces
from tiendo_aggregator.use_cases.plan import Plans
from tiendo_aggregator.use_cases.progress import Progress
from tiendo_aggregator.use_cases.publishing import ProgressPublisher
from tiendo_aggregator.use_cases.rebuild import Rebuild
from tiendo_aggregator.use_cases.rechecks import Rechecks
from tiendo_aggregator.use_cases.reconciliation import Reconciliation
from tiendo_aggregator.use_cases.remaining import Remainders
from tiendo_aggregator.use_cases.reorganisation import UnitChanges
from tiendo_aggregator.use_cases.revisions import Revisions
from tiendo_aggregator.use_cases.scope import Scopes
from tiendo_aggregator.use_cases.side_by_side import SideBySide
from tiendo_aggregator.use_cases.units import Units
from tiendo_common.eventlog.consumer import Consumer
from tiendo_common.service.kit import Kit
from tiendo_common.service.runtime import serve

DESCRIPTION = (
    "Counts citizens by unit, day, indicator and level from what intake and activation publish; keeps "
    "campaigns, their targets and the tree of units; says where each unit stands and proves its counters."
)


def wire(kit: Kit) -> None:
    """Put the parts together and hand them to the skeleton."""
    settings = kit.settings
    assert isinstance(settings, Settings)
    fold = FOLDS[settings.counts]
    # Catching up, many events are written at once: the more there are, the fewer rows each of them needs.
    counters = Consumer(
        "counting",
        TOPICS,
        Counters(fold),
        pool=kit.pool,
        reader=kit.reader("counting"),
        batch_size=12_000,
        linger=0.03,
        gather=72_000,
        weigh=lambda folded: folded.rows,
        heavy=24_000,
    )

    origin = Origin(kit.source, kit.clock)
    database = PlanDatabase(settings.database_url)
    units = Units(kit.pool, kit.log, origin, settings.data_facts)
    plans = Plans(database, kit.log, origin, units, fold)
    scopes = Scopes(kit.pool, plans, units, kit.clock, lambda: counters.complete_to)
    progress = Progress(kit.pool, scopes)
    revisions = Revisions(kit.pool, scopes)
    paces = Paces(kit.pool, scopes)
    forecasts = Forecasts(kit.pool, scopes)
    side_by_side = SideBySide(kit.pool, plans, scopes, kit.clock)
    declarations = Declarations(kit.pool, kit.log, plans, units, scopes, origin)
    publisher = ProgressPublisher(
        kit.pool, kit.log, plans, units, origin, lambda: counters.complete_to, counters.positions
    )
    measures = Measures(kit.pool, plans, units, scopes, kit.clock)
    exemptions = Exemptions(database, plans, units, origin)
    remainders = Remainders(kit.pool, plans, units, scopes, origin)
    assignments = Assignments(kit.pool, plans, units, scopes, fold, kit.clock)
    reconciliation = Reconciliation(
        kit.pool,
        kit.reader("reconciliation"),
        plans,
        units,
        TOPICS,
        fold,
        consumer=counters.name,
    )

    rebuild = Rebuild(kit.pool, kit.reader("rebuild"), units, TOPICS, fold, consumer=counters.name)

    # Background parts stop in the reverse order: the plan's connections outlive those who use them.
    kit.background.append(("plan database", database.keep_open))
    kit.background.append(("proof", reconciliation.keep))
    kit.started.append(lambda: settle_detail(kit.pool, settings.counts))
    kit.started.append(units.load)
    kit.readiness.append(units.missing)
    kit.add_consumer(counters)
    kit.background.append(("units", units.follow))
    kit.background.append(("progress publisher", publisher.run))
    kit.moved.append(publisher.step)
    kit.background.append(("declarations", declarations.run))
    kit.moved.append(declarations.step)
    kit.publish_log()
    kit.publish_watermarks()
    kit.body_limits["/v1/campaigns/"] = MAX_PLAN
    kit.body_limits["/v1/units/"] = kit.body_limits["/v1/reorganisations"] = MAX_UNITS_BODY
    kit.app.include_router(make_router(kit.clock, units, plans, progress, reconciliation, kit.rooms))
    kit.app.include_router(make_units_router(UnitChanges(kit.pool, units, plans, origin)))
    kit.app.include_router(make_pace_router(plans, revisions, paces, forecasts, side_by_side))
    kit.app.include_router(make_contests_router(Contests(kit.pool, plans, scopes, units)))
    kit.app.include_router(make_proof_router(reconciliation, rebuild))
    kit.measured.append(reconciliation.measure)
    kit.app.include_router(make_declared_router(declarations))
    kit.app.include_router(make_ministry_router(Ministry(kit.pool, scopes, origin)))
    kit.app.include_router(make_measures_router(measures))
    kit.app.include_router(make_funnel_router(Funnels(kit.pool, scopes, measures, fold)))
    kit.app.include_router(make_exemptions_router(kit.clock, exemptions, remainders))
    kit.app.include_router(make_rechecks_router(Rechecks(kit.pool, plans, units, scopes, origin)))
    kit.app.include_router(make_assignments_router(assignments))


def main() -> None:
    """Run until told to stop."""
    serve("aggregator", Settings.read(), wire, description=DESCRIPTION)
