"""Every recorded manifest does what `verdicts.tsv` states, and no good one is lost or bad one let through."""

from pathlib import Path

import pytest

from bartizan.errors import DecodeError, VerifyError
from bartizan.formats.comid import decode_comid
from bartizan.formats.corim import decode_corim, decode_signed_corim, is_signed
from bartizan.formats.cose import decode_cose
from bartizan.formats.coswid import decode_coswid
from bartizan.formats.key_file import decode_key_file
from bartizan.formats.swid import decode_swid
from bartizan.verify.corim import accept_corim, verify_corim

VECTORS = Path(__file__).parents[1] / "vectors"
AREAS = ("corim", "rim")
ROWS = [
    (area, *line.split("\t"))
    for area in AREAS
    for line in (VECTORS / area / "verdicts.tsv").read_text(encoding="utf-8").splitlines()[1:]
]
WITHIN = 1_750_000_000
"""Seconds since 1970: a time at which the signed vectors are valid."""
KEYS = decode_key_file((VECTORS / "corim" / "keys" / "rfc7517.jwk").read_bytes())
NO_MANIFEST = {"nsacyber_HIRS/coswid-config-coswid_rim_1_good.json"}
"""What a tool makes a manifest from: its source calls it good for that."""


def use(form: str, raw: bytes) -> object:
    """What is done with a manifest before anything is taken from it."""
    match form:
        case "comid":
            return decode_comid(raw)
        case "coswid":
            return decode_coswid(raw)
        case "cose":
            return decode_cose(raw)
        case "rim":
            return decode_swid(raw)
    if is_signed(raw):
        return verify_corim(decode_signed_corim(raw), KEYS, now=WITHIN)
    return accept_corim(decode_corim(raw), now=WITHIN)


def outcome(form: str, raw: bytes) -> tuple[str, str]:
    try:
        use(form, raw)
    except DecodeError as error:
        return "refused", f"{error.what}: {error.why}"
    except VerifyError as error:
        return "broken", error.why
    return "reads", "-"


@pytest.mark.parametrize(
    ("area", "name", "form", "stated", "reason", "_verdict"), ROWS, ids=[f"{row[0]}/{row[1]}" for row in ROWS]
)
def test_a_manifest_does_what_is_stated(
    area: str, name: str, form: str, stated: str, reason: str, _verdict: str
) -> None:
    assert outcome(form, (VECTORS / area / name).read_bytes()) == (stated, reason)


def test_every_file_is_stated() -> None:
    for area in AREAS:
        there = {
            str(path.relative_to(VECTORS / area))
            for path in (VECTORS / area).glob("*_*/*")
            if path.name not in ("TpmLog.bin", "signer.pem")
        }

        assert there == {row[1] for row in ROWS if row[0] == area}


def test_good_ones_are_read_and_bad_ones_are_not() -> None:
    for _area, name, _form, stated, _reason, verdict in ROWS:
        if verdict == "accept" and name not in NO_MANIFEST:
            assert stated == "reads", name
        if verdict == "reject":
            assert stated != "reads", name


@pytest.mark.parametrize("row", ROWS, ids=[f"{row[0]}/{row[1]}" for row in ROWS])
def test_no_shortened_manifest_is_read(row: tuple[str, ...]) -> None:
    raw = (VECTORS / row[0] / row[1]).read_bytes()

    for size in range(0, len(raw), max(1, len(raw) // 60)):
        with pytest.raises((DecodeError, VerifyError)):
            use(row[2], raw[:size])
