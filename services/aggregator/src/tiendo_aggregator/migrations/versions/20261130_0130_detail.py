"""What an instance counts: one row, from its first start on. Whoever has counted already has counted all."""

from alembic import op

revision = "20261130_0130_detail"
down_revision = "20261129_0121_by_hamlet"


def upgrade() -> None:
    op.execute(
        "CREATE TABLE detail (singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton), "
        "counts text NOT NULL CHECK (counts IN ('all', 'totals')))"
    )
    op.execute(
        "INSERT INTO detail (counts) SELECT 'all' "
        "WHERE EXISTS (SELECT FROM consumer_position WHERE consumer = 'counting')"
    )
