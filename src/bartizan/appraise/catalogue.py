"""Checks, levels and policies from their TOML text. It reads no files and judges nothing."""

import tomllib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, TypeVar

import msgspec

from bartizan.appraise.generated import check_rule
from bartizan.appraise.kexec_rule import check_kexec_rule
from bartizan.errors import PolicyError
from bartizan.model.digest import PCR_COUNT
from bartizan.model.policy import AcceptedSigner, Check, GeneratedRule, KexecRule, Level, Policy, Waiver
from bartizan.model.posture import Profile
from bartizan.model.result import NOWHERE, Anchor, Claim, Finding, Pointer, Tier

Catalogue = Mapping[str, Check]
FINGERPRINT_BYTES = 32
LEVELS = 6


def finding_of(check: Check, tier: Tier, why: str, at: Pointer = NOWHERE) -> Finding:
    """A finding of this check, with the claim and anchor that its description states."""
    return Finding(id=check.id, claim=Claim(check.claim), tier=tier, why=why, anchor=Anchor(check.anchor), at=at)


class _CheckRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    title: str
    claim: Claim
    anchor: Anchor
    why: str
    impact: str
    fix: str
    references: tuple[str, ...]
    refusal: Tier = Tier.CONTRAINDICATED


class _CheckFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    check: tuple[_CheckRow, ...]


class _LevelRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    number: int
    name: str
    question: str
    assessed: bool = True
    affirming: tuple[str, ...] = ()
    warning: tuple[str, ...] = ()
    breaks: tuple[str, ...] = ()
    contradicts: tuple[str, ...] = ()
    any_of: tuple[tuple[str, ...], ...] = ()


class _LevelFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    level: tuple[_LevelRow, ...]


class _SignerRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    fingerprint: str


class _WaiverRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    check: str
    reason: str
    pcr: int | None = None
    workload: str | None = None
    expires: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class _GeneratedRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    generator: str
    paths: tuple[str, ...]
    needs: tuple[str, ...]


class _KexecRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    ima_policy: str


class _PostureRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    profile: Profile


class _PolicyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    unknown_file: Tier = Tier.WARNING
    sbat_minimum: dict[str, int] = {}
    signer: tuple[_SignerRow, ...] = ()
    waiver: tuple[_WaiverRow, ...] = ()
    generated: tuple[_GeneratedRow, ...] = ()
    posture: _PostureRow | None = None
    kexec: tuple[_KexecRow, ...] = ()
    revoked_images: tuple[str, ...] = ()
    revoked_certificates: tuple[str, ...] = ()


Shape = TypeVar("Shape")


def _read(text: str, shape: type[Shape], *, source: str) -> Shape:
    try:
        return msgspec.convert(tomllib.loads(text), shape, strict=True)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise PolicyError(f"{source}: {error}") from error


def load_checks(files: Mapping[str, str]) -> Catalogue:
    """Check id to its description, from TOML texts by file name.

    Raises:
        PolicyError: a text that is not such a file, or an id that stands twice.
    """
    found: dict[str, Check] = {}
    for source, text in sorted(files.items()):
        for row in _read(text, _CheckFile, source=source).check:
            if row.id in found:
                raise PolicyError(f"{source}: the check {row.id} is described twice")
            found[row.id] = Check(
                id=row.id,
                title=row.title,
                claim=row.claim.value,
                anchor=row.anchor.value,
                why=row.why,
                impact=row.impact,
                fix=row.fix,
                references=row.references,
                refusal=row.refusal,
            )
    return found


def load_levels(text: str, catalogue: Catalogue, *, source: str) -> tuple[Level, ...]:
    """The ladder, lowest rung first.

    Raises:
        PolicyError: rungs missing or out of order, or a need that names no check.
    """
    rows = _read(text, _LevelFile, source=source).level
    if [row.number for row in rows] != list(range(1, LEVELS + 1)):
        raise PolicyError(f"{source}: levels 1 to {LEVELS} are needed, in order")
    for row in rows:
        alternatives = (check for option in row.any_of for check in option)
        needed = (*row.affirming, *row.warning, *row.breaks, *row.contradicts, *alternatives)
        _known(needed, catalogue, source=source)
    return tuple(Level(**msgspec.structs.asdict(row)) for row in rows)


def _known(checks: Iterable[str], catalogue: Catalogue, *, source: str) -> None:
    for check in checks:
        if check not in catalogue:
            raise PolicyError(f"{source}: there is no check {check!r}")


def _fingerprint(text: str, *, source: str) -> bytes:
    try:
        digest = bytes.fromhex(text) if text == text.lower() and len(text) == 2 * FINGERPRINT_BYTES else b""
    except ValueError:
        digest = b""
    if len(digest) != FINGERPRINT_BYTES:
        raise PolicyError(f"{source}: 64 lower-case hexadecimal digits of a SHA-256 expected, found {text[:80]!r}")
    return digest


def _fingerprints(texts: Iterable[str], *, source: str) -> frozenset[bytes]:
    return frozenset(_fingerprint(text, source=source) for text in texts)


def load_policy(text: str, catalogue: Catalogue, *, source: str) -> Policy:
    """An appraisal policy.

    Raises:
        PolicyError: an unknown setting, a digest that is none, a waiver for no check or without a reason, a tier
            that accepts, a rule for generated files that is too wide, an IMA policy that leaves a kexec unmeasured.
    """
    file = _read(text, _PolicyFile, source=source)
    _known((row.check for row in file.waiver), catalogue, source=source)
    if file.unknown_file not in (Tier.WARNING, Tier.CONTRAINDICATED):
        raise PolicyError(f"{source}: unknown_file is warning or contraindicated, not {file.unknown_file.value}")
    for row in file.waiver:
        _check_waiver(row, source=source)
    return Policy(
        name=file.name,
        unknown_file=file.unknown_file,
        signers=tuple(
            AcceptedSigner(name=row.name, fingerprint=_fingerprint(row.fingerprint, source=f"{source}: signer"))
            for row in file.signer
        ),
        waivers=tuple(Waiver(**msgspec.structs.asdict(row)) for row in file.waiver),
        revoked_images=_fingerprints(file.revoked_images, source=f"{source}: revoked_images"),
        revoked_certificates=_fingerprints(file.revoked_certificates, source=f"{source}: revoked_certificates"),
        sbat_minimum=file.sbat_minimum,
        generated=tuple(_generated(row, source=source) for row in file.generated),
        posture=file.posture.profile if file.posture else None,
        kexec=tuple(_kexec(row, source=source) for row in file.kexec),
    )


def _check_waiver(row: _WaiverRow, *, source: str) -> None:
    if row.check in UNWAIVABLE:
        raise PolicyError(f"{source}: {row.check} cannot be waived")
    if not row.reason.strip():
        raise PolicyError(f"{source}: the waiver of {row.check} needs a reason, which is shown with every result")
    if row.pcr is not None and not 0 <= row.pcr < PCR_COUNT:
        raise PolicyError(f"{source}: the waiver of {row.check}: PCR 0 to {PCR_COUNT - 1} expected, found {row.pcr}")


def _generated(row: _GeneratedRow, *, source: str) -> GeneratedRule:
    rule = GeneratedRule(name=row.name, generator=row.generator, paths=row.paths, needs=frozenset(row.needs))
    try:
        check_rule(rule)
    except PolicyError as error:
        raise PolicyError(f"{source}: generated {row.name!r}: {error}") from error
    return rule


def _kexec(row: _KexecRow, *, source: str) -> KexecRule:
    rule = KexecRule(name=row.name, ima_policy=row.ima_policy.encode())
    try:
        check_kexec_rule(rule)
    except PolicyError as error:
        raise PolicyError(f"{source}: kexec {row.name!r}: {error}") from error
    return rule


UNWAIVABLE = (
    "identity.ek-chain",
    "identity.ek-key",
    "identity.ak-attributes",
    "identity.ak-residency",
    "identity.ak-known",
    "quote.signature",
    "quote.extra-data",
    "quote.selection",
    "quote.pcr-digest",
    "quote.clock",
)
"""Without these nothing is proved at all, so that no exception makes sense."""
