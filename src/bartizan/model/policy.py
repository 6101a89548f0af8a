"""The appraisal policy: what an operator accepts, as data. Nothing here judges."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from bartizan.model.posture import Profile
from bartizan.model.result import Tier


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedSigner:
    """A Secure Boot authority whose new kernels are accepted: the SHA-256 fingerprint of its certificate."""

    name: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """A named exception: findings of this check or rule are lowered to a warning, with the reason shown.

    pcr, workload: those of this PCR or workload alone; expires: it counts until then, for ever if None.
    """

    check: str
    reason: str
    pcr: int | None = None
    workload: str | None = None
    expires: datetime | None = None

    def counts(self, now: datetime) -> bool:
        """It has not expired."""
        return self.expires is None or now < self.expires


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedRule:
    """Files that machines make for themselves: what makes them, where, and what must be known beside.

    generator: the absolute path of the program; paths: globs, see `appraise.generated`; needs: `generator`: that
    program is a known file; `source`: the byte code's source file is.
    """

    name: str
    generator: str
    paths: tuple[str, ...]
    needs: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class KexecRule:
    """An IMA policy under which every kexec is measured: the exact bytes of its file; see `appraise.kexec_rule`."""

    name: str
    ima_policy: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One appraisal policy; `sbat_minimum` is component to generation, `revoked` are Authenticode SHA-256 hashes.

    posture: the profile whose rules the posture is judged by; None: it is not judged; kexec: where a kernel started by
    kexec may be recognised; nowhere without one.
    """

    name: str
    unknown_file: Tier
    signers: tuple[AcceptedSigner, ...]
    waivers: tuple[Waiver, ...]
    revoked_images: frozenset[bytes]
    revoked_certificates: frozenset[bytes]
    sbat_minimum: Mapping[str, int]
    generated: tuple[GeneratedRule, ...] = ()
    posture: Profile | None = None
    kexec: tuple[KexecRule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One rung's needs as data.

    affirming: checks that must affirm; warning: checks for which a warning suffices; breaks: checks that may be absent
    but must not say anything worse than affirming; contradicts: checks that may be absent or warn but must not be
    contraindicated; any_of: alternatives, each a list of checks that must all affirm.
    """

    number: int
    name: str
    question: str
    assessed: bool
    affirming: tuple[str, ...] = ()
    warning: tuple[str, ...] = ()
    breaks: tuple[str, ...] = ()
    contradicts: tuple[str, ...] = ()
    any_of: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check's description: what the console, the docs and `explain` say about it."""

    id: str
    title: str
    claim: str
    anchor: str
    why: str
    impact: str
    fix: str
    references: tuple[str, ...]
    refusal: Tier = Tier.CONTRAINDICATED
