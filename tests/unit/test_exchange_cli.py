"""`reference import corim|rim`, `reference export corim` and `result show` as operators type them."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from joserfc import jws
from joserfc.jwk import ECKey

from bartizan.app.reference_folder import read_reference, write_reference
from bartizan.formats.cbor import encode_cbor
from bartizan.formats.cose import sign_cose
from bartizan.formats.ear import PROFILE
from bartizan.model.cbor import Tagged
from bartizan.model.digest import HashAlg
from bartizan.model.reference import ReferenceEvent, ReferenceFile, ReferenceSet
from tests.unit.cli_runner import run
from tests.unit.manifests import COSWID, VALIDITY, corim_of, coswid_tag
from tests.unit.test_swid import tag

VECTORS = Path(__file__).parents[1] / "vectors"
HIRS = VECTORS / "rim" / "nsacyber_HIRS"
SERVICES = VECTORS / "corim" / "veraison_services"
EVENT = ReferenceEvent(pcr=4, digests={HashAlg.SHA256: b"\x01" * 32}, label="a loader")
FILE = ReferenceFile(path=b"/usr/bin/cat", alg="sha256", digest=b"\x03" * 32)
KEY = ec.derive_private_key(31, ec.SECP256R1())
FUTURE = 4_000_000_000


def words(text: str) -> str:
    """A text without the line breaks of a narrow terminal."""
    return " ".join(text.split())


def private(folder: Path, key: object = KEY, password: bytes | None = None) -> Path:
    hidden = BestAvailableEncryption(password) if password else NoEncryption()
    path = folder / "key.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden))  # type: ignore[attr-defined]
    return path


def public(folder: Path, key: object = KEY) -> Path:
    path = folder / "key.pub"
    path.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))  # type: ignore[attr-defined]
    return path


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    made = ReferenceSet(name="web", source="a boot", events=(EVENT,), files=(FILE,), digest="")
    write_reference(made, tmp_path / "ref")
    return tmp_path / "ref"


@pytest.mark.parametrize(
    "key",
    [
        KEY,
        ec.derive_private_key(1, ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 2048),
    ],
    ids=["P-256", "P-384", "Ed25519", "RSA"],
)
def test_a_set_is_exported_signed_and_imported(tmp_path: Path, reference: Path, key: object) -> None:
    out = tmp_path / "web.corim"

    exported = run("reference", "export", "corim", reference, "--out", out, "--key", private(tmp_path, key), "--json")
    imported = run(
        "reference", "import", "corim", out, "--key", public(tmp_path, key), "--out", tmp_path / "new", "--json"
    )

    assert (exported.code, imported.code) == (0, 0)
    assert exported.document == {
        "digest": f"sha256:{read_reference(reference).digest}",
        "path": str(out),
        "bytes": len(out.read_bytes()),
        "signed": True,
    }
    assert imported.document["left"] == []
    assert "signed by Bartizan with the key in key.pub" in imported.document["source"]
    found = read_reference(tmp_path / "new")
    assert (found.events, found.files, found.name) == ((EVENT,), (FILE,), "new")


def test_people_are_told_what_was_written(tmp_path: Path, reference: Path) -> None:
    out = tmp_path / "web.corim"

    exported = run("reference", "export", "corim", reference, "--out", out)
    imported = run("reference", "import", "corim", out, "--out", tmp_path / "new", "--name", "theirs")

    assert "1 boot measurement and 1 file," in words(exported.out)
    assert "not signed" in words(exported.out)
    assert "1 boot measurement and 1 file from CoRIM" in words(imported.out)
    assert "set theirs@sha256:" in words(imported.out)


def test_another_issuer_may_sign(tmp_path: Path, reference: Path) -> None:
    out = tmp_path / "web.corim"
    run("reference", "export", "corim", reference, "--out", out, "--key", private(tmp_path), "--issuer", "ACME")

    ran = run("reference", "import", "corim", out, "--key", public(tmp_path), "--out", tmp_path / "n")

    assert "signed by ACME" in words(ran.out)


def test_a_signed_corim_needs_its_key(tmp_path: Path, reference: Path) -> None:
    out = tmp_path / "web.corim"
    run("reference", "export", "corim", reference, "--out", out, "--key", private(tmp_path))
    other = public(tmp_path, ec.derive_private_key(32, ec.SECP256R1()))

    without = run("reference", "import", "corim", out, "--out", tmp_path / "new", "--json")
    wrong = run("reference", "import", "corim", out, "--key", other, "--out", tmp_path / "new", "--json")

    assert (without.code, without.document["error"]["kind"]) == (2, "config")
    assert (wrong.code, wrong.document["error"]["what"]) == (1, "corim.signature")
    assert not (tmp_path / "new").exists()


def test_a_key_for_an_unsigned_corim_is_a_mistake(tmp_path: Path, reference: Path) -> None:
    out = tmp_path / "web.corim"
    run("reference", "export", "corim", reference, "--out", out)

    ran = run("reference", "import", "corim", out, "--key", public(tmp_path), "--out", tmp_path / "new", "--json")

    assert (ran.code, "not signed" in ran.document["error"]["why"]) == (1, True)


@pytest.mark.parametrize(
    ("name", "code", "kind"),
    [
        ("parsec-tpm-corim-parsec-tpm-valid.cbor", 2, "policy"),
        ("parsec-tpm-corim-parsec-tpm-bad-no-pcr.cbor", 1, "verify"),
        ("tpm-enacttrust-corim-enacttrust-bad-multiple-digests.cbor", 2, "decode"),
    ],
)
def test_a_corim_that_is_of_no_use_writes_nothing(tmp_path: Path, name: str, code: int, kind: str) -> None:
    ran = run("reference", "import", "corim", SERVICES / name, "--out", tmp_path / "new", "--json")

    assert (ran.code, ran.document["error"]["kind"]) == (code, kind)
    assert not (tmp_path / "new").exists()


def test_a_corim_whose_time_is_over_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "old.corim"
    path.write_bytes(corim_of(coswid_tag(COSWID), validity=VALIDITY))

    ran = run("reference", "import", "corim", path, "--out", tmp_path / "new", "--json")

    assert (ran.code, ran.document["error"]["what"]) == (1, "corim.validity")


def test_what_is_left_aside_is_said(tmp_path: Path) -> None:
    path = tmp_path / "mixed.corim"
    comid = Tagged(506, encode_cbor({1: {0: bytes(16)}, 4: {1: [[{0: {1: "A"}}, [{1: {8: "x"}}]]]}}))
    path.write_bytes(corim_of(coswid_tag(COSWID), comid, id=bytes(16)))

    ran = run("reference", "import", "corim", path, "--out", tmp_path / "new")

    assert ran.code == 0
    assert "left aside: CoMID 00000000-0000-0000-0000-000000000000: 1 endorsements" in words(ran.out)


@pytest.mark.parametrize("key", [ed448.Ed448PrivateKey.generate(), ec.derive_private_key(1, ec.SECP256K1())])
def test_a_key_that_signs_no_corim_is_refused(tmp_path: Path, reference: Path, key: object) -> None:
    ran = run(
        "reference", "export", "corim", reference, "--out", tmp_path / "o", "--key", private(tmp_path, key), "--json"
    )

    assert (ran.code, ran.document["error"]["kind"]) == (2, "config")
    assert not (tmp_path / "o").exists()


def test_a_key_with_a_password_is_refused(tmp_path: Path, reference: Path) -> None:
    key = private(tmp_path, password=b"secret")

    ran = run("reference", "export", "corim", reference, "--out", tmp_path / "o", "--key", key, "--json")

    assert (ran.code, "without a password" in ran.document["error"]["what"]) == (2, True)


def test_a_rim_is_imported_with_its_log(tmp_path: Path) -> None:
    name = HIRS / "generated_user_cert.swidtag"
    more = ("--cert", HIRS / "signer.pem", "--support", HIRS / "TpmLog.bin", "--out", tmp_path / "new", "--json")

    ran = run("reference", "import", "rim", name, *more)

    assert (ran.code, ran.document["events"], ran.document["left"]) == (0, 47, [])
    assert "signed with the key in signer.pem" in ran.document["source"]


@pytest.mark.parametrize(
    ("more", "code", "kind"),
    [
        (("--support", HIRS / "TpmLog.bin"), 2, "config"),
        (("--cert", HIRS / "signer.pem"), 2, "config"),
        (("--cert", HIRS / "signer.pem", "--support", HIRS / "testCsv.swidtag"), 1, "verify"),
        (("--cert", VECTORS / "ear" / "veraison.jwk", "--support", HIRS / "TpmLog.bin"), 1, "verify"),
        (("--cert", HIRS / "TpmLog.bin", "--support", HIRS / "TpmLog.bin"), 2, "decode"),
    ],
)
def test_a_rim_without_its_certificate_or_log_writes_nothing(
    tmp_path: Path, more: tuple[str | Path, ...], code: int, kind: str
) -> None:
    ran = run(
        "reference", "import", "rim", HIRS / "generated_user_cert.swidtag", *more, "--out", tmp_path / "n", "--json"
    )

    assert (ran.code, ran.document["error"]["kind"]) == (code, kind)
    assert not (tmp_path / "n").exists()


def test_a_plain_software_tag_gives_files(tmp_path: Path) -> None:
    path = tmp_path / "tool.swidtag"
    path.write_bytes(
        tag(f'<Payload><Directory name="/usr/bin"><File name="tool" a:hash="{"ab" * 32}"/></Directory></Payload>')
    )

    ran = run("reference", "import", "rim", path, "--out", tmp_path / "new", "--json")

    assert (ran.code, ran.document["files"], "not signed" in ran.document["source"]) == (0, 1, True)
    assert read_reference(tmp_path / "new").files[0].path == b"/usr/bin/tool"


def test_a_certificate_for_an_unsigned_tag_is_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / "tool.swidtag"
    path.write_bytes(tag())

    ran = run("reference", "import", "rim", path, "--cert", HIRS / "signer.pem", "--out", tmp_path / "new", "--json")

    assert (ran.code, "found no signature" in ran.document["error"]["why"]) == (1, True)


def ear(status: str, *, expires: int = FUTURE) -> dict[str, object]:
    return {
        "eat_profile": PROFILE,
        "iat": 1_700_000_000,
        "exp": expires,
        "ear_verifier_id": {"developer": "https://v.example", "build": "v 1\u202e"},
        "submods": {
            "node-1": {
                "ear_status": status,
                "ear_trustworthiness_vector": {"hardware": 2},
                "ear_appraisal_policy_ids": ["strict"],
            }
        },
    }


def jwt(folder: Path, claims: object) -> Path:
    pem = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path = folder / "token.jwt"
    path.write_text(jws.serialize_compact({"alg": "ES256"}, json.dumps(claims).encode(), ECKey.import_key(pem)) + "\n")
    return path


def test_a_result_is_shown(tmp_path: Path) -> None:
    ran = run("result", "show", jwt(tmp_path, ear("affirming")), "--key", public(tmp_path), "--json")

    assert ran.code == 0
    assert {key: value for key, value in ran.document.items() if key != "token"} == {
        "dialect": "draft-ietf-rats-ear-03",
        "profile": PROFILE,
        "verifier": {"developer": "https://v.example", "build": "v 1\\u202e"},
        "key": None,
        "issued_at": "2023-11-14T22:13:20+00:00",
        "expires": "2096-10-02T07:06:40+00:00",
        "fault": None,
        "attesters": [
            {
                "name": "node-1",
                "status": "affirming",
                "vector": {"hardware": "affirming"},
                "values": {"hardware": 2},
                "policies": ["strict"],
            }
        ],
    }


@pytest.mark.parametrize(
    ("claims", "said", "code"),
    [
        (ear("warning"), "! warning node-1", 1),
        (ear("affirming", expires=1_700_000_001), "does not count: it expired", 1),
        (ear("affirming", expires=9_000_000_000_000_000), "9000000000000000 s", 0),
    ],
)
def test_a_result_is_shown_in_words(tmp_path: Path, claims: dict[str, object], said: str, code: int) -> None:
    ran = run("result", "show", jwt(tmp_path, claims), "--key", public(tmp_path))

    assert (ran.code, said in words(ran.out)) == (code, True)
    assert "\u202e" not in ran.out


def test_a_result_of_a_verifier_without_a_name_is_shown() -> None:
    ran = run("result", "show", VECTORS / "ear" / "veraison-2022.jwt", "--key", VECTORS / "ear" / "veraison.jwk")

    assert ran.code == 0
    assert "a Verifier that does not name itself" in words(ran.out)
    assert "no stated time" in words(ran.out)
    assert "the attester" in words(ran.out)


def test_a_result_as_a_cwt_is_shown(tmp_path: Path) -> None:
    claims = {265: PROFILE, 6: 1_700_000_000, 1004: {0: "d", 1: "b"}, 266: {"n": {1000: 96, 1001: {4: 96}}}}
    path = tmp_path / "token.cwt"
    path.write_bytes(sign_cose(encode_cbor(claims), KEY, {}))

    ran = run("result", "show", path, "--key", public(tmp_path), "--json")

    assert (ran.code, ran.document["attesters"][0]["vector"]) == (1, {"hardware": "contraindicated"})


def test_a_result_by_another_key_is_judged_bad(tmp_path: Path) -> None:
    other = public(tmp_path, ec.derive_private_key(32, ec.SECP256R1()))

    ran = run("result", "show", jwt(tmp_path, ear("affirming")), "--key", other, "--json")

    assert (ran.code, ran.document["error"]["what"]) == (1, "ear.signature")


def test_what_is_no_result_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"nothing")

    assert run("result", "show", path, "--key", public(tmp_path)).code == 2


def test_a_file_that_is_no_corim_is_named(tmp_path: Path) -> None:
    (tmp_path / "noise.bin").write_bytes(b"\xff\x13\x37noise")

    ran = run("reference", "import", "corim", tmp_path / "noise.bin", "--out", tmp_path / "new")

    assert ran.code == 2
    assert "noise.bin: no CoRIM" in words(ran.err)


def test_a_file_that_is_no_result_is_named(tmp_path: Path) -> None:
    (tmp_path / "noise.bin").write_bytes(b"\xff\x13\x37noise")

    ran = run("result", "show", tmp_path / "noise.bin", "--key", public(tmp_path))

    assert ran.code == 2
    assert "noise.bin at byte" in words(ran.err)
    assert "neither a JWT nor a CWT" in words(ran.err)


def test_a_file_that_holds_no_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "noise.bin").write_bytes(b"noise")

    ran = run("result", "show", tmp_path / "noise.bin", "--key", tmp_path / "noise.bin", "--json")

    assert (ran.code, ran.document["error"]["what"]) == (2, f"{tmp_path / 'noise.bin'}: key file")


def test_a_folder_in_the_place_of_the_file_to_write_is_named(tmp_path: Path, reference: Path) -> None:
    (tmp_path / "folder").mkdir()

    ran = run("reference", "export", "corim", reference, "--out", tmp_path / "folder", "--json")

    assert (ran.code, ran.document["error"]["kind"]) == (2, "config")
    assert f"{tmp_path / 'folder'}: it is a folder" in ran.document["error"]["why"]
    assert not list((tmp_path / "folder").iterdir())


def test_an_import_does_not_replace_another_set(tmp_path: Path, reference: Path) -> None:
    out = tmp_path / "web.corim"
    run("reference", "export", "corim", reference, "--out", out)
    before = (reference / "reference.json").read_bytes()

    refused = run("reference", "import", "corim", out, "--out", reference, "--name", "theirs")
    same = (reference / "reference.json").read_bytes() == before
    forced = run("reference", "import", "corim", out, "--out", reference, "--name", "theirs", "--force")

    assert (refused.code, same, forced.code) == (2, True, 0)
    assert read_reference(reference).name == "theirs"
