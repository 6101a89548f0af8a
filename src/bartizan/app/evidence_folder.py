"""Recorded evidence: a folder as an agent (or the testbed) wrote it, decoded. Nothing in it is proved yet.

Files: quote.attest, quote.sig, ak.pub, pcrs_at_quote.json (needed); ek.pub, ek_cert.der, ek_chain.pem, nonce.bin,
bios_at_quote.bin (and bios_at_quote.1.bin … .16.bin, the logs of other resumes), ima_at_quote.bin, txt_eventlog.bin,
cmdline, posture.json (each one missing leaves something unproved).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bartizan.errors import ConfigError, DecodeError
from bartizan.formats.ima import decode_ima
from bartizan.formats.log_file import decode_log_file
from bartizan.formats.pcr_file import decode_pcr_file
from bartizan.formats.tcg_log import decode_boot_log
from bartizan.formats.tpm2 import decode_attest, decode_public, decode_signature
from bartizan.formats.x509 import decode_certificate, decode_certificates
from bartizan.model.digest import PCR_COUNT, HashAlg
from bartizan.model.evidence import Challenge, ReportedEvidence, ReportedIdentity, ReportedQuote

Decoded = TypeVar("Decoded")
MAX_FILE = 64 * 1024 * 1024
"""Bytes of one file: the limit of the largest decoder (IMA)."""
MAX_COMMAND_LINE = 4096
"""Bytes: COMMAND_LINE_SIZE is 2048 on x86 and 4096 elsewhere."""
NEEDED = ("quote.attest", "quote.sig", "ak.pub", "pcrs_at_quote.json")
OTHER_LOGS = tuple(f"bios_at_quote.{number}.bin" for number in range(1, 17))
"""Further boot logs, one for each resume as some operating systems keep them; the one that fits the quote counts."""
LAUNCH_LOGS = ("txt_eventlog.bin", "txt_at_quote.bin", "drtm_at_quote.bin", "drtm_eventlog.bin", "launch_at_quote.bin")
"""Names under which a dynamic launch's log is looked for, the first one found counts."""
KNOWN = (
    *NEEDED,
    *("ek.pub", "ek_cert.der", "ek_chain.pem", "nonce.bin", "posture.json", "cmdline"),
    *("bios_at_quote.bin", "ima_at_quote.bin"),
    *OTHER_LOGS,
    *LAUNCH_LOGS,
)


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
    files = {name: read_file(folder / name) for name in KNOWN if (folder / name).is_file()}
    evidence = decode_evidence(files)
    challenge = Challenge(
        extra_data=files.get("nonce.bin"),
        selection={bank: frozenset(range(PCR_COUNT)) for bank in evidence.untrusted_pcrs},
        pinned=HashAlg.SHA256,
        recorded=True,
    )
    return Recording(evidence=evidence, challenge=challenge)


def decode_evidence(files: Mapping[str, bytes]) -> ReportedEvidence:
    """Evidence from its files by name; the needed ones must be there.

    Raises:
        DecodeError: a file is not what its name says.
    """
    launch = next((name for name in LAUNCH_LOGS if name in files), "")
    return ReportedEvidence(
        identity=_identity(files),
        quote=ReportedQuote(
            attest=_decoded(files, "quote.attest", decode_attest),
            signature=_decoded(files, "quote.sig", decode_signature),
        ),
        untrusted_pcrs=_decoded(files, "pcrs_at_quote.json", decode_pcr_file),
        boot_log=_optional(files, "bios_at_quote.bin", decode_boot_log),
        launch_log=_optional(files, launch, decode_log_file),
        ima=_optional(files, "ima_at_quote.bin", decode_ima),
        posture=files.get("posture.json"),
        untrusted_command_line=command_line_text(files.get("cmdline")),
        other_boot_logs=tuple(_decoded(files, name, decode_boot_log) for name in OTHER_LOGS if name in files),
    )


def command_line_text(raw: bytes | None) -> str | None:
    """/proc/cmdline as text; what is no text, or too long for a kernel, is left out: it is hearsay anyway."""
    if raw is None or len(raw) > MAX_COMMAND_LINE:
        return None
    return raw.decode("utf-8", "surrogateescape").removesuffix("\n")


def _identity(files: Mapping[str, bytes]) -> ReportedIdentity:
    return ReportedIdentity(
        ak=_decoded(files, "ak.pub", decode_public),
        ek=_optional(files, "ek.pub", decode_public),
        ek_certificate=_optional(files, "ek_cert.der", decode_certificate),
        chain=_optional(files, "ek_chain.pem", decode_certificates) or (),
    )


def _decoded(files: Mapping[str, bytes], name: str, decode: Callable[[bytes], Decoded]) -> Decoded:
    try:
        return decode(files[name])
    except DecodeError as error:
        raise DecodeError(f"{name}: {error.what}", error.offset, error.why) from error


def _optional(files: Mapping[str, bytes], name: str, decode: Callable[[bytes], Decoded]) -> Decoded | None:
    return _decoded(files, name, decode) if name in files else None
