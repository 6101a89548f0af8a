"""`bartizan appraise --ear`: a token that another library verifies with the published key, and nothing else does."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from bartizan.app.defaults import default_policy
from bartizan.errors import DecodeError
from bartizan.formats.ear import decode_signing_key, ear_claims, public_jwk
from bartizan.model.policy import Waiver
from tests.simulator.machine import good, judged
from tests.unit.appraise_cases import baseline
from tests.unit.cli_runner import BOOTS, judge, run

NOW = int(datetime(2026, 6, 1, tzinfo=UTC).timestamp())


def pem(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey, password: bytes = b""
) -> bytes:
    locked = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked)


KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reference")
    assert run("reference", "propose", BOOTS / "good", "--out", folder).code == 0
    return folder


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def number(text: str) -> int:
    return int.from_bytes(decoded(text), "big")


def checked(token: str, keys: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a token whose ES256 signature one of these keys verifies (RFC 7515, 7518)."""
    header, payload, signature = token.split(".")
    names = json.loads(decoded(header))
    (key,) = [key for key in keys["keys"] if key["kid"] == names["kid"]]
    public = ec.EllipticCurvePublicNumbers(number(key["x"]), number(key["y"]), ec.SECP256R1()).public_key()
    raw = decoded(signature)
    assert len(raw) == 64
    pair = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    public.verify(pair, f"{header}.{payload}".encode("ascii"), ec.ECDSA(SHA256()))
    return names, json.loads(decoded(payload))


def issued(path: Path) -> tuple[str, dict[str, Any]]:
    token = path.read_text("ascii")
    assert token.endswith("\n")
    return token.strip(), json.loads(path.with_name(path.name + ".jwks.json").read_text("utf-8"))


@pytest.fixture
def written(reference: Path, tmp_path: Path) -> Path:
    path = tmp_path / "good.ear"
    assert judge("good", reference, "--ear", path, "--json").code == 0
    return path


def test_another_library_verifies_the_token_with_the_published_key(written: Path) -> None:
    header, claims = checked(*issued(written))

    assert (header["alg"], header["typ"]) == ("ES256", "JWT")
    assert claims["eat_profile"] == "tag:ietf.org,2026:rats/ear#03"
    assert claims["exp"] - claims["iat"] == 300
    assert set(claims["ear_verifier_id"]) == {"build", "developer"}


def test_the_token_says_what_the_verdict_says(written: Path, reference: Path) -> None:
    document = judge("good", reference, "--json").document
    (appraisal,) = checked(*issued(written))[1]["submods"].values()
    numbers = {"affirming": 2, "warning": 32, "contraindicated": 96}
    found = {claim: numbers[tier] for claim, tier in document["vector"].items() if tier != "none"}

    assert appraisal["ear_trustworthiness_vector"] == found
    assert appraisal["ear_status"] == "warning"
    said = appraisal["ear_verifier_claims"]
    assert (said["bartizan.level"], said["bartizan.state"]) == (4, "recorded")
    assert said["bartizan.contraindicated"] is False
    assert said["bartizan.reference"] == document["reference"]
    assert [finding["id"] for finding in said["bartizan.findings"]] == [
        finding["id"] for finding in document["findings"] if finding["tier"] != "affirming"
    ]


def test_the_submodule_is_named_after_the_folder(written: Path) -> None:
    assert list(checked(*issued(written))[1]["submods"]) == ["good"]


def test_a_bad_verdict_is_signed_too(reference: Path, tmp_path: Path) -> None:
    assert judge("attack_disk_tamper", reference, "--ear", tmp_path / "bad.ear").code == 1
    (appraisal,) = checked(*issued(tmp_path / "bad.ear"))[1]["submods"].values()

    assert appraisal["ear_status"] == "contraindicated"
    assert appraisal["ear_verifier_claims"]["bartizan.contraindicated"] is True


def test_a_refused_machine_gets_a_token_without_claims_of_trust(tmp_path: Path) -> None:
    assert run("appraise", BOOTS / "good", "--ear", tmp_path / "none.ear").code == 1
    (appraisal,) = checked(*issued(tmp_path / "none.ear"))[1]["submods"].values()

    assert appraisal["ear_trustworthiness_vector"] == {"instance-identity": 0}
    assert (appraisal["ear_status"], appraisal["ear_verifier_claims"]["bartizan.level"]) == ("none", 0)


def test_a_changed_byte_fails(written: Path) -> None:
    token, keys = issued(written)
    header, payload, signature = token.split(".")
    claims = decoded(payload).replace(b'"bartizan.level":4', b'"bartizan.level":6')
    forged = base64.urlsafe_b64encode(claims).rstrip(b"=").decode()
    assert forged != payload
    raised = bytearray(decoded(signature))
    raised[0] ^= 1

    for bad in (
        f"{header}.{forged}.{signature}",
        f"{header}.{payload}.{base64.urlsafe_b64encode(raised).rstrip(b'=').decode()}",
    ):
        with pytest.raises(InvalidSignature):
            checked(bad, keys)


def test_another_key_does_not_verify_it(written: Path, reference: Path, tmp_path: Path) -> None:
    """Without a key of its own each token has a one-time key."""
    judge("good", reference, "--ear", tmp_path / "other.ear")
    token, keys = issued(written)[0], issued(tmp_path / "other.ear")[1]
    keys["keys"][0]["kid"] = issued(written)[1]["keys"][0]["kid"]

    with pytest.raises(InvalidSignature):
        checked(token, keys)


def test_the_operators_own_key_signs(reference: Path, tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(pem(KEY))
    ran = judge("good", reference, "--ear", tmp_path / "good.ear", "--ear-key", tmp_path / "key.pem")
    token, keys = issued(tmp_path / "good.ear")
    own = KEY.public_key().public_numbers()

    assert checked(token, keys)
    assert (number(keys["keys"][0]["x"]), number(keys["keys"][0]["y"])) == (own.x, own.y)
    assert "signed result in" in ran.out


def test_the_private_key_is_published_nowhere(written: Path) -> None:
    assert set(issued(written)[1]["keys"][0]) == {"kty", "crv", "x", "y", "kid", "alg", "use"}
    assert set(public_jwk(decode_signing_key(pem(KEY)).public)) == {"kty", "crv", "x", "y", "kid", "alg", "use"}


WRONG_KEYS = {
    "P-384": pem(ec.generate_private_key(ec.SECP384R1())),
    "secp256k1": pem(ec.generate_private_key(ec.SECP256K1())),
    "RSA": pem(rsa.generate_private_key(65537, 2048)),
    "Ed25519": pem(ed25519.Ed25519PrivateKey.generate()),
    "a public key": KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    "an encrypted key": pem(KEY, b"secret"),
    "DER": KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
    "half a key": pem(KEY)[:100],
    "no key": b"hello",
    "nothing": b"",
}


@pytest.mark.parametrize("name", WRONG_KEYS)
def test_another_key_than_a_p256_private_key_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(DecodeError):
        decode_signing_key(WRONG_KEYS[name])
    path = tmp_path / "key.pem"
    path.write_bytes(WRONG_KEYS[name])
    ran = run("appraise", BOOTS / "good", "--ear", tmp_path / "x.ear", "--ear-key", path, "--json")

    assert (ran.code, ran.document["error"]["kind"]) == (2, "config")
    assert ran.document["error"]["why"].startswith(f"{path}: an EC P-256 private key in PEM expected: ")
    assert not (tmp_path / "x.ear").exists()


@pytest.mark.parametrize("option", ["--ear", "--ear-key"])
def test_a_path_that_cannot_be_used_is_refused(option: str, tmp_path: Path) -> None:
    options = {"--ear": tmp_path / "x.ear"} | {option: tmp_path / "no" / "where"}
    ran = run("appraise", BOOTS / "good", *(part for pair in options.items() for part in pair), "--json")

    assert (ran.code, ran.document["error"]["kind"]) == (2, "config")
    assert str(tmp_path / "no") in ran.document["error"]["why"]


def test_a_nonce_is_told_where_there_is_one() -> None:
    claims = ear_claims(baseline(), issued_at=NOW, expires=NOW + 1, nonce="abc", submodule="node")

    assert (claims["eat_nonce"], claims["iat"], claims["exp"]) == ("abc", NOW, NOW + 1)
    assert "eat_nonce" not in ear_claims(baseline(), issued_at=NOW, expires=NOW, nonce=None, submodule="node")


def test_a_named_exception_is_told_with_its_reason() -> None:
    policy = replace(default_policy(), waivers=(Waiver(check="platform.first-step", reason="ticket 4711"),))
    claims = ear_claims(judged(good(), policy=policy), issued_at=NOW, expires=NOW, nonce=None, submodule="node")
    told = claims["submods"]["node"]["ear_verifier_claims"]["bartizan.findings"]

    assert [finding["waiver"] for finding in told if "waiver" in finding] == ["ticket 4711"]
