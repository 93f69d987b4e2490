"""Tables of a consumer, for the publisher to the broker; dead letters with a life; log generations."""

from alembic import op

from tiendo_common.eventlog.schema import CONSUMER_TABLES, log_generations, settled_dead_letters, statements
from tiendo_common.events.catalogue import owned_by

revision = "20261124_0002"
down_revision = "20261122_0001"


def upgrade() -> None:
    for statement in [
        *statements(CONSUMER_TABLES),
        *settled_dead_letters(),
        *log_generations(owned_by("intake")),
    ]:
        op.execute(statement)
