"""Digests of what is kept of a boot, so that damage to the database is told from a forgery by the node.

Rows that are there already have none, and are not checked until their nodes send everything again.
"""

from alembic import op
from sqlalchemy import Column, LargeBinary

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them, and an index for the count of open reviews."""
    op.add_column("boot", Column("digest", LargeBinary(32)))
    op.add_column("ima_chunk", Column("digest", LargeBinary(32)))
    op.create_index("ix_review_state", "review", ["state"])


def downgrade() -> None:
    """Drop them."""
    op.drop_index("ix_review_state", "review")
    op.drop_column("ima_chunk", "digest")
    op.drop_column("boot", "digest")
