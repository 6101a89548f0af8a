"""The story of an update on real packages: a Debian kernel and eleven packages that the recorded machine runs files of.

Versions, digests and signers are the archive's own: `tests/vectors/debian` holds both versions of each package as they
were imported, `tests/vectors/images` the kernels. The machine is the recorded one, quoted anew by a TPM of the tests.
"""

import lzma
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache

import pytest

from bartizan.app.attest_node import Rules, attest_node
from bartizan.app.defaults import catalogue, levels, shipped_policy
from bartizan.appraise.context import ReferenceIndex, index_reference
from bartizan.formats.reference_file import decode_reference
from bartizan.model.reference import Origin, ReferenceFile, ReferenceSet, ReferenceState
from bartizan.model.result import AttestationResult, Tier
from bartizan.reference.components import Components
from bartizan.reference.predict import predict
from bartizan.reference.propose import canonical
from bartizan.reference.vetting import Vetting
from tests.simulator.boot_images import VECTORS, DebianImage
from tests.simulator.machine import CHALLENGE, ENROLMENT, Machine, file_line, good, reference_set
from tests.simulator.tpm_ca import NOW
from tests.unit.ima_lists import Line, d_ng
from tests.unit.kernel_machines import digests_of, initramfs, verified, with_kernel
from tests.unit.test_kernel_update_story import UPDATES, names

DAY = timedelta(days=1)
CLOSES = NOW + 7 * DAY
"""When the old sets end: by then every machine has rebooted."""
POLICY = shipped_policy("packaged")
OWN = b"/opt/agent/"
TAMPERED = b"/usr/lib/x86_64-linux-gnu/libssl.so.3"
CACHE = b"/etc/ld.so.cache"


@cache
def imported(name: str) -> ReferenceSet:
    """A set that `reference import deb` wrote."""
    return decode_reference(lzma.decompress((VECTORS.parent / "debian" / name).read_bytes()))


@cache
def packages() -> tuple[ReferenceSet, ReferenceSet]:
    """The node's packages before the update and after it."""
    after, earlier = imported("reference.json.xz"), imported("earlier.json.xz")
    updated = {origin.package for origin in origins(earlier.files)}
    kept = [file for file in after.files if file.origin is not None and file.origin.package not in updated]
    before = canonical(replace(after, name="debian-packages-before", files=(*earlier.files, *kept)))
    return before, canonical(replace(after, name="debian-packages-after"))


def origins(files: Iterable[ReferenceFile]) -> set[Origin]:
    return {file.origin for file in files if file.origin is not None}


@dataclass(frozen=True, kw_only=True)
class Changed:
    """A measured file that the update replaces: its digest before and after, and the package it is of."""

    path: bytes
    before: bytes
    after: bytes
    package: str


@cache
def changed() -> tuple[Changed, ...]:
    """What the recorded machine runs of the updated packages, in the order in which it was measured."""
    earlier = {file.path: file for file in imported("earlier.json.xz").files}
    later = {(file.path, file.digest): file for file in imported("reference.json.xz").files}
    found = []
    for line in good().lines:
        path, digest = line.values[1][:-1], line.values[0][-32:]
        old, new = earlier.get(path), later.get((path, digest))
        if old is not None and new is not None and new.origin is not None and old.digest != new.digest:
            found.append(Changed(path=path, before=old.digest, after=digest, package=new.origin.package))
    return tuple(found)


def measured(path: bytes, digest: bytes) -> Line:
    return Line("ima-ng", (d_ng(digest), path + b"\0"), b"")


def before_update(kernel: DebianImage) -> Machine:
    """The recorded machine as it was: the earlier kernel, and the earlier version of each file."""
    old = {file.path: file.before for file in changed()}
    lines = (
        measured(path, old[path]) if (path := line.values[1][:-1]) in old else line
        for line in with_kernel(kernel).lines
    )
    return replace(with_kernel(kernel), lines=tuple(lines))


def own_files() -> tuple[ReferenceFile, ...]:
    return tuple(file for file in reference_set(good()).files if file.path.startswith(OWN))


@dataclass(frozen=True, kw_only=True)
class Sets:
    """What the Verifier holds: for the boot and for files, from before the update and after it; and the image's own."""

    boot: ReferenceSet
    files: ReferenceSet
    next_boot: ReferenceSet
    next_files: ReferenceSet
    own: ReferenceSet

    def known(self) -> ReferenceIndex:
        """All of them; the old ones end when the window closes."""
        old = (canonical(replace(some, valid_until=CLOSES)) for some in (self.boot, self.files))
        return index_reference(*old, self.next_boot, self.next_files, self.own)

    def unforetold(self) -> ReferenceIndex:
        """Without what was predicted and imported for the update."""
        return index_reference(self.boot, self.files, self.own)

    def retired(self, state: ReferenceState) -> ReferenceIndex:
        """The old ones put out of force by a word instead of by time."""
        old = (canonical(replace(some, state=state)) for some in (self.boot, self.files))
        return index_reference(*old, self.next_boot, self.next_files, self.own)


def prepared(old: DebianImage, new: DebianImage) -> Sets:
    """What an operator has before the first package is installed: sets imported, the next boot predicted."""
    machine = before_update(old)
    boot, ima = verified(machine)
    parts = Components(source=new.source, kernel=new.image, initrds=(digests_of(initramfs(new)),))
    next_boot = predict(boot, ima, parts, vetting=Vetting.of(boot, POLICY), name="next-boot").reference
    before, after = packages()
    present = reference_set(machine)
    return Sets(
        boot=canonical(replace(present, name="boot", files=())),
        files=before,
        next_boot=canonical(replace(next_boot, files=())),
        next_files=after,
        own=canonical(replace(present, name="own", events=(), files=own_files())),
    )


def judged(machine: Machine, known: ReferenceIndex, *, now: datetime = NOW) -> AttestationResult:
    rules = Rules(catalogue=catalogue(), levels=levels(), policy=POLICY, reference=known)
    return attest_node(machine.evidence(), challenge=CHALLENGE, enrolment=ENROLMENT, rules=rules, now=now).result


USUAL = {"ima.generated-files", "ima.blind-spots"}
"""Said of the untouched machine too: byte code by rule, and what ima_policy=tcb does not see."""


def alarms(result: AttestationResult) -> list[tuple[str, str | None]]:
    """What is said against a machine, with the file it is about."""
    return [(f.id, f.at.path) for f in result.findings if not f.passes and f.id not in USUAL]


def quiet(result: AttestationResult) -> bool:
    """Zero alarms: the level it had, and nothing said against it."""
    usual = alarms(judged(good(), index_reference(reference_set(good()))))
    return (result.level, result.contraindicated, alarms(result)) == (4, False, usual)


def test_at_least_ten_packages_change_files_that_the_machine_runs() -> None:
    versions = {origin.package: origin.version for origin in origins(imported("earlier.json.xz").files)}
    later = {origin.package: origin.version for origin in origins(imported("reference.json.xz").files)}
    updated = {file.package for file in changed()}

    assert len(updated) == 11
    assert all(versions[package] != later[package] for package in updated)
    assert len(changed()) == 17
    assert {len(origin.signer) for origin in origins(imported("earlier.json.xz").files)} == {40}


@pytest.mark.parametrize("pair", UPDATES, ids=names)
def test_a_kernel_and_ten_packages_are_updated_without_a_false_alarm_and_with_every_true_one(
    pair: tuple[DebianImage, DebianImage],
) -> None:
    old, new = pair
    sets = prepared(old, new)

    # (1) before: the old kernel, the old files, the old sets alone
    machine = before_update(old)
    assert quiet(judged(machine, sets.unforetold()))

    # (2) predicted: packages imported, the next boot foretold; nothing has changed on the machine yet
    known = sets.known()
    assert quiet(judged(machine, known))

    # (3) during: package after package, each file measured again; byte code and the loader's cache made anew
    order = dict.fromkeys(file.package for file in changed())
    for package in order:
        lines = [measured(file.path, file.after) for file in changed() if file.package == package]
        machine = machine.running(*lines, file_line(CACHE, package.encode()))
        assert quiet(judged(machine, known)), package

    # (4) the same update without the imported packages would have raised an alarm for each file
    unforetold = alarms(judged(machine, sets.unforetold()))
    assert {file.path.decode() for file in changed()} == {path for check, path in unforetold if path}

    # (5) after: rebooted into the new kernel, while both sets count
    rebooted = with_kernel(new)
    assert quiet(judged(rebooted, known))
    said = next(f.why for f in judged(rebooted, known).findings if f.id == "recognised.loader")
    assert f"kernel {new.image.release}, signed by Debian Secure Boot Signer 2022 - linux, not revoked" in said

    # (6) the window closes: the old sets recognise nothing any more, and the updated machine does not notice
    assert quiet(judged(rebooted, known, now=CLOSES))
    assert quiet(judged(rebooted, sets.retired(ReferenceState.RETIRED)))
    assert quiet(judged(rebooted, sets.retired(ReferenceState.REVOKED)))

    # (7) a machine that stayed behind is told: its kernel is not recognised, its files are contraindicated by name
    behind = judged(before_update(old), known, now=CLOSES)
    assert (behind.level, behind.contraindicated) == (2, True)
    stale = [f for f in behind.findings if f.id == "ima.known-files" and f.tier is Tier.CONTRAINDICATED]
    assert [f.at.path for f in stale] == [file.path.decode() for file in changed()]
    assert all(
        "this one counts no more, for the set debian-packages-before expired at 2026-06-08" in f.why for f in stale
    )
    assert any("the set boot expired" in f.why for f in behind.findings if f.id == "recognised.loader")

    # (8) one file is tampered with among those that the update replaced: it is found, and nothing else is
    tampered = machine.running(file_line(TAMPERED, b"not what Debian built"))
    found = judged(tampered, known)
    assert (found.level, found.contraindicated) == (3, True)
    assert {path for check, path in alarms(found) if check.startswith("ima.")} == {TAMPERED.decode()}
    why = [f.why for f in found.findings if f.id == "ima.known-files"]
    assert why == [f"{TAMPERED.decode()} is known under another digest: the file was replaced or changed"]
