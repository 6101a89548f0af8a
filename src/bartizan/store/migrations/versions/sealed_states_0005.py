"""A node's state under the service's seal, so that a restart does not judge everybody anew."""

from alembic import op
from sqlalchemy import Column, LargeBinary

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it."""
    op.add_column("node_state", Column("sealed", LargeBinary))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("node_state", "sealed")
