"""What several Verifiers on one database need: row versions, leases, generations, one policy in force at most."""

from alembic import op
from sqlalchemy import BigInteger, Column, LargeBinary, String, text

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

IN_FORCE = text("active")


def upgrade() -> None:
    """Add them."""
    op.add_column("node_state", Column("version", BigInteger, nullable=False, server_default="0"))
    op.add_column("beat", Column("excused_until", BigInteger, nullable=False, server_default="0"))
    op.create_index(
        "uq_policy_active", "policy", ["active"], unique=True, sqlite_where=IN_FORCE, postgresql_where=IN_FORCE
    )
    op.create_table(
        "lease",
        Column("name", String(32), primary_key=True),
        Column("holder", String(64), nullable=False),
        Column("fence", BigInteger, nullable=False),
        Column("expires_at", BigInteger, nullable=False),
    )
    op.create_table(
        "known_key",
        Column("name", String(32), primary_key=True),
        Column("digest", LargeBinary(32), nullable=False),
    )
    op.create_table(
        "generation",
        Column("name", String(32), primary_key=True),
        Column("value", BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("generation")
    op.drop_table("known_key")
    op.drop_table("lease")
    op.drop_index("uq_policy_active", "policy")
    op.drop_column("beat", "excused_until")
    op.drop_column("node_state", "version")
