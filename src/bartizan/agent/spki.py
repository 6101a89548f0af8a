"""The SubjectPublicKeyInfo inside a certificate: a walk over DER that is just long enough. It checks no signature."""

from __future__ import annotations

from typing import Tuple

from bartizan.agent.errors import NoAnswer

SEQUENCE, VERSION = 0x30, 0xA0
MAX_LENGTH_BYTES = 3
"""A certificate of 16 MiB is none."""
BEFORE_KEY = 5
"""serialNumber, signature, issuer, validity, subject; RFC 5280, 4.1."""


def subject_public_key_info(certificate: bytes) -> bytes:
    """The element as it stands, with its head: what a pin is the hash of.

    Raises:
        NoAnswer: no certificate, or not one in DER.
    """
    whole_start, whole_end = _inside(certificate, 0, len(certificate), SEQUENCE)
    start, end = _inside(certificate, whole_start, whole_end, SEQUENCE)
    if certificate[start : start + 1] == bytes([VERSION]):
        start = _end_of(certificate, start, end)
    for _ in range(BEFORE_KEY):
        start = _end_of(certificate, start, end)
    _inside(certificate, start, end, SEQUENCE)
    return certificate[start : _end_of(certificate, start, end)]


def _inside(der: bytes, start: int, limit: int, tag: int) -> Tuple[int, int]:
    """Where the contents of the element begin and end."""
    found, contents, end = _element(der, start, limit)
    if found != tag:
        raise NoAnswer(f"the service's certificate: tag 0x{tag:02x} expected at byte {start}, found 0x{found:02x}")
    return contents, end


def _end_of(der: bytes, start: int, limit: int) -> int:
    return _element(der, start, limit)[2]


def _element(der: bytes, start: int, limit: int) -> Tuple[int, int, int]:
    """Tag, start and end of the contents of the element that stands at `start`; X.690, 8.1."""
    if start + 2 > limit:
        raise NoAnswer(f"the service's certificate ends at byte {limit}")
    contents = start + 2
    size = der[start + 1]
    if size & 0x80:
        count = size & 0x7F
        if not 0 < count <= MAX_LENGTH_BYTES or contents + count > limit:
            raise NoAnswer(f"the service's certificate: no length at byte {start + 1}")
        size = int.from_bytes(der[contents : contents + count], "big")
        contents += count
    if contents + size > limit:
        raise NoAnswer(f"the service's certificate: {size} bytes announced at byte {start}, {limit - contents} left")
    return der[start], contents, contents + size
