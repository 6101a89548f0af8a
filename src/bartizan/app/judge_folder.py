"""`bartizan appraise` and `explain`: an evidence folder judged by policy, Reference Values and accepted CAs."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bartizan.app.attest_node import Outcome, Rules, attest_node
from bartizan.app.defaults import SHIPPED_POLICIES, catalogue, default_policy, levels, shipped_policy
from bartizan.app.evidence_folder import read_file, read_recording
from bartizan.app.reference_folder import read_reference
from bartizan.app.roots import built_in_roots, load_roots
from bartizan.app.sign_reference import demand_signature, read_accepted
from bartizan.appraise.catalogue import load_policy
from bartizan.appraise.context import index_reference
from bartizan.errors import ConfigError, PolicyError
from bartizan.model.evidence import Enrolment
from bartizan.model.policy import Policy
from bartizan.model.reference import ReferenceSet

MAX_POLICY = 4 * 1024 * 1024
"""Bytes of a policy: revocation lists with tens of thousands of digests fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where the rules come from; None stands for what ships with Bartizan.

    reference: folders with sets, which count together; reference_keys: public keys, one of which must have signed each.
    """

    policy: Path | None = None
    reference: tuple[Path, ...] = ()
    reference_keys: tuple[Path, ...] = ()
    roots: Path | None = None


def read_policy(path: Path | None) -> Policy:
    """The policy in a file, one that ships with Bartizan by its name, or the default one.

    Raises:
        PolicyError: it is not a policy. ConfigError: the file cannot be read.
    """
    if path is None:
        return default_policy()
    if str(path) in SHIPPED_POLICIES and not path.exists():
        return shipped_policy(str(path))
    raw = read_file(path, limit=MAX_POLICY)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PolicyError(f"{path}: not UTF-8 at byte {error.start}") from error
    return load_policy(text, catalogue(), source=str(path))


def read_sets(folders: tuple[Path, ...], *, keys: tuple[Path, ...]) -> tuple[ReferenceSet, ...]:
    """The sets in some folders, each signed by one of the keys where there are any.

    Raises:
        ConfigError: a folder or key cannot be used. DecodeError: a set is none. PolicyError: one is not signed.
    """
    if keys and not folders:
        raise ConfigError("--reference-key demands signed Reference Values, and none were given: add --reference")
    accepted = read_accepted(keys)
    sets = tuple(read_reference(folder) for folder in folders)
    if accepted:
        for folder, some in zip(folders, sets, strict=True):
            demand_signature(some, folder, accepted)
    return sets


def judge_folder(folder: Path, sources: Sources, *, now: datetime) -> Outcome:
    """Verify and appraise a recorded attestation.

    Raises:
        ConfigError: a folder or file is missing. DecodeError: a file is not what it should be.
        PolicyError: the policy cannot be used.
    """
    policy = read_policy(sources.policy)
    sets = read_sets(sources.reference, keys=sources.reference_keys)
    reference = index_reference(*sets) if sets else None
    anchors = load_roots(sources.roots) if sources.roots else built_in_roots()
    recording = read_recording(folder)
    rules = Rules(catalogue=catalogue(), levels=levels(), policy=policy, reference=reference)
    enrolment = Enrolment(anchors=anchors)
    return attest_node(recording.evidence, challenge=recording.challenge, enrolment=enrolment, rules=rules, now=now)
