"""An agent's state in memory: for a fleet of agents in one process, and for a look that keeps nothing."""

from __future__ import annotations

from typing import Optional

from bartizan.agent.state import Node, Progress


class Memory:
    """Keeps the last of each; a `Keeper`."""

    def __init__(self) -> None:
        self.node: Optional[Node] = None
        self.progress: Optional[Progress] = None

    def save_node(self, node: Node) -> None:
        """Keep which node this is."""
        self.node = node

    def save_progress(self, progress: Progress) -> None:
        """Keep how far the agent came."""
        self.progress = progress
