"""Signed results: they verify with the published keys and no others, byte by byte, and through every rotation."""

import json
import stat
from pathlib import Path

import jwt
import pytest

from bartizan.app.service.clock import Now
from bartizan.app.service.key_stores import FolderKeys
from bartizan.app.service.signing import ANNOUNCED, Signer
from bartizan.errors import ConfigError
from bartizan.model.result import AttestationResult
from tests.unit.attested_again import started
from tests.unit.jose_side import KeySet, RefusedError, accepted, thumbprint, unpadded

LIFETIME = 300
START = 1_800_000_000
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def second(at: float) -> Now:
    return Now(int((START + at) * 1_000_000))


def result() -> AttestationResult:
    return started().result


def signed(signer: Signer, at: float, *, expires: float = 10**6) -> str:
    return signer.sign(result(), subject="n1", nonce="a nonce", expires=int(START + expires), now=second(at))


def signer_in(folder: Path) -> Signer:
    return Signer(store=FolderKeys(folder / "ear"), lifetime=LIFETIME)


def test_an_ear_verifies_with_the_published_key(tmp_path: Path) -> None:
    signer = signer_in(tmp_path)
    token = signed(signer, 0)

    claims = accepted(token, json.loads(json.dumps(signer.jwks(second(0)))), at=START)

    assert claims["submods"]["n1"]["ear_verifier_claims"]["bartizan.level"] == result().level
    assert (claims["eat_nonce"], claims["iat"], claims["exp"]) == ("a nonce", START, START + LIFETIME)


def read_by_library(token: str, keys: KeySet) -> dict[str, object]:
    """The claims as an independent JOSE library reads them, times aside: they are this test's own."""
    known = {key.key_id: key for key in jwt.PyJWKSet.from_dict(dict(keys)).keys}
    kid = jwt.get_unverified_header(token)["kid"]
    found: dict[str, object] = jwt.decode(
        token, known[kid], algorithms=["ES256"], options={"verify_exp": False, "verify_iat": False, "verify_nbf": False}
    )
    return found


def test_an_independent_library_verifies_an_ear_with_the_published_key(tmp_path: Path) -> None:
    signer = signer_in(tmp_path)
    token, keys = signed(signer, 0), json.loads(json.dumps(signer.jwks(second(0))))

    assert read_by_library(token, keys) == accepted(token, keys, at=START)


def test_an_independent_library_refuses_a_changed_claim(tmp_path: Path) -> None:
    signer = signer_in(tmp_path)
    token, keys = signed(signer, 0), json.loads(json.dumps(signer.jwks(second(0))))
    head, body, signature = token.split(".")
    other = LETTERS[(LETTERS.index(body[20]) + 1) % len(LETTERS)]

    with pytest.raises(jwt.InvalidTokenError):
        read_by_library(f"{head}.{body[:20]}{other}{body[21:]}.{signature}", keys)


def test_a_token_holds_no_longer_than_the_state_that_it_tells_of(tmp_path: Path) -> None:
    signer = signer_in(tmp_path)
    token, keys = signed(signer, 0, expires=20), signer.jwks(second(0))

    assert accepted(token, keys, at=START + 19)["exp"] == START + 20
    with pytest.raises(RefusedError, match="not its time"):
        accepted(token, keys, at=START + 20)


def test_a_changed_byte_anywhere_fails(tmp_path: Path) -> None:
    signer = signer_in(tmp_path)
    token, keys = signed(signer, 0), signer.jwks(second(0))

    for place, letter in enumerate(token):
        other = "." if letter != "." else "A"
        following = LETTERS[(LETTERS.find(letter) + 1) % 64]
        for changed in {other, following} - {letter}:
            with pytest.raises(RefusedError):
                accepted(token[:place] + changed + token[place + 1 :], keys, at=START)


def test_a_key_of_somebody_else_does_not_do(tmp_path: Path) -> None:
    token = signed(signer_in(tmp_path), 0)
    others = signer_in(tmp_path / "other")

    with pytest.raises(RefusedError):
        accepted(token, others.jwks(second(0)), at=START)
    (own,) = signer_in(tmp_path).jwks(second(0))["keys"]
    (other,) = others.jwks(second(0))["keys"]
    with pytest.raises(RefusedError):
        accepted(token, {"keys": [other | {"kid": own["kid"]}]}, at=START)


def test_what_is_published_is_public(tmp_path: Path) -> None:
    signer = signer_in(tmp_path)
    signer.rotate(second(0))
    signer.rotate(second(1))

    keys = signer.jwks(second(1))["keys"]

    assert len(keys) == 2
    for key in keys:
        assert set(key) == {"kty", "crv", "x", "y", "kid", "alg", "use"}
        assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("EC", "P-256", "ES256", "sig")
        assert key["kid"] == thumbprint(key)


def test_keys_are_for_their_owner_alone(tmp_path: Path) -> None:
    signer = signer_in(tmp_path)
    signed(signer, 0)
    signer.rotate(second(1))

    files = list((tmp_path / "ear").iterdir())

    assert len(files) == 2
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "ear").stat().st_mode) == 0o700


def test_through_two_rotations_no_token_meets_a_key_set_that_lacks_its_key(tmp_path: Path) -> None:
    """Signed at any time, held until it ends, read with a key set of then or of an hour before."""
    signer = signer_in(tmp_path)
    signed(signer, 0)
    steps = range(5000, 5000 + 3 * ANNOUNCED, 50)
    rotations = {5000 + 500, 5000 + 500 + ANNOUNCED + 100}
    sets: dict[int, KeySet] = {at: signer.jwks(second(at)) for at in range(5000 - ANNOUNCED, 5000, 50)}
    used: set[str] = set()

    for at in steps:
        if at in rotations:
            signer.rotate(second(at))
        sets[at] = signer.jwks(second(at))
        token = signed(signer, at)
        used.add(json.loads(unpadded(token.split(".")[0]))["kid"])
        for fetched in (at, at - 50, at - ANNOUNCED // 2, at - ANNOUNCED):
            accepted(token, sets[fetched], at=START + at)
        for later in (50, LIFETIME - 50, LIFETIME - 1):
            accepted(token, signer.jwks(second(at + later)), at=START + at + later)

    assert len(used) == 3
    assert len(signer.jwks(second(steps[-1] + 2 * ANNOUNCED))["keys"]) == 1


@pytest.mark.parametrize("at", [ANNOUNCED - 1, ANNOUNCED, ANNOUNCED + 1])
def test_at_the_second_of_the_change_both_sides_agree(tmp_path: Path, at: int) -> None:
    signer = signer_in(tmp_path)
    signed(signer, -10_000)
    early = signer.jwks(second(-1))
    signer.rotate(second(0))

    token = signed(signer, at)

    accepted(token, signer.jwks(second(at - ANNOUNCED + (at < ANNOUNCED))), at=START + at)
    accepted(token, signer.jwks(second(at + LIFETIME - 1)), at=START + at + LIFETIME - 1)
    if at < ANNOUNCED:
        accepted(token, early, at=START + at)
    else:
        with pytest.raises(RefusedError):
            accepted(token, early, at=START + at)


def test_a_replaced_key_is_published_until_its_last_token_has_ended(tmp_path: Path) -> None:
    signer = signer_in(tmp_path)
    signed(signer, -10_000)
    signer.rotate(second(0))

    counts = [len(signer.jwks(second(ANNOUNCED + after))["keys"]) for after in (0, LIFETIME, LIFETIME + 0.002)]

    assert counts == [2, 2, 1]


def test_two_rotations_in_one_millisecond_lose_no_key(tmp_path: Path) -> None:
    signer = signer_in(tmp_path)
    for _ in range(3):
        signer.rotate(second(0))

    assert len(signer.jwks(second(0))["keys"]) == 3


def test_a_rotation_after_the_clock_was_set_back_still_changes_the_key(tmp_path: Path) -> None:
    signer = signer_in(tmp_path)
    token = signed(signer, 10_000)
    signer.rotate(second(0))

    later = signed(signer, 10_000 + 2 * ANNOUNCED)

    assert token.split(".")[0] != later.split(".")[0]
    accepted(later, signer.jwks(second(10_000)), at=START + 10_000 + 2 * ANNOUNCED)


def test_a_service_that_starts_again_signs_with_the_same_key(tmp_path: Path) -> None:
    token = signed(signer_in(tmp_path), 0)

    accepted(token, signer_in(tmp_path).jwks(second(10)), at=START + 10)


def test_a_key_file_that_is_none_is_an_operators_error(tmp_path: Path) -> None:
    signer = signer_in(tmp_path)
    signed(signer, 0)
    (path,) = (tmp_path / "ear").iterdir()
    path.write_bytes(b"-----BEGIN NONSENSE-----")

    with pytest.raises(ConfigError, match=path.name):
        signer.jwks(second(0))
    with pytest.raises(ConfigError, match=path.name):
        signed(signer, 0)
