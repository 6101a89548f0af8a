"""PCR values as JSON: `{"sha256": {"0": "hex", …}, …}`. Values as somebody wrote them, proved by nothing."""

from typing import Any

from bartizan.errors import DecodeError
from bartizan.formats.strict import decimal, hex_bytes, json_value
from bartizan.model.digest import PCR_COUNT, HashAlg, PcrBanks, PcrValues

MAX_FILE = 256 * 1024
"""Bytes; 24 PCRs of eight banks need under 32 KiB."""


def decode_pcr_file(raw: bytes) -> PcrBanks:
    """Bank to PCR values.

    Raises:
        DecodeError: not such a document, an unknown bank, an index over 23, a value of the wrong length.
    """
    if len(raw) > MAX_FILE:
        raise DecodeError("PCR file", 0, f"{len(raw)} bytes are over the limit of {MAX_FILE}")
    document = json_value(raw, "PCR file")
    if not isinstance(document, dict) or not document:
        raise DecodeError("PCR file", 0, 'an object such as {"sha256": {"0": "hex"}} expected')
    return {_bank(name): _values(name, values) for name, values in document.items()}


def _bank(name: str) -> HashAlg:
    try:
        alg = HashAlg.from_label(name)
    except KeyError as error:
        raise DecodeError("PCR file", 0, f"{name[:40]!a} is not a bank such as sha256") from error
    if alg.label != name:
        raise DecodeError("PCR file", 0, f"the bank is written {alg.label}, found {name!a}")
    return alg


def _values(bank: str, values: Any) -> PcrValues:
    if not isinstance(values, dict) or not values:
        raise DecodeError("PCR file", 0, f"{bank}: an object of PCR values expected")
    found: dict[int, bytes] = {}
    for key, value in values.items():
        index = decimal(key, f"{bank} PCR index")
        if index >= PCR_COUNT or not isinstance(value, str):
            raise DecodeError("PCR file", 0, f"{bank}: PCR 0 to {PCR_COUNT - 1} and a string expected, found {key!a}")
        digest = hex_bytes(value, f"{bank} PCR {index}")
        if len(digest) != HashAlg.from_label(bank).size:
            raise DecodeError("PCR file", 0, f"{bank} PCR {index}: wrong length of {len(digest)} bytes")
        found[index] = digest
    return dict(sorted(found.items()))
