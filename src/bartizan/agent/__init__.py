"""The node agent: enrols a machine and attests it, over and over. Standard library only, Python 3.9."""

from __future__ import annotations

VERSION = "0.1.0"
"""What it calls itself to a Verifier; the package's version."""
PROTOCOL = 1
"""The version of `docs/reference/protocol.md` that it speaks."""
