"""Scenarios as data: what is changed, which attack runs, and what the Verifier has to say of it then."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bartizan.errors import ConfigError

FILE = Path(__file__).parent / "scenarios.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How a machine differs from the image.

    append, without: words of the kernel's command line; kernel: `current` or
    `previous`; initramfs: further files in it; tampered: a byte of the kernel is changed; unified: one image for all;
    offline: bytes appended to files of the root file system; tapped: a dynamic launch can be done; devices: further
    options of QEMU.
    """

    append: str = ""
    without: tuple[str, ...] = ()
    kernel: str = "current"
    initramfs: dict[str, str] = field(default_factory=dict)
    tampered: bool = False
    secure_boot: bool = True
    unified: bool = False
    offline: dict[str, str] = field(default_factory=dict)
    tapped: bool = False
    devices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that is done: a script in the guest, or something from outside; start: what `install` installs."""

    guest: str = ""
    host: str = ""
    start: Start = Start()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """A finding that has to be there; what is empty may be anything. why: words of its reason; path, pcr: its place."""

    id: str
    tier: str = ""
    why: str = ""
    path: str = ""
    pcr: int | None = None
    anchor: str = ""

    def fits(self, finding: dict[str, Any]) -> bool:
        """Whether a finding is this one."""
        at = finding.get("at") or {}
        return (
            finding["id"] == self.id
            and self.tier in ("", finding["tier"])
            and self.why in finding["why"]
            and self.path in ("", at.get("path"))
            and self.pcr in (None, at.get("pcr"))
            and self.anchor in ("", finding.get("anchor"))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The end of a scenario.

    refusal: words of what the service says of the evidence that it refused; console: words
    of the machine's console; silent: nothing is accepted any more.
    """

    level: int
    state: str = "fresh"
    contraindicated: bool = False
    findings: tuple[Sought, ...] = ()
    refusal: str = ""
    console: str = ""
    silent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One scenario.

    on: it goes on with the machine of another one; clone_of: its disks are a copy of that one's,
    its TPM is its own; enrols: it comes up and enrols before anything is done.
    """

    name: str
    what: str
    expect: Expected
    start: Start = Start()
    steps: tuple[Step, ...] = ()
    on: str = ""
    clone_of: str = ""
    short: bool = False
    enrols: bool = True


def read_scenarios(path: Path = FILE) -> tuple[Scenario, ...]:
    """All scenarios, in the order in which they run.

    Raises:
        ConfigError: the file says something that no scenario has.
    """
    try:
        found = tomllib.loads(path.read_text("utf-8"))["scenario"]
        scenarios = tuple(_scenario(dict(one)) for one in found)
    except (OSError, KeyError, TypeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    names: set[str] = set()
    for one in scenarios:
        _check(one, names, path)
        names.add(one.name)
    return scenarios


def _check(one: Scenario, before: set[str], path: Path) -> None:
    if one.name in before:
        raise ConfigError(f"{path}: two scenarios are called {one.name}")
    for other in (one.on, one.clone_of):
        if other and other not in before:
            raise ConfigError(f"{path}: {one.name} needs {other}, which does not come before it")
    for step in one.steps:
        if bool(step.guest) == bool(step.host):
            raise ConfigError(f"{path}: {one.name}: a step is a guest's script or something done from outside")


def _scenario(found: dict[str, Any]) -> Scenario:
    expect = dict(found.pop("expect"))
    expect["findings"] = tuple(Sought(**one) for one in expect.get("findings", ()))
    steps = tuple(Step(**one | {"start": _start(one.get("start", {}))}) for one in found.pop("steps", ()))
    return Scenario(expect=Expected(**expect), start=_start(found.pop("start", {})), steps=steps, **found)


def _start(found: dict[str, Any]) -> Start:
    fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}
    return Start(**fields)


def chosen(scenarios: tuple[Scenario, ...], names: list[str], *, short: bool) -> tuple[Scenario, ...]:
    """The scenarios of these names, or of the short set, with those that they go on from; the first one always.

    Raises:
        ConfigError: there is none of a name.
    """
    by_name = {one.name: one for one in scenarios}
    wanted = {scenarios[0].name, *names} | {one.name for one in scenarios if not names and (one.short or not short)}
    unknown = wanted - by_name.keys()
    if unknown:
        raise ConfigError(f"no scenario is called {', '.join(sorted(unknown))}; there are {', '.join(by_name)}")
    grown: set[str] = set()
    while grown != wanted:
        grown = set(wanted)
        wanted |= {other for name in grown for other in (by_name[name].on, by_name[name].clone_of) if other}
    return tuple(one for one in scenarios if one.name in wanted)
