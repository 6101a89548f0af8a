"""Where the list that a node shows begins within the IMA list that is kept of its boot: a kexec may begin it anew."""

from alembic import op
from sqlalchemy import BigInteger, Column

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it; lists that are kept already begin where the nodes' own do."""
    op.add_column("boot", Column("ima_start", BigInteger, nullable=False, server_default="0"))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("boot", "ima_start")
