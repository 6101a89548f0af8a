"""Whatever bytes come as part of a repository, Debian or RPM: decoded or refused, and no truncation goes unseen."""

import hashlib
import lzma

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bartizan.appraise.generated import check_rule, pattern
from bartizan.errors import DecodeError, PolicyError
from bartizan.formats.clearsigned import decode_clearsigned
from bartizan.formats.deb import decode_deb
from bartizan.formats.debian_packages import decode_installed, decode_packages
from bartizan.formats.debian_release import decode_release
from bartizan.formats.gpgv_status import decode_gpgv_status
from bartizan.formats.ima_signature import decode_ima_signature
from bartizan.formats.reference_signature import (
    ALGORITHMS,
    ReferenceSignature,
    decode_reference_signatures,
    encode_reference_signatures,
)
from bartizan.formats.rpm import decode_rpm
from bartizan.formats.rpm_metadata import decode_installed_rpms, decode_primary, decode_repomd
from bartizan.formats.unpack import unpack
from bartizan.model.policy import GeneratedRule
from tests.simulator.debian_repository import Package
from tests.simulator.rpm_repository import Rpm, strings

EXAMPLES = 100
DECODERS = (
    decode_release,
    decode_packages,
    decode_installed,
    decode_clearsigned,
    decode_gpgv_status,
    decode_deb,
    decode_reference_signatures,
    decode_rpm,
    decode_ima_signature,
    decode_repomd,
    decode_primary,
    decode_installed_rpms,
)
NAMES = st.text("abc./~ü\n", min_size=1, max_size=30).map(lambda name: "/" + "/".join(filter(None, name.split("/"))))
FILES = st.dictionaries(
    NAMES.filter(lambda name: set(name.split("/")) & {".", ".."} == set()), st.binary(max_size=2000)
)
PACKAGE = Package(name="p", files={"/usr/": b"", "/usr/a": b"one", "/usr/l": "a"}, conffiles=("/usr/a",))


@pytest.mark.parametrize("decode", DECODERS)
def test_any_bytes_are_decoded_or_refused(decode: object) -> None:
    @settings(max_examples=EXAMPLES, deadline=None)
    @given(st.binary(max_size=400) | st.text(max_size=200).map(str.encode))
    def holds(raw: bytes) -> None:
        try:
            decode(raw)  # type: ignore[operator]  # one of DECODERS
        except DecodeError:
            return

    holds()


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.data())
def test_a_package_with_one_byte_changed_is_decoded_or_refused(data: st.DataObject) -> None:
    raw = bytearray(PACKAGE.deb())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] = data.draw(st.integers(0, 255))
    try:
        decode_deb(bytes(raw))
    except DecodeError:
        return


@settings(max_examples=50, deadline=None)
@given(FILES, st.sampled_from(["xz", "gz", ""]))
def test_every_file_of_any_package_is_found(files: dict[str, bytes], form: str) -> None:
    paths = list(files)
    nested = {name for name in paths for other in paths if other.startswith(f"{name}/")}
    files = {name: content for name, content in files.items() if name not in nested and name != "/"}
    found = decode_deb(Package(name="p", files=files, form=form).deb())

    assert {file.path for file in found.files} == {name.encode() for name in files}


@pytest.mark.parametrize("form", ["xz", ""])
def test_every_truncation_of_a_package_is_refused(form: str) -> None:
    raw = Package(name="p", files={"/usr/a": b"one"}, form=form).deb()
    for size in range(0, len(raw) - 1, 1 if form else 97):
        with pytest.raises(DecodeError):
            decode_deb(raw[:size])


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 4000))
def test_whatever_is_packed_comes_back_within_its_limit_or_not_at_all(piece: bytes, limit: int) -> None:
    whole = piece * 10
    try:
        assert unpack(lzma.compress(whole), form="xz", limit=limit, what="test") == whole
    except DecodeError:
        assert len(whole) > limit


@settings(max_examples=EXAMPLES)
@given(
    st.lists(
        st.builds(
            ReferenceSignature,
            key=st.binary(min_size=32, max_size=32),
            algorithm=st.sampled_from(ALGORITHMS),
            signature=st.binary(max_size=100),
        ),
        max_size=5,
    )
)
def test_signatures_come_back_as_they_were_written(signatures: list[ReferenceSignature]) -> None:
    assert decode_reference_signatures(encode_reference_signatures(tuple(signatures))) == tuple(signatures)


CODE = [b"/usr/bin/dash", b"/usr/lib/x/libc.so.6", b"/usr/lib/modules/6/k/a.ko", b"/opt/run", b"/a", b"/opt/a.py"]


@settings(max_examples=300)
@given(st.text("/*abcopt.usrlinkmd-", min_size=1, max_size=24).map(lambda text: "/" + text))
def test_no_rule_with_a_star_in_its_name_covers_code(glob: str) -> None:
    rule = GeneratedRule(name="n", generator="/x", paths=(glob,), needs=frozenset({"source"}))
    try:
        check_rule(rule)
    except PolicyError:
        return
    if "*" in glob.rpartition("/")[2]:
        assert not [path for path in CODE if pattern(glob).fullmatch(path)]


RPM = Rpm(
    files={b"/usr/a": b"one", b"/usr/l": "a", b"/usr/d": None},
    protection={274: strings([b"0302040102030400017a", b"", b""])},
)


@settings(max_examples=4 * EXAMPLES, deadline=None)
@given(st.data())
def test_an_rpm_with_bytes_changed_is_decoded_or_refused(data: st.DataObject) -> None:
    raw = bytearray(RPM.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode_rpm(bytes(raw))
    except DecodeError:
        return


@settings(max_examples=EXAMPLES, deadline=None)
@given(FILES)
def test_an_rpm_holds_what_was_put_into_it(files: dict[str, bytes]) -> None:
    clean = {path.encode(): content for path, content in files.items() if path != "/"}
    found = decode_rpm(Rpm(files=dict(clean)).encode()).content.files

    assert {file.path: file.sha256 for file in found} == {
        path: hashlib.sha256(content).digest() for path, content in clean.items()
    }
