"""Indexes of what refers to boots, results, logs and postures: without them dropping a row reads whole tables."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

REFERRING = (
    ("boot", "boot_log"),
    ("boot", "launch_log"),
    ("boot", "command_line"),
    ("node_state", "boot"),
    ("node_state", "result"),
    ("node_state", "posture"),
    ("result", "boot"),
)


def upgrade() -> None:
    """Add them."""
    for table, column in REFERRING:
        op.create_index(f"ix_{table}_{column}", table, [column])


def downgrade() -> None:
    """Drop them."""
    for table, column in REFERRING:
        op.drop_index(f"ix_{table}_{column}", table)
