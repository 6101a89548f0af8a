"""Result keys in a PKCS#11 token: made, used and rotated inside a real SoftHSM, and never seen outside of it."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import pkcs11
import pytest
from pkcs11 import Attribute, KeyType, ObjectClass

from bartizan.app.service.changes import Who
from bartizan.app.service.clock import Now
from bartizan.app.service.key_stores import key_store
from bartizan.app.service.rotating import rotate_keys
from bartizan.app.service.settings import Settings, read_settings
from bartizan.app.service.signing import ANNOUNCED, Signer
from bartizan.errors import ConfigError, ConnectorError
from bartizan.model.node import Role
from tests.unit.attested_again import started
from tests.unit.cli_runner import run
from tests.unit.jose_side import RefusedError, accepted
from tests.unit.service_side import Side, played

PIN, OFFICER_PIN = "open-sesame-81", "very-secret-99"
OFFICER = Who(account="o", number=1, role=Role.SECURITY_OFFICER, project=1, whole=True, address="local")
LABEL = "bartizan-results"
START = 1_800_000_000
LIFETIME = 300


def module() -> Path:
    """Where Debian puts SoftHSM's library."""
    return next(path for path in Path("/usr/lib").glob("**/libsofthsm2.so") if not path.is_symlink())


@dataclass(frozen=True, kw_only=True)
class Hsm:
    """A folder of SoftHSM with one token."""

    folder: Path
    token: str

    def settings(self, **other: str) -> dict[str, Any]:
        """As in a file of settings."""
        given = {"module": str(module()), "token": self.token, "pin_file": str(self.folder / "pin")}
        return {"data": str(self.folder / "data"), "trust": {"pkcs11": given | other}}

    def file(self, **other: str) -> Path:
        """The file."""
        path = self.folder / "bartizan.toml"
        lines = [f"{name} = {json.dumps(value)}" for name, value in self.settings(**other)["trust"]["pkcs11"].items()]
        path.write_text("\n".join([f'data = "{self.folder}/data"', "[trust.pkcs11]", *lines]))
        return path

    def signer(self, **other: str) -> Signer:
        """What the service signs with."""
        return Signer(store=key_store(msgspec.convert(self.settings(**other), Settings)), lifetime=LIFETIME)

    def pin(self, text: str, mode: int = 0o600) -> None:
        """What the PIN's file holds."""
        path = self.folder / "pin"
        path.write_text(text)
        path.chmod(mode)

    def session(self) -> pkcs11.Session:
        """A session beside the service's, as another tool would have."""
        token = pkcs11.lib(str(module())).get_token(token_label=self.token)
        try:
            return token.open(rw=True, user_pin=PIN)
        except pkcs11.UserAlreadyLoggedIn:
            return token.open(rw=True)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """SoftHSM's own folder; the library reads its settings once in a process."""
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = str(folder / "softhsm2.conf")
    yield folder
    del os.environ["SOFTHSM2_CONF"]


@pytest.fixture
def hsm(place: Path, tmp_path: Path) -> Hsm:
    """A token of its own for each test."""
    token = f"t{len(list((place / 'tokens').iterdir()))}"
    command = ["softhsm2-util", "--init-token", "--free", "--label", token, "--pin", PIN, "--so-pin", OFFICER_PIN]
    subprocess.run(command, check=True, capture_output=True)
    pkcs11.lib(str(module())).reinitialize()
    made = Hsm(folder=tmp_path, token=token)
    made.pin(PIN + "\n")
    return made


def second(at: float) -> Now:
    return Now(int((START + at) * 1_000_000))


def signed(signer: Signer, at: float) -> str:
    return signer.sign(started().result, subject="n1", nonce=None, expires=START + 10**6, now=second(at))


def test_a_key_is_made_in_the_token_and_its_results_verify(hsm: Hsm) -> None:
    token = signed(hsm.signer(), 0)

    claims = accepted(token, hsm.signer().jwks(second(0)), at=START)

    assert claims["submods"]["n1"]["ear_verifier_claims"]["bartizan.level"] == started().result.level


def test_a_changed_byte_fails(hsm: Hsm) -> None:
    signer = hsm.signer()
    head, body, signature = signed(signer, 0).split(".")
    changed = ("A" if body[40] != "A" else "B").join((body[:40], body[41:]))

    with pytest.raises(RefusedError):
        accepted(f"{head}.{changed}.{signature}", signer.jwks(second(0)), at=START)


def test_the_private_key_cannot_be_taken_out(hsm: Hsm) -> None:
    signed(hsm.signer(), 0)

    with hsm.session() as session:
        (key,) = session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.LABEL: LABEL})
        assert (key[Attribute.SENSITIVE], key[Attribute.EXTRACTABLE]) == (True, False)
        with pytest.raises(pkcs11.AttributeSensitive):
            key[Attribute.VALUE]
    assert not list((hsm.folder).glob("data/keys/ear/*"))


def test_through_a_rotation_no_token_meets_a_key_set_that_lacks_its_key(hsm: Hsm) -> None:
    signer = hsm.signer()
    before, early = signed(signer, 0), signer.jwks(second(0))
    assert signer.announce(second(10))

    announced = signer.jwks(second(10))
    between, after = signed(signer, 11), signed(signer, 10 + ANNOUNCED)

    assert [len(each["keys"]) for each in (early, announced, signer.jwks(second(10 + ANNOUNCED)))] == [1, 2, 2]
    accepted(between, early, at=START + 11)
    accepted(after, announced, at=START + 10 + ANNOUNCED)
    assert before.split(".")[0] == between.split(".")[0] != after.split(".")[0]
    assert len(signer.jwks(second(10 + ANNOUNCED + LIFETIME + 1))["keys"]) == 1


def test_a_second_wish_for_a_new_key_is_refused_while_one_is_announced(hsm: Hsm) -> None:
    signer = hsm.signer()
    signed(signer, 0)

    assert [signer.announce(second(1)), hsm.signer().announce(second(2))] == [True, False]


def test_a_key_that_an_operator_made_signs_until_it_is_rotated(hsm: Hsm) -> None:
    with hsm.session() as session:
        session.create_domain_parameters(
            KeyType.EC, {Attribute.EC_PARAMS: bytes.fromhex("06082a8648ce3d030107")}, local=True
        ).generate_keypair(id=b"\x01", label=LABEL, store=True)
    signer = hsm.signer()

    token = signed(signer, 0)
    signer.rotate(second(1))

    accepted(token, signer.jwks(second(1)), at=START)
    assert [made for made, _ in signer.store.every()] == [0, (START + 1) * 1000]


def test_a_token_that_lost_its_sessions_is_opened_again(hsm: Hsm) -> None:
    signer = hsm.signer()
    signed(signer, 0)

    pkcs11.lib(str(module())).reinitialize()

    accepted(signed(signer, 1), signer.jwks(second(1)), at=START + 1)


def test_many_at_once_do_not_disturb_each_other(hsm: Hsm) -> None:
    signer = hsm.signer()

    async def every() -> list[str]:
        return await asyncio.gather(*(asyncio.to_thread(signed, signer, at) for at in range(40)))

    for at, token in enumerate(asyncio.run(every())):
        accepted(token, signer.jwks(second(at)), at=START + at)


def test_the_service_publishes_signs_and_rotates_with_the_token(hsm: Hsm) -> None:
    async def scene(side: Side) -> None:
        service = side.service
        (first,) = service.signer.jwks(service.clock())["keys"]
        await rotate_keys(service, OFFICER)
        keys = service.signer.jwks(service.clock())["keys"]
        assert len(keys) == 2
        assert keys[0] == first

    settings = msgspec.convert(hsm.settings(), Settings)
    played(scene, hsm.folder / "data", trust=settings.trust)


def test_config_check_shows_that_the_key_signs(hsm: Hsm) -> None:
    signer = hsm.signer()
    signed(signer, 0)

    checked = run("config", "check", "--config", hsm.file(), "--json")

    assert checked.code == 0
    assert checked.document["result_key"] == signer.jwks(second(0))["keys"][0]["kid"]
    assert checked.document["result_key"] in run("config", "check", "--config", hsm.file()).out


def test_config_check_leaves_no_key_in_a_token_that_had_none(hsm: Hsm) -> None:
    checked = run("config", "check", "--config", hsm.file(), "--json")

    assert (checked.code, len(checked.document["result_key"])) == (0, 43)
    pkcs11.lib(str(module())).reinitialize()
    with hsm.session() as session:
        assert not list(session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY}))


def test_a_wrong_pin_is_told_and_tried_once_until_the_file_changes(hsm: Hsm) -> None:
    hsm.pin("wrong-pin-123\n")
    signer = hsm.signer()

    with pytest.raises(ConfigError, match=r"refuses the PIN in .*/pin \(PinIncorrect\)$") as first:
        signed(signer, 0)
    with pytest.raises(ConfigError, match="not tried again") as again:
        signed(signer, 0)
    hsm.pin(PIN)

    accepted(signed(signer, 1), signer.jwks(second(1)), at=START + 1)
    assert "wrong-pin" not in f"{first.value} {again.value} {signer!r}"


def test_the_pin_is_in_no_answer_of_the_command(hsm: Hsm) -> None:
    checked = run("config", "check", "--config", hsm.file(), "--json")

    assert PIN not in checked.out + checked.err


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [
        (PIN, 0o604, "can be read by everybody"),
        ("", 0o600, "one line of 1 to 255"),
        (f"{PIN}\nmore\n", 0o600, "one line of 1 to 255"),
        ("x" * 256, 0o600, "one line of 1 to 255"),
    ],
)
def test_a_pin_file_that_cannot_be_used_is_refused(hsm: Hsm, content: str, mode: int, why: str) -> None:
    hsm.pin(content, mode)

    with pytest.raises(ConfigError, match=why) as refused:
        signed(hsm.signer(), 0)
    assert PIN not in str(refused.value)


def test_a_pin_that_is_no_text_is_refused_unseen(hsm: Hsm) -> None:
    (hsm.folder / "pin").write_bytes(b"\xff\xfe-pin")

    with pytest.raises(ConfigError, match="UTF-8") as refused:
        signed(hsm.signer(), 0)
    assert "fe" not in str(refused.value).split("pin_file")[1].replace(str(hsm.folder), "")


def test_a_label_of_no_token_names_those_that_there_are(hsm: Hsm) -> None:
    absent = replace(hsm, token=f"{hsm.token}-other")

    with pytest.raises(ConfigError, match=f"one token '{absent.token}' expected, found 0; there are .*'{hsm.token}'"):
        signed(absent.signer(), 0)


def test_a_file_that_is_no_module_is_told(hsm: Hsm) -> None:
    nonsense = hsm.folder / "module.so"
    nonsense.write_bytes(b"nothing")

    with pytest.raises(ConnectorError, match=r"module\.so"):
        signed(hsm.signer(module=str(nonsense)), 0)


def test_a_key_without_its_public_half_is_told(hsm: Hsm) -> None:
    signed(hsm.signer(), 0)
    with hsm.session() as session:
        for key in session.get_objects({Attribute.CLASS: ObjectClass.PUBLIC_KEY, Attribute.LABEL: LABEL}):
            key.destroy()

    with pytest.raises(ConfigError, match="no public key beside it"):
        signed(hsm.signer(), 1)


def test_a_key_on_another_curve_is_refused(hsm: Hsm) -> None:
    with hsm.session() as session:
        session.create_domain_parameters(
            KeyType.EC, {Attribute.EC_PARAMS: bytes.fromhex("06052b81040022")}, local=True
        ).generate_keypair(id=b"\x01", label=LABEL, store=True)

    with pytest.raises(ConfigError, match="P-256 expected"):
        signed(hsm.signer(), 0)


def test_a_public_key_that_belongs_to_another_is_seen_by_config_check(hsm: Hsm) -> None:
    signed(hsm.signer(), 0)
    with hsm.session() as session:
        (public,) = session.get_objects({Attribute.CLASS: ObjectClass.PUBLIC_KEY, Attribute.LABEL: LABEL})
        identifier = public[Attribute.ID]
        public.destroy()
        session.create_domain_parameters(
            KeyType.EC, {Attribute.EC_PARAMS: bytes.fromhex("06082a8648ce3d030107")}, local=True
        ).generate_keypair(id=identifier, label=LABEL, store=True)
        (first, _) = session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.LABEL: LABEL})
        first.destroy()
        (public,) = session.get_objects({Attribute.CLASS: ObjectClass.PUBLIC_KEY, Attribute.LABEL: LABEL})
        other, _ = session.create_domain_parameters(
            KeyType.EC, {Attribute.EC_PARAMS: bytes.fromhex("06082a8648ce3d030107")}, local=True
        ).generate_keypair(id=b"x", label="other", store=True)
        public.destroy()
        session.create_object(
            {
                Attribute.CLASS: ObjectClass.PUBLIC_KEY,
                Attribute.KEY_TYPE: KeyType.EC,
                Attribute.TOKEN: True,
                Attribute.LABEL: LABEL,
                Attribute.ID: identifier,
                Attribute.EC_PARAMS: other[Attribute.EC_PARAMS],
                Attribute.EC_POINT: other[Attribute.EC_POINT],
            }
        )

    checked = run("config", "check", "--config", hsm.file(), "--json")

    assert checked.code == 2
    assert "does not belong to the public key" in checked.out + checked.err


@pytest.mark.parametrize("left_out", ["token", "pin_file", "label"])
def test_a_token_that_is_half_named_is_refused(hsm: Hsm, left_out: str) -> None:
    with pytest.raises(ConfigError, match="go together"):
        read_settings(hsm.file(**{left_out: ""}))


def test_two_keys_that_both_sign_are_refused(hsm: Hsm) -> None:
    own = hsm.folder / "own.pem"
    own.touch()
    path = hsm.file()
    path.write_text(path.read_text().replace("[trust.pkcs11]", f'[trust]\near_key = "{own}"\n[trust.pkcs11]'))

    with pytest.raises(ConfigError, match="both name the key"):
        read_settings(path)


def test_without_the_extra_the_settings_are_refused_by_name(hsm: Hsm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bartizan.connectors.pkcs11.token", None)

    with pytest.raises(ConfigError, match=r"requirements/pkcs11\.txt"):
        hsm.signer()
