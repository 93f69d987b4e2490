"""Dead letters with a life of their own; log generations."""

from alembic import op

from tiendo_common.eventlog.schema import log_generations, settled_dead_letters
from tiendo_common.events.catalogue import owned_by

revision = "20261124_0002"
down_revision = "20261122_first_tables"


def upgrade() -> None:
    for statement in [*settled_dead_letters(), *log_generations(owned_by("aggregator"))]:
        op.execute(statement)
