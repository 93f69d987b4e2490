"""Divided communes whose records are parted by share."""

from alembic import op

revision = "20261128_0062_shares"
down_revision = "20261128_0061_rechecks"


def upgrade() -> None:
    op.execute("ALTER TABLE reorganisation ADD COLUMN shares jsonb NOT NULL DEFAULT '{}'")
