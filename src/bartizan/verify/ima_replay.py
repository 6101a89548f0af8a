"""Replay of an IMA list: what each entry extends a bank with, and where a PCR's value falls in it. It judges nothing.

Source: Linux, ima_add_template_entry() in security/integrity/ima/ima_queue.c. A measurement extends each bank with
H(template data) in the bank's algorithm, a violation with all ones. Banks whose hash the kernel does not have, and all
but SHA-1 before Linux 5.8, get the SHA-1 digest padded with zeros. IMA starts from PCR 10 = 0.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bartizan.model.digest import HASHLIB_NAMES, HashAlg, PcrValues
from bartizan.model.ima import IMA_PCR, ImaList

STATIC_PCRS = range(16)
"""PCRs that only a restart of the machine resets; TCG PC Client Platform TPM Profile 1.05, 4.6.2."""


def computable(alg: HashAlg) -> bool:
    """The hash is available here (SM3 often is not)."""
    return HASHLIB_NAMES[alg] in hashlib.algorithms_available


def _constructor(alg: HashAlg) -> Callable[[bytes], Any]:
    fast: Callable[[bytes], Any] | None = getattr(hashlib, HASHLIB_NAMES[alg], None)
    return fast or (lambda data: hashlib.new(HASHLIB_NAMES[alg], data))


class Extensions:
    """What each entry of a list extends a bank with; every template digest is computed once.

    The answers end before the first entry whose template data is not known (`ImaEntry.template_data`).
    """

    __slots__ = ("_data", "_memo", "_violations")

    def __init__(self, ima: ImaList) -> None:
        data = [entry.template_data for entry in ima.entries]
        self._data: list[bytes] = [some for some in data[: _unknown(data)] if some is not None]
        self._violations = [entry.index for entry in ima.entries[: len(self._data)] if entry.is_violation]
        self._memo: dict[tuple[HashAlg, bool], list[bytes]] = {}

    def of(self, alg: HashAlg, *, zero_padded_sha1: bool = False) -> list[bytes]:
        """One digest of the bank's size an entry."""
        known = self._memo.get((alg, zero_padded_sha1))
        return known if known is not None else self._computed(alg, zero_padded_sha1)

    def _computed(self, alg: HashAlg, zero_padded_sha1: bool) -> list[bytes]:
        if zero_padded_sha1 and alg is not HashAlg.SHA1:
            digests = [digest.ljust(alg.size, b"\0") for digest in self.of(HashAlg.SHA1)]
        else:
            hashed = _constructor(alg)
            digests = [hashed(data).digest() for data in self._data]
        for index in self._violations:
            digests[index] = b"\xff" * alg.size
        self._memo[alg, zero_padded_sha1] = digests
        return digests


def _unknown(data: Sequence[bytes | None]) -> int:
    return next((index for index, some in enumerate(data) if some is None), len(data))


def replay_ima(
    ima: ImaList,
    alg: HashAlg,
    *,
    zero_padded_sha1: bool = False,
    pcr: int = IMA_PCR,
    extensions: Extensions | None = None,
) -> Iterator[bytes]:
    """The PCR's value after each entry, in bytes of the bank's digest; entries of other PCRs leave it as it was.

    It ends before the first entry whose template data is not known. extensions: of this list, where they are at hand.
    """
    hashed = _constructor(alg)
    value = bytes(alg.size)
    digests = (extensions or Extensions(ima)).of(alg, zero_padded_sha1=zero_padded_sha1)
    for entry, digest in zip(ima.entries, digests, strict=False):
        if entry.pcr == pcr:
            value = hashed(value + digest).digest()
        yield value


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


def match_bank(ima: ImaList, alg: HashAlg, pcrs: PcrValues, extensions: Extensions) -> Match:
    """The longest prefix whose replay is the bank's PCR 10; plain first, then as zero-padded SHA-1.

    A PCR 10 that is still zero covers nothing. Of prefixes that differ only in entries of other PCRs, the longest wins
    at which those PCRs fit as well, else the longest.
    """
    end = b""
    for zero_padded in (False, True):
        values = list(replay_ima(ima, alg, zero_padded_sha1=zero_padded, extensions=extensions))
        end = end or (values[-1] if values else bytes(alg.size))
        prefixes = [size for size, value in enumerate(values, 1) if value == pcrs[IMA_PCR] and any(value)]
        if prefixes:
            fits = _others(ima, alg, pcrs, prefixes=prefixes, extensions=extensions, zero_padded=zero_padded)
            matched = max(frozenset(prefixes).intersection(*(fit for fit in fits.values() if fit)) or prefixes)
            others = {pcr: matched in fit for pcr, fit in fits.items()}
            return Match(matched=matched, zero_padded=zero_padded, others=others, end=end)
    return Match(matched=None, zero_padded=False, others={}, end=end)


def _others(
    ima: ImaList,
    alg: HashAlg,
    pcrs: PcrValues,
    *,
    prefixes: Sequence[int],
    extensions: Extensions,
    zero_padded: bool,
) -> dict[int, frozenset[int]]:
    """For each other PCR in the longest prefix: the prefixes whose replay is its value.

    None for a PCR that software can reset: it proves nothing.
    """
    fits: dict[int, frozenset[int]] = {}
    for pcr in sorted({entry.pcr for entry in ima.entries[: prefixes[-1]]} - {IMA_PCR}):
        values = list(replay_ima(ima, alg, zero_padded_sha1=zero_padded, pcr=pcr, extensions=extensions))
        wanted = pcrs.get(pcr) if pcr in STATIC_PCRS else None
        fits[pcr] = frozenset(size for size in prefixes if values[size - 1] == wanted)
    return fits
