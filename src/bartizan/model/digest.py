"""Hash algorithms by their TCG number, and PCR values. It computes single digests and compares nothing."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from enum import IntEnum
from functools import partial
from typing import NewType

Digest = NewType("Digest", bytes)

PCR_COUNT = 24
"""PCRs of a PC Client TPM; TCG PC Client Platform TPM Profile 1.05, 4.6."""


class HashAlg(IntEnum):
    """TPM_ALG_ID of the hash algorithms Bartizan computes; TCG Algorithm Registry 1.34, table 3."""

    SHA1 = 0x0004
    SHA256 = 0x000B
    SHA384 = 0x000C
    SHA512 = 0x000D
    SM3_256 = 0x0012
    SHA3_256 = 0x0027
    SHA3_384 = 0x0028
    SHA3_512 = 0x0029

    @property
    def label(self) -> str:
        """Its lower-case name as tools and the kernel write it: `sha256`."""
        return self.name.lower()

    @property
    def size(self) -> int:
        """Digest length in bytes."""
        return SIZES[self]

    def digest(self, data: bytes) -> bytes:
        """H(data)."""
        return CONSTRUCTORS[self](data).digest()

    @classmethod
    def from_label(cls, label: str) -> "HashAlg":
        """The algorithm of this name.

        Raises:
            KeyError: no algorithm has that name.
        """
        return cls[label.upper()]


SIZES: Mapping[int, int] = {
    HashAlg.SHA1: 20,
    HashAlg.SHA256: 32,
    HashAlg.SHA384: 48,
    HashAlg.SHA512: 64,
    HashAlg.SM3_256: 32,
    HashAlg.SHA3_256: 32,
    HashAlg.SHA3_384: 48,
    HashAlg.SHA3_512: 64,
}

HASHLIB_NAMES: Mapping[HashAlg, str] = {
    HashAlg.SHA1: "sha1",
    HashAlg.SHA256: "sha256",
    HashAlg.SHA384: "sha384",
    HashAlg.SHA512: "sha512",
    HashAlg.SM3_256: "sm3",
    HashAlg.SHA3_256: "sha3_256",
    HashAlg.SHA3_384: "sha3_384",
    HashAlg.SHA3_512: "sha3_512",
}


def _constructor(name: str) -> Callable[[bytes], "hashlib._Hash"]:
    """The hash's own function where there is one (several times faster than by name), else by its OpenSSL name."""
    if name != "sha1" and hasattr(hashlib, name):
        found: Callable[[bytes], hashlib._Hash] = getattr(hashlib, name)
        return found
    return partial(hashlib.new, name, usedforsecurity=False)


CONSTRUCTORS: Mapping[HashAlg, Callable[[bytes], "hashlib._Hash"]] = {
    alg: _constructor(name) for alg, name in HASHLIB_NAMES.items()
}
"""SHA-1 is asked for as not for security: its weakness is said in a finding, and a FIPS mode must not refuse it."""

PcrValues = Mapping[int, bytes]
"""PCR index to value, one bank."""

PcrBanks = Mapping[HashAlg, PcrValues]
"""Bank to its PCR values."""


class PackedPcrs(Mapping[int, bytes]):
    """The values of all PCRs of one bank, one behind the other, as a quote's digest takes them.

    raw: `PCR_COUNT` values of the bank's size.
    """

    __slots__ = ("raw", "size")

    def __init__(self, raw: bytes, *, size: int) -> None:
        if len(raw) != PCR_COUNT * size:
            raise ValueError(f"{PCR_COUNT} values of {size} bytes expected, found {len(raw)} bytes")
        self.raw = raw
        self.size = size

    def __getitem__(self, pcr: int) -> bytes:
        if not 0 <= pcr < PCR_COUNT:
            raise KeyError(pcr)
        return self.raw[pcr * self.size : (pcr + 1) * self.size]

    def __iter__(self) -> Iterator[int]:
        return iter(range(PCR_COUNT))

    def __len__(self) -> int:
        return PCR_COUNT

    def __eq__(self, other: object) -> bool:
        if isinstance(other, PackedPcrs):
            return self.raw == other.raw
        return super().__eq__(other)

    __hash__ = None  # type: ignore[assignment]  # as every mapping that compares by its values
