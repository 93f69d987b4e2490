"""The tokens of the Zalo account: a refresh token can be used once, so its successor is kept where all see it."""

from alembic import op

revision = "20261129_0030"
down_revision = "20261128_0013"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE zalo_token (
            app text PRIMARY KEY,
            -- SHA-256 of the refresh token that was set: with another one, all begins anew.
            seed text NOT NULL,
            refresh text NOT NULL,
            access text,
            expires_at timestamptz,
            -- When the successor was last asked for, and why there was none.
            asked_at timestamptz,
            asking boolean NOT NULL DEFAULT false,
            fault text
        )
    """)
