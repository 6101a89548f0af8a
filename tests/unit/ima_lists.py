"""Recorded IMA lists, and lists made as the kernel writes them with the PCR values they lead to. Not a test."""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bartizan.model.digest import HashAlg, PcrBanks

VECTORS = Path(__file__).parent.parent / "vectors"
RECORDED = sorted(path.name for path in VECTORS.glob("ima/*") if path.suffix in (".ascii", ".bin"))
BOOTS = sorted(path.parent.name for path in VECTORS.glob("boots/*/ima_at_quote.bin"))

Hash = Callable[[bytes], bytes]


def sha1(data: bytes) -> bytes:
    return hashlib.sha1(data, usedforsecurity=False).digest()


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def sized(value: bytes) -> bytes:
    return len(value).to_bytes(4, "little") + value


def d_ng(digest: bytes, label: bytes = b"sha256") -> bytes:
    """The field `d-ng`, and with a label such as `ima:sha256` the field `d-ngv2`."""
    return label + b":\0" + digest


@dataclass(frozen=True)
class Line:
    """One entry to be: field values as the kernel holds them, and their ascii form."""

    template: str
    values: Sequence[bytes]
    text: bytes
    pcr: int = 10
    violation: bool = False
    column: bytes | None = None

    @property
    def data(self) -> bytes:
        """What the kernel hashes."""
        if self.template == "ima":
            return self.values[0] + self.values[1].ljust(256, b"\0")
        return b"".join(map(sized, self.values))

    def digest(self, hashed: Hash) -> bytes:
        """The list's own column."""
        if self.column is not None:
            return self.column
        digest = hashed(self.data)
        return bytes(len(digest)) if self.violation else digest

    def binary(self, hashed: Hash = sha1) -> bytes:
        """The entry in `binary_runtime_measurements`."""
        body = self.values[0] + sized(self.values[1][:-1]) if self.template == "ima" else sized(self.data)
        return self.pcr.to_bytes(4, "little") + self.digest(hashed) + sized(self.template.encode()) + body

    def ascii(self, hashed: Hash = sha1) -> bytes:
        """The entry in `ascii_runtime_measurements`."""
        head = f"{self.pcr:2d} {self.digest(hashed).hex()} {self.template} ".encode()
        return head + self.text + b"\n"


def ng(path: bytes, digest: bytes = b"\xd1" * 32, *, pcr: int = 10, violation: bool = False) -> Line:
    """An entry of template ima-ng with a SHA-256 file digest."""
    digest = bytes(32) if violation else digest
    text = b"sha256:" + digest.hex().encode() + b" " + path
    return Line("ima-ng", (d_ng(digest), path + b"\0"), text, pcr=pcr, violation=violation)


def old(path: bytes, digest: bytes = b"\xd2" * 20) -> Line:
    """An entry of the template ima."""
    return Line("ima", (digest, path + b"\0"), digest.hex().encode() + b" " + path)


def binary(lines: Iterable[Line], hashed: Hash = sha1) -> bytes:
    return b"".join(line.binary(hashed) for line in lines)


def ascii_list(lines: Iterable[Line], hashed: Hash = sha1) -> bytes:
    return b"".join(line.ascii(hashed) for line in lines)


def extended(lines: Iterable[Line], alg: HashAlg, *, pcr: int = 10, padded: bool = False) -> bytes:
    """The PCR's value after these entries."""
    value = bytes(alg.size)
    for line in lines:
        if line.pcr != pcr:
            continue
        source = HashAlg.SHA1 if padded else alg
        digest = b"\xff" * alg.size if line.violation else source.digest(line.data).ljust(alg.size, b"\0")
        value = alg.digest(value + digest)
    return value


def banks(text: str) -> PcrBanks:
    """PCR values from JSON: bank by name or by number, then PCR to hexadecimal."""
    return {
        HashAlg(int(bank)) if bank.isdigit() else HashAlg.from_label(bank): {
            int(pcr): bytes.fromhex(value) for pcr, value in values.items()
        }
        for bank, values in json.loads(text).items()
    }


def boot(name: str) -> tuple[bytes, PcrBanks]:
    """List and PCR values of a recorded boot, both read at its quote."""
    folder = VECTORS / "boots" / name
    return (folder / "ima_at_quote.bin").read_bytes(), banks((folder / "pcrs_at_quote.json").read_text("utf-8"))


def buf(
    name: bytes, payload: bytes, *, digest: bytes | None = None, label: bytes = b"sha256", template: str = "ima-buf"
) -> Line:
    """An entry of template ima-buf as process_buffer_measurement() makes it."""
    found = hashlib.new(label.decode().removeprefix("ima:"), payload).digest() if digest is None else digest
    text = label + b":" + found.hex().encode() + b" " + name + b" " + payload.hex().encode()
    return Line(template, (d_ng(found, label), name + b"\0", payload), text)
