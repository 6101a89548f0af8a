"""Rules for files that machines make for themselves (byte code, caches, initramfs): what they cover, and their limits.

A glob is an absolute path in which `*` stands for any part of one name and `**/` for any folders. No digest of such a
file is known, so a rule must stay narrow: it cannot reach programs, libraries or modules, and a name with `*` in it
must begin or end with what marks one kind of generated file. What a rule covers is told, never silently accepted.
"""

import re
from collections.abc import Container
from functools import lru_cache

from bartizan.errors import PolicyError
from bartizan.model.policy import GeneratedRule

NEEDS = frozenset({"generator", "source"})
BYTE_CODE = ".pyc"
DATA_ENDINGS = (BYTE_CODE, ".cache", ".mo", ".db")
DATA_BEGINNINGS = ("initrd.img-", "initramfs-")
"""Names with `*` in them must begin or end with one of these."""
CODE_FOLDERS = frozenset({"bin", "sbin", "games", "libexec", "modules"})
CODE_NAME = re.compile(r"\.(?:so|ko|py|pl|sh|rb|js|jar|class|efi|elf|exe|dll|bpf|a|o)(?:[.*]|$)")
GLOB = re.compile(r"(?:/(?:\*\*|[^/\0]+))+")
SUFFIX_OF_CACHE = re.compile(rb"\.[a-z]+-[0-9]+(?:\.opt-[12])?\.pyc\Z")
"""The tag of the interpreter in a byte code's name; PEP 3147 and 488."""
CACHE_FOLDER = b"__pycache__"


def check_rule(rule: GeneratedRule) -> None:
    """Refuse a rule that is too wide, or that nothing could meet.

    Raises:
        PolicyError: no name, a generator that is no absolute path, an unknown need, or a glob that could cover code.
    """
    if not rule.name.strip() or not rule.paths:
        raise PolicyError("a name and at least one path are needed")
    if not GLOB.fullmatch(rule.generator) or "*" in rule.generator:
        raise PolicyError(f"the generator is the absolute path of a program, not {rule.generator[:80]!r}")
    if not rule.needs or not rule.needs <= NEEDS:
        raise PolicyError(f"needs is one or more of {', '.join(sorted(NEEDS))}")
    for glob in rule.paths:
        _check_glob(glob, rule)


def _check_glob(glob: str, rule: GeneratedRule) -> None:
    if not GLOB.fullmatch(glob) or any(step in (".", "..") for step in glob.split("/")):
        raise PolicyError(f"an absolute path expected, found {glob[:80]!r}")
    *folders, name = glob.split("/")[1:]
    if "*" in name and not (name.endswith(DATA_ENDINGS) or name.startswith(DATA_BEGINNINGS)):
        kinds = ", ".join((*(f"*{ending}" for ending in DATA_ENDINGS), *(f"{start}*" for start in DATA_BEGINNINGS)))
        raise PolicyError(f"{glob[:80]!r} is too wide: a name with * must be one of {kinds}")
    if not folders or "*" in folders[0]:
        raise PolicyError(f"{glob[:80]!r} is too wide: it must begin with the name of a folder")
    coded = CODE_NAME.search(name) and not name.endswith(DATA_ENDINGS)
    if coded or (set(folders) & CODE_FOLDERS and not name.endswith(BYTE_CODE)):
        raise PolicyError(f"{glob[:80]!r} covers programs, libraries or modules, which no rule may")
    if name.endswith(BYTE_CODE) and "source" not in rule.needs:
        raise PolicyError(f"{glob[:80]!r} covers byte code, so its source must be known: needs = ['source']")


@lru_cache(maxsize=4096)
def pattern(glob: str) -> re.Pattern[bytes]:
    """A glob as an expression over whole paths."""
    steps = [
        "(?:[^/]+/)*" if step == "**" else re.escape(step).replace(r"\*", "[^/]*") + "/" for step in glob.split("/")
    ]
    return re.compile("".join(steps).removesuffix("/").encode("utf-8"))


def rule_for(path: bytes, rules: tuple[GeneratedRule, ...], known: Container[bytes]) -> GeneratedRule | None:
    """The first rule that covers a path and whose needs are met; `known`: the paths of known files."""
    return next((rule for rule in rules if _covers(rule, path, known)), None)


def _covers(rule: GeneratedRule, path: bytes, known: Container[bytes]) -> bool:
    if not any(pattern(glob).fullmatch(path) for glob in rule.paths):
        return False
    if "generator" in rule.needs and rule.generator.encode("utf-8") not in known:
        return False
    return "source" not in rule.needs or source_of(path) in known


def source_of(path: bytes) -> bytes | None:
    """The source file of Python byte code in a cache folder (PEP 3147); None for anything else."""
    folder, _, name = path.rpartition(b"/")
    parent, _, cache = folder.rpartition(b"/")
    tag = SUFFIX_OF_CACHE.search(name)
    if cache != CACHE_FOLDER or tag is None or tag.start() == 0:
        return None
    return parent + b"/" + name[: tag.start()] + b".py"
