"""What `gpgv --status-fd` prints (GnuPG, doc/DETAILS), as one record for each signature. It decides nothing."""

import re

from bartizan.errors import DecodeError
from bartizan.model.package import ReportedSignature

MAX_STATUS = 256 * 1024
MAX_SIGNATURES = 64
"""Signatures on one file; Debian's stable has three."""
WHAT = "status of gpgv"
PREFIX = "[GNUPG:] "
VALID_FIELDS = 10
"""VALIDSIG: fingerprint, two dates, expiry, version, reserved, key algorithm, hash, class, primary fingerprint."""
HASH_FIELD, PRIMARY_FIELD = 7, 9
SMALL_NUMBER = re.compile(r"[0-9]{1,3}")
REASONS = {
    "EXPSIG": "the signature has expired",
    "EXPKEYSIG": "the key has expired",
    "REVKEYSIG": "the key is revoked",
    "ERRSIG": "the keyring does not hold its key, or it cannot be checked",
}


def decode_gpgv_status(raw: bytes) -> tuple[ReportedSignature, ...]:
    """One record for each NEWSIG; a good one has both GOODSIG and VALIDSIG and nothing that speaks against it.

    Raises:
        DecodeError: not such a text, or too much of it.
    """
    if len(raw) > MAX_STATUS:
        raise DecodeError(WHAT, 0, f"{len(raw)} bytes are over the limit of {MAX_STATUS}")
    groups: list[dict[str, list[str]]] = []
    for line in raw.decode("utf-8", "replace").split("\n"):
        if not line:
            continue
        if not line.startswith(PREFIX):
            raise DecodeError(WHAT, 0, f"a line that starts with {PREFIX!r} expected, found {line[:60]!a}")
        keyword, *words = line.removeprefix(PREFIX).split(" ")
        if keyword == "NEWSIG":
            groups.append({})
        elif groups:
            groups[-1].setdefault(keyword, words)
    if len(groups) > MAX_SIGNATURES:
        raise DecodeError(WHAT, 0, f"{len(groups)} signatures are over the limit of {MAX_SIGNATURES}")
    return tuple(_signature(group) for group in groups)


def _signature(group: dict[str, list[str]]) -> ReportedSignature:
    valid = group.get("VALIDSIG", [])
    complete = len(valid) >= VALID_FIELDS and bool(SMALL_NUMBER.fullmatch(valid[HASH_FIELD]))
    spoken = [why for keyword, why in REASONS.items() if keyword in group]
    bad = "BADSIG" in group
    return ReportedSignature(
        good="GOODSIG" in group and complete and not spoken and not bad,
        bad=bad,
        fingerprint=valid[PRIMARY_FIELD] if complete else "",
        hash_alg=int(valid[HASH_FIELD]) if complete else None,
        why="the text was changed since, or signed by another key" if bad else "; ".join(spoken),
    )
