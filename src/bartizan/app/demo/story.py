"""The demonstration as a story: six machines climb the ladder, a kernel update, eight attacks, each judged live."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from bartizan.app.attest_node import Rules
from bartizan.app.defaults import catalogue, default_policy, levels
from bartizan.app.demo.ending import ending_cleanly
from bartizan.app.demo.kept import Kept, open_kept
from bartizan.app.demo.machine import BANKS, Machine
from bartizan.app.demo.recordings import Boot, recorded, relabelled, with_new_kernel, without_secure_boot
from bartizan.app.demo.rules import demo_policy
from bartizan.app.demo.verifier import Judged, Verifier
from bartizan.app.roots import load_roots
from bartizan.appraise.catalogue import load_policy
from bartizan.appraise.context import index_reference
from bartizan.connectors.swtpm.manufacture import Factory, manufacture, open_factory
from bartizan.connectors.swtpm.process import run_tpm
from bartizan.errors import ConnectorError
from bartizan.model.digest import HashAlg
from bartizan.model.result import AttestationResult, Finding, Tier
from bartizan.reference.propose import propose

FLEET = (
    ("compute-1", "compute"),
    ("compute-2", "compute"),
    ("compute-3", "compute"),
    ("controller-1", "controller"),
    ("network-1", "network"),
    ("storage-1", "storage"),
)
IMPOSTOR = "impostor"
LAUNCHED = "compute-3"
UPDATED = "compute-2"
VICTIM = "compute-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A line between the steps: a new chapter when `title`."""

    text: str
    title: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One judged step: what happened, the verdict, and whether it is the one that must come out.

    `sentence` is the finding that explains it; `one_bit` what the check of 2016 would have answered.
    """

    name: str
    what: str
    judged: Judged
    sentence: Finding | None
    attack: bool
    as_expected: bool

    @property
    def result(self) -> AttestationResult:
        """The verdict."""
        return self.judged.outcome.result


Event = Said | Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """An attack: its name, how it is done, and the check that must catch it, at no more than this level.

    about: the path that the sentence must name, where one check has several findings.
    """

    name: str
    what: str
    run: Callable[["Stage"], Judged]
    check: str
    level: int
    about: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The running machines and their Verifier."""

    machines: dict[str, Machine]
    verifier: Verifier
    good: Boot

    def reboot(self, boot: Boot, *, step: str) -> Judged:
        """Start the victim into this boot, and attest it."""
        self.machines[VICTIM].boot(boot)
        return self.verifier.attest(self.machines[VICTIM], step=step)


def play(keep: Path | None = None) -> Iterator[Event]:
    """The whole story, step by step, as it happens.

    Raises:
        ConnectorError: swtpm is missing or fails. ConfigError: `keep` cannot be written to, or holds something else.
    """
    kept = open_kept(keep) if keep is not None else None
    with ending_cleanly(), open_factory() as factory, ExitStack() as stack:
        yield Said(text="Six machines, each with its own emulated TPM and certificate", title=True)
        stage = _build(factory, stack, kept)
        yield Said(
            text="Their boots are recordings of real measured boots (Debian 12, shim, GRUB, IMA), replayed into each"
            " TPM measurement by measurement; their roles are what they were enrolled as."
        )
        yield Said(
            text="Each enrols by credential activation: it is accepted once its TPM has opened a secret that opens only"
            " beside its certified key. Then a fresh quote, and up the ladder: 1 identified, 2 consistent,"
            " 3 recognised, 4 known code."
        )
        yield from _climb(stage)
        yield Said(text="A kernel update, signed by an accepted signer", title=True)
        yield from _update(stage)
        yield Said(text="The attacks", title=True)
        yield Said(
            text="Beside each: what the check of 2016 says (stored PCR 0 and 17–19 compared, trusted or not, asked"
            " only when a workload is scheduled)."
        )
        for attack in ATTACKS:
            yield _attacked(stage, attack)
    if kept is not None:
        kept.note()


def _build(factory: Factory, stack: ExitStack, kept: Kept | None) -> Stage:
    names = [*(name for name, _ in FLEET), IMPOSTOR]
    roles = dict(FLEET)
    machines: dict[str, Machine] = {}
    for name, state in zip(names, manufacture(factory, names), strict=True):
        running = stack.enter_context(run_tpm(state))
        tpm = running.connect()
        machine = Machine(name=name, role=roles.get(name, "foreign"), tpm=tpm, control=running.control)
        stack.callback(machine.close)
        machines[name] = machine
    roots = factory.folder / "roots"
    roots.mkdir()
    certificates = (factory.root_certificate, factory.issuer_certificate)
    for certificate in certificates:
        shutil.copy(certificate, roots)
    if kept is not None:
        kept.roots(certificates)
    rules = Rules(catalogue=catalogue(), levels=levels(), policy=default_policy(), reference=None)
    verifier = Verifier(anchors=load_roots(roots), rules=rules, kept=kept)
    return Stage(machines=machines, verifier=verifier, good=recorded("good"))


def _climb(stage: Stage) -> Iterator[Event]:
    """(1) Enrolment and the way up the ladder; the first machine is declared good and gives the Reference Values."""
    for name, role in FLEET:
        machine = stage.machines[name]
        machine.boot(stage.good)
        if name == LAUNCHED:
            machine.launch()
        machine.make_keys()
        stage.verifier.enrol(machine)
        judged = stage.verifier.attest(machine, step=name)
        if stage.verifier.rules.reference is None:
            _learn(stage, judged)
            yield Said(text=f"{name} is declared good: its measurements become the Reference Values")
            judged = stage.verifier.attest(machine, step=name)
        launched = ", with a dynamic launch" if name == LAUNCHED else ""
        result = judged.outcome.result
        yield Step(
            name=name,
            what=f"{role}{launched}",
            judged=judged,
            sentence=_sentence(result, "recognised.launch") if launched else None,
            attack=False,
            as_expected=result.level == 4 and not result.contraindicated,  # noqa: PLR2004  level 4: known code
        )


def _learn(stage: Stage, judged: Judged) -> None:
    verified = judged.outcome.verified
    if verified is None:
        raise ConnectorError("the first machine did not verify: " + judged.outcome.result.findings[0].why)
    reference = propose(verified.boot, verified.ima, name="demo", source=f"{VICTIM}, declared good")
    debian = [a.fingerprint for a in verified.boot.facts.authorities if a.variable == "MokListRT" and a.fingerprint]
    text = demo_policy("Debian Secure Boot CA", debian)
    verifier = stage.verifier
    if verifier.kept is not None:
        verifier.kept.reference(reference)
        verifier.kept.policy(text)
    policy = load_policy(text, verifier.rules.catalogue, source="the demo's policy")
    verifier.rules = replace(verifier.rules, policy=policy, reference=index_reference(reference))


def _update(stage: Stage) -> Iterator[Event]:
    """(2) A kernel that nobody has seen before, on a boot derived from the recording."""
    machine = stage.machines[UPDATED]
    machine.boot(with_new_kernel(stage.good, image=b"the next kernel"))
    judged = stage.verifier.attest(machine, step="kernel-update")
    result = judged.outcome.result
    sentence = next((f for f in result.findings if f.id == "recognised.loader" and "signer" in f.why), None)
    yield Step(
        name="kernel update",
        what=f"{UPDATED} reboots into a new kernel (its digests are made up, the rest is the recording)",
        judged=judged,
        sentence=sentence,
        attack=False,
        as_expected=result.level == 4 and sentence is not None,  # noqa: PLR2004  level 4: known code
    )


def _sentence(result: AttestationResult, check: str, about: str = "") -> Finding | None:
    """The worst finding of a check."""
    found = [f for f in result.findings if f.id == check and about in (f.at.path or "")]
    return min(found, key=lambda finding: finding.tier.order, default=None)


def _attacked(stage: Stage, attack: Attack) -> Step:
    """(3) One attack, live, on a machine that was good before."""
    judged = attack.run(stage)
    result = judged.outcome.result
    sentence = _sentence(result, attack.check, attack.about)
    caught = sentence is not None and sentence.tier is not Tier.AFFIRMING and result.level <= attack.level
    return Step(name=attack.name, what=attack.what, judged=judged, sentence=sentence, attack=True, as_expected=caught)


def _forged(stage: Stage) -> Judged:
    bad = relabelled(without_secure_boot(stage.good), stage.good)
    return stage.reboot(bad, step="forged-log")


def _replayed(stage: Stage) -> Judged:
    machine = stage.machines[VICTIM]
    machine.boot(stage.good)
    old = machine.answer(stage.verifier.challenge(VICTIM))
    asked = stage.verifier.challenge(VICTIM)
    return stage.verifier.judge(old, asked=asked, node=VICTIM, step="replayed-quote")


def _other_selection(stage: Stage) -> Judged:
    few: dict[int, Iterable[int]] = {HashAlg.SHA256: (16, 23), HashAlg.SHA1: range(24)}
    return stage.verifier.attest(stage.machines[VICTIM], step="other-selection", banks=few)


def _foreign(stage: Stage) -> Judged:
    impostor = stage.machines[IMPOSTOR]
    impostor.boot(stage.good)
    impostor.make_keys()
    asked = stage.verifier.challenge(VICTIM)
    return stage.verifier.judge(impostor.answer(asked), asked=asked, node=VICTIM)


def _behind(stage: Stage) -> Judged:
    machine = stage.machines[VICTIM]
    machine.boot(stage.good)
    machine.tpm.pcr_extend(4, {bank: bank.digest(b"a loader that no log tells about") for bank in BANKS})
    return stage.verifier.attest(machine, step="extended-behind-the-log")


ATTACKS = (
    Attack(
        name="tampered file",
        what="/usr/bin/cut was changed on the disk and run (recorded attack)",
        run=lambda stage: stage.reboot(recorded("attack_disk_tamper"), step="tampered-file"),
        check="ima.known-files",
        level=3,
        about="/usr/bin/cut",
    ),
    Attack(
        name="unknown binary",
        what="a rootkit is run from /root/.x (recorded attack)",
        run=lambda stage: stage.reboot(recorded("attack_unknown_binary"), step="unknown-binary"),
        check="ima.known-files",
        level=3,
        about="rootkit",
    ),
    Attack(
        name="changed command line",
        what="init=/bin/sh, confinement off (recorded attack)",
        run=lambda stage: stage.reboot(recorded("attack_cmdline"), step="changed-command-line"),
        check="recognised.command-line",
        level=2,
    ),
    Attack(
        name="forged log",
        what="Secure Boot was off; the log calls that an action and appends the events of a good boot (derived)",
        run=_forged,
        check="boot.order",
        level=1,
    ),
    Attack(
        name="replayed quote",
        what="a quote from before is sent again",
        run=_replayed,
        check="quote.extra-data",
        level=0,
    ),
    Attack(
        name="other selection",
        what="the quote covers PCR 16 and 23 of sha256 and another bank instead",
        run=_other_selection,
        check="quote.selection",
        level=0,
    ),
    Attack(
        name="foreign TPM",
        what=f"a genuine TPM of another machine answers as {VICTIM}",
        run=_foreign,
        check="identity.ak-known",
        level=0,
    ),
    Attack(
        name="extended behind the log",
        what="PCR 4 is extended and the log says nothing",
        run=_behind,
        check="boot.pcr-explained",
        level=1,
    ),
)
