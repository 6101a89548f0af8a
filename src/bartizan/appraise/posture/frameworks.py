"""Whose requirements the rules look at, from TOML text. It reads no files and judges nothing."""

import re
import tomllib
from collections.abc import Mapping

import msgspec

from bartizan.appraise.posture.catalogue import Rules
from bartizan.errors import PolicyError
from bartizan.model.posture import Framework, FrameworkText, Requirement

DIGITS = re.compile(r"(\d+)")


class _RequirementRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    text: str
    must: bool = True


class _FrameworkRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: Framework
    name: str
    source: str
    requirement: tuple[_RequirementRow, ...] = ()


class _FrameworkFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    framework: tuple[_FrameworkRow, ...]


def load_frameworks(text: str, rules: Rules, *, source: str) -> Mapping[Framework, FrameworkText]:
    """Every framework; one whose requirements are not listed has those that rules name.

    Raises:
        PolicyError: not such a text, a framework missing, or a rule that names a requirement which is not listed.
    """
    try:
        file = msgspec.convert(tomllib.loads(text), _FrameworkFile, strict=True)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise PolicyError(f"{source}: {error}") from error
    found = {row.id: _framework(row, rules, source=source) for row in file.framework}
    missing = [framework.value for framework in Framework if framework not in found]
    if missing:
        raise PolicyError(f"{source}: {', '.join(missing)} is not described")
    return found


def _framework(row: _FrameworkRow, rules: Rules, *, source: str) -> FrameworkText:
    named = {one for rule in rules.values() for one in rule.frameworks.get(row.id, ())}
    listed = tuple(Requirement(**msgspec.structs.asdict(one)) for one in row.requirement)
    unlisted = named - {one.id for one in listed}
    if listed and unlisted:
        raise PolicyError(f"{source}: {row.id.value} does not list {', '.join(sorted(unlisted))}, which rules name")
    bare = tuple(Requirement(id=one, text="", must=True) for one in sorted(named, key=_natural))
    return FrameworkText(framework=row.id, name=row.name, source=row.source, requirements=listed or bare)


def _natural(name: str) -> list[tuple[int, str]]:
    """R9 before R12."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in DIGITS.split(name)]
