"""TPM 2.0 wire order: numbers, sized buffers, PCR selections, and a bounded parser of responses.

Layouts are those of TPM 2.0 Library Part 2 (Structures), revision 1.59. It knows no commands and talks to no TPM.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bartizan.collect.codes import TpmError

SHA1, SHA256, SHA384, SHA512 = 0x0004, 0x000B, 0x000C, 0x000D
"""TPM_ALG_ID of hashes; TCG Algorithm Registry 1.34, table 3."""
RSA, AES, NULL, RSASSA, ECDSA, ECC, CFB = 0x0001, 0x0006, 0x0010, 0x0014, 0x0018, 0x0023, 0x0043
"""Other TPM_ALG_ID values; the same table."""

PCR_COUNT = 24
"""PCRs of a PC Client TPM; TCG PC Client Platform TPM Profile 1.05, 4.6."""
SELECT_WIDTH = 3
"""Bytes of the PCR bitmap for 24 PCRs; the same, 4.6."""
MAX_BANKS = 16
"""Most banks accepted in a selection that a TPM sends (HASH_COUNT of the largest known TPM is 7)."""
MAX_WIDTH = 4
"""Widest PCR bitmap accepted; PC Client TPMs use 3."""


def u8(number: int) -> bytes:
    """One byte."""
    return number.to_bytes(1, "big")


def u16(number: int) -> bytes:
    """UINT16."""
    return number.to_bytes(2, "big")


def u32(number: int) -> bytes:
    """UINT32."""
    return number.to_bytes(4, "big")


def sized(data: bytes) -> bytes:
    """TPM2B: a 16-bit length and the bytes."""
    return u16(len(data)) + data


def selection(banks: Mapping[int, Iterable[int]]) -> bytes:
    """TPML_PCR_SELECTION of these banks in this order; Part 2, 10.9.7.

    Raises:
        ValueError: a PCR index beyond 23.
    """
    encoded = u32(len(banks))
    for alg, pcrs in banks.items():
        chosen = set(pcrs)
        if not chosen <= set(range(PCR_COUNT)):
            raise ValueError(f"PCR indices 0 to {PCR_COUNT - 1} expected, found {sorted(chosen)}")
        bitmap = sum(1 << pcr for pcr in chosen)
        encoded += u16(alg) + u8(SELECT_WIDTH) + bitmap.to_bytes(SELECT_WIDTH, "little")
    return encoded


def digest_values(digests: Mapping[int, bytes]) -> bytes:
    """TPML_DIGEST_VALUES of these algorithms and digests; Part 2, 10.9.6."""
    return u32(len(digests)) + b"".join(u16(alg) + digest for alg, digest in digests.items())


class Parser:
    """A forward-only reader over one response; whatever does not fit is a `TpmError` of the command it answers."""

    def __init__(self, data: bytes, what: str) -> None:
        self._data = data
        self._what = what
        self._offset = 0

    def refuse(self, why: str) -> TpmError:
        """The error for a response that is not what the specification says, for the caller to raise."""
        return TpmError(self._what, f"malformed response at byte {self._offset}: {why}")

    def take(self, size: int) -> bytes:
        """The next `size` bytes.

        Raises:
            TpmError: fewer are left.
        """
        start = self._offset
        if start + size > len(self._data):
            raise self.refuse(f"{size} bytes expected, {len(self._data) - start} left")
        self._offset = start + size
        return self._data[start : self._offset]

    def u8(self) -> int:
        """One byte as a number."""
        return self.take(1)[0]

    def u16(self) -> int:
        """UINT16."""
        return int.from_bytes(self.take(2), "big")

    def u32(self) -> int:
        """UINT32."""
        return int.from_bytes(self.take(4), "big")

    def sized(self) -> bytes:
        """The contents of a TPM2B; its length is bounded by the response's."""
        return self.take(self.u16())

    def whole_sized(self) -> bytes:
        """A TPM2B with its length in front, as it is stored and sent on."""
        return sized(self.sized())

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self._data) - self._offset)

    def count(self, limit: int) -> int:
        """A UINT32 count.

        Raises:
            TpmError: it is over the limit.
        """
        number = self.u32()
        if number > limit:
            raise self.refuse(f"at most {limit} entries expected, found {number}")
        return number

    def selection(self) -> dict[int, tuple[int, ...]]:
        """TPML_PCR_SELECTION as bank to PCR indices; Part 2, 10.9.7.

        Raises:
            TpmError: too many banks, a bank twice, a bitmap of illegal width.
        """
        banks: dict[int, tuple[int, ...]] = {}
        for _ in range(self.count(MAX_BANKS)):
            alg, width = self.u16(), self.u8()
            if width > MAX_WIDTH or alg in banks:
                raise self.refuse(f"bank 0x{alg:04x} is listed twice or with a bitmap of {width} bytes")
            bitmap = int.from_bytes(self.take(width), "little")
            banks[alg] = tuple(pcr for pcr in range(8 * width) if bitmap >> pcr & 1)
        return banks

    def finish(self) -> None:
        """End of the response.

        Raises:
            TpmError: bytes are left over.
        """
        left = len(self._data) - self._offset
        if left:
            raise self.refuse(f"{left} bytes left over")
