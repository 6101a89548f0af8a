"""The testbed's data hold together, and what a scenario expects is compared as it is written."""

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bartizan.errors import ConfigError
from testbed import run
from testbed.cpio import archive
from testbed.image import read_recipe
from testbed.play import faults
from testbed.scenario import Expected, Sought, chosen, read_scenarios
from testbed.steps import STEPS
from testbed.verifier import Verdict

FINDING: dict[str, Any] = {
    "id": "ima.known-files",
    "claim": "executables",
    "tier": "warning",
    "why": "/root/x is not a known file",
    "anchor": "tpm",
    "at": {"pcr": 10, "path": "/root/x"},
}
SOUGHT = Sought(id="ima.known-files", tier="warning", why="not a known", path="/root/x", pcr=10, anchor="tpm")
VERDICT = Verdict(attested=3, level=3, state="fresh", contraindicated=False, refusal=None, findings=(FINDING,), at=None)
EXPECTED = Expected(level=3, findings=(SOUGHT,))
SCENARIOS = read_scenarios()
ONE = """[[scenario]]
name = "a"
what = "x"
[scenario.expect]
level = 4
"""


def test_what_is_expected_passes() -> None:
    assert list(faults(EXPECTED, VERDICT)) == []


@pytest.mark.parametrize(
    ("verdict", "says"),
    [
        (replace(VERDICT, level=4), "level: 3 expected, found 4"),
        (replace(VERDICT, state="late"), "state: fresh expected, found late"),
        (replace(VERDICT, contraindicated=True), "contraindicated: False expected, found True"),
        (replace(VERDICT, findings=()), "no finding "),
    ],
)
def test_each_difference_is_told(verdict: Verdict, says: str) -> None:
    assert any(one.startswith(says) for one in faults(EXPECTED, verdict))


@pytest.mark.parametrize(
    "other",
    [
        {"id": "ima.violations"},
        {"tier": "contraindicated"},
        {"why": "another reason"},
        {"anchor": "agent"},
        {"at": {"pcr": 10, "path": "/root/y"}},
        {"at": {"pcr": 9, "path": "/root/x"}},
        {"at": None},
    ],
)
def test_a_finding_that_differs_is_not_the_one_sought(other: dict[str, Any]) -> None:
    assert SOUGHT.fits(FINDING)
    assert not SOUGHT.fits(FINDING | other)


def test_every_step_from_outside_is_one_that_there_is() -> None:
    named = {step.host for scenario in SCENARIOS for step in scenario.steps if step.host}

    assert named <= STEPS.keys() | {"install"}


def test_the_short_set_has_four_boots_and_its_scenarios_go_on_from_one_another() -> None:
    short = chosen(SCENARIOS, [], short=True)
    names = {one.name for one in short}

    assert (
        sum(1 for one in short if not one.on) + sum(step.host == "reboot" for one in short for step in one.steps) >= 4
    )
    assert {one.on for one in short} | {one.clone_of for one in short} <= names | {""}


def test_a_scenario_comes_with_those_that_it_goes_on_from() -> None:
    assert [one.name for one in chosen(SCENARIOS, ["selinux-permissive"], short=False)] == [
        SCENARIOS[0].name,
        "selinux",
        "selinux-permissive",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (ONE + ONE, "two scenarios are called a"),
        (ONE.replace('what = "x"', 'what = "x"\non = "b"'), "a needs b, which does not come before it"),
        (ONE.replace('what = "x"', 'what = "x"\nsteps = [{}]'), "a step is a guest's script or something"),
        (ONE.replace("level", "levels"), "levels"),
        ("scenario", "Expected"),
    ],
)
def test_data_that_do_not_hold_together_are_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "scenarios.toml"
    path.write_text(text, "utf-8")

    with pytest.raises(ConfigError, match=says):
        read_scenarios(path)


def test_a_scenario_that_there_is_not_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["no-such-scenario"]) == run.REFUSED
    assert "no scenario is called no-such-scenario" in capsys.readouterr().out


def test_the_recipe_can_be_read() -> None:
    assert read_recipe().kernel.startswith("linux-image-")


def test_an_initramfs_ends_and_is_aligned() -> None:
    made = archive({"bin/x": b"abc"}, folders=frozenset({"proc"}))

    assert made.startswith(b"070701")
    assert b"TRAILER!!!" in made
    assert len(made) % 4 == 0
    assert made.index(b"bin\0") < made.index(b"bin/x\0")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_run_in_order(number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cleaned: list[str] = []

    def signalled(*_: object, **__: object) -> int:
        try:
            signal.raise_signal(number)
        finally:
            cleaned.append("up")
        return 0

    monkeypatch.setattr(run, "_run", signalled)
    with pytest.raises(SystemExit) as ended:
        run.main(["good", "--out", str(tmp_path)])

    assert (ended.value.code, cleaned) == (128 + number, ["up"])
