"""Lists of hamlets that provinces sent, and what was last published of them."""

import sqlalchemy as sa
from alembic import op

revision = "20261129_0120_hamlets"
down_revision = "20261129_0110_nights"


def upgrade() -> None:
    op.create_table(
        "hamlet_list",
        sa.Column("province", sa.Text, primary_key=True),
        sa.Column("from_day", sa.Date, primary_key=True),
        sa.Column("until_day", sa.Date),
        sa.Column("sent_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("sent_by", sa.Text, nullable=False),
    )
    op.create_table(
        "hamlet_list_row",
        sa.Column("province", sa.Text, primary_key=True),
        sa.Column("from_day", sa.Date, primary_key=True),
        sa.Column("code", sa.Text, primary_key=True),
        sa.Column("parent", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["province", "from_day"], ["hamlet_list.province", "hamlet_list.from_day"]),
    )
    op.create_table(
        "hamlet_span",
        sa.Column("code", sa.Text, primary_key=True),
        sa.Column("from_day", sa.Date, primary_key=True),
        sa.Column("until_day", sa.Date),
        sa.Column("parent", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
    )
