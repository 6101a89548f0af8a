"""RPM packages: those that rpmbuild made, against what rpm says of them, and made ones with one thing wrong."""

from collections.abc import Mapping
from pathlib import Path
from struct import pack

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from bartizan.errors import DecodeError, VerifyError
from bartizan.formats.ima_signature import decode_ima_signature
from bartizan.formats.rpm import decode_rpm
from bartizan.model.package import ReportedSignature
from bartizan.model.rpm import FileSignature
from bartizan.verify.rpm_repository import verify_file_signatures, verify_header_signature, verify_parts
from tests.simulator.rpm_repository import (
    CONFIGURATION,
    GHOST,
    INT16,
    INT32,
    Rpm,
    Tag,
    binary,
    numbers,
    string,
    strings,
)

REAL = Path(__file__).parents[1] / "vectors" / "rpm"
FILES: Mapping[bytes, bytes | str | None] = {
    b"/etc/tiny.conf": b"setting",
    b"/usr/bin/tiny": b"program",
    b"/usr/bin/link": "tiny",
    b"/usr/share/tiny": None,
}
RPM = Rpm(files=FILES, flags={b"/etc/tiny.conf": CONFIGURATION})
KEY, EC_KEY = rsa.generate_private_key(65537, 2048), ec.derive_private_key(9, ec.SECP256R1())


def dumped() -> dict[str, list[list[str]]]:
    """What rpm says of each real package, file by file."""
    found: dict[str, list[list[str]]] = {}
    for line in (REAL / "dump.txt").read_text().splitlines():
        if line.startswith("/"):
            found[list(found)[-1]].append(line.split())
        else:
            found[line] = []
    return found


@pytest.mark.parametrize("name", ["tiny-1.0-1.noarch.rpm", "tiny-1.0-2.noarch.rpm"])
def test_a_real_package_holds_what_rpm_says_of_it(name: str) -> None:
    package = decode_rpm((REAL / "noarch" / name).read_bytes())
    rows = dumped()[name]

    content = package.content
    assert f"{content.name}-{content.version}.{content.architecture}.rpm" == name
    assert {(file.path.decode(), file.sha256.hex(), file.conffile) for file in content.files} == {
        (row[0], row[3], row[7] == "1") for row in rows if int(row[3], 16)
    }
    assert [(link.path.decode(), link.target.decode()) for link in content.links] == [
        (row[0], row[10]) for row in rows if row[4] == "0120777"
    ]
    assert package.claimed == package.found
    assert package.signature is not None


def test_a_real_package_with_md5_digests_is_refused() -> None:
    with pytest.raises(DecodeError, match="SHA-256 digest expected"):
        decode_rpm((REAL / "noarch" / "old-1.0-1.noarch.rpm").read_bytes())


def test_a_made_package_is_read_alike() -> None:
    found = decode_rpm(RPM.encode())

    assert (found.content.name, found.content.version, found.content.architecture) == ("tiny", "1.0-1", "x86_64")
    assert [(file.path, file.conffile) for file in found.content.files] == [
        (b"/etc/tiny.conf", True),
        (b"/usr/bin/tiny", False),
    ]
    assert [(link.path, link.target) for link in found.content.links] == [(b"/usr/bin/link", b"tiny")]
    assert (found.signature, found.file_signatures, found.claimed) == (None, {}, found.found)


def test_what_the_package_names_without_having_it_is_left_out() -> None:
    found = decode_rpm(Rpm(files=FILES, flags={b"/usr/bin/tiny": GHOST}).encode())

    assert [file.path for file in found.content.files] == [b"/etc/tiny.conf"]


def test_a_package_without_files_is_one() -> None:
    assert decode_rpm(Rpm().encode()).content.files == ()


def test_an_old_package_may_state_no_digest_of_itself() -> None:
    found = decode_rpm(
        Rpm(files=FILES, tags={5092: None, 5093: None}, protection={273: None, 1004: binary(b"m")}).encode()
    )

    assert found.claimed == {}


def test_a_payload_digest_that_is_not_sha256_counts_for_nothing() -> None:
    assert "payload" not in decode_rpm(Rpm(tags={5093: numbers(INT32, [10])}).encode()).claimed


@pytest.mark.parametrize("signed", [267, 268])
def test_a_signature_over_the_header_is_handed_out_with_it(signed: int) -> None:
    found = decode_rpm(Rpm(protection={signed: binary(b"packet")}).encode())

    assert found.signature == b"packet"
    assert found.header[:4] == b"\x8e\xad\xe8\x01"


@pytest.mark.parametrize(
    ("tags", "why"),
    [
        ({1000: None}, "tag 1000"),
        ({1000: numbers(INT32, [1])}, "tag 1000"),
        ({1000: string("a b")}, "not a name"),
        ({1001: string("1-0")}, None),
        ({1000: strings([])}, "found none"),
        ({5092: strings([])}, "found none"),
        ({1030: None}, "tag 1030"),
        ({1030: numbers(INT32, [0, 0, 0, 0])}, "tag 1030"),
        ({1030: numbers(INT16, [0o100644])}, "have not one length"),
        ({1035: strings([b"zz"] * 4)}, "hexadecimal"),
        ({1035: strings([b"ab"] * 4)}, "SHA-256 digest expected"),
        ({5011: None}, "SHA-256 digest expected"),
        ({5011: numbers(INT32, [1])}, "SHA-256 digest expected"),
        ({1116: numbers(INT32, [0, 1, 1, 9])}, "do not fit"),
        ({1116: numbers(INT32, [0])}, "do not fit"),
        ({1117: strings([b"a", b"b", b"..", b"d"])}, "not an absolute path"),
        ({1117: strings([b"a", b"b", b"", b"d"])}, "not an absolute path"),
        ({1117: strings([b"a", b"b", b"b", b"d"])}, "stands twice"),
        ({1117: strings([b"a", b"b", b"c" * 5000, b"d"])}, "not an absolute path"),
        ({1118: strings([b"etc/", b"/usr/bin/", b"/usr/share/"])}, "not an absolute path"),
        ({5092: (8, 400, b"ab")}, "400 strings expected"),
        ({1117: (8, 600_000, b"a\0")}, "over the limit"),
        ({1030: (3, 600_000, b"aa")}, "over the limit"),
        ({1030: (3, 4000, b"aa")}, "bytes expected"),
    ],
)
def test_a_header_with_one_thing_wrong_is_refused(tags: dict[int, Tag | None], why: str | None) -> None:
    raw = Rpm(files=FILES, tags=tags).encode()

    if why is None:
        assert decode_rpm(raw).content.version == "1-0-1"
        return
    with pytest.raises(DecodeError, match=why):
        decode_rpm(raw)


@pytest.mark.parametrize(
    ("package", "why"),
    [
        (Rpm(lead=b"\0" * 96), "not a binary RPM package"),
        (Rpm(lead=RPM.lead[:4] + b"\x05" + RPM.lead[5:]), "not a binary RPM package"),
        (Rpm(lead=RPM.lead[:6] + b"\0\1" + RPM.lead[8:]), "not a binary RPM package"),
        (Rpm(trailer=pack(">IIiI", 63, 7, -16, 16)), "outside the header's immutable region"),
        (Rpm(trailer=pack(">IIiI", 63, 6, -112, 16)), "outside the header's immutable region"),
        (Rpm(trailer=b""), "16 bytes expected"),
        (Rpm(protection={273: string("ab" * 32), 62: None, 274: strings([b""])}), "1 IMA signatures for 0 files"),
    ],
)
def test_a_package_with_one_thing_wrong_is_refused(package: Rpm, why: str) -> None:
    with pytest.raises(DecodeError, match=why):
        decode_rpm(package.encode())


def at(raw: bytes, place: int, value: bytes) -> bytes:
    return raw[:place] + value + raw[place + len(value) :]


@pytest.mark.parametrize(
    ("place", "value", "why"),
    [
        (96, b"\x8e\xad\xe8\x02", "magic of a header"),
        (96 + 8, bytes(4), "0 tags"),
        (96 + 8, b"\0\1\0\0", "65536 tags"),
        (96 + 12, b"\xff\xff\xff\xff", "over the limit"),
        (96 + 16, pack(">I", 61), "region 62 is missing"),
        (96 + 16 + 4, pack(">I", 6), "region 62 is missing"),
        (96 + 16 + 12, pack(">I", 17), "region 62 is missing"),
        (96 + 16 + 8, pack(">i", -1), "outside of the header"),
        (96 + 16 + 16, pack(">I", 62), "stands twice"),
    ],
)
def test_an_index_with_one_thing_wrong_is_refused(place: int, value: bytes, why: str) -> None:
    with pytest.raises(DecodeError, match=why):
        decode_rpm(at(RPM.encode(), place, value))


def test_padding_before_the_header_is_zero() -> None:
    raw = RPM.encode()
    main = raw.index(b"\x8e\xad\xe8\x01", 100)

    assert raw[main - 1] == 0
    with pytest.raises(DecodeError, match="padding"):
        decode_rpm(at(raw, main - 1, b"\1"))


@pytest.mark.parametrize("part", ["header", "payload"])
def test_a_package_that_belies_itself_is_refused(part: str) -> None:
    changes: dict[str, Rpm] = {
        "header": Rpm(protection={273: string("ab" * 32)}),
        "payload": Rpm(tags={5092: strings([b"ab" * 32])}),
    }
    verify_parts(decode_rpm(RPM.encode()), filename="f")

    with pytest.raises(VerifyError, match=f"digest of its {part}"):
        verify_parts(decode_rpm(changes[part].encode()), filename="f")


def said(*, good: bool = False, bad: bool = False) -> ReportedSignature:
    return ReportedSignature(good=good, bad=bad, fingerprint="AA", hash_alg=8, why="changed")


def test_a_header_signature_is_good_unknown_or_refused() -> None:
    assert verify_header_signature([said(good=True)], filename="f")
    assert not verify_header_signature([said()], filename="f")
    with pytest.raises(VerifyError, match="its own signature is bad"):
        verify_header_signature([said(good=True), said(bad=True)], filename="f")


def ima(signature: bytes, *, hash_alg: int = 4) -> bytes:
    return pack(">BBB4sH", 3, 2, hash_alg, b"\1\2\3\4", len(signature)) + signature


def signed_by(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, content: bytes, *, hash_alg: int = 4) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return ima(key.sign(content, padding.PKCS1v15(), hashes.SHA256()), hash_alg=hash_alg)
    return ima(key.sign(content, ec.ECDSA(hashes.SHA256())), hash_alg=hash_alg)


def with_signatures(*signatures: bytes) -> Rpm:
    texts = [one.hex().encode() for one in signatures]
    return Rpm(files={b"/a": b"one", b"/b": b"two"}, protection={274: strings(texts)})


@pytest.mark.parametrize("key", [KEY, EC_KEY], ids=["RSA", "EC"])
def test_ima_signatures_of_every_file_hold(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> None:
    package = decode_rpm(with_signatures(signed_by(key, b"one"), signed_by(key, b"two")).encode())

    verify_file_signatures(package, [KEY.public_key(), EC_KEY.public_key()], filename="f")
    assert package.file_signatures[b"/a"].key == b"\1\2\3\4"


@pytest.mark.parametrize(
    ("second", "why"),
    [
        (b"", "/b has no IMA signature"),
        (signed_by(KEY, b"other"), "no given key made the IMA signature of /b"),
        (signed_by(EC_KEY, b"two"), "no given key made the IMA signature of /b"),
        (signed_by(KEY, b"two", hash_alg=5), "no given key made the IMA signature of /b"),
    ],
    ids=["none", "another file's", "another key's", "another hash"],
)
def test_an_ima_signature_that_is_missing_or_wrong_is_told_by_its_file(second: bytes, why: str) -> None:
    package = decode_rpm(with_signatures(signed_by(KEY, b"one"), second).encode())

    with pytest.raises(VerifyError, match=why):
        verify_file_signatures(package, [KEY.public_key()], filename="f")


def test_an_ima_signature_is_read() -> None:
    assert decode_ima_signature(ima(b"s" * 256)) == FileSignature(
        hash_alg="sha256", key=b"\1\2\3\4", signature=b"s" * 256
    )


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"\3\2\4", ima(b""), ima(b"s" * 1025), ima(b"s") + b"x", ima(b"ss")[:-1]),
        *(b"\4" + ima(b"s")[1:], b"\3\1" + ima(b"s")[2:], ima(b"s", hash_alg=99)),
    ],
    ids=range(9),
)
def test_what_is_no_ima_signature_is_refused(raw: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_ima_signature(raw)


def test_every_truncation_is_refused_or_misses_a_part_of_the_payload() -> None:
    raw = RPM.encode()
    for size in range(len(raw)):
        try:
            found = decode_rpm(raw[:size])
        except DecodeError:
            continue
        assert size >= len(raw) - len(RPM.payload)
        with pytest.raises(VerifyError):
            verify_parts(found, filename="f")
