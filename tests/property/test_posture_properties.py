"""The posture document: total on any input, one byte form, every departure refused; its text forms are total too."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bartizan.app.defaults import posture_rules
from bartizan.appraise.posture.engine import appraise_posture
from bartizan.collect.posture.document import canonical
from bartizan.errors import DecodeError
from bartizan.formats import posture as form
from bartizan.formats.kernel_cmdline import parse_cmdline
from bartizan.formats.libvirt_conf import parse_libvirt_conf
from bartizan.formats.posture import decode_posture
from bartizan.model.posture import Profile
from bartizan.model.result import Tier

ERRORS = st.sampled_from(["absent", "denied", "too long", "failed"])
PATHS = st.one_of(
    st.text(max_size=20).map(lambda text: f"/{text}"),
    st.sampled_from(sorted({path for rule in posture_rules().values() for path in rule.reads})),
)
TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40)
WORKLOAD: dict[str, Any] = {
    "pid": 7,
    "kind": "vm",
    "comm": "qemu",
    "name": None,
    "uuid": None,
    "libvirt": {"name": "guest", "uuid": None},
    "options": ["-sandbox on"],
    "exe": "/usr/bin/qemu",
    "uids": [0, 1000],
    "uid_map": [[0, 0, 4294967295]],
    "label": "unconfined",
    "permissive": False,
    "threads": 3,
    "seccomp": 2,
    "filters": 1,
    "no_new_privs": 1,
    "cap_eff": "0000000000000000",
    "cap_permitted": "0000000000000000",
    "cap_bounding": "000001ffffffffff",
    "private": ["mnt"],
    "cgroup": "/machine.slice",
    "devices": ["/dev/kvm"],
    "iommu_groups": ["1"],
    "images": ["/disk"],
    "control": [],
    "shared": [{"path": "/dev/hugepages/m", "bytes": 4096, "mode": 0o600, "uid": 0, "gid": 0}],
    "ksm": "no",
}
UNTOLD: dict[str, Any] = {key: WORKLOAD[key] if key in ("pid", "kind", "comm") else None for key in WORKLOAD}
KINDS = ("vm", "container", "switch")


def read_or_not(key: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A value without an error, or an error without a value."""
    good = values.map(lambda value: {key: value, "error": None})
    return st.one_of(good, ERRORS.map(lambda error: {key: None, "error": error}))


def rows(entries: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Entries of distinct paths, in order."""
    tables = st.dictionaries(PATHS, entries, max_size=6)
    return tables.map(lambda table: [{"path": path, **table[path]} for path in sorted(table)])


NODE = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["file", "folder", "socket", "other"]),
        "mode": st.integers(0, 0o7777),
        "uid": st.integers(0, 2**32 - 1),
        "gid": st.integers(0, 2**32 - 1),
    }
)
DOCUMENTS = st.fixed_dictionaries(
    {
        "version": st.just(2),
        "privileged": st.booleans(),
        "files": rows(read_or_not("value", TEXTS)),
        "folders": rows(read_or_not("names", st.lists(TEXTS, max_size=4))),
        "nodes": rows(NODE),
        "workloads": st.sampled_from([[], *([base | {"kind": kind}] for base in (WORKLOAD, UNTOLD) for kind in KINDS)]),
    }
)


def example() -> dict[str, Any]:
    """A small valid document."""
    return {
        "version": 2,
        "privileged": True,
        "files": [{"path": "/a", "value": "x", "error": None}, {"path": "/b", "value": None, "error": "absent"}],
        "folders": [{"path": "/c", "names": ["d"], "error": None}],
        "nodes": [{"path": "/e", "kind": "file", "mode": 0o600, "uid": 0, "gid": 0}],
        "workloads": [dict(WORKLOAD)],
    }


@given(DOCUMENTS)
@settings(max_examples=40)
def test_a_document_in_canonical_form_is_read_and_judged(document: dict[str, Any]) -> None:
    posture = decode_posture(canonical(document))

    assert {path: reading.value for path, reading in posture.files.items()} == {
        row["path"]: row["value"] for row in document["files"]
    }
    for profile in Profile:
        result = appraise_posture(posture, posture_rules(), profile)
        judged = {one.rule.id for one in result.findings} | result.inapplicable.keys()
        assert judged == posture_rules().keys()
        affirmed = [one for one in result.findings if one.finding.tier is Tier.AFFIRMING and one.rule.id != "HWT-006"]
        assert all(any(reading.value is not None for reading in one.read) for one in affirmed)


@given(st.one_of(st.binary(max_size=200), DOCUMENTS.map(lambda document: json.dumps(document, indent=1).encode())))
@settings(max_examples=100)
def test_anything_else_is_refused(raw: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_posture(raw)


def test_every_truncation_is_refused() -> None:
    whole = canonical(example())
    assert decode_posture(whole).nodes["/e"].mode == 0o600

    for length in range(len(whole)):
        with pytest.raises(DecodeError):
            decode_posture(whole[:length])


def edited(change: Callable[[dict[str, Any]], object]) -> bytes:
    document = example()
    change(document)
    return canonical(document)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda d: d.update(version=1), "version"),
        (lambda d: d.update(surprise=1), "surprise"),
        (lambda d: d.pop("nodes"), "nodes"),
        (lambda d: d["files"].reverse(), "out of order"),
        (lambda d: d["files"].append(d["files"][1]), "stands twice"),
        (lambda d: d["folders"].append(d["folders"][0]), "stands twice"),
        (lambda d: d["nodes"].append(d["nodes"][0]), "stands twice"),
        (lambda d: d["workloads"].append(d["workloads"][0]), "stands twice"),
        (lambda d: d["files"][0].update(error="denied"), "either a value or an error"),
        (lambda d: d["files"][1].update(error=None), "either a value or an error"),
        (lambda d: d["folders"][0].update(error="failed"), "either a value or an error"),
        (lambda d: d["files"][0].update(path="a"), "path"),
        (lambda d: d["nodes"][0].update(mode=0o10000), "mode"),
        (lambda d: d["workloads"][0].update(pid=0), "pid"),
        (lambda d: d["workloads"][0].update(kind="ghost"), "kind"),
        (lambda d: d["workloads"][0].update(cap_eff="x"), "cap_eff"),
        (lambda d: d["workloads"][0].update(ksm="maybe"), "ksm"),
        (lambda d: d["workloads"][0].update(libvirt={"name": 1, "uuid": None}), "libvirt"),
        (lambda d: d["files"][0].update(value="x" * (form.MAX_TEXT + 1)), "value"),
    ],
)
def test_a_document_that_says_too_much_or_too_little_is_refused(
    change: Callable[[dict[str, Any]], object], why: str
) -> None:
    with pytest.raises(DecodeError, match=why):
        decode_posture(edited(change))


def test_a_document_over_the_limit_is_not_even_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form, "MAX_DOCUMENT", 10)

    with pytest.raises(DecodeError, match="over the limit"):
        decode_posture(canonical(example()))


@given(st.text(max_size=200))
def test_a_command_line_is_taken_apart_whatever_it_is(text: str) -> None:
    assert all(values for values in parse_cmdline(text).values())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("quiet a=1 a=2", {"quiet": ("",), "a": ("1", "2")}),
        ("kvm-intel.nested=0", {"kvm_intel.nested": ("0",)}),
        ('dyndbg="file a.c +p" ro', {"dyndbg": ("file a.c +p",), "ro": ("",)}),
        ('"spaced name=1 2"', {"spaced name": ("1 2",)}),
        ("ro -- mitigations=off", {"ro": ("",)}),
        ("", {}),
    ],
)
def test_a_command_line_is_read_as_the_kernel_reads_it(text: str, found: dict[str, tuple[str, ...]]) -> None:
    assert parse_cmdline(text) == found


@given(st.text(alphabet="ab=[]\"',# \n1_", max_size=200))
def test_a_configuration_is_taken_apart_whatever_it_is(text: str) -> None:
    parse_libvirt_conf(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('user = "qemu"\n', {"user": "qemu"}),
        ("group='kvm'", {"group": "kvm"}),
        ("max_core = -1\nmax_core=2", {"max_core": "2"}),
        ("namespaces = []", {"namespaces": ()}),
        (
            'acl = [\n  "/dev/null", # first\n  "/dev/kvm"\n]\nuser = "x"',
            {"acl": ("/dev/null", "/dev/kvm"), "user": "x"},
        ),
        ('open = [ "a"', {}),
        ("word = yes", {}),
        ('#user = "root"', {}),
    ],
)
def test_a_configuration_is_read_as_libvirt_reads_it(text: str, found: dict[str, object]) -> None:
    assert parse_libvirt_conf(text) == found
