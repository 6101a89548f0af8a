"""The appraisal policy: what it may say, how its mistakes are told, and what its named exceptions do."""

from dataclasses import replace
from functools import cache

import pytest

from bartizan.app.defaults import catalogue, default_policy
from bartizan.appraise.catalogue import UNWAIVABLE, load_checks, load_levels, load_policy
from bartizan.errors import PolicyError
from bartizan.model.boot_log import EventType
from bartizan.model.policy import AcceptedSigner, Policy, Waiver
from bartizan.model.result import AttestationResult, Finding, Tier
from tests.simulator.machine import Machine, good, judged, measured

HEX = "ab" * 32
ZEROS = bytes(4)


def policy(text: str) -> Policy:
    return load_policy(text, catalogue(), source="mine.toml")


def test_every_setting_is_read() -> None:
    found = policy(
        f"""
        name = "mine"
        unknown_file = "contraindicated"
        revoked_images = ["{HEX}"]
        revoked_certificates = ["{"cd" * 32}"]
        [sbat_minimum]
        shim = 4
        [[signer]]
        name = "Debian"
        fingerprint = "{HEX}"
        [[waiver]]
        check = "boot.separator"
        pcr = 4
        reason = "ticket 4711"
        """
    )

    assert (found.name, found.unknown_file) == ("mine", Tier.CONTRAINDICATED)
    assert found.signers == (AcceptedSigner(name="Debian", fingerprint=b"\xab" * 32),)
    assert found.waivers == (Waiver(check="boot.separator", reason="ticket 4711", pcr=4),)
    assert (found.revoked_images, found.revoked_certificates) == (frozenset({b"\xab" * 32}), frozenset({b"\xcd" * 32}))
    assert found.sbat_minimum == {"shim": 4}


def test_a_policy_needs_only_a_name_and_is_strict_where_it_is_silent() -> None:
    found = policy('name = "short"')

    assert (found.unknown_file, found.signers, found.waivers, found.sbat_minimum) == (Tier.WARNING, (), (), {})


WAIVER = '[[waiver]]\ncheck = "{}"\nreason = "{}"\n'
MISTAKES = {
    "no TOML": ("name = = 1", "at line 1, column 8"),
    "no name": ("", "missing required field `name`"),
    "an unknown setting": ('unknown_files = "warning"', "unknown field `unknown_files`"),
    "an unknown tier": ('unknown_file = "fine"', "Invalid enum value 'fine' - at `$.unknown_file`"),
    "a tier that accepts": ('unknown_file = "affirming"', "unknown_file is warning or contraindicated, not affirming"),
    "a tier that says nothing": ('unknown_file = "none"', "unknown_file is warning or contraindicated, not none"),
    "a generation that is a text": (
        '[sbat_minimum]\nshim = "4"',
        "Expected `int`, got `str` - at `$.sbat_minimum[...]`",
    ),
    "a short digest": ('revoked_images = ["ab"]', "revoked_images: 64 lower-case hexadecimal digits"),
    "an upper-case digest": (f'revoked_certificates = ["{HEX.upper()}"]', "revoked_certificates: 64 lower-case"),
    "a digest with blanks": (f'revoked_images = ["{HEX[:62]}  "]', "revoked_images: 64 lower-case"),
    "a digest that is none": (f'[[signer]]\nname = "x"\nfingerprint = "{"zz" * 32}"', "signer: 64 lower-case"),
    "a signer without a fingerprint": (
        '[[signer]]\nname = "x"',
        "missing required field `fingerprint` - at `$.signer[0]`",
    ),
    "a waiver of no check": (WAIVER.format("boot.nothing", "x"), "there is no check 'boot.nothing'"),
    "a waiver without a reason": ('[[waiver]]\ncheck = "boot.order"', "missing required field `reason`"),
    "a waiver with an empty reason": (WAIVER.format("boot.order", " "), "the waiver of boot.order needs a reason"),
    "a waiver of a PCR that is none": (WAIVER.format("boot.order", "x") + "pcr = 24", "PCR 0 to 23 expected, found 24"),
    "a waiver of a PCR below 0": (WAIVER.format("boot.order", "x") + "pcr = -1", "PCR 0 to 23 expected, found -1"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_refused_with_the_file_and_the_setting(name: str) -> None:
    text, why = MISTAKES[name]
    head = "" if name in ("no TOML", "no name") else 'name = "mine"\n'

    with pytest.raises(PolicyError) as refusal:
        policy(head + text)

    assert str(refusal.value).startswith("mine.toml: ")
    assert why in str(refusal.value)


@pytest.mark.parametrize("check", UNWAIVABLE)
def test_what_everything_rests_on_cannot_be_waived(check: str) -> None:
    with pytest.raises(PolicyError, match=f"{check} cannot be waived"):
        policy('name = "mine"\n' + WAIVER.format(check, "please"))


def with_waivers(*waivers: Waiver) -> Policy:
    return replace(default_policy(), waivers=waivers)


@cache
def closed_twice() -> Machine:
    """A machine whose firmware closes PCR 2 twice, as one genuine log does."""
    return good().appended(measured(2, EventType.SEPARATOR, ZEROS))


def separators(result: AttestationResult) -> Finding:
    (found,) = [finding for finding in result.findings if finding.id == "boot.separator"]
    return found


@pytest.mark.parametrize("pcr", [None, 2])
def test_a_named_exception_lowers_to_a_warning_and_passes_with_its_reason_shown(pcr: int | None) -> None:
    assert (judged(closed_twice()).level, judged(closed_twice()).contraindicated) == (1, True)
    waiver = Waiver(check="boot.separator", reason="ticket 4711", pcr=pcr)
    result = judged(closed_twice(), policy=with_waivers(waiver))

    assert (result.level, result.contraindicated) == (4, False)
    assert (separators(result).tier, separators(result).waiver, separators(result).passes) == (
        Tier.WARNING,
        "ticket 4711",
        True,
    )


@pytest.mark.parametrize(
    "waiver",
    [Waiver(check="boot.separator", reason="x", pcr=3), Waiver(check="boot.order", reason="x")],
    ids=["another PCR", "another check"],
)
def test_an_exception_for_something_else_changes_nothing(waiver: Waiver) -> None:
    result = judged(closed_twice(), policy=with_waivers(waiver))

    assert (result.level, result.contraindicated, separators(result).waiver) == (1, True, "")


def test_an_exception_raises_nothing_to_affirming() -> None:
    waivers = [Waiver(check=check, reason="x") for check in catalogue() if check not in UNWAIVABLE]
    result = judged(closed_twice(), policy=with_waivers(*waivers))

    assert {finding.tier for finding in result.findings if finding.waiver} == {Tier.WARNING}
    assert all(not finding.waiver for finding in result.findings if finding.tier is Tier.AFFIRMING)


def test_the_first_of_two_exceptions_counts() -> None:
    both = with_waivers(Waiver(check="boot.separator", reason="one"), Waiver(check="boot.separator", reason="two"))

    assert separators(judged(closed_twice(), policy=both)).waiver == "one"


def test_an_exception_does_not_help_a_quote_that_does_not_verify() -> None:
    """Refusals are no findings of an appraisal: nothing lowers them."""
    assert {check for check in catalogue() if check.startswith(("identity.", "quote."))} - set(UNWAIVABLE) == {
        "identity.activation",
        "identity.certificate",
        "quote.strength",
    }


CHECK = """
[[check]]
id = "{}"
title = "t"
claim = "{}"
anchor = "tpm"
why = "w"
impact = "i"
fix = "f"
references = ["r"]
"""


def test_check_descriptions_are_read_and_a_second_one_of_an_id_is_refused() -> None:
    assert list(load_checks({"b.toml": CHECK.format("b", "hardware"), "a.toml": CHECK.format("a", "hardware")})) == [
        "a",
        "b",
    ]
    with pytest.raises(PolicyError, match=r"b.toml: the check a is described twice"):
        load_checks({"a.toml": CHECK.format("a", "hardware"), "b.toml": CHECK.format("a", "hardware")})


@pytest.mark.parametrize(
    "text", ["check = 1", CHECK.format("a", "trust"), CHECK.format("a", "hardware") + "more = 1", "[["]
)
def test_another_description_is_refused(text: str) -> None:
    with pytest.raises(PolicyError, match=r"a\.toml: "):
        load_checks({"a.toml": text})


LEVEL = '[[level]]\nnumber = {}\nname = "n"\nquestion = "q"\n{}\n'


def ladder(*numbers: int, need: str = "") -> str:
    return "".join(LEVEL.format(number, need) for number in numbers)


def test_a_ladder_has_six_rungs_in_order() -> None:
    assert [level.number for level in load_levels(ladder(1, 2, 3, 4, 5, 6), catalogue(), source="l")] == [
        1,
        2,
        3,
        4,
        5,
        6,
    ]
    for numbers in ((1, 2, 3, 4, 5), (1, 2, 3, 4, 6, 5), (0, 1, 2, 3, 4, 5), (1, 1, 2, 3, 4, 5, 6)):
        with pytest.raises(PolicyError, match="levels 1 to 6 are needed, in order"):
            load_levels(ladder(*numbers), catalogue(), source="l")


@pytest.mark.parametrize("need", ["affirming", "warning", "breaks", "contradicts", "any_of"])
def test_a_rung_that_needs_no_such_check_is_refused(need: str) -> None:
    value = '[["boot.nothing"]]' if need == "any_of" else '["boot.nothing"]'

    with pytest.raises(PolicyError, match=r"there is no check 'boot\.nothing'"):
        load_levels(ladder(1, 2, 3, 4, 5, 6, need=f"{need} = {value}"), catalogue(), source="l")
