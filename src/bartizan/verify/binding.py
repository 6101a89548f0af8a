"""What a live quote must carry: one value that binds node, nonce and posture together."""

import hashlib

LABEL = b"bartizan-evidence-1\0"
NONCE_BYTES = 32
NO_POSTURE = hashlib.sha256(b"").digest()
"""What stands for the posture where there is none."""


def bound_extra_data(node_id: str, nonce: bytes, posture: bytes) -> bytes:
    """SHA-256(label ‖ node id ‖ nonce ‖ SHA-256(posture)), the id with its length before it; 32 bytes.

    A quote made for one node or one posture can so never be shown as another's.
    """
    return bound_to_digest(node_id, nonce, hashlib.sha256(posture).digest())


def bound_to_digest(node_id: str, nonce: bytes, posture: bytes) -> bytes:
    """The same for a posture that was sent before; posture: its SHA-256."""
    name = node_id.encode()
    inner = len(name).to_bytes(2, "big") + name + nonce + posture
    return hashlib.sha256(LABEL + inner).digest()
