"""An account remembers the attempts that failed, and what it last said of them."""

from alembic import op

revision = "20261128_0003_failures"
down_revision = "20261124_0002"


def upgrade() -> None:
    # Attempts of builds before stay out: their events said nothing that could be taken back.
    op.execute("ALTER TABLE account ADD COLUMN failures json NOT NULL DEFAULT '[]'")
