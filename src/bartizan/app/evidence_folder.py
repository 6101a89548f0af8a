"""Recorded evidence: a folder as an agent (or the testbed) wrote it, decoded. Nothing in it is proved yet.

Files: quote.attest, quote.sig, ak.pub, pcrs_at_quote.json (needed); ek.pub, ek_cert.der, ek_chain.pem, nonce.bin,
bios_at_quote.bin, ima_at_quote.bin, txt_eventlog.bin, posture.json (each missing one leaves something unproved).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bartizan.errors import ConfigError, DecodeError
from bartizan.formats.ima import decode_ima
from bartizan.formats.pcr_file import decode_pcr_file
from bartizan.formats.tcg_log import decode_boot_log
from bartizan.formats.tpm2 import decode_attest, decode_public, decode_signature
from bartizan.formats.x509 import decode_certificate, decode_certificates
from bartizan.model.digest import PCR_COUNT, HashAlg
from bartizan.model.evidence import Challenge, ReportedEvidence, ReportedIdentity, ReportedQuote

Decoded = TypeVar("Decoded")
MAX_FILE = 64 * 1024 * 1024
"""Bytes of one file: the limit of the largest decoder (IMA)."""
NEEDED = ("quote.attest", "quote.sig", "ak.pub", "pcrs_at_quote.json")
LAUNCH_LOGS = ("txt_eventlog.bin", "txt_at_quote.bin", "drtm_at_quote.bin", "drtm_eventlog.bin", "launch_at_quote.bin")
"""Names under which a dynamic launch's log is looked for, the first one found counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A folder's evidence and the challenge that it claims to answer."""

    evidence: ReportedEvidence
    challenge: Challenge


def read_file(path: Path, *, limit: int = MAX_FILE) -> bytes:
    """A file's bytes.

    Raises:
        ConfigError: it cannot be read, or is over the limit.
    """
    try:
        with path.open("rb") as stream:
            raw = stream.read(limit + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    if len(raw) > limit:
        raise ConfigError(f"{path}: over the limit of {limit} bytes")
    return raw


def read_recording(folder: Path) -> Recording:
    """Decode an evidence folder.

    All PCRs in the banks of `pcrs_at_quote.json` count as asked, sha256 as pinned; the raw nonce is the challenge.

    Raises:
        ConfigError: a needed file is missing. DecodeError: a file is not what its name says.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder}: an evidence folder expected, found {'a file' if folder.exists() else 'nothing'}")
    missing = [name for name in NEEDED if not (folder / name).is_file()]
    if missing:
        raise ConfigError(f"{folder}: nothing to appraise: {', '.join(missing)} missing")
    pcrs = _decoded(folder / "pcrs_at_quote.json", decode_pcr_file)
    nonce = folder / "nonce.bin"
    challenge = Challenge(
        extra_data=read_file(nonce) if nonce.is_file() else None,
        selection={bank: frozenset(range(PCR_COUNT)) for bank in pcrs},
        pinned=HashAlg.SHA256,
        recorded=True,
    )
    launch = next((folder / name for name in LAUNCH_LOGS if (folder / name).is_file()), None)
    posture = folder / "posture.json"
    evidence = ReportedEvidence(
        identity=_identity(folder),
        quote=ReportedQuote(
            attest=_decoded(folder / "quote.attest", decode_attest),
            signature=_decoded(folder / "quote.sig", decode_signature),
        ),
        untrusted_pcrs=pcrs,
        boot_log=_optional(folder / "bios_at_quote.bin", decode_boot_log),
        launch_log=_decoded(launch, decode_boot_log) if launch else None,
        ima=_optional(folder / "ima_at_quote.bin", decode_ima),
        posture=read_file(posture) if posture.is_file() else None,
    )
    return Recording(evidence=evidence, challenge=challenge)


def _identity(folder: Path) -> ReportedIdentity:
    chain = folder / "ek_chain.pem"
    return ReportedIdentity(
        ak=_decoded(folder / "ak.pub", decode_public),
        ek=_optional(folder / "ek.pub", decode_public),
        ek_certificate=_optional(folder / "ek_cert.der", decode_certificate),
        chain=_decoded(chain, decode_certificates) if chain.is_file() else (),
    )


def _decoded(path: Path, decode: Callable[[bytes], Decoded]) -> Decoded:
    try:
        return decode(read_file(path))
    except DecodeError as error:
        raise DecodeError(f"{path.name}: {error.what}", error.offset, error.why) from error


def _optional(path: Path, decode: Callable[[bytes], Decoded]) -> Decoded | None:
    return _decoded(path, decode) if path.is_file() else None
