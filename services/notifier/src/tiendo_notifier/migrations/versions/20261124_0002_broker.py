"""Dead letters with a life of their own."""

from alembic import op

from tiendo_common.eventlog.schema import settled_dead_letters

revision = "20261124_0002"
down_revision = "20261122_first"


def upgrade() -> None:
    for statement in [*settled_dead_letters()]:
        op.execute(statement)
