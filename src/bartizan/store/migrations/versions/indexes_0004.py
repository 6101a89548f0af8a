"""Indexes by which a look-up, and the check of what refers to a row that goes, does not read a whole table.

With it digests of what seems unused may be hidden, which no program of an earlier revision knows.
"""

from alembic import op

from bartizan.store.migrations.hidden_digests import give_back

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_node_ek_name": ("node", "ek_name"),
    "ix_boot_boot_log": ("boot", "boot_log"),
    "ix_boot_launch_log": ("boot", "launch_log"),
    "ix_boot_command_line": ("boot", "command_line"),
    "ix_result_boot": ("result", "boot"),
    "ix_node_state_boot": ("node_state", "boot"),
    "ix_node_state_result": ("node_state", "result"),
    "ix_node_state_posture": ("node_state", "posture"),
}


def upgrade() -> None:
    """Add them."""
    for name, (table, column) in INDEXES.items():
        op.create_index(name, table, [column])


def downgrade() -> None:
    """Drop them, and give hidden digests back."""
    give_back(op.get_bind())
    for name, (table, _) in INDEXES.items():
        op.drop_index(name, table)
