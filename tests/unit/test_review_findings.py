"""Ways to a better verdict than a node deserves, found by attacking the appraisal: each stays closed."""

from dataclasses import replace

from bartizan.app.defaults import default_policy
from bartizan.appraise.context import index_reference
from bartizan.model.boot_log import EventType
from bartizan.model.digest import HashAlg
from bartizan.model.policy import AcceptedSigner
from bartizan.model.result import AttestationResult, Finding, Tier
from bartizan.verify.log_rules import check_log
from bartizan.verify.secure_boot_rules import MAX_POINTED
from tests.simulator.boot_logs import log_of, variable
from tests.simulator.machine import Machine, attested, digests, good, judged, measured, reference_set

SHIM = "50ab5d6046e00043abb63dd810dd8b23"
KERNEL_PCRS = (8, 9, 11, 12)
COMMAND, LINE = b"grub_cmd: ", b"kernel_cmdline: "
AUTHORITY = EventType.EFI_VARIABLE_AUTHORITY


def of(result: AttestationResult, check: str) -> list[Finding]:
    return [finding for finding in result.findings if finding.id == check]


def at_home(machine: Machine, *, policy: object = None, like: Machine | None = None) -> AttestationResult:
    """The verdict by the Reference Values of a machine like this one."""
    known = index_reference(reference_set(like or machine))
    return judged(machine, known=known, policy=policy)  # type: ignore[arg-type]  # a Policy or None


def index_of(machine: Machine, start: bytes) -> int:
    return next(event.index for event in machine.events if event.data.startswith(start))


def saying(machine: Machine, index: int, label: bytes, text: bytes) -> Machine:
    """A GRUB measurement: the digest covers the text alone."""
    return machine.with_event(index, data=label + text + b"\0", digests=digests(text))


def test_a_known_command_called_a_command_line_proves_no_coverage() -> None:
    line, echo = index_of(good(), LINE), index_of(good(), COMMAND + b"echo")
    bare, word = b"/vmlinuz quiet", b"echo ima_policy=tcb"
    honest = saying(saying(good(), line, LINE, bare), echo, COMMAND, word)
    swapped = saying(saying(honest, line, COMMAND, bare), echo, LINE, word)

    assert at_home(honest).level == 3
    result = at_home(swapped, like=honest)

    assert result.level == 3
    assert [finding.tier for finding in of(result, "ima.coverage")] == [Tier.WARNING]


def test_after_a_dynamic_launch_an_unknown_command_line_proves_no_coverage() -> None:
    line = index_of(good(), LINE)
    bare = replace(saying(good(), line, LINE, b"/vmlinuz quiet"), launched=True)
    text = "x ima_policy=tcb".encode("utf-16-le")
    late = bare.appended(measured(12, EventType.IPL, text))

    assert all(finding.tier is Tier.WARNING for finding in of(at_home(late, like=bare), "ima.coverage"))


def test_where_nothing_of_the_kernel_was_measured_it_is_not_recognised() -> None:
    silent = good().without_event(*(event.index for event in good().events if event.pcr in KERNEL_PCRS))

    result = at_home(silent)

    assert result.level == 2
    assert [finding.tier for finding in of(result, "recognised.command-line")] == [Tier.NONE]
    assert [finding.tier for finding in of(result, "recognised.boot-files")] == [Tier.NONE]


def test_a_policy_variable_that_varies_is_told_a_bounded_number_of_times() -> None:
    settings = (measured(7, EventType.EFI_VARIABLE_DRIVER_CONFIG, variable(f"x{n % 9}", b"")) for n in range(3000))

    findings = check_log(log_of(*settings, banks=tuple(digests(b""))), HashAlg.SHA256)

    assert len([finding for finding in findings if finding.id == "boot.order"]) == MAX_POINTED


def shim_off() -> Machine:
    last = max(event.index for event in good().events if event.reported_type == AUTHORITY)
    return good().inserted(last + 1, measured(7, AUTHORITY, variable("MokSBState", b"\1", vendor=SHIM)))


def test_shim_that_was_told_not_to_verify_is_no_secure_boot() -> None:
    (state,) = of(at_home(shim_off()), "secure-boot.state")

    assert (state.tier, "MokSBState" in state.why) == (Tier.WARNING, True)


def test_no_signer_accepts_a_kernel_that_shim_did_not_verify() -> None:
    base = shim_off()
    verified = attested(base.evidence()).verified
    assert verified is not None
    names = [a.fingerprint for a in verified.boot.facts.authorities if a.fingerprint]
    policy = replace(default_policy(), signers=tuple(AcceptedSigner(name="any", fingerprint=some) for some in names))
    images = [e.index for e in base.events if e.reported_type == EventType.EFI_BOOT_SERVICES_APPLICATION][-2:]
    other = base
    for index in images:
        other = other.with_event(index, digests=digests(b"unsigned"))

    assert at_home(other, policy=policy, like=base).level == 2


def test_an_authority_made_unreadable_hides_no_revoked_certificate() -> None:
    verified = attested(good().evidence()).verified
    assert verified is not None
    shim = next(a for a in verified.boot.facts.authorities if a.variable == "MokListRT")
    policy = replace(default_policy(), revoked_certificates=frozenset({shim.fingerprint or b""}))
    garbled = good().with_event(shim.event, data=b"garbled", digests=good().events[shim.event].digests)

    assert at_home(good(), policy=policy).contraindicated
    result = at_home(garbled, policy=policy)

    assert result.level == 1
    assert [finding.tier for finding in of(result, "secure-boot.revoked")] == [Tier.NONE]


def test_the_result_says_for_each_pcr_which_bank_explains_it_best() -> None:
    strength = at_home(good()).strength

    assert strength[0] == strength[9] == "sha384"
    assert set(strength) == {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 14}
