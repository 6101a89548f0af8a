"""Rules for generated files: what they cover, what they need, and that none can be made wide enough for code."""

import pytest

from bartizan.app.defaults import catalogue, default_policy, shipped_policy
from bartizan.appraise.catalogue import load_policy
from bartizan.appraise.context import index_reference
from bartizan.appraise.generated import rule_for, source_of
from bartizan.errors import PolicyError
from bartizan.model.policy import GeneratedRule
from bartizan.model.reference import Origin, ReferenceFile, ReferenceSet
from bartizan.model.result import AttestationResult, Tier
from tests.simulator.machine import Machine, file_line, good, judged, reference_set

RULE = 'name = "n"\n[[generated]]\nname = "{name}"\ngenerator = "{generator}"\npaths = [{paths}]\nneeds = [{needs}]\n'


def rules(
    *paths: str, name: str = "a cache", generator: str = "/usr/sbin/ldconfig", needs: str = '"generator"'
) -> tuple[GeneratedRule, ...]:
    """The rules of a policy with one such table."""
    quoted = ", ".join(f'"{path}"' for path in paths)
    text = RULE.format(name=name, generator=generator, paths=quoted, needs=needs)
    return load_policy(text, catalogue(), source="test").generated


@pytest.mark.parametrize(
    ("glob", "path", "covered"),
    [
        ("/etc/ld.so.cache", "/etc/ld.so.cache", True),
        ("/etc/ld.so.cache", "/etc/ld.so.cache.d", False),
        ("/etc/ld.so.cache", "/opt/etc/ld.so.cache", False),
        ("/var/cache/*.cache", "/var/cache/a.cache", True),
        ("/var/cache/*.cache", "/var/cache/a/b.cache", False),
        ("/var/**/*.cache", "/var/a.cache", True),
        ("/var/**/*.cache", "/var/a/b/c.cache", True),
        ("/var/**/*.cache", "/varied/c.cache", False),
        ("/var/**/*.cache", "/var/c.cachex", False),
        ("/var/**/*.cache", "/var/a\nb.cache", True),
        ("/boot/initrd.img-*", "/boot/initrd.img-6.1.0-40-amd64", True),
        ("/boot/initrd.img-*", "/boot/vmlinuz-6.1.0-40-amd64", False),
        ("/boot/grub/grub.cfg", "/boot/grub/grub.cfg", True),
        ("/usr/share/i+n/*.mo", "/usr/share/i+n/a.mo", True),
        ("/usr/share/i+n/*.mo", "/usr/share/iin/a.mo", False),
    ],
)
def test_a_glob_covers_what_it_says(glob: str, path: str, covered: bool) -> None:
    assert (rule_for(path.encode(), rules(glob), {b"/usr/sbin/ldconfig"}) is not None) == covered


@pytest.mark.parametrize(
    "glob",
    [
        "/**",
        "/*",
        "/**/*",
        "/*.cache",
        "/**/*.cache",
        "/*/x.cache",
        "/usr/**",
        "/usr/lib/*",
        "/usr/lib/**/*.so",
        "/usr/lib/**/*.so.1",
        "/usr/lib/x.so.*",
        "/usr/lib/modules/x/modules.dep",
        "/lib/modules/**/*.ko",
        "/usr/bin/thing",
        "/usr/local/sbin/thing",
        "/usr/libexec/thing.db",
        "/opt/thing.sh",
        "/opt/**/*.py",
        "/opt/*",
        "/opt/p*c",
        "opt/thing.cache",
        "/opt/../bin/x.cache",
        "/opt//x.cache",
        "/usr/lib/python3/**/*.pyc",
        "",
    ],
)
def test_a_rule_that_could_cover_code_is_refused(glob: str) -> None:
    with pytest.raises(PolicyError, match=r"too wide|covers|absolute path"):
        rules(glob)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": " "},
        {"generator": "ldconfig"},
        {"generator": "/usr/bin/*"},
        {"needs": ""},
        {"needs": '"nothing"'},
    ],
)
def test_a_rule_without_name_generator_or_needs_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(PolicyError, match="generated"):
        rules("/etc/ld.so.cache", **changes)


def test_a_rule_without_paths_is_refused() -> None:
    with pytest.raises(PolicyError, match="at least one path"):
        rules()


def test_the_generator_must_be_known_where_it_is_needed() -> None:
    assert rule_for(b"/etc/ld.so.cache", rules("/etc/ld.so.cache"), set()) is None


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (b"/usr/lib/a/__pycache__/b.cpython-311.pyc", b"/usr/lib/a/b.py"),
        (b"/usr/lib/a/__pycache__/b.c.cpython-311.opt-2.pyc", b"/usr/lib/a/b.c.py"),
        (b"/__pycache__/b.pypy-310.pyc", b"/b.py"),
        (b"/usr/lib/a/b.cpython-311.pyc", None),
        (b"/usr/lib/a/__pycache__/b.pyc", None),
        (b"/usr/lib/a/__pycache__/.cpython-311.pyc", None),
        (b"/usr/lib/a/__pycache__/b.cpython-311.pyc.so", None),
        (b"b", None),
    ],
)
def test_the_source_of_byte_code_is_found_by_its_name(path: bytes, source: bytes | None) -> None:
    assert source_of(path) == source


CODE = b"/usr/lib/python3.11/__pycache__/mine.cpython-311.pyc"
SOURCE = ReferenceFile(
    path=b"/usr/lib/python3.11/mine.py",
    alg="sha256",
    digest=bytes(32),
    origin=Origin(package="p", version="1", architecture="all", repository="r", signer="AB"),
)


def found(machine: Machine, *extra: ReferenceFile) -> AttestationResult:
    more = ReferenceSet(name="more", source="test", events=(), files=extra, digest="00")
    return judged(machine, known=index_reference(reference_set(good()), more), policy=shipped_policy("packaged"))


def test_byte_code_of_a_known_source_keeps_level_4_and_is_told() -> None:
    result = found(good().running(file_line(CODE, b"x")), SOURCE)
    (told,) = [finding for finding in result.findings if finding.id == "ima.generated-files"]

    assert result.level == 4
    assert (told.tier, told.at.path) == (Tier.WARNING, CODE.decode())
    assert "/usr/bin/py3compile" in told.why
    assert "'Python byte code'" in told.why


def test_byte_code_of_an_unknown_source_is_an_unknown_file() -> None:
    result = found(good().running(file_line(CODE, b"x")))

    assert result.level == 3
    assert [finding.at.path for finding in result.findings if finding.id == "ima.known-files"] == [CODE.decode()]


def test_byte_code_that_is_known_under_another_digest_is_contraindicated_whatever_the_rule() -> None:
    own = ReferenceFile(path=CODE, alg="sha256", digest=bytes(32))
    result = found(good().running(file_line(CODE, b"x")), SOURCE, own)

    assert result.contraindicated
    assert not [finding for finding in result.findings if finding.id == "ima.generated-files"]


def test_byte_code_made_anew_while_running_is_told_twice_and_no_change() -> None:
    result = found(good().running(file_line(CODE, b"x"), file_line(CODE, b"y")), SOURCE)

    assert result.level == 4
    assert len([finding for finding in result.findings if finding.id == "ima.generated-files"]) == 2


def test_a_configuration_file_that_was_changed_is_unknown_and_not_contraindicated() -> None:
    path = b"/etc/thing.conf"
    as_packaged = ReferenceFile(path=path, alg="sha256", digest=bytes(32), origin=SOURCE.origin, changeable=True)
    fixed = ReferenceFile(path=path, alg="sha256", digest=bytes(31) + b"x")
    machine = good().running(file_line(path, b"changed here"))
    changed, replaced = found(machine, as_packaged), found(machine, as_packaged, fixed)

    assert (changed.level, changed.contraindicated) == (3, False)
    assert any("is not as its package has it" in finding.why for finding in changed.findings)
    assert replaced.contraindicated


def test_the_finding_says_how_many_files_come_from_where() -> None:
    result = found(good().running(file_line(CODE, b"x")), SOURCE)
    (why,) = [finding.why for finding in result.findings if finding.id == "ima.known-files"]

    assert "0 from 0 packages, 1 by rule as generated, 109 from other sets" in why


def test_the_shipped_rules_are_two_and_narrow_and_not_in_the_default_policy() -> None:
    assert not default_policy().generated
    rules = shipped_policy("packaged").generated
    assert [rule.name for rule in rules] == ["Python byte code", "dynamic loader's cache"]
