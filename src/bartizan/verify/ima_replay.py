"""Replay of an IMA list: what each entry extends a bank with, and where a PCR's value falls in it. It judges nothing.

Source: Linux, ima_add_template_entry() in security/integrity/ima/ima_queue.c. A measurement extends each bank with
H(template data) in the bank's algorithm, a violation with all ones. Banks whose hash the kernel does not have, and all
but SHA-1 before Linux 5.8, get the SHA-1 digest padded with zeros. IMA starts from PCR 10 = 0.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, cast

from bartizan.model.digest import HASHLIB_NAMES, HashAlg, PcrValues
from bartizan.model.ima import IMA_PCR, ImaColumns, ImaList

STATIC_PCRS = range(16)
"""PCRs that only a restart of the machine resets; TCG PC Client Platform TPM Profile 1.05, 4.6.2."""


def computable(alg: HashAlg) -> bool:
    """The hash is available here (SM3 often is not)."""
    return HASHLIB_NAMES[alg] in hashlib.algorithms_available


@cache
def constructor(alg: HashAlg) -> Callable[[bytes], Any]:
    """The fastest way to this hash; SHA-1 also where OpenSSL's FIPS mode refuses it without a word of its use."""
    fast: Callable[[bytes], Any] = getattr(hashlib, HASHLIB_NAMES[alg], partial(hashlib.new, HASHLIB_NAMES[alg]))
    try:
        fast(b"")
    except ValueError:
        return partial(hashlib.new, HASHLIB_NAMES[alg], usedforsecurity=False)
    return fast


class Extensions:
    """What each of some entries extends a bank with; every template digest is computed once.

    The answers end before the first entry whose template data is not known (`ImaEntry.template_data`).
    """

    __slots__ = ("_computed", "_data", "_violations")

    def __init__(self, columns: ImaColumns) -> None:
        self._data = _known(columns.template_data)
        self._violations = [place for place in columns.violations if place < len(self._data)]
        self._computed: dict[tuple[HashAlg, bool], list[bytes]] = {}

    def of(self, alg: HashAlg, *, zero_padded_sha1: bool = False) -> list[bytes]:
        """One digest of the bank's size an entry."""
        known = self._computed.get((alg, zero_padded_sha1))
        return known if known is not None else self._compute(alg, zero_padded_sha1)

    def _compute(self, alg: HashAlg, zero_padded_sha1: bool) -> list[bytes]:
        if zero_padded_sha1 and alg is not HashAlg.SHA1:
            digests = [digest.ljust(alg.size, b"\0") for digest in self.of(HashAlg.SHA1)]
        else:
            hashed = constructor(alg)
            digests = [hashed(data).digest() for data in self._data]
        for place in self._violations:
            digests[place] = b"\xff" * alg.size
        self._computed[alg, zero_padded_sha1] = digests
        return digests


def _known(data: tuple[bytes | None, ...]) -> Sequence[bytes]:
    """The values up to the first one that is not known."""
    known = data[: data.index(None)] if None in data else data
    return cast("tuple[bytes, ...]", known)


def running_values(
    columns: ImaColumns, digests: Sequence[bytes], alg: HashAlg, *, pcr: int = IMA_PCR, start: bytes
) -> list[bytes]:
    """The PCR's value after each entry that has a digest; entries of other PCRs leave it as it was."""
    hashed, value = constructor(alg), start
    if columns.pcrs.count(pcr) == len(columns):
        return [value := hashed(value + digest).digest() for digest in digests]
    own = zip(columns.pcrs, digests, strict=False)
    return [value := hashed(value + digest).digest() if one == pcr else value for one, digest in own]


def replay_ima(ima: ImaList, alg: HashAlg, *, zero_padded_sha1: bool = False, pcr: int = IMA_PCR) -> Iterator[bytes]:
    """The PCR's value after each entry, in bytes of the bank's digest; entries of other PCRs leave it as it was.

    It ends before the first entry whose template data is not known.
    """
    columns = ima.columns
    digests = Extensions(columns).of(alg, zero_padded_sha1=zero_padded_sha1)
    return iter(running_values(columns, digests, alg, pcr=pcr, start=bytes(alg.size)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Where a bank's PCR 10 falls in a list.

    matched: entries it covers (a prefix), None if no prefix fits; zero_padded: it holds padded SHA-1 digests;
    others: for each other PCR that the covered entries extend, whether they lead to its value too;
    end: what the whole list leads to, unpadded.
    """

    matched: int | None
    zero_padded: bool
    others: Mapping[int, bool]
    end: bytes


def match_bank(columns: ImaColumns, alg: HashAlg, pcrs: PcrValues, extensions: Extensions) -> Match:
    """The longest prefix whose replay is the bank's PCR 10; plain first, then as zero-padded SHA-1.

    A PCR 10 that is still zero covers nothing. Of prefixes that differ only in entries of other PCRs, the longest wins
    at which those PCRs fit as well, else the longest.
    """
    end, wanted, zero = b"", pcrs[IMA_PCR], bytes(alg.size)
    for zero_padded in (False, True):
        digests = extensions.of(alg, zero_padded_sha1=zero_padded)
        values = running_values(columns, digests, alg, start=zero)
        end = end or (values[-1] if values else zero)
        if any(wanted) and wanted in values:
            prefixes = _run_of(wanted, values)
            fits = _others(columns, alg, pcrs, prefixes=prefixes, digests=digests)
            matched = max(frozenset(prefixes).intersection(*(fit for fit in fits.values() if fit)) or prefixes)
            others = {pcr: matched in fit for pcr, fit in fits.items()}
            return Match(matched=matched, zero_padded=zero_padded, others=others, end=end)
    return Match(matched=None, zero_padded=False, others={}, end=end)


def _run_of(wanted: bytes, values: Sequence[bytes]) -> range:
    """The sizes of the prefixes that end in this value; there are several where entries of other PCRs follow."""
    first = last = values.index(wanted)
    while last + 1 < len(values) and values[last + 1] == wanted:
        last += 1
    return range(first + 1, last + 2)


def _others(
    columns: ImaColumns, alg: HashAlg, pcrs: PcrValues, *, prefixes: Sequence[int], digests: Sequence[bytes]
) -> dict[int, frozenset[int]]:
    """For each other PCR in the longest prefix: the prefixes whose replay is its value.

    None for a PCR that software can reset: it proves nothing.
    """
    fits: dict[int, frozenset[int]] = {}
    for pcr in sorted(set(columns.pcrs[: prefixes[-1]]) - {IMA_PCR}):
        values = running_values(columns, digests, alg, pcr=pcr, start=bytes(alg.size))
        wanted = pcrs.get(pcr) if pcr in STATIC_PCRS else None
        fits[pcr] = frozenset(size for size in prefixes if values[size - 1] == wanted)
    return fits
