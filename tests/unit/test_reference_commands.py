"""`bartizan reference show`, `sign` and `import files`, and the demand for a signature when sets are used."""

import hashlib
import json
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from bartizan.app.import_files import files_below
from bartizan.app.reference_folder import read_reference, write_reference
from bartizan.errors import ConfigError, DecodeError, VerifyError
from bartizan.formats import reference_signature
from bartizan.formats.reference_file import encode_reference
from bartizan.formats.reference_signature import decode_reference_signatures
from bartizan.model.digest import HashAlg
from bartizan.model.reference import Origin, ReferenceEvent, ReferenceFile, ReferenceSet
from bartizan.verify.reference_signature import verify_reference_signature
from tests.unit.cli_runner import BOOTS, run

ORIGIN = Origin(
    package="coreutils", version="9.1-1", architecture="amd64", repository="Debian bookworm", signer="AB" * 20
)
CUT = ReferenceFile(path=b"/usr/bin/cut", alg="sha256", digest=bytes(32), origin=ORIGIN)
OWN = ReferenceFile(path=b"/opt/x\n", alg="sha256", digest=bytes(32), changeable=True)
EVENT = ReferenceEvent(pcr=4, digests={HashAlg.SHA256: bytes(32)}, label="a loader")
Private = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    some = ReferenceSet(name="mixed", source="a test", events=(EVENT,), files=(CUT, OWN), digest="")
    write_reference(some, tmp_path / "ref")
    return tmp_path / "ref"


def bare(text: str) -> str:
    """A text without blanks and line breaks: where lines end depends on the length of the test's folder."""
    return "".join(text.split())


def keys(folder: Path, private: Private, name: str) -> tuple[Path, Path]:
    """A key pair as PEM files."""
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / f"{name}.pem").write_bytes(pem)
    (folder / f"{name}.pub").write_bytes(public)
    return folder / f"{name}.pem", folder / f"{name}.pub"


def test_show_says_where_each_value_comes_from(reference: Path) -> None:
    shown, document = run("reference", "show", reference), run("reference", "show", reference, "--json").document

    assert all(text in shown.out for text in ("coreutils", "9.1-1", "not signed", "a loader", "configuration file"))
    by_path = {row["path"]: row for row in document["files"]}
    assert by_path["/usr/bin/cut"]["origin"] == {
        "package": "coreutils",
        "version": "9.1-1",
        "architecture": "amd64",
        "repository": "Debian bookworm",
        "signer": "AB" * 20,
    }
    assert [row["origin"] for path, row in by_path.items() if path.startswith("/opt")] == [None]
    assert "\n" not in "".join(by_path)
    assert document["events"][0]["label"] == "a loader"


def test_show_takes_one_path_or_what_is_under_it(reference: Path) -> None:
    one = run("reference", "show", reference, "--path", "/usr/bin/", "--json")
    none = run("reference", "show", reference, "--path", "/usr/bi")

    assert (one.code, [row["path"] for row in one.document["files"]], one.document["events"]) == (
        0,
        ["/usr/bin/cut"],
        [],
    )
    assert none.code == 1


@pytest.mark.parametrize("kind", ["ed25519", "p256"])
def test_a_signed_set_is_used_and_an_unsigned_one_is_refused(reference: Path, tmp_path: Path, kind: str) -> None:
    private = ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(ec.SECP256R1())
    pem, public = keys(tmp_path, private, "own")
    judge = (
        "appraise",
        BOOTS / "good",
        "--roots",
        BOOTS,
        "--reference",
        reference,
        "--reference-key",
        public,
        "--json",
    )
    before = run(*judge)
    signed = run("reference", "sign", reference, "--key", pem, "--json")
    after = run(*judge)

    assert (before.code, before.document["error"]["kind"]) == (2, "policy")
    assert "no signature" in before.document["error"]["why"]
    assert signed.code == 0
    assert after.document["reference"].startswith("mixed@sha256:")
    spki = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert signed.document["key"] == f"sha256:{hashlib.sha256(spki).hexdigest()}"
    assert signed.document["key"] in run("reference", "show", reference, "--json").document["signatures"]


def test_each_way_that_a_signature_does_not_count(reference: Path, tmp_path: Path) -> None:
    pem, public = keys(tmp_path, ed25519.Ed25519PrivateKey.generate(), "own")
    _, other = keys(tmp_path, ec.generate_private_key(ec.SECP256R1()), "other")
    run("reference", "sign", reference, "--key", pem)
    path = reference / "reference.sig.json"
    document = json.loads(path.read_text())

    def why(key: Path) -> str:
        return str(run("explain", BOOTS / "good", "--reference", reference, "--reference-key", key, "--json").document)

    assert "by an accepted key" in why(other)
    changed = ReferenceSet(name="other", source="a test", events=(), files=(), digest="")
    (reference / "reference.json").write_bytes(encode_reference(changed))
    assert "was changed after" in why(public)
    assert "do not use them until you know who changed them" in why(public)
    assert "reference sign" not in why(public)
    write_reference(
        ReferenceSet(name="mixed", source="a test", events=(EVENT,), files=(CUT, OWN), digest=""), reference
    )
    assert not path.exists()
    document["signatures"][0]["algorithm"] = "ecdsa-p256-sha256"
    path.write_text(json.dumps(document))
    assert "was changed after" in why(public)
    path.write_text("{}")
    assert "reference.sig.json" in why(public)


def test_signatures_by_several_keys_stand_beside_each_other_and_each_once(reference: Path, tmp_path: Path) -> None:
    first, _ = keys(tmp_path, ed25519.Ed25519PrivateKey.generate(), "first")
    second, public = keys(tmp_path, ec.generate_private_key(ec.SECP256R1()), "second")
    for key in (first, second, first):
        run("reference", "sign", reference, "--key", key)

    assert len(run("reference", "show", reference, "--json").document["signatures"]) == 2
    assert run("appraise", BOOTS / "good", "--reference", reference, "--reference-key", public, "--json").code == 1


def test_keys_of_another_kind_are_refused(reference: Path, tmp_path: Path) -> None:
    pem, public = keys(tmp_path, rsa.generate_private_key(65537, 2048), "rsa")
    (tmp_path / "junk").write_text("junk")
    for key in (pem, tmp_path / "junk", tmp_path / "none"):
        assert run("reference", "sign", reference, "--key", key).code == 2
    for key in (public, tmp_path / "junk"):
        assert run("appraise", BOOTS / "good", "--reference", reference, "--reference-key", key).code == 2


def test_a_key_without_reference_values_is_a_mistake(tmp_path: Path) -> None:
    _, public = keys(tmp_path, ed25519.Ed25519PrivateKey.generate(), "own")

    assert run("appraise", BOOTS / "good", "--reference-key", public, "--json").document["error"]["kind"] == "config"


def test_several_sets_count_together_and_the_result_names_all(reference: Path, tmp_path: Path) -> None:
    run("reference", "propose", BOOTS / "good", "--out", tmp_path / "boot", "--name", "boot")
    options = ("--roots", BOOTS, "--reference", reference, "--reference", tmp_path / "boot", "--json")
    result = run("appraise", BOOTS / "good", *options).document

    assert result["level"] == 4
    assert [name.split("@")[0] for name in result["reference"].split(", ")] == ["mixed", "boot"]


def test_an_images_own_files_are_hashed_and_signed(tmp_path: Path) -> None:
    pem, _ = keys(tmp_path, ed25519.Ed25519PrivateKey.generate(), "own")
    root = tmp_path / "root"
    (root / "opt/agent/deep").mkdir(parents=True)
    (root / "opt/agent/init").write_bytes(b"init")
    (root / "opt/agent/deep/er").write_bytes(b"deeper")
    (root / "opt/agent/link").symlink_to("init")
    (root / "single").write_bytes(b"single")
    out = tmp_path / "ref"
    ran = run("reference", "import", "files", root, "/opt/agent", "/single", "--out", out, "--key", pem, "--json")

    assert (ran.code, ran.document["files"]) == (0, 3)
    assert {file.path: file.digest for file in read_reference(out).files} == {
        b"/opt/agent/init": hashlib.sha256(b"init").digest(),
        b"/opt/agent/deep/er": hashlib.sha256(b"deeper").digest(),
        b"/single": hashlib.sha256(b"single").digest(),
    }
    assert len(run("reference", "show", out, "--json").document["signatures"]) == 1


@pytest.mark.parametrize("path", ["opt", "/none", "/../outside"])
def test_a_path_outside_the_image_is_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "root" / "opt").mkdir(parents=True)
    (tmp_path / "outside").write_bytes(b"")

    assert run("reference", "import", "files", tmp_path / "root", path, "--out", tmp_path / "ref").code == 2


@pytest.mark.parametrize("paths", [("/empty",), ("/dev/null",), ("/opt", "/dev/null")])
def test_a_set_without_a_file_is_not_written(tmp_path: Path, paths: tuple[str, ...]) -> None:
    root = tmp_path / "root"
    (root / "empty").mkdir(parents=True)
    (root / "opt").mkdir()
    (root / "opt" / "one").write_bytes(b"one")
    (root / "dev").mkdir()
    os.mkfifo(root / "dev" / "null")

    ran = run("reference", "import", "files", root, *paths, "--out", tmp_path / "ref")

    assert ran.code == 2
    assert not (tmp_path / "ref").exists()


def test_one_file_is_one_file(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "one").write_bytes(b"one")

    said = run("reference", "import", "files", tmp_path / "root", "/one", "--out", tmp_path / "ref").out

    assert "reference.json:1filesetref@sha256:" in bare(said)


def test_a_folder_that_cannot_be_listed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "root" / "opt").mkdir(parents=True)

    def scandir(path: str) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(ConfigError, match="opt: cannot be read"):
        files_below(tmp_path / "root", ("/opt",), name="x")


ROW = {"key": "ab" * 32, "algorithm": "ed25519", "signature": "AAAA"}


def test_a_document_of_signatures_is_read() -> None:
    raw = json.dumps({"format": reference_signature.FORMAT, "signatures": [ROW]}).encode()

    assert decode_reference_signatures(raw)[0].signature == bytes(3)


@pytest.mark.parametrize(
    "document",
    [
        {"format": "other", "signatures": []},
        {"format": reference_signature.FORMAT, "signatures": [ROW] * 40},
        {"format": reference_signature.FORMAT, "signatures": [ROW | {"algorithm": "rsa"}]},
        {"format": reference_signature.FORMAT, "signatures": [ROW | {"key": "abcd"}]},
        {"format": reference_signature.FORMAT, "signatures": [ROW | {"signature": "A"}]},
        {"format": reference_signature.FORMAT, "signatures": [ROW | {"signature": "ü"}]},
        {"format": reference_signature.FORMAT, "signatures": [ROW | {"more": 1}]},
        {"format": reference_signature.FORMAT},
        {"format": "x" * 70_000, "signatures": []},
    ],
)
def test_any_other_document_of_signatures_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(DecodeError):
        decode_reference_signatures(json.dumps(document).encode())


def test_a_set_without_an_accepted_signature_fails_by_its_rule() -> None:
    with pytest.raises(VerifyError) as caught:
        verify_reference_signature("00" * 32, (), (ed25519.Ed25519PrivateKey.generate().public_key(),))

    assert caught.value.check == "reference.signature"
