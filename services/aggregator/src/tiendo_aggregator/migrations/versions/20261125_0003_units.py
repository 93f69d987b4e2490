"""Trees that were sent to us, and reorganisations from one tree to the next."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261125_0003_units"
down_revision = "20261124_0002"


def upgrade() -> None:
    op.create_table(
        "unit_edition",
        sa.Column("from_day", sa.Date, primary_key=True),
        sa.Column("sent_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("sent_by", sa.Text, nullable=False),
    )
    op.create_table(
        "unit_edition_row",
        sa.Column("from_day", sa.Date, sa.ForeignKey("unit_edition.from_day"), primary_key=True),
        sa.Column("code", sa.Text, primary_key=True),
        sa.Column("parent", sa.Text),
        sa.Column("level", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
    )
    op.create_table(
        "reorganisation",
        sa.Column("id", sa.Integer, sa.Identity(always=True), primary_key=True),
        sa.Column("effective_on", sa.Date, nullable=False),
        sa.Column("resolution", sa.Text, nullable=False),
        sa.Column("within", postgresql.ARRAY(sa.Text)),
        sa.Column("rule", sa.Text),
        sa.Column("applied_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("applied_by", sa.Text, nullable=False),
        sa.Column("undone_at", sa.TIMESTAMP(timezone=True)),
        sa.Column("undone_by", sa.Text),
    )
    # `place` keeps the order in which the rows were sent; `placed` marks the part that a hand-made rule names.
    op.create_table(
        "reorganisation_step",
        sa.Column("reorganisation", sa.Integer, sa.ForeignKey("reorganisation.id"), primary_key=True),
        sa.Column("place", sa.Integer, primary_key=True),
        sa.Column("from_code", sa.Text, nullable=False),
        sa.Column("to_code", sa.Text, nullable=False),
        sa.Column("share", sa.Text, nullable=False),
        sa.Column("resolution", sa.Text, nullable=False),
        sa.Column("placed", sa.Boolean, nullable=False),
    )
    # Rises with every change of the two: by it, replicas notice each other's.
    op.execute("CREATE TABLE units_revision (revision int NOT NULL)")
    op.execute("INSERT INTO units_revision VALUES (0)")
