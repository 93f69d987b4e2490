"""Who was named in a message about many units, and when: those who join them are named, too."""

from alembic import op

revision = "20261128_0013"
down_revision = "20261128_0012"


def upgrade() -> None:
    op.execute("ALTER TABLE gathering ADD named text[] NOT NULL DEFAULT '{}'")
    op.execute("ALTER TABLE gathering ADD told_day date")
